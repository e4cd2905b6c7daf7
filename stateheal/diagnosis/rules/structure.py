"""What is wrong with the index as a list of jobs: entries that are null, doubled, stunted or missing.

Field guide section 5. The rule above all here: nothing may be pushed out. The plugin keeps the 50 newest entries by
``updatedAt`` and deletes the files of the rest, so no repair changes an ``updatedAt``, and none adds where the index
would then hold more than 40.
"""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.repairs import ending, may_live, orphan_change
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding, job_finding
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json
from stateheal.formats.times import format_time
from stateheal.model.beats import own_times
from stateheal.model.dialect import Dialect
from stateheal.model.disk import INDEX
from stateheal.model.findings import Severity
from stateheal.model.layout import status_of
from stateheal.model.liveness import Liveness
from stateheal.model.plan import Change
from stateheal.model.records import (
    ENTRY_LACKS,
    IDENTITY,
    ending_keys,
    entries_of,
    is_active,
    is_finished,
    is_plain_id,
    text_of,
)

ROOM = 40
"""Entries up to which one may be added: the plugin's next tasks need the rest."""


def find_null_entries(view: View) -> Iterator[Diagnosed]:
    """``null`` among the entries."""
    if view.evidence.place.jobs is not None:
        return
    for position, entry in enumerate(entries_of(view.draft.index)):
        if entry is None:
            pointer = f"/jobs/{position}"
            message = f"{pointer} is null: the plugin's status crashes on it"
            finding = file_finding(view, NULL_ENTRY, INDEX, message, repair="remove it", pointer=pointer)
            yield Diagnosed(finding, Change(drop=frozenset({position})))


# --- doubles and stubs ---------------------------------------------------------------------------------------------


def find_duplicates(view: View) -> Iterator[Diagnosed]:
    """Two entries of one id."""
    by_id: dict[str, list[Job]] = {}
    for job in view.jobs:
        if job.entry is not None:
            by_id.setdefault(job.id, []).append(job)
    for jobs in by_id.values():
        if len(jobs) > 1:
            yield from _doubled(view, jobs)


def _doubled(view: View, jobs: list[Job]) -> Iterator[Diagnosed]:
    message = f"{len(jobs)} entries have this id: the plugin shows one and updates another"
    if any(may_live(view, job) for job in jobs):
        finding = job_finding(view, jobs[0], DUPLICATE_ID, message, "it may live", severity=Severity.UNSURE)
        yield Diagnosed(finding)
        return
    winner = max(jobs, key=_weight)
    missing: Record = {}
    for loser in jobs:
        if loser is not winner:
            missing |= _only_in(loser.entry or {}, {**(winner.entry or {}), **missing}, view.dialect)
    repair = "keep the finished or newer one, with the fields that only the other has"
    finding = job_finding(view, winner, DUPLICATE_ID, message, repair=repair)
    owners = [owner for job in jobs if is_active(job.entry, job.dialect) for owner in view.judge(job).owners]
    drop = frozenset(job.position for job in jobs if job is not winner and job.position is not None)
    yield Diagnosed(finding, Change(winner.position, missing, drop=drop, owners_to_recheck=tuple(owners)))


def _weight(job: Job) -> tuple[bool, str]:
    return is_finished(job.entry, job.dialect), str((job.entry or {}).get("updatedAt") or "")


def _only_in(loser: Record, winner: Record, dialect: Dialect) -> Record:
    """What the loser knows and the winner does not; how it ended is the winner's word alone."""
    known = {key for key, value in winner.items() if value is not None or key not in ("threadId", "turnId", "logFile")}
    left = known | ending_keys(dialect)
    return {key: value for key, value in loser.items() if key not in left and value is not None}


def find_stubs(view: View) -> Iterator[Diagnosed]:
    """Entries that lost their row: an update of a row that was no longer there left only what it set."""
    for job in view.jobs if view.dialect.stubs else ():
        if job.entry is None or job.record is None:
            continue
        wanted = (job.dialect.status[-1], *IDENTITY)
        lacking = [key for key in wanted if key not in job.entry and text_of(job.record, key)]
        if not lacking:
            continue
        message = f"its index entry lacks {', '.join(lacking)}: an update of a row that was lost already"
        if may_live(view, job):
            yield Diagnosed(job_finding(view, job, STUB_ENTRY, message, "it may live", severity=Severity.UNSURE))
            continue
        finding = job_finding(view, job, STUB_ENTRY, message, repair="fill it in from the job file")
        owners = view.judge(job).owners if job.any_active else ()
        change = Change(
            position=job.position,
            entry=_filling(job.entry, job.record, job.dialect),
            requires_record=job.id,
            owners_to_recheck=owners,
        )
        yield Diagnosed(finding, change)


def _filling(entry: Record, record: Record, dialect: Dialect) -> Record:
    """What the entry lacks; one without a status also takes the file's end, or its process, over."""
    lacking = {key: value for key, value in record.items() if key not in entry and key not in ENTRY_LACKS}
    if status_of(entry, dialect) is not None:
        return {key: value for key, value in lacking.items() if key in IDENTITY and text_of(record, key)}
    if is_finished(record, dialect):
        return {**lacking, **{k: v for k, v in ending(record, entry, dialect).items() if isinstance(k, str)}}
    return lacking


