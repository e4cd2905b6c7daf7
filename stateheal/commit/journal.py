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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stateheal.commit.archive import Archive, load, pack, sync_directory, write_durably
from stateheal.commit.lock import hold, is_held_by_another, let_go
from stateheal.commit.manifest import Item
from stateheal.errors import JournalError
from stateheal.formats.times import format_time

KEEP = 50
"""Runs that are kept unless the user says otherwise."""
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
                folder.mkdir(mode=0o700)
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
            for path in sorted((self.runs_path / name).glob("*.tar"))
            if not path.with_suffix(".done").exists()
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
            return []
        except OSError as error:
            raise JournalError(f"{self.runs_path} cannot be read: {error.strerror or error}") from error

    def _archives(self, run: str) -> Iterator[Archive]:
        yield from map(load, sorted((self.runs_path / run).glob("*.tar")))

    def _readable(self, run: str) -> Iterator[Archive]:
        """The archives of a run, damaged ones left out."""
        yield from _loaded(sorted((self.runs_path / run).glob("*.tar")))

    def make(self) -> None:
        """Make the directory, readable by nobody else: records hold prompts. Raises ``JournalError``."""
        try:
            self.runs_path.mkdir(parents=True, exist_ok=True)
            for path in (self.path, self.runs_path):
                info = path.lstat()
                if not stat.S_ISDIR(info.st_mode):
                    raise JournalError(f"{path} is not a directory")
                if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
                    raise JournalError(f"{path} belongs to another user")
                if info.st_mode & 0o077:
                    path.chmod(0o700)
        except OSError as error:
            raise JournalError(f"{self.path} cannot be used as journal: {error.strerror or error}") from error

    def prune(self) -> None:
        """Forget all but the newest runs, and the undos as old as what is forgotten."""
        names = self._names()
        if len(names) <= self.keep:
            return
        kept = self.runs()[: self.keep]
        oldest = min((run_number(run.id) for run in kept), default=0)
        for name in names:
            if run_number(name) < oldest and not is_held_by_another(self.runs_path / name):
                remove_tree(self.runs_path / name)


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


@dataclass
class RunWriter:
    """Writes one run, a workspace at a time."""

    journal: Journal
    command: str
    version: str
    now: float
    folder: Path | None = None
    lock: int | None = None
    """A descriptor of the run's directory, locked while the run goes on, so that nobody prunes it."""
    count: int = 0
    wrote: bool = False
    """Whether any file of any workspace was changed."""

    @property
    def id(self) -> str:
        """The run's id; empty before its first record."""
        return self.folder.name if self.folder else ""

    def record(
        self, workspace: Path, items: Sequence[Item], undoes: Sequence[str] = (), root: Path | None = None
    ) -> Path:
        """Keep the originals of one workspace, durably. Raises ``JournalError``: then nothing may be changed.

        ``root``: where the workspace was found; its parent directory by default.
        """
        self.start()
        assert self.folder is not None
        path = self.folder / f"{self.count + 1:04d}.tar"
        try:
            real = Path(os.path.realpath(workspace))
            write_durably(path, pack(self._head(real, undoes, Path(os.path.realpath(root or real.parent))), items))
        except OSError as error:
            with suppress(OSError):
                path.unlink()  # nothing was changed yet: an archive that may not last is none
            raise JournalError(f"{self.journal.path} cannot be written: {error.strerror or error}") from error
        self.count += 1
        return path

    def start(self) -> None:
        """Give the run its id and its directory, if it has none. Raises ``JournalError``."""
        if self.folder is not None:
            return
        self.journal.make()
        try:
            self.folder = self.journal.claim(self.now)
            self.lock = hold(self.folder)
            sync_directory(self.journal.runs_path)
        except OSError as error:
            raise JournalError(f"{self.journal.path} cannot be written: {error.strerror or error}") from error

    def _head(self, workspace: Path, undoes: Sequence[str], root: Path) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "run": self.id,
            "command": self.command,
            "started": format_time(self.now),
            "version": self.version,
            "workspace": str(workspace),
            "root": str(root),
            "undoes": list(undoes),
        }

    def finish(self, path: Path, written: Iterable[str]) -> None:
        """Note which files of an archive's workspace were written; forget the archive where none was.

        A file counts as written unless it is certain that it was not. Failing to note it is harmless: the run then
        stands in the history as interrupted, and can be undone all the same.
        """
        names = set(written)
        with suppress(OSError, JournalError):
            if names:
                self.wrote = True
                load(path).finish(names)
            else:
                path.unlink()

    def leave_open(self) -> None:
        """An archive stays as it is, interrupted: what is left to do there the next run finishes."""
        self.wrote = True

    def close(self) -> None:
        """The run is over: let go of its directory, which goes where nothing came of it."""
        if self.lock is not None:
            let_go(self.lock)
            self.lock = None
        if self.folder is not None and not self.wrote:
            with suppress(OSError):
                self.folder.rmdir()
