"""What is left of a torn file, put together again: an index, a job's record (field guide section 5).

Imported when there is a torn file: few workspaces have any, and every hook that heals imports the rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from stateheal.diagnosis.change import patched
from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.repairs import ending
from stateheal.diagnosis.view import View
from stateheal.formats.jsonsalvage import Salvage, gate_in
from stateheal.formats.jsontext import Json
from stateheal.formats.times import parse_time
from stateheal.model.dialect import Dialect
from stateheal.model.disk import NEW_INDEX, Snapshot
from stateheal.model.layout import status_of
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


def rebuilt_index(view: View, index: Snapshot) -> Record:
    """The index anew; what stands readable at its top (unknown keys, configuration, gate) stays."""
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


def rebuilt_record(job: Job, found: Salvage) -> Record | None:
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


def answered(rebuilt: Record | None, answer: Recovery | None, dialect: Dialect) -> tuple[Record | None, str]:
    """A completed job's record with its answer from elsewhere, where it has lost its own; and whence that is."""
    lost = rebuilt is not None and is_completed(rebuilt, dialect) and rebuilt.get("result") is None
    if rebuilt is None or not lost or answer is None or answer.message is None:
        return rebuilt, ""
    kind = "log" if answer.of_log else "rollout"
    whence = f"its answer is taken from {'its log' if answer.of_log else 'the rollout of its turn'}: {answer.path}"
    source = {kind: answer.path, "turnId": answer.turn_id, "tool": "stateheal", "version": __version__}
    result = {"status": 0, "rawOutput": answer.message, "recoveredFrom": source}
    return {**rebuilt, "result": result, "rendered": text_of(rebuilt, "rendered") or answer.message}, whence
