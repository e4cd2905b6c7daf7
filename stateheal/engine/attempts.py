"""What the attempts at one workspace came to: the outcome of each finding, also where an attempt was cut short."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from stateheal.engine.collect import WorkspaceResult
from stateheal.errors import Conflict, JournalError, Refused, StatehealError
from stateheal.model.disk import INDEX, stem_of
from stateheal.model.evidence import Evidence
from stateheal.model.findings import Finding, Outcome
from stateheal.model.layout import record_name
from stateheal.model.problems import Problem, ProblemKind


def with_outcome(findings: Iterable[Finding], outcome: Outcome) -> tuple[Finding, ...]:
    """The findings, those that have a repair with what became of it."""
    return tuple(
        finding._replace(outcome=outcome) if finding.repair and finding.outcome is Outcome.FOUND else finding
        for finding in findings
    )


def as_written(result: WorkspaceResult, written: Sequence[str]) -> tuple[Finding, ...]:
    """The findings of an attempt that did not come to its end: healed are those of which every file was written."""
    planned = {change.name for change in result.plan.files}
    return tuple(
        finding._replace(outcome=Outcome.HEALED)
        if finding.repair
        and finding.outcome is Outcome.FOUND
        and _files_of(finding, result.evidence) & planned <= set(written)
        else finding
        for finding in result.findings
    )


def _files_of(finding: Finding, evidence: Evidence) -> set[str]:
    """The files that the repair of a finding changes, or, where nobody has told that, may change."""
    if finding.edits:
        return {edit.file for edit in finding.edits}
    own = Path(os.path.relpath(finding.path, evidence.place.directory)).as_posix()
    return {own, INDEX, record_name(finding.job, evidence.dialect)} if finding.job else {own}


def _written_half(findings: Iterable[Finding], written: Sequence[str]) -> dict[str, Finding]:
    """Of an attempt that did not come to its end, the jobs whose file was written and whose entry was not."""
    return {
        finding.job: finding
        for finding in findings
        if finding.repair and finding.job and finding.job in map(stem_of, written) and INDEX not in written
    }


def as_begun(finding: Finding, begun: dict[str, Finding]) -> Finding:
    """A repair that is finished after an interruption is reported under the name it was begun with."""
    return begun.get(finding.job or "", finding) if finding.rule == "index-behind" else finding


class Progress:
    """What the attempts at one workspace have come to so far: what one of them wrote is told, whatever comes after."""

    def __init__(self) -> None:
        self.healed: list[Finding] = []
        self.begun: dict[str, Finding] = {}
        self.latest: WorkspaceResult | None = None
        """What the latest attempt found and planned."""
        self.written: list[str] = []
        """What the latest attempt has written."""

    def note(self, result: WorkspaceResult, written: Sequence[str]) -> None:
        """Add what an attempt wrote that did not come to its end."""
        if written:
            found = as_written(result, written)
            self.healed += [finding for finding in found if finding.outcome is Outcome.HEALED]
        self.begun |= _written_half(result.findings, written)

    def complete(self, result: WorkspaceResult) -> WorkspaceResult:
        """The last attempt's result and, of the earlier ones, what was healed whole and is not found any more."""
        again = {(finding.rule, finding.job) for finding in result.findings}
        jobs = {finding.job for finding in result.findings if finding.job}
        before = [each for each in self.healed if each.job not in jobs and (each.rule, each.job) not in again]
        return result._replace(findings=(*result.findings, *before), postponed=False)


def failed(result: WorkspaceResult, error: StatehealError, written: Sequence[str] = ()) -> WorkspaceResult:
    """The result of a workspace whose repair an error has ended; the error is told beside it."""
    outcome = Outcome.REFUSED if isinstance(error, (Conflict, Refused)) else Outcome.FAILED
    of_journal = isinstance(error, JournalError)
    where = "" if of_journal else str(result.plan.place.directory)
    kind = ProblemKind.JOURNAL if of_journal else ProblemKind.NOT_WRITTEN
    findings = with_outcome(as_written(result, written) if written else result.findings, outcome)
    left = any(finding.outcome is outcome for finding in findings)
    problem = Problem(where, f"not repaired: {error}" if left or not written else str(error), kind)
    return result._replace(findings=findings, errors=(*result.errors, problem))
