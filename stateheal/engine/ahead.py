"""Looking ahead: while a heal writes one workspace, another process looks at the next ones and plans their repair.

That process writes nothing, and takes no part in what is written. What it saw counts only under the workspace's lock,
where every file is still the one that it read and no name has come or gone, and only for a moment; else the workspace
is looked at anew. Before each write all is checked as ever: the bytes, and the owners by a fresh look at the process
table.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from stateheal.commit.lock import is_held
from stateheal.engine.children import Child, end_child, receive, start_children
from stateheal.engine.collect import WorkspaceResult
from stateheal.fs.directory import Directory, Folders, file_stat, open_directory
from stateheal.model.disk import JOBS, FileStat, Place, Snapshot
from stateheal.model.evidence import Evidence
from stateheal.model.layout import log_name
from stateheal.values import NamedTuple, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.model.look import Look

Examine = Callable[[Place, Directory], WorkspaceResult]
FRESH = 2.0
"""Seconds for which a look ahead counts, and for which one is waited for."""


class LookedAt(NamedTuple):
    """What a look ahead saw of one workspace: nothing where somebody was at work there, or something was amiss."""

    place: Place
    begun: float
    folders: tuple[FileStat, ...] = ()
    result: WorkspaceResult | None = None

    def if_unchanged(self, directory: Directory) -> WorkspaceResult | None:
        """The result, where everything still is as it was. Asked under the workspace's lock."""
        if self.result is None or self.result.postponed or time.monotonic() - self.begun > FRESH:
            return None
        try:
            same = self.folders == _stats_of(directory) and _are_same(self.result.evidence, directory)
        except (OSError, ValueError):
            return None
        return self.result if same else None


class Ahead:
    """What was seen of the workspaces to come."""

    def __init__(self, child: Child | None = None) -> None:
        self._child = child
        self._told: list[LookedAt] = []

    def take(self, place: Place) -> LookedAt | None:
        """The look at a workspace; ``None`` where there is none. Asked before the workspace is locked.

        A process that keeps one waiting once is not asked again.
        """
        deadline = time.monotonic() + FRESH
        while self._child is not None:
            while self._told:
                if (looked := self._told.pop(0)).place == place:
                    return looked
            if not self._listen(deadline - time.monotonic()):
                self._child = None
        return None

    def _listen(self, seconds: float) -> bool:
        assert self._child is not None
        if seconds <= 0 or not select.select([self._child.fd], [], [], seconds)[0]:
            return False
        found = receive(self._child)
        self._told += found or []
        return found is not None


@contextmanager
def looking_ahead(places: Sequence[Place], examine: Examine) -> Iterator[Ahead]:
    """A process that goes through the workspaces in their order; none where the system has none to give."""

    def go(share: Sequence[Place]) -> Iterator[LookedAt]:
        for place in share:
            yield _look(place, examine)

    children = start_children([places], go)
    try:
        yield Ahead(*children)
    finally:
        for child in children:
            end_child(child)


def _look(place: Place, examine: Examine) -> LookedAt:
    begun = time.monotonic()
    try:
        with open_directory(place.directory) as directory:
            if is_held(directory):
                return LookedAt(place, begun)
            folders = _stats_of(directory)
            result = examine(place, directory)
            return LookedAt(place, begun, folders, result._replace(evidence=replace(result.evidence, life=_nobody)))
    except Exception:  # it is looked at again, by whoever tells what is amiss
        return LookedAt(place, begun)


def _nobody() -> Look:
    raise AssertionError("who judges before a write looks at the process table himself")


def _stats_of(directory: Directory) -> tuple[FileStat, ...]:
    """Of the workspace's directory and its ``jobs/``: their ages tell of names that come and go."""
    own = os.stat(directory.fd if directory.fd is not None else directory.path)
    try:
        return file_stat(own), file_stat(directory.stat(JOBS))
    except FileNotFoundError:
        return (file_stat(own),)


def _are_same(evidence: Evidence, directory: Directory) -> bool:
    if evidence.sidecars:
        return False  # of those the pids are known, not the files
    with Folders(directory) as folders:

        def now(name: str) -> FileStat:
            folder, plain = folders.of(name)
            return file_stat(folder.stat(plain))

        logs = ((now(log_name(job, evidence.dialect)), log) for job, log in evidence.logs.items())
        return all(now(each.name) == each.stat for each in _read(evidence)) and all(
            (info.size, info.mtime) == (log.size, log.mtime) for info, log in logs
        )


def _read(evidence: Evidence) -> Iterator[Snapshot]:
    """Every file that was read whole."""
    if evidence.index is not None:
        yield evidence.index
    if evidence.broker is not None:
        yield evidence.broker.snapshot
    yield from evidence.records.values()
    yield from evidence.leftovers.values()
    yield from (snapshot for snapshot, _ in evidence.locks.values())
