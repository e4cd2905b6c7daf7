"""Findings to a plan: what every file holds before and after, checked once more before it leaves this module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stateheal.diagnosis.catalogue import chosen
from stateheal.diagnosis.edits import edits_of
from stateheal.diagnosis.permitted import permitted
from stateheal.diagnosis.reading import loss
from stateheal.diagnosis.rule import Diagnosed
from stateheal.diagnosis.rules.content import unknown_version
from stateheal.diagnosis.rules.places import find_unread
from stateheal.diagnosis.rules.torn import find_torn_index
from stateheal.diagnosis.view import Validate, View, first_view
from stateheal.formats.jsonedit import rewrite
from stateheal.formats.jsontext import Document, Json, says, write
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import INDEX, Snapshot, stem_of
from stateheal.model.evidence import Evidence
from stateheal.model.findings import Finding, Outcome, Violation
from stateheal.model.layout import log_name, record_name
from stateheal.model.liveness import Owner
from stateheal.model.plan import Change, Draft, FileChange, LogLine, Plan
from stateheal.model.records import entries_of, text_of
from stateheal.model.request import Settings
from stateheal.values import dataclass, field

_MOST_SPARED = 20
_PASSES = 3


@dataclass
class _Ledger:
    """What each file's change rests on, collected while the rules go by."""

    owners_to_recheck: dict[str, list[Owner]] = field(default_factory=dict)
    preconditions: dict[str, None] = field(default_factory=dict)
    rest_on_index: set[str] = field(default_factory=set)
    tells_edits: bool = False
    """Whether each finding is to say what its repair changes."""
    dialect: Dialect = CODEX

    def note(self, change: Change) -> None:
        if change.entry or change.drop or change.add is not None:
            self.owners_to_recheck.setdefault(INDEX, []).extend(change.owners_to_recheck)
        if (change.record or change.rebuilt is not None) and change.stem is not None:
            self.owners_to_recheck.setdefault(record_name(change.stem, self.dialect), []).extend(
                change.owners_to_recheck
            )
        if change.remove is not None:
            self.owners_to_recheck.setdefault(change.remove, []).extend(change.owners_to_recheck)
        if change.requires_record is not None:
            self.preconditions[change.requires_record] = None
        if change.requires_index and change.stem is not None:
            self.rest_on_index.add(record_name(change.stem, self.dialect))


def make_plan(evidence: Evidence, settings: Settings, validate: Validate, tells_edits: bool = False) -> Plan:
    """Diagnose a workspace and plan its repair. With ``tells_edits`` each finding says what its repair changes.

    A job whose repair would not cure what it claims is spared: its findings are refused, the others are planned anew
    without it. Where no single job is to blame the whole plan carries a ``refusal``.
    """
    validate = _remembering(validate)
    spared: dict[str, str] = {}
    refused: list[Finding] = []
    while True:
        view = first_view(evidence, settings, validate, frozenset(spared))
        plan, culprit = _plan(view, tells_edits)
        if plan.refusal is None or culprit is None or culprit in spared or len(spared) >= _MOST_SPARED:
            problems = tuple(f"{job} is not repaired: {reason}" for job, reason in spared.items())
            findings = (*plan.findings, *dict.fromkeys(refused))
            return plan._replace(findings=findings, problems=problems)
        spared[culprit] = plan.refusal
        mine = (finding for finding in plan.findings if finding.job == culprit and finding.repair)
        refused += [finding._replace(outcome=Outcome.REFUSED, edits=()) for finding in mine]


def _remembering(validate: Validate) -> Validate:
    """The same, each record once: the rules go by many times, and most records stay what they are."""
    known: dict[int, tuple[Json, tuple[Violation, ...]]] = {}
    tops: dict[tuple[tuple[str, int], ...], tuple[Json, tuple[Violation, ...]]] = {}

    def remembered(schema: str, value: Json) -> tuple[Violation, ...]:
        if schema == "state" and isinstance(value, dict) and value.get("jobs") == []:
            key = tuple((name, id(each)) for name, each in value.items() if name != "jobs")
            if key not in tops:  # with the value itself, so that no other can get the identities of what it holds
                tops[key] = (value, validate(schema, value))
            return tops[key][1]
        if schema != "job":
            return validate(schema, value)
        before = known.get(id(value))
        if before is None or before[0] is not value:
            before = known[id(value)] = (value, validate(schema, value))
        return before[1]

    return remembered


