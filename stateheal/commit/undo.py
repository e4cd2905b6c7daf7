"""Put back the bytes of a run: all of a workspace, or nothing of it (DESIGN.md promise 2)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stateheal.commit.archive import Archive, Item, State, is_partly_appended, state_of
from stateheal.commit.atomic import Target, append_line, create_file, cut_tail, read_plain, remove_file, replace_file
from stateheal.commit.journal import Journal, Run, RunWriter
from stateheal.commit.lock import WAIT, workspace_lock
from stateheal.errors import Conflict, JournalError, Refused, StatehealError, UsageError
from stateheal.formats.digest import sha256
from stateheal.fs.directory import Directory, folder_of, open_directory
from stateheal.model.disk import INDEX, JOBS, FileStat
from stateheal.model.report import Restored

_WITH_ORIGINAL = ("replace", "remove")
"""What was done to files whose bytes the archive holds for putting back."""


class _Step(NamedTuple):
    """One file that stands as the run left it, and what it was."""

    item: Item
    current: tuple[FileStat, bytes] | None
    """``None`` where the run removed it."""
    original: bytes | None
    """``None`` where there was none, or where a line is to be cut off."""


def find_run(journal: Journal, run: str | None) -> Run:
    """The run of that id, or of an unambiguous beginning of it; the latest that was not undone for ``None``.

    Raises ``UsageError`` where there is none.
    """
    runs = journal.runs()
    if run is None:
        open_runs = [each for each in runs if each.undone_word != "yes"]
        if not open_runs:
            raise UsageError("there is nothing to undo")
        return open_runs[0]
    if not run:
        raise UsageError("an empty RUN names no run ('stateheal history' lists them)")
    matching = [each for each in runs if each.id == run] or [each for each in runs if each.id.startswith(run)]
    if len(matching) != 1:
        problem = "there is no run" if not matching else "more than one run begins with"
        raise UsageError(f"{problem} {run!r} ('stateheal history' lists them)")
    return matching[0]


def undo_run(journal: Journal, run: Run, writer: RunWriter, wait: float = WAIT) -> Iterator[Restored]:
    """Take back what a run did, the last workspace first. Nothing is raised for a workspace that is refused."""
    by_workspace: dict[Path, list[Archive]] = {}
    for archive in run.archives:
        if archive.key not in run.undone:
            by_workspace.setdefault(archive.workspace, []).append(archive)
    for workspace, archives in reversed(list(by_workspace.items())):
        try:
            _make_room(workspace, archives)
            with open_directory(workspace) as directory, workspace_lock(directory, journal.path, wait):
                yield Restored(workspace, _restore(directory, archives, writer))
        except JournalError:
            raise
        except StatehealError as error:
            yield Restored(workspace, 0, str(error))
        except OSError as error:
            yield Restored(workspace, 0, f"cannot be opened: {error.strerror or error}")


def _make_room(workspace: Path, archives: Sequence[Archive]) -> None:
    """The directories of a workspace that the run removed whole, as widely open as its files were."""
    removed = [item for archive in archives for item in archive.items if item.action == "remove" and item.before]
    private = not any((item.before.mode or 0) & 0o077 for item in removed if item.before)
    mode = 0o700 if private else 0o777
    if removed and not os.path.lexists(workspace) and workspace.parent.is_dir():
        workspace.mkdir(mode)
    if any("/" in item.name for item in removed) and not os.path.lexists(workspace / JOBS):
        with suppress(FileNotFoundError):
            (workspace / JOBS).mkdir(mode)


def _restore(directory: Directory, archives: Sequence[Archive], writer: RunWriter) -> int:
    steps = list(_steps(directory, archives))
    keys = [archive.key for archive in archives]
    path = writer.record(directory.path, [_inverse(step) for step in steps], undoes=keys)
    done: list[_Step] = []
    try:
        for step in steps:
            with folder_of(directory, step.item.name) as (folder, name):
                _put_back(folder, name, step, writer.id)
            done.append(step)
    except StatehealError:
        for step in reversed(done):  # all of a workspace or nothing of it
            with folder_of(directory, step.item.name) as (folder, name):
                _redo(folder, name, step, writer.id)
        raise
    writer.finish(path, [step.item.name for step in steps] or ["-"])
    if any(step.item.name == INDEX and step.item.before is None for step in steps):
        for path in (directory.path / JOBS, directory.path):  # the run had made the workspace itself
            with suppress(OSError):
                path.rmdir()
    return len(steps)


def _put_back(folder: Directory, name: str, step: _Step, tag: str) -> None:
    before = step.item.before
    if step.current is None:
        assert before is not None and step.original is not None
        owner = FileStat(0, 0, before.mode or 0, before.uid or 0, before.gid or 0, 1, 0, 0)
        create_file(folder, Target(name, b"", owner), step.original, tag, before.mtime_ns)
        return
    info, current = step.current
    if before is None:
        remove_file(folder, Target(name, current, info))
    elif step.original is None:
        cut_tail(folder, name, info, before.size, before.mtime_ns or 0)
    else:
        replace_file(folder, Target(name, current, info), step.original, tag, before.mtime_ns)


def _redo(folder: Directory, name: str, step: _Step, tag: str) -> None:
    """Make a file what it was before this undo began, because another one of its workspace could not be restored."""
    if step.current is None:
        info, restored = read_plain(folder, name)
        remove_file(folder, Target(name, restored, info))
        return
    then, current = step.current
    if step.item.before is None:
        create_file(folder, Target(name, b"", then), current, tag, then.mtime_ns)
        return
    info, restored = read_plain(folder, name)
    if step.original is None:
        append_line(folder, name, info, current[len(restored) :].decode("utf-8", "surrogateescape"))
    else:
        replace_file(folder, Target(name, restored, info), current, tag, then.mtime_ns)


def _steps(directory: Directory, archives: Sequence[Archive]) -> Iterator[_Step]:
    """The files to restore, the last written first. Raises ``Refused`` where one was changed since the run."""
    changed = list(_changed(directory, archives))
    originals: dict[tuple[Path, str], bytes] = {}
    for archive in {archive.path: archive for _, _, archive in changed}.values():
        wanted = [item for item, _, origin in changed if origin.path == archive.path and item.action in _WITH_ORIGINAL]
        originals |= {(archive.path, name): data for name, data in archive.originals(wanted).items()}
    for item, current, archive in changed:
        yield _Step(item, current, originals.get((archive.path, item.name)))


def _changed(
    directory: Directory, archives: Sequence[Archive]
) -> Iterator[tuple[Item, tuple[FileStat, bytes] | None, Archive]]:
    """What is to be put back, with what is there now, and the archive that has the original."""
    for item, archive in reversed(list(_net(archives).values())):
        current = _current(directory, item)
        now = None if current is None else sha256(current[1])
        if now == (item.before.sha256 if item.before else None):
            continue  # never written, or put back by an undo that was interrupted
        partly = current is not None and is_partly_appended(item, current[1])
        if now != (item.after.sha256 if item.after else None) and not partly:
            raise Refused(f"{item.name} has changed since that run")
        yield item, current, archive


def _current(directory: Directory, item: Item) -> tuple[FileStat, bytes] | None:
    with folder_of(directory, item.name) as (folder, name):
        try:
            folder.stat(name)
        except FileNotFoundError:
            return None
        try:
            return read_plain(folder, name)
        except Conflict as error:
            raise Refused(f"{item.name} has changed since: {error}") from error


def _net(archives: Sequence[Archive]) -> dict[str, tuple[Item, Archive]]:
    """What several archives of one workspace did in sum: from the first "before" to the last "after"."""
    net: dict[str, tuple[Item, Archive]] = {}
    for archive in archives:
        for item in archive.items:
            if item.action == "keep":
                continue
            first, origin = net.pop(item.name, (item, archive))
            if first is not item and _sha(first.after) != _sha(item.before):
                raise Refused(f"{item.name} was changed by somebody else while that run was at work")
            net[item.name] = (first._replace(after=item.after), origin)
    return net


def _sha(state: State | None) -> str | None:
    return state.sha256 if state else None


def _inverse(step: _Step) -> Item:
    name, after = step.item.name, step.item.before
    if step.current is None:
        return Item(name, "create", None, after)
    info, current = step.current
    if after is not None and step.original is None:
        return Item(name, "cut", state_of(current, info), after, step.item.line)
    action = "remove" if after is None else "replace"
    return Item(name, action, state_of(current, info, name), after, original=current)
