"""What the journal holds: the runs that can be undone."""

from __future__ import annotations

from stateheal.commit.journal import Journal, Run
from stateheal.commit.location import journal_path
from stateheal.model.disk import JOBS
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PastRun(NamedTuple):
    """One run, as the history tells of it."""

    run: str
    command: str
    started: str
    """ISO 8601, UTC."""
    workspaces: int
    jobs: int
    files: int
    undone: str
    """``no``, ``partly`` or ``yes``."""
    complete: bool
    """``False`` where it was interrupted."""

    def to_dict(self) -> dict[str, Any]:
        """As 'stateheal history --format json' has it."""
        return self._asdict()


def history(journal: Journal | None = None) -> list[PastRun]:
    """Every run that can be undone, newest first; what ``undo`` takes back is ``run``.

    Raises ``JournalError`` where the journal cannot be read.
    """
    return [past_run(run) for run in (journal or Journal(journal_path())).runs()]


def past_run(run: Run) -> PastRun:
    """A run of the journal in numbers."""
    files = [(str(archive.workspace), item.name) for archive in run.archives for item in archive.items]
    jobs = {(workspace, _stem(name)) for workspace, name in files if name.startswith(f"{JOBS}/")}
    return PastRun(
        run.id,
        run.command,
        run.started,
        len({str(archive.workspace) for archive in run.archives}),
        len(jobs),
        len(files),
        run.undone_word,
        all(archive.complete for archive in run.archives),
    )


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


class PastFile(NamedTuple):
    """One file that a run changed, and how: the journal's word for it."""

    name: str
    action: str


class PastWorkspace(NamedTuple):
    """What a run changed in one workspace, and where the bytes from before it are."""

    workspace: str
    path: str
    originals: str
    """The tar archive."""
    undone: bool
    complete: bool
    files: tuple[PastFile, ...]

    def to_dict(self) -> dict[str, Any]:
        """As 'stateheal history RUN --format json' has it."""
        return {**self._asdict(), "files": [each._asdict() for each in self.files]}


def changes_of(run: Run) -> list[PastWorkspace]:
    """What a run changed, a workspace at a time."""
    return [
        PastWorkspace(
            archive.workspace.name,
            str(archive.workspace),
            str(archive.path),
            archive.key in run.undone,
            archive.complete,
            tuple(PastFile(item.name, item.action) for item in archive.items),
        )
        for archive in run.archives
    ]
