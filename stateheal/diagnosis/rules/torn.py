"""Files that do not parse: ``torn-index`` and ``torn-job``, and ``wrong-shape`` for those that parse to nonsense.

Field guide section 5. What is rebuilt is rebuilt from what can still be read, nothing is invented; the raw bytes are in
the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from stateheal.diagnosis.job import Job
from stateheal.diagnosis.repairs import is_shape
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding, job_finding, on_disk
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import ParseFailure
from stateheal.model.disk import INDEX, Snapshot
from stateheal.model.findings import Severity
from stateheal.model.liveness import Liveness
from stateheal.model.plan import Change
from stateheal.model.records import (
    entries_of,
    is_active,
)

_GATE = {
    True: "the review gate stays on",
    False: "the review gate stays off",
    None: "whether the review gate was on cannot be known, so it is off then",
}


# --- the index -----------------------------------------------------------------------------------------------------


def find_torn_index(view: View) -> Iterator[Diagnosed]:
    """state.json is there and is no JSON object."""
    index = view.evidence.index
    if index is None or isinstance(view.draft.index, dict) or view.evidence.place.jobs is not None:
        return
    reason = _why(index)
    if reason is None:
        return
    if index.name in view.evidence.unsettled:
        message = f"{INDEX} is {reason}, but was written just now: it may be on its way"
        yield Diagnosed(file_finding(view, TORN_INDEX, INDEX, message, severity=Severity.UNSURE))
        return
    if not view.dialect.rebuilds:
        message = f"{INDEX} is {reason}; its companion's own code is the one to rebuild it, or nobody"
        yield Diagnosed(file_finding(view, TORN_INDEX, INDEX, message))
        return
    from stateheal.diagnosis.rebuilding import rebuilt_index
    from stateheal.formats.jsonsalvage import gate_in  # few indexes are torn

    rebuilt = rebuilt_index(view, index)
    count = len(entries_of(rebuilt))
    message = f"{INDEX} is {reason}: the plugin sees no jobs, and its next write makes that final"
    gate = gate_in(index.data)
    repair = f"rebuild it from {_entries(count)}the job files; {_GATE[gate]}"
    finding = file_finding(view, TORN_INDEX, INDEX, message, "the raw bytes stay in the journal", repair)
    yield Diagnosed(finding, Change(index=rebuilt))


def _entries(count: int) -> str:
    if not count:
        return ""
    return f"the {count} entries that can still be read and " if count > 1 else "the one entry that can be read and "


def _why(snapshot: Snapshot) -> str | None:
    """Why a snapshot is torn; ``None`` where it is only out of reach."""
    if isinstance(snapshot.document, ParseFailure):
        return None if snapshot.document.too_deep else snapshot.document.reason
    return f"valid JSON, but {json.dumps(snapshot.value)[:20]} is no object"


# --- job files -----------------------------------------------------------------------------------------------------


def find_torn_job(view: View) -> Iterator[Diagnosed]:
    """A job file is there and is no JSON object."""
    if view.evidence.index is not None and not isinstance(view.draft.index, dict):
        return  # what the index says of the job cannot be read, and must not be overruled
    for stem, snapshot in view.evidence.records.items():
        if stem in view.clean or isinstance(view.draft.records.get(stem), dict) or not view.wants(stem):
            continue
        reason = _why(snapshot)
        if reason is not None:
            named = [job for job in view.jobs if job.id == stem and job.position is not None]
            job = named[-1] if named else Job(stem, has_file=True, dialect=view.dialect)
            yield from _torn_job(view, job, snapshot, reason)


def _torn_job(view: View, job: Job, snapshot: Snapshot, reason: str) -> Iterator[Diagnosed]:
    name = snapshot.name
    if name in view.evidence.unsettled:
        message = f"{name} is {reason}, but was written just now: it may be on its way"
        yield Diagnosed(job_finding(view, job, TORN_JOB, message, severity=Severity.UNSURE))
        return
    if is_active(job.entry, job.dialect) and view.judge(job).verdict.state is not Liveness.DEAD:
        message = f"{name} is {reason}; its process may live, so it is left alone"
        yield Diagnosed(job_finding(view, job, TORN_JOB, message, severity=Severity.UNSURE))
        return
    from stateheal.diagnosis.rebuilding import answered, rebuilt_record
    from stateheal.formats.jsonsalvage import Salvage, unread_process

    rebuilt = rebuilt_record(job, view.evidence.salvage.get(name, Salvage()))
    rebuilt, whence = answered(rebuilt, view.evidence.answers.get(job.id), job.dialect)
    message = f"{name} is {reason}: the plugin cannot show this job's result"
    if rebuilt is None:
        message += "; neither in it nor in the index can be read what became of the job"
        yield Diagnosed(job_finding(view, job, TORN_JOB, message, severity=Severity.NOTICE))
        return
    unread = unread_process(snapshot.data, rebuilt) if is_active(rebuilt, job.dialect) else None
    if unread is not None:
        message = f"{name} is {reason}; its {unread} cannot be read and may name a process that lives: it is left alone"
        yield Diagnosed(job_finding(view, job, TORN_JOB, message, severity=Severity.UNSURE))
        return
    has_result = rebuilt.get("result") is not None or rebuilt.get("rendered") is not None
    kept = whence or ("its answer can still be read and is kept" if has_result else "no answer can be read from it")
    finding = job_finding(view, job, TORN_JOB, message, kept, "rebuild it from the index and what can still be read")
    owners_to_recheck = view.judge(job).owners if is_active(job.entry, job.dialect) else ()
    yield Diagnosed(finding, Change(stem=job.id, rebuilt=rebuilt, owners_to_recheck=owners_to_recheck))


# --- shapes --------------------------------------------------------------------------------------------------------


def find_wrong_shape(view: View) -> Iterator[Diagnosed]:
    """Valid JSON of the wrong types where the plugin's own reading leaves one meaning, or none."""
    index = view.draft.index
    if not isinstance(index, dict) or view.evidence.place.jobs is not None:
        return
    if "jobs" not in index or index["jobs"] is None:
        message = "jobs is missing" if "jobs" not in index else "jobs is null"
        repair = "make it an empty list, which is what the plugin takes it for"
        yield Diagnosed(
            file_finding(view, WRONG_SHAPE, INDEX, message, pointer="/jobs", repair=repair),
            Change(index={**index, "jobs": []}),
        )
    for name, violation in view.violations():
        if name == INDEX and is_shape(view, violation.pointer):
            where = on_disk(view, violation.pointer) or INDEX
            message = f"{where}: {violation.message}; no single meaning can be read from it"
            yield Diagnosed(file_finding(view, WRONG_SHAPE, INDEX, message, pointer=violation.pointer))