def _plan(view: View, tells_edits: bool) -> tuple[Plan, str | None]:
    """The plan, and the job to blame where it is refused."""
    evidence = view.evidence
    ledger = _Ledger(tells_edits=tells_edits, dialect=evidence.dialect)
    findings, after, last_word = _until_settled(view, ledger)
    draft = after.draft
    files = tuple(_changes(evidence, draft, ledger))
    logs = _log_lines(view, draft)
    refusal, culprit = _check(view, after, files, last_word) if files else (None, None)
    waits = view.waits or (after is not view and _changed(view, after).waits)  # what was torn says more mended
    return Plan(evidence.place, tuple(findings), files, logs, _kept(view, draft), refusal, waits=waits), culprit


def _until_settled(view: View, ledger: _Ledger) -> tuple[list[Finding], View, list[Finding]]:
    """Run the rules again while that finds more to repair: one repair may settle what an earlier rule was unsure of.

    The view is of what they leave at last; beside it stands what they still find there, which ought to be nothing to
    repair.
    """
    findings, after = _run_rules(view, ledger)
    if after is view:
        return findings, after, []
    for _ in range(_PASSES - 1):
        view = _changed(view, after)
        more, further = _run_rules(view, ledger)
        if further is view:
            return findings, further, more
        repaired = {(each.rule, each.job): each for each in more if each.repair}
        findings = [each for each in findings if each.repair or (each.rule, each.job) not in repaired]
        findings += repaired.values()
        after = further
    return findings, after, _run_rules(_changed(view, after), _Ledger())[0]


def _changed(view: View, after: View) -> View:
    """What the repairs leave, and of its jobs those that are not as they were before, or that the index lacks.

    The rules have been over the others, and what is known of those is the same; a property test shows that a look at
    all of them finds nothing else.
    """
    if not isinstance(view.draft.index, dict):
        return after.narrowed(None)
    before = {id(job.facts) for job in view.every_job}
    touched = {job.id for job in after.every_job if id(job.facts) not in before or job.position is None}
    return after.narrowed(frozenset(touched))


def _run_rules(view: View, ledger: _Ledger) -> tuple[list[Finding], View]:
    """Every rule in its turn, each on what the repairs before it leave; and what they all leave."""
    rules = chosen(view.settings)
    if view.hands_off is not None:
        switched_on = {rule.name for rule in rules}
        told = [*find_unread(view), *unknown_version(view), *find_torn_index(view)]
        return [each.finding for each in told if each.finding.rule in switched_on and not each.change], view
    findings: list[Finding] = []
    for rule in rules:
        only = view.evidence.place.jobs
        asked = [each for each in rule.find(view) if only is None or each.finding.job in only]
        found = list(permitted(view, asked))
        findings += [_with_edits(each, view) if ledger.tells_edits else each.finding for each in found]
        changes = [each.change for each in found if each.change is not None]
        if changes:
            for change in changes:
                ledger.note(change)
            view = view.after(changes)
    return findings, view


def _with_edits(each: Diagnosed, view: View) -> Finding:
    return each.finding if each.change is None else each.finding._replace(edits=edits_of(each.change, view))


def _changes(evidence: Evidence, draft: Draft, ledger: _Ledger) -> Iterable[FileChange]:
    """Job files first, then the index, as the plugin itself writes an ending; what goes, goes last."""
    for stem, value in draft.records.items():
        snapshot = evidence.records[stem]
        if value is not snapshot.value:
            name = snapshot.name
            on_index = (evidence.index,) if evidence.index and name in ledger.rest_on_index else ()
            yield _file_change(name, snapshot, value, ledger, on_index)
    index = evidence.index
    if draft.index is not (index.value if index else None):
        # Job files that the plan itself replaces have been compared and read back by then.
        untouched = (s for s in ledger.preconditions if s in evidence.records)
        preconditions = tuple(
            evidence.records[stem] for stem in untouched if draft.records.get(stem) is evidence.records[stem].value
        )
        yield _file_change(INDEX, index, draft.index, ledger, preconditions)
    for name in sorted(draft.removed):
        yield FileChange(name, _snapshot_named(evidence, name), None, _owners_to_recheck(ledger, name))


def _snapshot_named(evidence: Evidence, name: str) -> Snapshot:
    if evidence.broker is not None and name == evidence.broker.snapshot.name:
        return evidence.broker.snapshot
    return evidence.locks[name][0] if name in evidence.locks else evidence.leftovers[name]


