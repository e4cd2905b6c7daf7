"""Whose tree a workspace is: what stands in it, before its jobs are read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stateheal.dialects.table import Sight, recognise
from stateheal.evidence.snapshot import read_snapshot
from stateheal.fs.directory import Directory
from stateheal.model.disk import INDEX, JOBS, Place, Snapshot
from stateheal.model.recognition import Recognition
from stateheal.model.records import entries_of, text_of
from stateheal.values import NamedTuple

_FEW = 5
"""Records that are looked into where there is no index to tell."""


class Names(NamedTuple):
    """What stands in a workspace, each name with whether it is a directory's."""

    here: Mapping[str, bool]
    jobs: Mapping[str, bool] | None
    """``None`` where there is no ``jobs/``, or it cannot be looked into."""


def names_in(directory: Directory) -> Names:
    """Both listings of a workspace. Raises ``OSError`` where the workspace itself cannot be looked into."""
    try:
        with directory.sub(JOBS) as folder:
            jobs = folder.listing()
    except OSError:  # whoever reads the records tells of it
        return Names(directory.listing(), None)
    return Names(directory.listing(), jobs)


def recognised(
    place: Place, directory: Directory, index: Snapshot | None, listed: Names | None = None
) -> Recognition | None:
    """Whose tree it is; ``None`` where no companion is known that keeps such a one. ``listed``: its names, if known."""
    names, jobs = listed or names_in(directory)
    jobs = jobs or {}
    records: list[Snapshot] = []
    if index is None or not isinstance(index.value, dict):
        records = _few_records(directory, jobs)
    entries = [entry for entry in entries_of(index.value if index else None) if isinstance(entry, dict)]
    sides = [*entries, *(record.value for record in records if isinstance(record.value, dict))]
    sight = Sight(
        place.plugin,
        place.name,
        frozenset(names),
        frozenset(f"{name}/" if is_directory else name for name, is_directory in jobs.items()),
        INDEX in names,
        index.value if index is not None else None,
        frozenset().union(*sides),
        tuple(ident for entry in entries if (ident := text_of(entry, "id"))),
        _readable(index.data) if index is not None and not isinstance(index.value, dict) else frozenset(),
    )
    return recognise(sight)


def _few_records(directory: Directory, jobs: Mapping[str, bool]) -> list[Snapshot]:
    few = [name for name, is_directory in jobs.items() if name.endswith(".json") and not is_directory]
    try:
        with directory.sub(JOBS) as folder:
            found = [read_snapshot(folder, name, name) for name in few[-_FEW:]]
    except OSError:
        return []  # there is none, or it cannot be looked into, which is told elsewhere
    return [each for each in found if isinstance(each, Snapshot)]


def _readable(data: bytes) -> frozenset[str]:
    """Keys that stand in a torn index, and whom it names as its owner."""
    keys = re.findall(rb'"([A-Za-z]{1,40})"\s*:', data)
    owners = re.findall(rb'"owner"\s*:\s*"([a-z-]{1,40})"', data)
    return frozenset(each.decode() for each in (*keys, *owners))
