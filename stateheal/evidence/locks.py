"""Locks in a workspace that their companion's own code does not break (field guide section 11)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from stateheal.evidence.leftovers import stray_names
from stateheal.evidence.snapshot import read_snapshot
from stateheal.fs.directory import Directory, folder_of
from stateheal.model.dialect import Dialect
from stateheal.model.disk import JOBS, Name, Snapshot
from stateheal.model.records import pid_of
from stateheal.model.traits import Lock


def read_locks(directory: Directory, jobs: Mapping[str, bool], dialect: Dialect) -> dict[str, tuple[Snapshot, Lock]]:
    """By name: every lock that is there, and what its companion does with such."""
    if not dialect.locks:
        return {}
    found: dict[str, tuple[Snapshot, Lock]] = {}
    for name in (*_names(directory, dialect), *(f"{JOBS}/{each}" for each in jobs)):
        lock = next((each for each in dialect.locks if re.fullmatch(each.path, name)), None)
        snapshot = None if lock is None else _snapshot(directory, name)
        if lock is not None and snapshot is not None:
            found[name] = snapshot, lock
    return found


def stray_in_folders(directory: Directory, dialect: Dialect) -> Iterator[Name]:
    """Possible temporary files in the directories that locks stand in."""
    for name in _folders(directory, dialect):
        with suppress(OSError), directory.sub(name) as folder:
            yield from stray_names(folder, folder.listing(), f"{name}/")


def _names(directory: Directory, dialect: Dialect) -> Iterator[str]:
    """What stands in the workspace, and in the directories that locks stand in."""
    yield from directory.names()
    for name in _folders(directory, dialect):
        with suppress(OSError), directory.sub(name) as folder:
            yield from (f"{name}/{inner}" for inner in folder.names())


def _folders(directory: Directory, dialect: Dialect) -> list[str]:
    """Those directories; ``jobs/`` is read elsewhere."""
    held = {each.path.partition("/")[0] for each in dialect.locks if "/" in each.path} - {JOBS}
    return [name for name, is_directory in directory.listing().items() if is_directory and name in held]


def _snapshot(directory: Directory, name: str) -> Snapshot | None:
    try:
        with folder_of(directory, name) as (folder, base):
            found = read_snapshot(folder, base, name)
    except OSError:
        return None
    return found if isinstance(found, Snapshot) else None


def holders_of(locks: Mapping[str, tuple[Snapshot, Lock]]) -> Iterator[int]:
    """The processes that locks name."""
    for snapshot, lock in locks.values():
        pid = pid_of(snapshot.value.get(lock.pid)) if lock.pid and isinstance(snapshot.value, dict) else None
        if pid is not None:
            yield pid
