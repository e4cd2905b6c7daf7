"""What a page draws of a workspace, taken from a visit while its evidence is still there (field guide section 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from stateheal.formats.jsontext import Json
from stateheal.model.dialect import Dialect
from stateheal.model.evidence import Evidence
from stateheal.model.findings import Finding, Severity
from stateheal.model.layout import status_of
from stateheal.model.page import DiffText, JobSpan, PageData
from stateheal.model.plan import Plan
from stateheal.model.records import entries_of, label_of, text_of, time_of
from stateheal.model.report import Diff
from stateheal.report.diff import diff_lines, diffs_of

Sides = tuple[Mapping[str, Json], ...]
"""What is recorded of one job: its index entry, then its file."""
NEWEST = 25
"""Jobs of a workspace that are drawn whatever their state."""
_MAX_LINES = 1000
"""Of one file's diff."""
_MAX_LINE = 2000
"""Characters of one line: records hold whole prompts and answers in one."""
_MAX_COMPARED = 20_000
"""Lines of a file before and after: more could take the comparison minutes."""


def page_data_of(evidence: Evidence, plan: Plan, findings: Iterable[Finding]) -> PageData:
    """One workspace: when its jobs ran, and what a heal would change."""
    spans = spans_of(evidence, findings)
    return PageData(
        str(evidence.place.directory),
        evidence.home,
        tuple(span for number, span in enumerate(spans) if number < NEWEST or span.worst),
        Counter(span.kind for span in spans),
        () if plan.refusal else tuple(_text_of(diff) for diff in diffs_of(plan)),
        0 if plan.refusal else len(plan.logs),
        plan.refusal,
    )


def spans_of(evidence: Evidence, findings: Iterable[Finding]) -> list[JobSpan]:
    """Every job of a workspace, or those that were asked for, newest first; those without any time come last."""
    worst: dict[str, Severity] = {}
    for finding in findings:
        if finding.job and finding.severity is not Severity.NOTICE and worst.get(finding.job) is not Severity.DAMAGE:
            worst[finding.job] = finding.severity
    asked, now = evidence.place.jobs, evidence.host.now
    sides = {job: each for job, each in _sides(evidence).items() if asked is None or job in asked}
    spans = [_span(job, each, now, worst.get(job), evidence.dialect) for job, each in sides.items()]
    return sorted(spans, key=lambda span: (span.began is None, -(span.began or 0.0)))


def _sides(evidence: Evidence) -> dict[str, Sides]:
    """By job id. Of entries that share an id the first counts, as for the plugin's own look-up."""
    entries = entries_of(evidence.index.value if evidence.index else None)
    sides: dict[str, Sides] = {}
    for entry in entries:
        if isinstance(entry, dict) and (ident := text_of(entry, "id")):
            sides.setdefault(ident, (entry,))
    for stem, snapshot in evidence.records.items():
        record = snapshot.value
        sides[stem] = (*sides.get(stem, ()), *((record,) if isinstance(record, dict) else ()))
    return sides


def _span(job: str, sides: Sides, now: float, worst: Severity | None, dialect: Dialect) -> JobSpan:
    """The index entry's word counts before the file's, as it does for the plugin's status."""
    status = next((text for side in sides if (text := status_of(side, dialect))), "unknown")
    title = label_of(*sides)
    began = next(_times(sides, ("startedAt", "createdAt", "updatedAt", "completedAt"), now), None)
    active = status in dialect.active
    if active or began is None:
        return JobSpan(job, status, began, None if active else began, worst, title)
    ended = next(_times(sides, ("completedAt", "cancelledAt", *dialect.orphan_time, "updatedAt"), now), began)
    return JobSpan(job, status, began, max(began, ended), worst, title)


def _times(sides: Sides, keys: Iterable[str], now: float) -> Iterator[float]:
    for key in keys:
        for side in sides:
            moment = time_of(side, key, now)
            if moment is not None:
                yield moment


def _text_of(diff: Diff) -> DiffText:
    compared = sum(data.count(b"\n") for data in (diff.before, diff.after) if data)
    if compared > _MAX_COMPARED:
        return DiffText(diff.name, (), compared, too_large=True)
    lines = diff_lines(diff)
    kept = tuple(_shortened(line) for line in islice(lines, _MAX_LINES))
    return DiffText(diff.name, kept, sum(1 for _ in lines))


def _shortened(line: str) -> str:
    more = len(line) - _MAX_LINE
    return line if more <= 0 else f"{line[:_MAX_LINE]}… and {more:,} characters more"