TORN_INDEX = Rule(
    "torn-index",
    Severity.DAMAGE,
    "state.json is empty, cut off, padded, doubled or no object. The plugin then sees no jobs and no "
    "review gate, and its next write makes the loss final.",
    "Rebuild it from the entries that can still be read in it and from the job files; nothing is invented. A "
    "review gate that can be read in the bytes is kept, otherwise it is off and the report says so. The raw bytes "
    "stay in the journal. A file written in the last five seconds is read again first: it may be on its way.",
    find_torn_index,
)
TORN_JOB = Rule(
    "torn-job",
    Severity.DAMAGE,
    "A job file is empty, cut off or otherwise unreadable. The plugin cannot show the job's result, and some "
    "commands fail on it.",
    "Rebuild it from the index entry and from whatever stands whole in the bytes, the result included. The raw "
    "bytes stay in the journal. A file that may just be on its way, or whose job may live, is left.",
    find_torn_job,
)
WRONG_SHAPE = Rule(
    "wrong-shape",
    Severity.DAMAGE,
    "The index is valid JSON of the wrong types: jobs is no list, an entry is no object, config is a list, the "
    "review gate is a text. The plugin reads such places as empty, or as on.",
    "Reported. Repaired only where one reading is possible: jobs that is null or missing becomes an empty list.",
    find_wrong_shape,
)
