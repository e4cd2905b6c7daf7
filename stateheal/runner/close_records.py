"""Closing the records of a command that has just ended: a heal, narrowed to the jobs that its processes ran.

For ``stateheal run --no-record``: today's plugin registers no signal handlers (field guide, sections 2 and 4), so
somebody else has to close its records. Everything a heal promises holds here too: verdicts, journal, undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stateheal.engine.commands import heal_found
from stateheal.engine.world import World
from stateheal.evidence.discover import Discovery, discover_in
from stateheal.evidence.jobs import read_jobs
from stateheal.evidence.recognition import recognised
from stateheal.evidence.snapshot import read_snapshot
from stateheal.formats.jsontext import Json
from stateheal.fs.directory import Directory, open_directory
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import INDEX, Place, Snapshot, Unreadable
from stateheal.model.problems import Problem
from stateheal.model.records import entries_of, is_active, pid_of, text_of
from stateheal.model.report import Report
from stateheal.model.request import Closing, Request, Settings
from stateheal.values import replace

Read = Snapshot | Unreadable | None
_ROUNDING = 1.0
"""Seconds by which a file system's time may lie before the clock's."""


def close_jobs(
    closing: Closing, paths: Sequence[str] | None, cwds: Sequence[str], world: World | None = None
) -> Report:
    """Heal the active jobs that name one of the ended pids, in the workspaces of some directories.

    ``paths`` as for ``heal``. Jobs whose process lives after all are left alone, as ever.
    """
    found = discover_in(paths, cwds)
    errors = list(found.errors)
    narrowed = tuple(_narrowed(found.places, closing, errors))
    found = Discovery(found.roots, narrowed, tuple(dict.fromkeys(errors)))
    return heal_found(found, Request(settings=Settings(closing=closing)), world=world)


def _narrowed(places: Iterable[Place], closing: Closing, errors: list[Problem]) -> Iterator[Place]:
    """The places with the jobs that are the command's; whole, where the index was torn as the command wrote it: what
    cannot be read names no jobs, and only the whole index can be healed. What is in the way goes to ``errors``."""
    for place in places:
        try:
            with open_directory(place.directory) as workspace:
                index = read_snapshot(workspace, INDEX, INDEX)
                if isinstance(index, Unreadable):
                    errors.append(Problem(str(place.directory / INDEX), index.reason))
                jobs = frozenset(_jobs_of(place, workspace, index, closing, errors))
        except OSError as error:
            errors.append(Problem(str(place.directory), f"cannot be opened: {error.strerror or error}"))
            continue
        if _is_torn(index) and (jobs or _is_of(index, closing)):
            yield place
        elif jobs:
            yield replace(place, jobs=jobs)


def _jobs_of(place: Place, workspace: Directory, index: Read, closing: Closing, errors: list[Problem]) -> Iterator[str]:
    """Ids of the active jobs that name one of the pids, in the index or in their file, and of files torn meanwhile."""
    recognition = recognised(place, workspace, index if isinstance(index, Snapshot) else None)
    dialect = recognition.dialect if recognition else CODEX
    listed = entries_of(index.value if isinstance(index, Snapshot) else None)
    entries = [entry for entry in listed if isinstance(entry, dict)]
    yield from (str(entry["id"]) for entry in entries if text_of(entry, "id") and _names(entry, closing.pids, dialect))
    problems: list[Unreadable] = []
    for stem, found in read_jobs(workspace, entries, problems, dialect).records.items():
        if _names(found.value, closing.pids, dialect) or (_is_torn(found) and _is_of(found, closing)):
            yield stem
    errors += [Problem(str(place.directory / each.name), each.reason) for each in problems]


def _is_torn(found: Read) -> bool:
    return isinstance(found, Snapshot) and not isinstance(found.value, dict)


def _is_of(found: Read, closing: Closing) -> bool:
    """Whether it was written while the command ran."""
    return isinstance(found, Snapshot) and found.stat.mtime >= closing.began - _ROUNDING


def _names(record: Json, pids: frozenset[int], dialect: Dialect) -> bool:
    return is_active(record, dialect) and any(pid_of(record.get(key)) in pids for key in dialect.pids)
