"""Undo: which run, which of its workspaces, and whether what the journal says of them is to be believed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from stateheal.commit.archive import Archive
from stateheal.commit.attributes import give_attributes
from stateheal.commit.journal import Journal, Run, is_later, run_number
from stateheal.commit.lock import WAIT, workspace_lock
from stateheal.commit.manifest import attributes_of, folders_above
from stateheal.commit.manifest_input import folder_in
from stateheal.commit.order import last_writer
from stateheal.commit.restore import chains_of, changed_in, changes_of, remove_empty, restore, steps_of
from stateheal.commit.run_writer import RunWriter
from stateheal.errors import DamagedArchive, JournalError, Refused, StatehealError, UsageError
from stateheal.fs.directory import Folders, folder_of, open_directory
from stateheal.fs.own_names import TEMP_PREFIX
from stateheal.model.disk import INDEX, JOBS
from stateheal.model.report import Diff, Restored
from stateheal.patterns import pattern

_TO_WRITE = 0o700
_STATE_NAME = pattern(r"(?s)(?:.*-)?[0-9a-f]{12}(?:[0-9a-f]{4})?")
"""Of a directory that keeps the state of a workspace (field guide sections 1 and 11)."""


def find_run(journal: Journal, run: str | None) -> Run | None:
    """The run of that id, of that number, or of an unambiguous beginning; for ``None`` the latest that was not undone.

    Of runs that were at work at once, the latest is the one that was the last to write.
    ``None`` where nothing is left to undo. Raises ``UsageError`` where there is no such run, and ``JournalError`` where
    the latest cannot be told because a later one cannot be read.
    """
    runs = journal.runs()
    if run is None:
        latest = next((each for each in runs if each.undone_word != "yes"), None)
        later = [name for name in journal.damaged_runs if latest is None or is_later(name, latest.id)]
        if later:
            why = journal.damaged_runs[max(later, key=run_number)]
            raise JournalError(f"{why}; what it did must be undone first ('stateheal undo RUN' reaches other runs)")
        return None if latest is None else last_writer(latest, runs)
    if not run:
        raise UsageError("an empty RUN names no run ('stateheal history' lists them)")
    matching = (
        [each for each in runs if each.id == run]
        or [each for each in runs if run.isdecimal() and run_number(each.id) == int(run)]
        or [each for each in runs if each.id.startswith(run)]
    )
    if len(matching) != 1:
        problem = "there is no run" if not matching else "more than one run begins with"
        raise UsageError(f"{problem} {run!r} ('stateheal history' lists them)")
    return matching[0]


def undo_run(
    journal: Journal,
    run: Run,
    writer: RunWriter,
    wait: float = WAIT,
    known_roots: Callable[[], Collection[Path]] = lambda: (),
) -> Iterator[Restored]:
    """Take back what a run did, the last workspace first. Nothing is raised for a workspace that is refused.

    ``known_roots``: where this user's plugins keep state; asked for where a run does not say where it was at work.
    Raises ``JournalError`` where the journal cannot be written.
    """
    for workspace, archives in _open_workspaces(run):
        try:
            for archive in archives:
                _ensure_trusted(archive, known_roots)
            yield Restored(workspace, _undo_workspace(workspace, archives, journal, writer, wait))
        except JournalError as error:
            if not isinstance(error, DamagedArchive):
                raise
            journal.damaged_runs.setdefault(run.id, str(error))
            yield _left_alone(workspace, archives, error)
        except (StatehealError, OSError) as error:
            yield _left_alone(workspace, archives, error)


def _open_workspaces(run: Run) -> Iterator[tuple[Path, list[Archive]]]:
    """The workspaces of a run that were not taken back, the last first."""
    by_workspace: dict[Path, list[Archive]] = {}
    for archive in run.archives:
        if archive.key not in run.undone:
            by_workspace.setdefault(archive.workspace, []).append(archive)
    yield from reversed(list(by_workspace.items()))


def preview_undo(
    run: Run, known_roots: Callable[[], Collection[Path]] = lambda: ()
) -> Iterator[tuple[Restored, list[Diff]]]:
    """What ``undo_run`` would do, a workspace at a time, with the diff of each file; nothing is written."""
    for workspace, archives in _open_workspaces(run):
        try:
            for archive in archives:
                _ensure_trusted(archive, known_roots)
            diffs = list(_diffs(workspace, archives))
            yield Restored(workspace, len(diffs)), diffs
        except (StatehealError, OSError) as error:
            yield _left_alone(workspace, archives, error), []


def _left_alone(workspace: Path, archives: Sequence[Archive], error: StatehealError | OSError) -> Restored:
    """Why a workspace is not taken back, and the way on: which of its files differ, and where the originals are."""
    why = f"it cannot be opened: {error.strerror or error}" if isinstance(error, OSError) else str(error)
    differing = tuple(_differing(workspace, archives)) if isinstance(error, Refused) else ()
    return Restored(workspace, 0, why, differing, tuple(archive.path for archive in archives))


def _differing(workspace: Path, archives: Sequence[Archive]) -> Iterator[str]:
    with suppress(StatehealError, OSError):
        chains = list(chains_of(archives).values())
        with open_directory(workspace) as directory, Folders(directory) as folders:
            for chain in chains:
                try:
                    list(changed_in(folders, [chain]))
                except (StatehealError, OSError):
                    yield chain.item.name


def _diffs(workspace: Path, archives: Sequence[Archive]) -> Iterator[Diff]:
    if not os.path.lexists(workspace):  # the run removed it whole, or had made it
        removed = [(archive, item) for archive in archives for item in changes_of(archive) if item.action == "remove"]
        for archive, item in removed:
            yield Diff(f"{workspace.name}/{item.name}", None, archive.originals([item])[item.name])
        return
    with open_directory(workspace) as directory, Folders(directory) as folders:
        for step in steps_of(folders, archives):
            before = step.current.data if step.current else None
            after = b"" if step.original is None and step.item.before is not None else step.original
            yield Diff(f"{workspace.name}/{step.item.name}", before, after)


def _ensure_trusted(archive: Archive, known_roots: Callable[[], Collection[Path]]) -> None:
    """The journal is input too: it may name a workspace's state, under the root that its run was at work in, only."""
    path = archive.workspace
    below_a_root = archive.root in path.parents if archive.names_root else path.parent in known_roots()
    if not below_a_root or not _STATE_NAME.fullmatch(path.name) or os.path.realpath(path) != str(path):
        raise Refused("it is no directory in which a plugin keeps a workspace's state")
    if os.path.isdir(path):
        there = os.listdir(path)
        if there and INDEX not in there and JOBS not in there and not _has_ours(there, archive):
            raise Refused("no plugin keeps a workspace's state in it")


