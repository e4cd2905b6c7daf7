"""Everything about one workspace that rules decide from: its files, its logs' times, the processes it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from stateheal.evidence.broker import ask_endpoint, greets, read_broker
from stateheal.evidence.host import on_shared_storage, shared_kind
from stateheal.evidence.jobs import kept, read_jobs, read_logs, read_twice
from stateheal.evidence.leftovers import (
    Originals,
    absent_homes,
    home_of,
    read_leftovers,
    real_parents,
    size_of,
    stray_names,
)
from stateheal.evidence.locks import holders_of, read_locks, stray_in_folders
from stateheal.evidence.processes import ProcessTable
from stateheal.evidence.recognition import names_in, recognised
from stateheal.evidence.recoveries import ChooseTurn, answers_of, recoveries_of, turns_of
from stateheal.evidence.rollouts import Rollouts
from stateheal.evidence.schema import violations
from stateheal.formats.jsontext import Document, Json, ParseFailure
from stateheal.fs.directory import Directory
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import INDEX, Name, Place, Snapshot, Unreadable
from stateheal.model.evidence import Answer, BrokerFacts, Evidence
from stateheal.model.findings import Violation
from stateheal.model.liveness import ProcessFacts
from stateheal.model.look import Look
from stateheal.model.records import entries_of, is_active, pid_of
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.formats.jsonsalvage import Salvage
    from stateheal.model.evidence import Absence

_FRESH = 5.0
"""Seconds for which a file that does not parse may simply be on its way."""
Record = Mapping[str, Json]
CleanJobs = Callable[
    [
        "Place",
        "Snapshot | None",
        Mapping[str, Snapshot],
        Mapping[str, tuple[Violation, ...]],
        Sequence[Name],
        Dialect,
    ],
    frozenset[str],
]


def _nothing_known(run: str, workspace: Path) -> Mapping[str, frozenset[str]]:
    return {}


class Sources(NamedTuple):
    """Where facts beyond the workspace's own files come from."""

    processes: ProcessTable
    rollouts: Rollouts
    clean_jobs: CleanJobs
    """Which jobs need no look; the decision is made elsewhere, as the validator's is."""
    choose_turn: ChooseTurn
    life: Callable[[], Look]
    """Looks at the whole process table, or hands out what an earlier look in this run saw."""
    ask: Callable[[object], Answer] = ask_endpoint
    """Connects to a broker's endpoint."""
    greet: Callable[[str], bool | None] = greets
    """Asks a broker a harmless question."""
    finished_runs: frozenset[str] = frozenset()
    """Runs in our journal that are over: what they left behind may go."""
    originals: Originals = _nothing_known
    twins: tuple[str, ...] = ()
    recover: bool = False
    """Look for the answers of lost jobs."""
    earlier: Evidence | None = None
    """What a look a moment ago saw: a file that does not parse and has not changed since is torn."""


def gather(place: Place, directory: Directory, sources: Sources) -> Evidence:
    """Read one workspace. Files first, processes last: a dead verdict must be younger than the bytes it judges."""
    problems: list[Unreadable] = []
    index = kept(read_twice(directory, INDEX, INDEX), problems)
    salvaged = _salvage([index] if index else [])
    entries = [entry for entry in _entries(index, salvaged) if isinstance(entry, dict)]
    listed = names_in(directory)
    recognition = recognised(place, directory, index, listed)
    dialect = recognition.dialect if recognition else CODEX
    if not dialect.has_index:  # what has the name of one holds something else
        index, salvaged, entries = None, {}, []
    jobs = read_jobs(directory, entries, problems, dialect, listed.jobs)
    records = jobs.records
    salvaged |= _salvage(records.values())
    beside = stray_in_folders(directory, dialect) if dialect.locks else ()
    names = (*stray_names(directory, listed.here, ""), *jobs.strays, *beside)
    broker = kept(read_broker(directory, dialect.broker, sources.processes, sources.ask, sources.greet), problems)
    locks = read_locks(directory, jobs.names, dialect)
    violations = _validate(index, records, broker)
    clean = sources.clean_jobs(place, index, records, violations, names, dialect)
    logs = read_logs(directory, jobs, entries, clean, problems, dialect)
    host = sources.processes.host()
    to_check = [entry for entry in entries if str(entry.get("id")) not in clean]
    records_to_check = {stem: record for stem, record in records.items() if stem not in clean}
    sides = [*to_check, *_values(records_to_check, salvaged)]
    everything = [*entries, *_values(records, salvaged)]
    home, there = home_of(place, everything)
    movable = bool(sources.twins) or there is False
    return Evidence(
        place=place,
        host=host,
        index=index,
        records=records,
        logs=logs,
        processes=_probe(to_check, records_to_check, salvaged, sources.processes, dialect, holders_of(locks)),
        life=sources.life,
        violations=violations,
        recognition=recognition,
        clean=clean,
        unreadable=tuple(problems),
        shared_storage=not host.initial_namespace and on_shared_storage(directory.path),
        shared_kind=shared_kind(directory.path),
        salvage=salvaged,
        unsettled=_unsettled(index, records, host.now, sources.earlier),
        names=names,
        leftovers=read_leftovers(directory, names, sources.finished_runs, sources.originals, host.now),
        broker=broker,
        locks=locks,
        sidecars=jobs.sidecars,
        absent=absent_homes(everything),
        earlier_sizes=None if sources.earlier is None else {i: log.size for i, log in sources.earlier.logs.items()},
        real_parents=real_parents(everything if there is False else sides, dialect),
        sizes={each: size_of(each) for each in (str(place.directory), *sources.twins)} if movable else {},
        home=home,
        home_exists=there,
        absence=_absence(home) if there is False and home else None,
        twins=sources.twins,
        answers=answers_of(
            directory, entries, records, salvaged, logs, host.now, sources.rollouts, sources.choose_turn, dialect
        ),
        turns=turns_of(sides, sources.rollouts, dialect),
        recoveries=recoveries_of(entries, records, logs, host.now, sources.rollouts, sources.choose_turn, dialect)
        if sources.recover
        else {},
    )


