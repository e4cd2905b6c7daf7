"""Files that do not parse: ``torn-index`` and ``torn-job``, and ``wrong-shape`` for those that parse to nonsense.

Field guide section 5. What is rebuilt is rebuilt from what can still be read, nothing is invented; the raw bytes are in
the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from stateheal.diagnosis.change import patched
from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.repairs import ending, is_shape
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding, job_finding, on_disk
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json, ParseFailure
from stateheal.formats.times import parse_time
from stateheal.model.dialect import Dialect
from stateheal.model.disk import INDEX, NEW_INDEX, Snapshot
from stateheal.model.findings import Severity
from stateheal.model.layout import status_of
from stateheal.model.liveness import Liveness
from stateheal.model.plan import Change
from stateheal.model.records import (
    ENTRY_LACKS,
    TIME_FIELDS,
    ending_keys,
    entries_of,
    is_active,
    is_completed,
    is_finished,
    is_plain_id,
    raw_answer,
    text_of,
)
from stateheal.model.turns import Recovery
from stateheal.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.formats.jsonsalvage import Salvage

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
    from stateheal.formats.jsonsalvage import gate_in  # few indexes are torn

    rebuilt = _rebuilt_index(view, index)
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


def _rebuilt_index(view: View, index: Snapshot) -> Record:
    """The index anew; what stands readable at its top (unknown keys, configuration, gate) stays."""
    from stateheal.formats.jsonsalvage import Salvage, gate_in

    found = view.evidence.salvage.get(index.name, Salvage())
    top = {} if "id" in found.members else dict(found.members)  # a bare entry is no index
    config: Record = next(
        (each["config"] for each in (top, *found.objects) if isinstance(each.get("config"), dict)), {}
    )
    gate = gate_in(index.data)
    config = {**NEW_INDEX["config"], **config, **({} if gate is None else {"stopReviewGate": gate})}
    rest = {key: value for key, value in NEW_INDEX.items() if key not in top and key != "jobs"}
    return {**rest, **top, "config": config, "jobs": _readable_entries(view, index, found)}


def _readable_entries(view: View, index: Snapshot, found: Salvage) -> list[Json]:
    """Every entry that still stands whole, once, completed and corrected from its job file."""
    listed = entries_of({"jobs": index.value}) if isinstance(index.value, list) else []
    pieces = [entry for each in found.objects for entry in (entries_of(each) if "jobs" in each else [each])]
    entries: dict[str, Record] = {}
    telling = {*view.dialect.status, "createdAt", "updatedAt"}
    for entry in [*listed, *pieces]:
        ident = text_of(entry, "id") if isinstance(entry, dict) else None
        if ident is None or not is_plain_id(ident) or not (telling & entry.keys()):
            continue
        known = entries.get(ident)
        entries[ident] = entry if known is None else _better(known, entry, view.dialect)
    dialect = view.dialect
    rebuilt = [_corrected(entry, view.draft.records.get(ident), dialect) for ident, entry in entries.items()]
    told = (each for each in found.fragments if _says_enough(each, dialect))
    cut = {str(each["id"]): each for each in told if each["id"] not in entries}
    return (rebuilt + [_completed(view, each) for each in cut.values()])[: dialect.cap]


def _says_enough(cut: Mapping[str, Json], dialect: Dialect) -> bool:
    """A damaged entry is used where it tells what became of its job, or may name a process that lives."""
    told = is_active(cut, dialect) and any(cut.get(key) is not None for key in dialect.pids)
    ended = is_finished(cut, dialect) and bool({"createdAt", "updatedAt"} & cut.keys())
    return is_plain_id(str(cut["id"])) and (told or ended)


def _completed(view: View, cut: Mapping[str, Json]) -> Record:
    """What was cut off, from the job file; what stands there stays, its pid above all."""
    record = view.draft.records.get(str(cut["id"]))
    rest = record if isinstance(record, dict) else {}
    return {**cut, **{key: value for key, value in rest.items() if key not in cut and key not in ENTRY_LACKS}}


def _better(first: Record, second: Record, dialect: Dialect) -> Record:
    """Of two entries of one job, the finished one, then the newer; with what only the other has."""
    order = [(is_finished(each, dialect), str(each.get("updatedAt") or "")) for each in (first, second)]
    winner, loser = (second, first) if order[1] > order[0] else (first, second)
    return {**winner, **{key: value for key, value in loser.items() if key not in winner and key != "errorMessage"}}


def _corrected(entry: Record, record: Json, dialect: Dialect) -> Record:
    """Of an entry and its job file, the newer one, with what only the other has: field by field.

    The index is written last, so where the times are the same the entry counts: a finished entry's summary is its
    result, the job file's the prompt (field guide section 11). An active file never undoes an end.
    """
    if not isinstance(record, dict) or (is_finished(entry, dialect) and is_active(record, dialect)):
        return entry
    theirs = {key: value for key, value in record.items() if key not in ENTRY_LACKS and key != "id"}
    ended = is_finished(record, dialect) and is_active(entry, dialect)
    if ended or _newest(record) > _newest(entry):
        return {**entry, **theirs}
    return {**entry, **{key: value for key, value in theirs.items() if key not in entry}}


def _newest(record: Record) -> float:
    """The newest time that a record gives of itself."""
    return max((moment for key in TIME_FIELDS if (moment := parse_time(record.get(key))) is not None), default=0.0)


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
    from stateheal.formats.jsonsalvage import Salvage, unread_process

    rebuilt = _rebuilt_record(job, view.evidence.salvage.get(name, Salvage()))
    rebuilt, whence = _answered(rebuilt, view.evidence.answers.get(job.id), job.dialect)
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


def _rebuilt_record(job: Job, found: Salvage) -> Record | None:
    """The record as far as it can be read, completed from the index entry; ``None`` where nothing is known."""
    dialect = job.dialect
    whole = [each for each in found.objects if each.get("id") == job.id and status_of(each, dialect)]
    ended = (each for each in whole if is_finished(each, dialect))
    read = next(ended, whole[0] if whole else dict(found.members))
    if read.get("id") not in (job.id, None) or not (job.entry or ("id" in read and status_of(read, dialect))):
        return None
    if "result" in read and not whole and raw_answer(read["result"], dialect) is None:
        del read["result"]  # cut inside: half an object must not pass for the answer
    left_out = {"updatedAt", *(ending_keys(dialect) if is_finished(read, dialect) else ())}
    base = {key: value for key, value in (job.entry or {}).items() if key not in left_out}
    rebuilt = {**read, **{key: value for key, value in base.items() if key not in read}}
    if is_finished(base, dialect) and is_active(read, dialect):  # the index saw the end, the piece of the file did not
        rebuilt = patched(rebuilt, ending(base, rebuilt, dialect))
    return rebuilt if status_of(rebuilt, dialect) else None


def _answered(rebuilt: Record | None, answer: Recovery | None, dialect: Dialect) -> tuple[Record | None, str]:
    """A completed job's record with its answer from elsewhere, where it has lost its own; and whence that is."""
    lost = rebuilt is not None and is_completed(rebuilt, dialect) and rebuilt.get("result") is None
    if rebuilt is None or not lost or answer is None or answer.message is None:
        return rebuilt, ""
    kind = "log" if answer.of_log else "rollout"
    whence = f"its answer is taken from {'its log' if answer.of_log else 'the rollout of its turn'}: {answer.path}"
    source = {kind: answer.path, "turnId": answer.turn_id, "tool": "stateheal", "version": __version__}
    result = {"status": 0, "rawOutput": answer.message, "recoveredFrom": source}
    return {**rebuilt, "result": result, "rendered": text_of(rebuilt, "rendered") or answer.message}, whence


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
