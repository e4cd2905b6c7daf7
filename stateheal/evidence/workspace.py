"""Everything about one workspace that rules decide from: its files, its logs' times, the processes it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stateheal.directory import Directory
from stateheal.evidence.host import on_shared_storage
from stateheal.evidence.processes import ProcessTable
from stateheal.evidence.schema import violations
from stateheal.evidence.snapshot import read_log, read_snapshot, why_unreadable
from stateheal.jsontext import Document, Json
from stateheal.model import (
    INDEX,
    JOBS,
    Evidence,
    LogFacts,
    Place,
    ProcessFacts,
    Snapshot,
    Unreadable,
    Violation,
)
from stateheal.records import entries_of, is_active, pid_of

_NOT_RECORDS = (".request.json",)
"""Forks keep these beside the records; some hold secrets, so they are not even opened."""


def gather(place: Place, directory: Directory, processes: ProcessTable) -> Evidence:
    """Read one workspace. Files first, processes last: a dead verdict must be younger than the bytes it judges."""
    troubles: list[Unreadable] = []
    index = _kept(read_snapshot(directory, INDEX, INDEX), troubles)
    records, logs = _read_jobs(directory, index, troubles)
    host = processes.host()
    return Evidence(
        place=place,
        host=host,
        index=index,
        records=records,
        logs=logs,
        processes=_probe(index, records, processes),
        violations=_validate(index, records),
        unreadable=tuple(troubles),
        shared_storage=not host.initial_namespace and on_shared_storage(directory.path),
    )


def _kept(found: Snapshot | Unreadable | None, troubles: list[Unreadable]) -> Snapshot | None:
    if isinstance(found, Unreadable):
        troubles.append(found)
        return None
    return found


def _read_jobs(
    directory: Directory, index: Snapshot | None, troubles: list[Unreadable]
) -> tuple[dict[str, Snapshot], dict[str, LogFacts]]:
    known = {entry["id"]: entry for entry in entries_of(index.value if index else None) if _has_id(entry)}
    records: dict[str, Snapshot] = {}
    logs: dict[str, LogFacts] = {}
    try:
        with directory.sub(JOBS) as jobs:
            names = set(jobs.names())
            for name in sorted(names):
                stem = name[: -len(".json")]
                if not name.endswith(".json") or name.endswith(_NOT_RECORDS):
                    continue
                found = _kept(read_snapshot(jobs, name, f"{JOBS}/{name}"), troubles)
                if found and (stem in known or _is_record(found, stem)):
                    records[stem] = found
            for stem in sorted(_active_stems(known, records)):
                log = read_log(jobs, f"{stem}.log") if f"{stem}.log" in names else None
                if log:
                    logs[stem] = log
    except FileNotFoundError:
        pass  # a fresh workspace, or a fork that keeps no job files
    except OSError as error:
        troubles.append(Unreadable(JOBS, why_unreadable(error)))
    return records, logs


def _has_id(entry: Json) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str)


def _is_record(found: Snapshot, stem: str) -> bool:
    """A file that nothing in the index names is a job's record only if it says so itself."""
    return isinstance(found.value, dict) and found.value.get("id") == stem


def _active_stems(known: Mapping[str, Json], records: Mapping[str, Snapshot]) -> set[str]:
    active = {stem for stem, entry in known.items() if is_active(entry)}
    return active | {stem for stem, record in records.items() if is_active(record.value)}


def _claims(index: Snapshot | None, records: Mapping[str, Snapshot]) -> Iterator[Json]:
    """Every record that an active job consists of: the other side of an active one too."""
    entries = [entry for entry in entries_of(index.value if index else None) if isinstance(entry, dict)]
    active = {stem for stem, record in records.items() if is_active(record.value)}
    for entry in entries:
        if is_active(entry):
            yield entry
            active.add(str(entry.get("id")))
    for stem in active & records.keys():
        yield records[stem].value
    yield from (entry for entry in entries if entry.get("id") in active)


def _probe(index: Snapshot | None, records: Mapping[str, Snapshot], processes: ProcessTable) -> dict[int, ProcessFacts]:
    pids = {pid_of(record.get("pid")) for record in _claims(index, records) if isinstance(record, dict)}
    return {pid: processes.facts(pid) for pid in pids if pid is not None and pid > 0}


def _validate(index: Snapshot | None, records: Mapping[str, Snapshot]) -> dict[str, tuple[Violation, ...]]:
    files = {snapshot.name: ("job", snapshot) for snapshot in records.values()}
    if index is not None:
        files[index.name] = ("state", index)
    return {
        name: violations(schema, snapshot.value)
        for name, (schema, snapshot) in files.items()
        if isinstance(snapshot.document, Document)
    }