# --- files ---------------------------------------------------------------------------------------------------------


def _absence(home: str) -> Absence:
    from stateheal.evidence.absence import look_above  # few project directories are gone

    return look_above(home)


def _salvage(files: Iterable[Snapshot]) -> dict[str, Salvage]:
    torn = [file for file in files if not isinstance(file.value, dict)]
    if not torn:
        return {}
    from stateheal.formats.jsonsalvage import salvage

    return {file.name: salvage(file.data) for file in torn}


def _unsettled(
    index: Snapshot | None, records: Mapping[str, Snapshot], now: float, earlier: Evidence | None
) -> frozenset[str]:
    """Files that do not parse and may still be on their way: fresh, and not the same as a moment ago."""
    files = [snapshot for snapshot in (index, *records.values()) if snapshot is not None]
    doubtful = [file for file in files if isinstance(file.document, ParseFailure)]
    before: dict[str, Snapshot] = {}
    if earlier is not None:
        known = [snapshot for snapshot in (earlier.index, *earlier.records.values()) if snapshot is not None]
        before = {snapshot.name: snapshot for snapshot in known}
    return frozenset(
        file.name
        for file in doubtful
        if now - file.stat.mtime < _FRESH
        and not (file.name in before and (before[file.name].data, before[file.name].stat) == (file.data, file.stat))
    )


# --- what the files name -------------------------------------------------------------------------------------------


def _entries(index: Snapshot | None, salvaged: Mapping[str, Salvage]) -> list[Json]:
    """The index's entries, or what can still be read of them."""
    if index is None:
        return []
    if index.name not in salvaged:
        return entries_of(index.value)
    found = (*salvaged[index.name].objects, *salvaged[index.name].fragments)
    return [entry for each in found for entry in (entries_of(each) or [each])]


def _values(records: Mapping[str, Snapshot], salvaged: Mapping[str, Salvage]) -> Iterator[Record]:
    for snapshot in records.values():
        if isinstance(snapshot.value, dict):
            yield snapshot.value
        else:
            yield from _pieces(salvaged.get(snapshot.name))


def _pieces(found: Salvage | None) -> Iterator[Record]:
    if found is not None:
        yield from found.objects
        yield found.members


def _probe(
    entries: Sequence[Record],
    records: Mapping[str, Snapshot],
    salvaged: Mapping[str, Salvage],
    processes: ProcessTable,
    dialect: Dialect,
    holders: Iterable[int],
) -> dict[int, ProcessFacts]:
    """The facts about every pid that an active job names, on whichever side."""
    active = {str(entry.get("id")) for entry in entries if is_active(entry, dialect)}
    active |= {stem for stem, record in records.items() if is_active(record.value, dialect)}
    active |= {stem for stem, record in records.items() if not isinstance(record.value, dict)}
    sides = [entry for entry in entries if str(entry.get("id")) in active]
    sides += _values({stem: record for stem, record in records.items() if stem in active}, salvaged)
    pids = {pid_of(side.get(key)) for side in sides for key in dialect.pids} | {*holders}
    return {pid: processes.facts(pid) for pid in pids if pid is not None and pid > 0}


def _validate(
    index: Snapshot | None, records: Mapping[str, Snapshot], broker: BrokerFacts | None
) -> dict[str, tuple[Violation, ...]]:
    files = {snapshot.name: ("job", snapshot) for snapshot in records.values()}
    if index is not None:
        files[index.name] = ("state", index)
    if broker is not None:
        files[broker.snapshot.name] = ("broker", broker.snapshot)
    return {
        name: found
        for name, (schema, snapshot) in files.items()
        if isinstance(snapshot.document, Document) and (found := violations(schema, snapshot.value))
    }
