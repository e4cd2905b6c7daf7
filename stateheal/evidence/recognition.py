"""Whose tree a workspace is: what stands in it, before its jobs are read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stateheal.dialects.table import Sight, recognise
from stateheal.evidence.snapshot import read_snapshot
from stateheal.fs.directory import Directory
from stateheal.model.disk import INDEX, JOBS, Place, Snapshot
from stateheal.model.recognition import Recognition
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
            if index is None or not isinstance(index.value, dict):
                few = [name for name, is_directory in jobs.items() if name.endswith(".json") and not is_directory]
                found = (read_snapshot(folder, name, name) for name in few[-_FEW:])
                records = [each for each in found if isinstance(each, Snapshot)]
    except OSError:
        pass  # there is none, or it cannot be looked into, which is told elsewhere
    sides = [*entries_of(index.value if index else None), *(record.value for record in records)]
    sight = Sight(
        place.plugin,
        place.name,
        frozenset(names),
        frozenset(f"{name}/" if is_directory else name for name, is_directory in jobs.items()),
        INDEX in names,
        index.value if index is not None else None,
        frozenset(_fields(sides)),
        _readable(index.data) if index is not None and not isinstance(index.value, dict) else frozenset(),
    )
    return recognise(sight)


def _readable(data: bytes) -> frozenset[str]:
    """Keys that stand in a torn index, and whom it names as its owner."""
    keys = re.findall(rb'"([A-Za-z]{1,40})"\s*:', data)
    owners = re.findall(rb'"owner"\s*:\s*"([a-z-]{1,40})"', data)
    return frozenset(each.decode() for each in (*keys, *owners))


def _fields(sides: Iterable[object]) -> Iterable[str]:
    for side in sides:
        if isinstance(side, dict):
            yield from side
