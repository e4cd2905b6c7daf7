"""Findings to a plan: what every file holds before and after, checked once more before it leaves this module."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from stateheal.diagnosis.change import apply
from stateheal.diagnosis.content import unknown_version
from stateheal.diagnosis.rules import chosen
from stateheal.diagnosis.torn import find_torn_index
from stateheal.diagnosis.view import Validate, View, first_draft
from stateheal.jsonedit import rewrite
from stateheal.jsontext import Document, Json, parse, same, write
from stateheal.model import (
    INDEX,
    Change,
    Draft,
    Evidence,
    FileChange,
    Finding,
    LogLine,
    Owner,
    Plan,
    Settings,
    Snapshot,
    job_file,
)
from stateheal.records import entries_of


@dataclass
class _Ledger:
    """What each file's change rests on, collected while the rules go by."""

    stakes: dict[str, list[Owner]] = field(default_factory=dict)
    witnesses: dict[str, None] = field(default_factory=dict)

    def note(self, change: Change) -> None:
        if change.entry or change.drop or change.add is not None:
            self.stakes.setdefault(INDEX, []).extend(change.stakes)
        if (change.record or change.rebuilt is not None) and change.stem is not None:
            self.stakes.setdefault(job_file(change.stem), []).extend(change.stakes)
        if change.remove is not None:
            self.stakes.setdefault(change.remove, []).extend(change.stakes)
        if change.witness is not None:
            self.witnesses[change.witness] = None


def make_plan(evidence: Evidence, settings: Settings, validate: Validate) -> Plan:
    """Diagnose a workspace and plan its repair. A plan that does not cure what it claims carries a ``refusal``."""
    ledger = _Ledger()
    findings, draft = _run_rules(evidence, first_draft(evidence), settings, validate, ledger)
    if draft.index is None and not draft.records and not findings:
        return Plan(evidence.place, ())
    files = tuple(_changes(evidence, draft, ledger))
    logs = tuple(LogLine(f"{stem}.log", text) for stem, text in draft.logs.items() if stem in evidence.logs)
    refusal = _check(evidence, draft, files, settings, validate) if files else None
    return Plan(evidence.place, tuple(findings), files, logs, draft.keeps, refusal)


def _run_rules(
    evidence: Evidence, draft: Draft, settings: Settings, validate: Validate, ledger: _Ledger
) -> tuple[list[Finding], Draft]:
    findings: list[Finding] = []
    view = View(evidence, draft, settings, validate)
    if view.hands_off is not None:
        switched_on = {rule.name for rule in chosen(settings)}
        found = [*unknown_version(view), *find_torn_index(view)]
        return [each.finding for each in found if each.finding.rule in switched_on and not each.change], draft
    for rule in chosen(settings):
        found = list(rule.find(view))
        findings += [each.finding for each in found]
        changes = [each.change for each in found if each.change is not None]
        if changes:
            for change in changes:
                ledger.note(change)
            draft = apply(draft, changes)
            view = View(evidence, draft, settings, validate)
    return findings, draft


def _changes(evidence: Evidence, draft: Draft, ledger: _Ledger) -> Iterable[FileChange]:
    """Job files first, then the index, as the plugin itself writes an ending; what goes, goes last."""
    for stem, value in draft.records.items():
        snapshot = evidence.records[stem]
        if value is not snapshot.value:
            yield _file_change(job_file(stem), snapshot, value, ledger)
    index = evidence.index
    if draft.index is not (index.value if index else None):
        # Job files that the plan itself replaces have been compared and read back by then.
        untouched = (s for s in ledger.witnesses if s in evidence.records)
        witnesses = tuple(
            evidence.records[stem] for stem in untouched if draft.records.get(stem) is evidence.records[stem].value
        )
        yield _file_change(INDEX, index, draft.index, ledger, witnesses)
    for name in sorted(draft.removed):
        yield FileChange(name, _snapshot_named(evidence, name), None, _stakes(ledger, name))


def _snapshot_named(evidence: Evidence, name: str) -> Snapshot:
    if evidence.broker is not None and name == evidence.broker.snapshot.name:
        return evidence.broker.snapshot
    return evidence.leftovers[name]


def _file_change(
    name: str, before: Snapshot | None, value: Json, ledger: _Ledger, witnesses: tuple[Snapshot, ...] = ()
) -> FileChange:
    if before is not None and isinstance(before.document, Document):
        after = rewrite(before.document, value).encode("utf-8")
    else:
        after = write(value)
    return FileChange(name, before, after, _stakes(ledger, name), witnesses)


def _stakes(ledger: _Ledger, name: str) -> tuple[Owner, ...]:
    return tuple(dict.fromkeys(ledger.stakes.get(name, ())))


def _check(
    evidence: Evidence, draft: Draft, files: Iterable[FileChange], settings: Settings, validate: Validate
) -> str | None:
    """Diagnose the plan's own result: why it must not be carried out, or ``None``."""
    values = {INDEX: draft.index, **{job_file(stem): value for stem, value in draft.records.items()}}
    for change in files:
        read_back = parse(change.after) if change.after is not None else None
        if read_back is not None and not (
            isinstance(read_back, Document) and same(read_back.value, values[change.name])
        ):
            return f"{change.name} would not read back as planned"
    again, last = _run_rules(evidence, draft, settings, validate, _Ledger())
    if last is not draft:
        cured = next(finding for finding in again if finding.repair)
        return f"{cured.rule} would still be found after the repair"
    broken = _violations(View(evidence, draft, settings, validate))
    broken -= _violations(View(evidence, first_draft(evidence), settings, validate))
    for name, pointer, message in sorted(broken):
        if not _was_torn(evidence, name):
            return f"{name}{pointer}: the repair would break the schema: {message}"
    return None


def _was_torn(evidence: Evidence, name: str) -> bool:
    """Of a file that could not be read, whatever can be read now is better than before."""
    return name in evidence.salvage or (name == INDEX and evidence.index is None)


def _violations(view: View) -> set[tuple[str, str, str]]:
    """What breaks the schema; entries by their id, because a repair may move them."""
    entries = entries_of(view.draft.index)
    found = set()
    for name, violation in view.violations():
        pointer = violation.pointer
        match = re.match(r"/jobs/(\d+)", pointer) if name == INDEX else None
        if match:
            entry = entries[int(match[1])]
            pointer = f"/jobs/{entry.get('id') if isinstance(entry, dict) else None}{pointer[match.end() :]}"
        found.add((name, pointer, violation.message))
    return found
