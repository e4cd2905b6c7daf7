"""One run while it is written: the originals of each workspace, durably, before anything there is changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from stateheal.commit.archive import finish, pack, sync_directory, write_durably
from stateheal.commit.lock import hold, let_go
from stateheal.commit.manifest import Item, folders_of
from stateheal.errors import JournalError
from stateheal.formats.times import format_time
from stateheal.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stateheal.commit.journal import Journal


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
    planned: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    """By archive, the names of what it holds, until that is finished."""
    real: dict[Path, str] = field(default_factory=dict)
    """Directories that workspaces stand in, by the path they were found under: their real paths."""

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
            real = self._real_workspace(workspace)
            head = self._head(real, undoes, self._real(root or real.parent))
            if any(item.action == "remove" for item in items):
                head["folders"] = folders_of(real, items)
            write_durably(path, pack(head, items))
        except OSError as error:
            with suppress(OSError):
                path.unlink()  # nothing was changed yet: an archive that may not last is none
            raise JournalError(f"{self.journal.path} cannot be written: {error.strerror or error}") from error
        self.count += 1
        self.planned[path] = tuple(item.name for item in items)
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

    def _real_workspace(self, path: Path) -> Path:
        """It is no link itself: it has been opened. Windows may spell its name otherwise."""
        return Path(self._real(path.parent), path.name) if os.name == "posix" else Path(os.path.realpath(path))

    def _real(self, path: Path) -> str:
        if path not in self.real:
            self.real[path] = os.path.realpath(path)
        return self.real[path]

    def _head(self, workspace: Path, undoes: Sequence[str], root: str) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "run": self.id,
            "command": self.command,
            "started": format_time(self.now),
            "version": self.version,
            "workspace": str(workspace),
            "root": root,
            "undoes": list(undoes),
        }

    def finish(self, path: Path, written: Iterable[str]) -> None:
        """Note which files of an archive's workspace were written; forget the archive where none was.

        A file counts as written unless it is certain that it was not. Failing to note it is harmless: the run then
        stands in the history as interrupted, and can be undone all the same.
        """
        names = set(written)
        planned = self.planned.pop(path)
        with suppress(OSError):
            if names:
                self.wrote = True
                finish(path, [number for number, name in enumerate(planned) if name in names])
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
