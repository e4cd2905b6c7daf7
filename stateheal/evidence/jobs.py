"""What stands in a workspace's ``jobs/``: the records of jobs, and what their logs tell (field guide section 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from stateheal.evidence.leftovers import read_pid, stray_names
from stateheal.evidence.snapshot import is_record, read_log, read_snapshot, why_unreadable
from stateheal.formats.jsontext import Json, ParseFailure
from stateheal.fs.directory import Directory, folder_of
from stateheal.model.dialect import Dialect
from stateheal.model.disk import JOBS, LogFacts, Name, Snapshot, Unreadable
from stateheal.model.evidence import BrokerFacts
from stateheal.model.layout import log_name, record_name
from stateheal.model.records import NOT_RECORDS, is_finished
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Found = TypeVar("Found", Snapshot, BrokerFacts)

Record = Mapping[str, Json]


def read_twice(directory: Directory, name: str, shown: str) -> Snapshot | Unreadable | None:
    """A file that does not parse is read once more: it may just have been written."""
    found = read_snapshot(directory, name, shown)
    if isinstance(found, Snapshot) and isinstance(found.document, ParseFailure):
        return read_snapshot(directory, name, shown, found)
    return found


def kept(found: Found | Unreadable | None, problems: list[Unreadable]) -> Found | None:
    """What was read, or nothing, with the reason noted."""
    if isinstance(found, Unreadable):
        problems.append(found)
        return None
    return found


class Jobs(NamedTuple):
    """What stands in ``jobs/``."""

    records: dict[str, Snapshot]
    names: Mapping[str, bool] = MappingProxyType({})
    """Every name, and whether a directory stands under it."""
    strays: tuple[Name, ...] = ()
    sidecars: Mapping[str, int] = MappingProxyType({})
    """By job: the pid in ``<id>.pid``."""


def read_jobs(
    directory: Directory,
    entries: Sequence[Record],
    problems: list[Unreadable],
    dialect: Dialect,
    listed: Mapping[str, bool] | None = None,
) -> Jobs:
    """The records, by stem, and what else may be of interest there; what cannot be read is noted in ``problems``.

    ``listed``: the names in ``jobs/``, where they are known already.
    """
    known = {str(entry.get("id")) for entry in entries}
    records: dict[str, Snapshot] = {}
    try:
        with directory.sub(JOBS) as jobs:
            names = jobs.listing() if listed is None else listed
            strays = list(stray_names(jobs, names, JOBS + "/"))
            for stem in _stems(names, known, dialect):
                name = record_name(stem, dialect)
                base = name.removeprefix(f"{JOBS}/")
                if "/" not in base:
                    found = kept(read_twice(jobs, base, name), problems)
                else:
                    found = kept(_read_below(jobs, base, name, strays), problems)
                if found and (stem in known or is_record(found, stem, dialect)):
                    records[stem] = found
            pids = {stem: read_pid(jobs, f"{stem}.pid") for stem in known | records.keys() if f"{stem}.pid" in names}
            sidecars = {stem: pid for stem, pid in pids.items() if pid is not None}
            return Jobs(records, names, tuple(strays), sidecars)
    except FileNotFoundError:
        pass  # a fresh workspace, or a fork that keeps no job files
    except OSError as error:
        problems.append(Unreadable(JOBS, why_unreadable(error)))
    return Jobs(records)


def _read_below(jobs: Directory, base: str, name: str, strays: list[Name]) -> Snapshot | Unreadable | None:
    """The record in a job's own directory, which may go, or be no directory; what else stands there is added."""
    try:
        with folder_of(jobs, base) as (folder, plain):
            found = read_twice(folder, plain, name)
            strays += stray_names(folder, folder.listing(), name[: -len(plain)])
            return found
    except FileNotFoundError:
        return None
    except OSError as error:
        return Unreadable(name, why_unreadable(error))


def _stems(names: Mapping[str, bool], known: Collection[str], dialect: Dialect) -> Iterator[str]:
    """The jobs that have a record of their own, as far as names in ``jobs/`` tell; of one that the index knows whatever
    stands where its directory belongs."""
    if dialect.record is None:
        return
    nested = dialect.record.count("/") > 1
    for name, is_directory in names.items():
        if nested and (is_directory or name in known):
            yield name
        elif not nested and name.endswith(".json") and not name.endswith(NOT_RECORDS):
            yield name[: -len(".json")]


def read_logs(
    directory: Directory,
    jobs: Jobs,
    entries: Sequence[Record],
    clean: frozenset[str],
    problems: list[Unreadable],
    dialect: Dialect,
) -> dict[str, LogFacts]:
    """What the logs tell of jobs that somebody may ask about."""
    known = {ident: entry for entry in entries if (ident := str(entry.get("id"))) not in clean}
    stems = sorted(stem for stem in {*known, *jobs.records} - clean if _top(stem, dialect) in jobs.names)
    wanted = [stem for stem in stems if not _is_history(known.get(stem), jobs.records.get(stem), dialect)]
    if not wanted:
        return {}
    found: dict[str, LogFacts | None] = {}
    try:
        with directory.sub(JOBS) as folder:
            for stem in wanted:
                base = log_name(stem, dialect).removeprefix(f"{JOBS}/")
                if "/" not in base:
                    found[stem] = read_log(folder, base, dialect.drives.name)
                    continue
                with suppress(OSError), folder_of(folder, base) as (place, name):  # told with the record's
                    found[stem] = read_log(place, name, dialect.drives.name)
    except OSError as error:  # it was there a moment ago
        problems.append(Unreadable(JOBS, why_unreadable(error)))
    return {stem: log for stem, log in found.items() if log}


def _top(stem: str, dialect: Dialect) -> str:
    """What stands in ``jobs/`` itself for a job's log: the log, or its directory."""
    return log_name(stem, dialect).removeprefix(f"{JOBS}/").partition("/")[0]


def _is_history(entry: Record | None, record: Snapshot | None, dialect: Dialect) -> bool:
    """A job whose every side is finished, and not by an orphan's end: nobody asks for its log."""
    sides = [side for side in (entry, record.value if record else None) if side is not None]
    ended = all(is_finished(side, dialect) and side.get("phase") != "orphaned" for side in sides)
    return ended and (record is None or isinstance(record.value, dict))