def _file_change(
    name: str, before: Snapshot | None, value: Json, ledger: _Ledger, preconditions: tuple[Snapshot, ...] = ()
) -> FileChange:
    if before is not None and isinstance(before.document, Document):
        after = rewrite(before.document, value)
    else:
        after = write(value)
    return FileChange(name, before, after, _owners_to_recheck(ledger, name), preconditions)


def _owners_to_recheck(ledger: _Ledger, name: str) -> tuple[Owner, ...]:
    """Each owner once. They hold pids as they were read, lists and all, so that they cannot be hashed."""
    once: list[Owner] = []
    for owner in ledger.owners_to_recheck.get(name, ()):
        if owner not in once[-2:]:  # an owner's doubles follow each other
            once.append(owner)
    return tuple(once)


def _check(
    view: View, result: View, files: Iterable[FileChange], again: Iterable[Finding]
) -> tuple[str | None, str | None]:
    """Why the plan must not be carried out, and which job is to blame; ``again``: what is found in its own result."""
    draft = result.draft
    read = view.evidence.records
    values = {read[stem].name: value for stem, value in draft.records.items() if value is not read[stem].value}
    values[INDEX] = draft.index
    for change in files:
        if change.after is not None and not says(change.after, values[change.name]):
            return f"{change.name} would not read back as planned", None
    for finding in again:
        if finding.repair:
            return f"{finding.rule} would still be found after the repair", finding.job
    less = loss(view.evidence, draft)
    if less is not None:
        return f"the plugin would show less than before: {less[0]}", less[1]
    before = {known[1:] for known in _violations(view)}  # in whichever of its two records a job has it already
    for name, *broken in sorted(_violations(result), key=str):
        job, pointer, message = broken
        torn = _was_torn(view.evidence, name) or (
            job is not None and _was_torn(view.evidence, record_name(job, view.dialect))
        )
        if tuple(broken) not in before and not torn:
            return f"{name}{pointer}: the repair would break the schema: {message}", job
    return None, None


def _was_torn(evidence: Evidence, name: str) -> bool:
    """Of a file that could not be read, whatever can be read now is better than before."""
    return name in evidence.salvage or (name == INDEX and evidence.index is None)


def _violations(view: View) -> set[tuple[str, str | None, str, str]]:
    """What breaks the schema: file, job, pointer within its record, reason."""
    entries = entries_of(view.draft.index)
    found: set[tuple[str, str | None, str, str]] = set()
    for name, violation in view.violations():
        pointer, job = violation.pointer, stem_of(name)
        if name == INDEX and violation.position is not None:
            entry = entries[violation.position]
            job = text_of(entry, "id") if isinstance(entry, dict) else None
            pointer = pointer.removeprefix(f"/jobs/{violation.position}")
        found.add((name, job, pointer, violation.message))
    return found


def _log_lines(view: View, draft: Draft) -> tuple[LogLine, ...]:
    lines = ((stem, text) for stem, text in draft.logs.items() if stem in view.evidence.logs)
    return tuple(LogLine(log_name(stem, view.dialect), text) for stem, text in lines)


def _kept(view: View, draft: Draft) -> tuple[str, ...]:
    return tuple(name(stem, view.dialect) for stem in draft.keeps for name in (record_name, log_name))


def plan_asked_for(view: View, found: Sequence[Diagnosed]) -> Plan:
    """The plan of repairs that a person asked for, checked as every plan is: read back, diagnosed again, the schema."""
    ledger = _Ledger(dialect=view.dialect)
    allowed = list(permitted(view, found))
    changes = [each.change for each in allowed if each.change is not None]
    for change in changes:
        ledger.note(change)
    after = view.after(changes)
    draft = after.draft
    files = tuple(_changes(view.evidence, draft, ledger))
    logs = _log_lines(view, draft)
    before = {(each.rule, each.job) for each in _run_rules(view, _Ledger())[0]}
    again = _run_rules(after, _Ledger())[0]
    refusal, _ = _check(view, after, files, [each for each in again if (each.rule, each.job) not in before])
    if not changes and any(each.change is not None for each in found):
        refusal = allowed[0].finding.evidence
    return Plan(view.evidence.place, tuple(each.finding for each in allowed), files, logs, _kept(view, draft), refusal)
