"""Closing the records of a command that has just ended: a heal, narrowed to the jobs that its processes ran.

For ``stateheal run --no-record``: today's plugin registers no signal handlers (field guide, sections 2 and 4), so
somebody else has to close its records. Everything a heal promises holds here too: verdicts, journal, undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from stateheal.engine.commands import heal_found
from stateheal.engine.world import World
from stateheal.evidence.discover import Discovery, discover
from stateheal.evidence.snapshot import read_snapshot
from stateheal.formats.jsontext import Json
from stateheal.fs.directory import Directory, open_directory
from stateheal.model.disk import INDEX, JOBS, Place, Snapshot
from stateheal.model.records import entries_of, is_active, pid_of
from stateheal.model.report import Report
from stateheal.model.request import Closing, Request, Settings


def close_jobs(
    closing: Closing, paths: Sequence[str] | None, cwds: Sequence[str], world: World | None = None
) -> Report:
    """Heal the active jobs that name one of the ended pids, in the workspaces of some directories.

    ``paths`` as for ``heal``. Jobs whose process lives after all are left alone, as ever.
    """
    discoveries = [discover(paths, cwd) for cwd in cwds]
    places = {place.directory: place for found in discoveries for place in found.places}
    narrowed = tuple(_narrowed(places.values(), closing))
    found = Discovery(discoveries[0].roots, narrowed, tuple(error for each in discoveries for error in each.errors))
    return heal_found(found, Request(settings=Settings(closing=closing)), world=world)


def _narrowed(places: Iterable[Place], closing: Closing) -> Iterator[Place]:
    for place in places:
        try:
            with open_directory(place.directory) as workspace:
                jobs = frozenset(_jobs_of(workspace, closing.pids))
        except OSError:
            continue
        if jobs:
            yield replace(place, jobs=jobs)


def _jobs_of(workspace: Directory, pids: frozenset[int]) -> Iterator[str]:
    """Ids of the active jobs that name one of the pids, in the index or in their file."""
    for entry in entries_of(_value(workspace, INDEX)):
        if _names(entry, pids) and isinstance(entry.get("id"), str):
            yield entry["id"]
    try:
        with workspace.sub(JOBS) as jobs:
            for name in jobs.names():
                if name.endswith(".json") and _names(_value(jobs, name), pids):
                    yield name.removesuffix(".json")
    except OSError:
        return


def _value(folder: Directory, name: str) -> Json:
    snapshot = read_snapshot(folder, name, name)
    return snapshot.value if isinstance(snapshot, Snapshot) else None


def _names(record: Json, pids: frozenset[int]) -> bool:
    return is_active(record) and pid_of(record.get("pid")) in pids
