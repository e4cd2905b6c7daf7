"""Findings to a plan: what every file holds before and after, checked once more before it leaves this module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stateheal.diagnosis.content import unknown_version
from stateheal.diagnosis.rules import chosen
from stateheal.diagnosis.view import Validate, View, first_draft
from stateheal.jsonedit import rewrite
from stateheal.jsontext import Document, Json, parse, same
from stateheal.model import (
    GONE,
    INDEX,
    JOBS,
    Change,
    Draft,
    Evidence,
    FileChange,
    Finding,
    LogLine,
    Owner,
    Patch,
    Plan,
    Settings,
    Snapshot,
)
from stateheal.records import entries_of


@dataclass
class _Ledger:
    """What each file's change rests on, collected while the rules go by."""

    stakes: dict[str, list[Owner]] = field(default_factory=dict)
    witnesses: dict[str, None] = field(default_factory=dict)

    def note(self, change: Change) -> None:
        if change.entry:
            self.stakes.setdefault(INDEX, []).extend(change.stakes)
        if change.record and change.stem is not None:
            self.stakes.setdefault(f"{JOBS}/{change.stem}.json", []).extend(change.stakes)
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
    return Plan(evidence.place, tuple(findings), files, logs, refusal)


def _run_rules(
    evidence: Evidence, draft: Draft, settings: Settings, validate: Validate, ledger: _Ledger
) -> tuple[list[Finding], Draft]:
    findings: list[Finding] = []
    view = View(evidence, draft, settings, validate)
    if view.hands_off is not None:
        return [
            each.finding for each in unknown_version(view) if "schema" in {rule.name for rule in chosen(settings)}
        ], draft
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


def apply(draft: Draft, changes: Iterable[Change]) -> Draft:
    """The draft with the changes made. What is not changed stays the very same object."""
    index, records, logs = draft.index, dict(draft.records), dict(draft.logs)
    entries = list(entries_of(index))
    touched = False
    for change in changes:
        if change.entry and change.position is not None:
            entries[change.position] = patched(entries[change.position], change.entry)
            touched = True
        if change.record and change.stem is not None:
            records[change.stem] = patched(records[change.stem], change.record)
        if change.log and change.stem is not None:
            logs[change.stem] = change.log
    return Draft({**index, "jobs": entries} if touched else index, records, logs)


def patched(record: Mapping[str, Json], patch: Patch) -> dict[str, Json]:
    """The record with the patch's values; keys keep their places, new ones go last."""
    merged = {**record, **patch}
    return {key: value for key, value in merged.items() if value is not GONE}


def _changes(evidence: Evidence, draft: Draft, ledger: _Ledger) -> Iterable[FileChange]:
    """Job files first, then the index: as the plugin itself writes an ending."""
    for stem, value in draft.records.items():
        snapshot = evidence.records[stem]
        if value is not snapshot.value:
            yield _file_change(snapshot, value, ledger)
    index = evidence.index
    if index is not None and draft.index is not index.value:
        witnesses = tuple(evidence.records[stem] for stem in ledger.witnesses if stem in evidence.records)
        yield _file_change(index, draft.index, ledger, witnesses)


def _file_change(snapshot: Snapshot, value: Json, ledger: _Ledger, witnesses: tuple[Snapshot, ...] = ()) -> FileChange:
    assert isinstance(snapshot.document, Document)
    after = rewrite(snapshot.document, value).encode("utf-8")
    return FileChange(snapshot, after, tuple(dict.fromkeys(ledger.stakes.get(snapshot.name, ()))), witnesses)


def _check(
    evidence: Evidence, draft: Draft, files: Iterable[FileChange], settings: Settings, validate: Validate
) -> str | None:
    """Diagnose the plan's own result: why it must not be carried out, or ``None``."""
    values = {INDEX: draft.index, **{f"{JOBS}/{stem}.json": value for stem, value in draft.records.items()}}
    for change in files:
        read_back = parse(change.after)
        if not isinstance(read_back, Document) or not same(read_back.value, values[change.name]):
            return f"{change.name} would not read back as planned"
    again, last = _run_rules(evidence, draft, settings, validate, _Ledger())
    if last is not draft:
        cured = next(finding for finding in again if finding.repair)
        return f"{cured.rule} would still be found after the repair"
    before = _violations(View(evidence, first_draft(evidence), settings, validate))
    after = _violations(View(evidence, draft, settings, validate))
    if len(after - before) > 0:
        name, pointer, message = sorted(after - before)[0]
        return f"{name}{pointer}: the repair would break the schema: {message}"
    return None


def _violations(view: View) -> set[tuple[str, str, str]]:
    return {(name, violation.pointer, violation.message) for name, violation in view.violations()}