# --- entries that are missing, files that are missing --------------------------------------------------------------


def find_unindexed(view: View) -> Iterator[Diagnosed]:
    """Job files that the index does not know."""
    index = view.draft.index
    if not (view.dialect.has_index and view.dialect.indexes_all):
        return
    if view.evidence.index is not None and not (isinstance(index, dict) and isinstance(index.get("jobs"), list)):
        return  # torn and not being rebuilt now, or of a shape that nothing can be added to
    room = ROOM - len(entries_of(index))
    missing = [job for job in view.jobs if job.position is None and job.record is not None]
    missing.sort(key=lambda job: _newest(view, job), reverse=True)
    for job in missing:
        assert job.record is not None
        if not is_plain_id(job.id) or not {"kind", "jobClass"} & job.record.keys():
            continue
        if status_of(job.record, job.dialect) not in job.dialect.active | job.dialect.finished:
            continue
        message = "its job file is there, but the index does not know it: the plugin cannot show it"
        if may_live(view, job):
            if view.judge(job).verdict.state is Liveness.UNSURE:
                yield Diagnosed(job_finding(view, job, UNINDEXED, message, "it may live", severity=Severity.UNSURE))
            continue  # a live one's worker will write its entry
        if room <= 0:
            left = f"the index is too full to add it ({view.dialect.cap} are kept): the file stays where it is"
            yield Diagnosed(job_finding(view, job, UNINDEXED, message, left, severity=Severity.NOTICE))
            continue
        room -= 1
        new = "" if index is not None else " to a new index, which has the review gate off"
        finding = job_finding(view, job, UNINDEXED, message, repair=f"add an entry made from the file{new}")
        owners = view.judge(job).owners if is_active(job.record, job.dialect) else ()
        yield Diagnosed(
            finding, Change(stem=job.id, add=_entry_from(view, job), requires_record=job.id, owners_to_recheck=owners)
        )


def _newest(view: View, job: Job) -> float:
    """The newest time of the record itself. An orphan's end is not one: it was taken from its log, by a heal."""
    record = job.record or {}
    if record.get("phase") == "orphaned":
        record = {key: value for key, value in record.items() if key != "completedAt"}
    return max(own_times(record, view.now), default=0.0)


def _entry_from(view: View, job: Job) -> Record:
    """An entry as the plugin would write it, its times first; ``updatedAt`` is the newest that the record holds."""
    record: Record = job.record or {}
    newest = _newest(view, job)
    times: dict[str, Json] = {"createdAt": record["createdAt"]} if "createdAt" in record else {}
    if newest:
        times["updatedAt"] = format_time(newest)
    return {**times, **{key: value for key, value in record.items() if key not in ENTRY_LACKS}}


def find_missing_files(view: View) -> Iterator[Diagnosed]:
    """Entries without a job file."""
    for job in view.jobs if view.dialect.record else ():
        if job.entry is None or job.has_file:
            continue
        message = "its job file is not there: the plugin has nothing to show but the index entry"
        if is_finished(job.entry, job.dialect):
            yield Diagnosed(job_finding(view, job, MISSING_FILE, message, severity=Severity.NOTICE))
        elif view.dialect.record_at_end:
            continue
        elif job.active and view.judge(job).verdict.state is Liveness.DEAD:
            verdict = view.judge(job).verdict
            finding = job_finding(
                view, job, MISSING_FILE, f"{message}, and {verdict.reason}", repair="mark the entry failed/orphaned"
            )
            yield Diagnosed(finding, orphan_change(view, job))


NULL_ENTRY = Rule(
    "null-entry",
    Severity.DAMAGE,
    "There is a null among the entries of the index. The plugin's status crashes on it.",
    "Remove it.",
    find_null_entries,
)
DUPLICATE_ID = Rule(
    "duplicate-id",
    Severity.DAMAGE,
    "Two entries of the index have one id. The plugin shows one and updates the other.",
    "Keep one: a finished one beats an active one, then the newer counts. Fields that only the other has are kept.",
    find_duplicates,
)
STUB_ENTRY = Rule(
    "stub-entry",
    Severity.DAMAGE,
    "An index entry has no status, or lacks fields that say what the job is and that its job file has: its row was "
    "lost, and a later update wrote a new one. The plugin lists it under no session and cannot resume it.",
    "Fill it in from the job file; what the entry has stays.",
    find_stubs,
)
UNINDEXED = Rule(
    "unindexed",
    Severity.DAMAGE,
    "A job file that the index does not know: its worker died between its two writes, or another writer's update "
    "swallowed the entry. The plugin cannot show the job or its result.",
    "Add an entry made from the file, as long as the index then holds 40 entries or fewer, so that the plugin's "
    "pruning pushes nothing out; the journal keeps a copy of the job file and its log. What does not fit is named "
    "and left. A job that may live is left to its worker.",
    find_unindexed,
    hook_reason="its process is gone, and the index did not know it",
)
MISSING_FILE = Rule(
    "missing-file",
    Severity.DAMAGE,
    "An index entry without a job file: the file was deleted, or never written. Where the entry is active and its "
    "process dead, status shows it running for ever.",
    "Mark an active entry whose process is proven dead failed/orphaned. A finished one is only named: a result is "
    "not invented.",
    find_missing_files,
    hook_reason="its process and its file are gone",
    harmless_to_move=True,
)