def _has_ours(there: Sequence[str], archive: Archive) -> bool:
    """Whether nothing stands in a directory but what the run itself put there, or left of it."""
    names = {item.name.partition("/")[0] for item in archive.items}
    return all(name in names or name.startswith(TEMP_PREFIX) for name in there)


def _undo_workspace(
    workspace: Path, archives: Sequence[Archive], journal: Journal, writer: RunWriter, wait: float
) -> int:
    if not os.path.lexists(workspace) and all(item.before is None for each in archives for item in changes_of(each)):
        # The run had made all there was, and nothing of it is left.
        writer.finish(writer.record(workspace, [], [each.key for each in archives], archives[0].root), ["-"])
        return 0
    made = _make_room(workspace, archives)
    try:
        with open_directory(workspace) as directory, workspace_lock(directory, wait):
            count = restore(directory, archives, journal, writer)
        _give_back(workspace, made, archives, 0)
        return count
    except BaseException:
        remove_empty(made)
        raise


def _make_room(workspace: Path, archives: Sequence[Archive]) -> list[Path]:
    """The directories of a workspace that the run removed whole, as they were; where it did not note that, as widely
    open as its files were."""
    items = [item for archive in archives for item in archive.items]
    removed = [item for item in items if item.action == "remove" and item.before]
    private = not any((item.before.mode or 0) & 0o077 for item in removed if item.before)
    made: list[Path] = []
    if workspace.parent.is_dir():
        for name in folders_above(items):
            needed = not name or any(item.name.startswith(f"{name}/") for item in removed)
            if needed and _make(workspace, name, 0o700 if private else 0o777):
                made.append(workspace / name)
    try:
        _give_back(workspace, made, archives, _TO_WRITE)
    except BaseException:
        remove_empty(made)
        raise
    return made


def _make(workspace: Path, name: str, mode: int) -> bool:
    """Make a directory of the workspace that is not there; never through a link."""
    if os.path.lexists(workspace / name):
        return False
    if not name:
        workspace.mkdir(mode)
        return True
    with open_directory(workspace) as directory, folder_of(directory, name) as (folder, plain):
        if folder.fd is None:
            (folder.path / plain).mkdir(mode)
        else:
            os.mkdir(plain, mode, dir_fd=folder.fd)
    return True


def _give_back(workspace: Path, made: Sequence[Path], archives: Sequence[Archive], besides: int) -> None:
    """Directories made anew get the owner, the attributes and the mode they had, and ``besides`` until the files are
    back.

    Raises ``Refused`` where the owner cannot be given: files would come to be somebody else's.
    """
    for path in made:
        name = path.relative_to(workspace).as_posix() if path != workspace else ""
        folder = next((each for archive in archives if (each := folder_in(archive.manifest, name))), None)
        if folder is None or os.name != "posix":
            continue
        try:
            os.chown(path, folder.uid, folder.gid, follow_symlinks=False)
            with open_directory(path) as opened:
                if opened.fd is not None:
                    give_attributes(opened.fd, attributes_of(folder), str(path))
            os.chmod(path, folder.mode | besides)
        except (OSError, OverflowError) as error:
            raise Refused(f"owner, mode or attributes of {path} cannot be put back: {error}") from error
