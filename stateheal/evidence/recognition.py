"""Whose tree a workspace is: what stands in it, before its jobs are read."""

from __future__ import annotations

from collections.abc import Iterable

from stateheal.dialects.table import Sight, recognise
from stateheal.evidence.snapshot import read_snapshot
from stateheal.fs.directory import Directory
from stateheal.model.dialect import Recognition
from stateheal.model.disk import INDEX, JOBS, Place, Snapshot
from stateheal.model.records import entries_of

_FEW = 5
"""Records that are looked into where there is no index to tell."""


def recognised(place: Place, directory: Directory, index: Snapshot | None) -> Recognition | None:
    """Whose tree it is; ``None`` where no companion is known that keeps such a one."""
    names = directory.listing()
    jobs: dict[str, bool] = {}
    records: list[Snapshot] = []
    try:
        with directory.sub(JOBS) as folder:
            jobs = folder.listing()
            if INDEX not in names:
                few = [name for name, is_directory in jobs.items() if name.endswith(".json") and not is_directory]
                found = (read_snapshot(folder, name, name) for name in few[-_FEW:])
                records = [each for each in found if isinstance(each, Snapshot)]
    except OSError:
        pass  # there is none, or it cannot be looked into, which is told elsewhere
    sides = entries_of(index.value) if index is not None else [record.value for record in records]
    sight = Sight(
        place.plugin,
        place.name,
        frozenset(names),
        frozenset(f"{name}/" if is_directory else name for name, is_directory in jobs.items()),
        INDEX in names,
        index.value if index is not None else None,
        frozenset(_fields(sides)),
    )
    return recognise(sight)


def _fields(sides: Iterable[object]) -> Iterable[str]:
    for side in sides:
        if isinstance(side, dict):
            yield from side
