"""The journal: runs, each with an archive per workspace, recorded before anything is changed.

``<journal>/runs/<run>/<n>.tar`` is written whole, synced and renamed into place before the first file of the workspace
is replaced; ``<n>.done`` appears after the last. An undo is a run like any other, whose manifest names the archives
that it took back.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from stateheal.commit.archive import Archive, is_complete, load
from stateheal.commit.lock import is_held_by_another
from stateheal.commit.manifest import Item
from stateheal.commit.run_writer import RunWriter
from stateheal.errors import JournalError
from stateheal.fs.private import make_private
from stateheal.values import NamedTuple

KEEP = 50
"""Runs that are kept unless the user says otherwise."""
_STARTING = 60.0
"""Seconds after which a run without a record that nobody holds was killed."""
LAST_RUN = "last-run"
"""The file that keeps the number of the latest run that was forgotten."""


class Run(NamedTuple):
    """One run in the journal."""

    id: str
    command: str
    started: str
    archives: tuple[Archive, ...]
    undone: frozenset[str]
    """Keys of its archives that were taken back."""

    @property
    def undone_word(self) -> str:
        """Whether it was taken back: ``no``, ``partly`` or ``yes``."""
        if not self.undone:
            return "no"
        return "yes" if len(self.undone) == len(self.archives) else "partly"


class Journal:
    """The journal directory; made when the first run writes to it."""

    def __init__(self, path: Path, keep: int = KEEP) -> None:
        self.path = path
        self.keep = keep
        self.damaged_runs: dict[str, str] = {}
        """What ``runs`` could not read: by run, a sentence each."""

    @property
    def damaged(self) -> list[str]:
        """What ``runs`` could not read, a sentence each."""
        return list(self.damaged_runs.values())

    @property
    def runs_path(self) -> Path:
        return self.path / "runs"

    def begin(self, command: str, version: str, now: float) -> RunWriter:
        """A new run. Nothing is written until its first record."""
        return RunWriter(self, command, version, now)

    def claim(self, now: float) -> Path:
        """Make the directory of a new run: numbered, so that their order does not depend on the clock."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        number = max(last_number(self.path), *map(run_number, os.listdir(self.runs_path)), 0)
        while True:
            number += 1
            folder = self.runs_path / f"{number:04d}-{stamp}"
            try:
                make_private(folder, exist_ok=False)
            except FileExistsError:
                continue
            return folder

    def runs(self) -> list[Run]:
        """Every run, newest first, undos left out; those with a damaged archive are named in ``damaged`` instead.

        Raises ``JournalError`` where the journal cannot be listed.
        """
        names = sorted(self._names(), key=lambda name: (run_number(name), name), reverse=True)
        by_run: dict[str, list[Archive]] = {}
        self.damaged_runs = {}
        for name in names:
            try:
                by_run[name] = list(self._archives(name))
            except JournalError as error:
                self.damaged_runs[name] = str(error)
        taken_back = {
            key for archives in by_run.values() for archive in archives if archive.complete for key in archive.undoes
        }
        return [_run(name, archives, taken_back) for name, archives in by_run.items() if _is_plain(archives)]

    def taken_back(self) -> set[str]:
        """Keys of the archives whose work was taken back, as far as the journal can be read."""
        return {
            key
            for name in self.run_ids()
            for archive in self._readable(name)
            if archive.undoes and archive.complete
            for key in archive.undoes
        }

    def changes(self, run: str, workspace: Path) -> list[Item]:
        """What a run did, or was about to do, to one workspace; nothing where the journal cannot tell."""
        return [item for each in self._readable(run) if each.workspace == workspace for item in each.planned]

    def interrupted(self) -> list[Archive]:
        """Archives of runs that never came to their end, oldest first; none where the journal cannot be read."""
        open_ends = [
            path
            for name in sorted(self.run_ids(), key=run_number)
            for path in _readable_in(self.runs_path / name)
            if not is_complete(path)
        ]
        return list(_loaded(open_ends))

    def originals(self, run: str, workspace: Path) -> dict[str, frozenset[str]]:
        """The digests of the bytes that each file of a workspace had before a run."""
        found: dict[str, frozenset[str]] = {}
        for item in self.changes(run, workspace):
            if item.before is not None:
                found[item.name] = found.get(item.name, frozenset()) | {item.before.sha256}
        return found

    def run_ids(self) -> frozenset[str]:
        """The ids of all runs, undos too; empty where the journal cannot be read."""
        try:
            return frozenset(self._names())
        except JournalError:
            return frozenset()

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in os.scandir(self.runs_path) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            if self.path.is_file():  # so says Windows of what is below a file
                raise JournalError(f"{self.path} is not a directory") from None
            return []
        except OSError as error:
            raise JournalError(f"{self.runs_path} cannot be read: {error.strerror or error}") from error

    def _archives(self, run: str) -> Iterator[Archive]:
        yield from map(load, _archives_in(self.runs_path / run))

    def _readable(self, run: str) -> Iterator[Archive]:
        """The archives of a run, damaged ones left out."""
        yield from _loaded(_readable_in(self.runs_path / run))

    def make(self) -> None:
        """Make the directory, readable by nobody else: records hold prompts. Raises ``JournalError``."""
        try:
            make_private(self.path)
            make_private(self.runs_path)
            for path in (self.path, self.runs_path):
                info = path.lstat()
                if not stat.S_ISDIR(info.st_mode):
                    raise JournalError(f"{path} is not a directory")
                if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
                    raise JournalError(f"{path} belongs to another user")
                if stat.S_IMODE(info.st_mode) & 0o777 != 0o700:
                    path.chmod(0o700)
        except FileExistsError as error:  # so says Windows
            raise JournalError(f"{self.path} cannot be used as journal: it is not a directory") from error
        except OSError as error:
            raise JournalError(f"{self.path} cannot be used as journal: {error.strerror or error}") from error

    def prune(self) -> None:
        """Forget all but the newest runs, the undos as old as what is forgotten, and runs that recorded nothing."""
        names = [name for name in self._names() if not self._remove_void(name)]
        if len(names) <= self.keep:
            return
        kept = self.runs()[: self.keep]
        oldest = min((run_number(run.id) for run in kept), default=0)
        for name in names:
            if run_number(name) < oldest and not is_held_by_another(self.runs_path / name):
                remove_tree(self.runs_path / name)

    def _remove_void(self, name: str) -> bool:
        """Remove a run that was killed before its first record; whether there was no record."""
        path = self.runs_path / name
        try:
            if _archives_in(path):
                return False
        except JournalError:  # whether it recorded something cannot be told
            return False
        if time.time() - path.stat().st_mtime > _STARTING and not is_held_by_another(path):
            remove_tree(path)
        return True


def _archives_in(run: Path) -> list[Path]:
    """A run's archives, in order. Raises ``JournalError`` where its directory cannot be listed: it may hold some."""
    try:
        return sorted(run / name for name in os.listdir(run) if name.endswith(".tar"))
    except FileNotFoundError:  # forgotten meanwhile
        return []
    except OSError as error:
        raise JournalError(f"{run} cannot be read: {error.strerror or error}") from error


def _readable_in(run: Path) -> list[Path]:
    try:
        return _archives_in(run)
    except JournalError:
        return []


def remove_tree(path: Path) -> None:
    """Remove a run's directory, as far as that is possible."""
    import shutil  # only where something goes

    shutil.rmtree(path, ignore_errors=True)


def last_number(journal: Path) -> int:
    """The highest number of the runs that were forgotten: none is given twice."""
    try:
        return int((journal / LAST_RUN).read_bytes()[:20])
    except (OSError, ValueError):
        return 0


def _loaded(paths: Iterable[Path]) -> Iterator[Archive]:
    for path in paths:
        with suppress(JournalError):
            yield load(path)


def is_later(name: str, than: str) -> bool:
    """Whether a run began after another one, by their ids."""
    return (run_number(name), name) > (run_number(than), than)


def run_number(name: str) -> int:
    """The number of a run, from its id."""
    head = name.partition("-")[0]
    return int(head) if head.isascii() and head.isdigit() else 0


def _is_plain(archives: Sequence[Archive]) -> bool:
    return bool(archives) and archives[0].manifest["command"] != "undo"


def _run(name: str, archives: Sequence[Archive], taken_back: set[str]) -> Run:
    first = archives[0].manifest
    undone = frozenset(archive.key for archive in archives if archive.key in taken_back)
    return Run(name, first["command"], first["started"], tuple(archives), undone)
