"""Put back the bytes of a run: all of a workspace, or nothing of it (DESIGN.md promise 2).

Everything that is to be put back is written beside its place first. Only then are files swapped, each old one keeping a
second name to the end; where one of them cannot be swapped, the others are swapped back. Should that fail too, the undo
stays open in the journal, and the next one finishes it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from stateheal.commit.archive import Archive
from stateheal.commit.files import Target, named_errors, read_plain
from stateheal.commit.journal import Journal, Run, RunWriter, is_later, run_number
from stateheal.commit.lock import WAIT, workspace_lock
from stateheal.commit.logs import Cut, tail_after
from stateheal.commit.manifest import Item, State, attributes_of, state_of
from stateheal.commit.resume import remove_leftovers
from stateheal.commit.swap import Creation, Removal, Replacement, Swap
from stateheal.errors import Conflict, DamagedArchive, JournalError, Refused, StatehealError, UsageError, WriteError
from stateheal.formats.digest import sha256
from stateheal.fs.directory import TEMP_PREFIX, Directory, Folders, open_directory
from stateheal.model.disk import INDEX, JOBS, FileStat
from stateheal.model.report import Diff, Restored

_WITH_ORIGINAL = ("replace", "remove")
"""What was done to files whose bytes the archive holds for putting back."""
_STATE_NAME = re.compile(r"(?s)(?:.*-)?[0-9a-f]{12}(?:[0-9a-f]{4})?")
"""Of a directory that keeps the state of a workspace (field guide sections 1 and 11)."""


class _Current(NamedTuple):
    """What stands under a name now. Of a log that a line was appended to, not the bytes but what is behind the old."""

    info: FileStat
    data: bytes


class _Step(NamedTuple):
    """One file that stands as the run left it, and what it was."""

    item: Item
    current: _Current | None
    """``None`` where the run removed it."""
    original: bytes | None
    """``None`` where there was none, or where a line is to be cut off."""


def find_run(journal: Journal, run: str | None) -> Run | None:
    """The run of that id, of that number, or of an unambiguous beginning; for ``None`` the latest that was not undone.

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
        if latest is None:
            return None
        return latest
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
        chains = list(_chains(archives).values())
        with open_directory(workspace) as directory, Folders(directory) as folders:
            for chain in chains:
                try:
                    list(_changed(folders, [chain]))
                except (StatehealError, OSError):
                    yield chain.item.name


def _diffs(workspace: Path, archives: Sequence[Archive]) -> Iterator[Diff]:
    if not os.path.lexists(workspace):  # the run removed it whole, or had made it
        removed = [(archive, item) for archive in archives for item in _changes_of(archive) if item.action == "remove"]
        for archive, item in removed:
            yield Diff(f"{workspace.name}/{item.name}", None, archive.originals([item])[item.name])
        return
    with open_directory(workspace) as directory, Folders(directory) as folders:
        for step in _steps(folders, archives):
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
    if not os.path.lexists(workspace) and all(item.before is None for each in archives for item in _changes_of(each)):
        # The run had made all there was, and nothing of it is left.
        writer.finish(writer.record(workspace, [], [each.key for each in archives], archives[0].root), ["-"])
        return 0
    made = _make_room(workspace, archives)
    try:
        with open_directory(workspace) as directory, workspace_lock(directory, journal.path, wait):
            files = _restore(directory, archives, writer)
            remove_leftovers(directory, journal)
    except BaseException:
        _remove_empty(made)
        raise
    if any(item.name == INDEX and item.before is None for each in archives for item in _changes_of(each)):
        _remove_empty([workspace, workspace / JOBS])  # the run had made the workspace itself
    return files


def _changes_of(archive: Archive) -> Iterator[Item]:
    return (item for item in archive.items if item.action != "keep")


def _make_room(workspace: Path, archives: Sequence[Archive]) -> list[Path]:
    """The directories of a workspace that the run removed whole, as widely open as its files were."""
    removed = [item for archive in archives for item in archive.items if item.action == "remove" and item.before]
    private = not any((item.before.mode or 0) & 0o077 for item in removed if item.before)
    mode = 0o700 if private else 0o777
    made: list[Path] = []
    if removed and not os.path.lexists(workspace) and workspace.parent.is_dir():
        workspace.mkdir(mode)
        made.append(workspace)
    if any("/" in item.name for item in removed) and not os.path.lexists(workspace / JOBS):
        with suppress(FileNotFoundError):
            (workspace / JOBS).mkdir(mode)
            made.append(workspace / JOBS)
    return made


def _remove_empty(paths: Sequence[Path]) -> None:
    for path in reversed(paths):
        with suppress(OSError):
            path.rmdir()


def _restore(directory: Directory, archives: Sequence[Archive], writer: RunWriter) -> int:
    """Put every file back, or leave all as they are; what cannot be decided the next undo finishes."""
    with Folders(directory) as folders, ExitStack() as stack:
        with named_errors(directory.path.name):
            steps = list(_steps(folders, archives))
            items = [_inverse(step) for step in steps]
        writer.start()
        works = [_work(folders, step, writer.id, stack) for step in steps]
        keys = [archive.key for archive in archives]
        path = writer.record(directory.path, items, undoes=keys, root=archives[0].root)
        try:
            _prepare(works)
        except BaseException:
            writer.finish(path, [])
            raise
        try:
            _all_or_nothing(works)
        except BaseException:
            writer.leave_open()
            raise
        try:
            folders.sync()
        except OSError as error:
            writer.leave_open()
            raise WriteError(f"what was put back may not outlast a power cut: {error.strerror or error}") from error
        writer.finish(path, [step.item.name for step in steps] or ["-"])
    return len(steps)


def _prepare(works: Sequence[Swap | Cut]) -> None:
    for work in works:
        work.prepare()
    for work in works:
        if isinstance(work, Swap):
            work.sync()


def _all_or_nothing(works: Sequence[Swap | Cut]) -> None:
    try:
        for work in works:
            work.perform()
    except BaseException:
        for work in reversed(works):
            with suppress(StatehealError):
                work.revert()
        raise


def _work(folders: Folders, step: _Step, tag: str, stack: ExitStack) -> Swap | Cut:
    with named_errors(step.item.name):
        folder, name = folders.of(step.item.name)
    before = step.item.before
    if step.current is not None and before is not None and step.original is None:
        return Cut(folder, name, step.current.info, before.size, before.mtime_ns or 0)
    return stack.enter_context(_swap(folder, name, step, tag))


def _swap(folder: Directory, name: str, step: _Step, tag: str) -> Swap:
    before = step.item.before
    if step.current is None:
        assert before is not None and step.original is not None
        owner = FileStat(0, 0, before.mode or 0, before.uid or 0, before.gid or 0, 1, 0, 0)
        target = Target(name, b"", owner)
        return Creation(folder, target, step.original, tag, before.mtime_ns, attributes_of(before))
    target = Target(name, step.current.data, step.current.info)
    if before is None:
        return Removal(folder, target, None, tag)
    assert step.original is not None
    return Replacement(folder, target, step.original, tag, before.mtime_ns)


# --- what is to be put back ----------------------------------------------------------------------------------------


class _Chain(NamedTuple):
    """What the archives of one workspace did to one file in sum, and which states it may have been left in."""

    item: Item
    origin: Archive
    """Where its original is."""
    left_as: tuple[str | None, ...]
    """Digests: the last of a run that came to its end; of an interrupted one any that it may have got to."""


def _steps(folders: Folders, archives: Sequence[Archive]) -> Iterator[_Step]:
    """The files to restore, the last written first. Raises ``Refused`` where one was changed since the run."""
    changed = list(_changed(folders, reversed(list(_chains(archives).values()))))
    originals: dict[tuple[Path, str], bytes] = {}
    for archive in {chain.origin.path: chain.origin for chain, _ in changed}.values():
        wanted = [chain.item for chain, _ in changed if chain.origin.path == archive.path and _needs_original(chain)]
        originals |= {(archive.path, name): data for name, data in archive.originals(wanted).items()}
    for chain, current in changed:
        yield _Step(chain.item, current, originals.get((chain.origin.path, chain.item.name)))


def _needs_original(chain: _Chain) -> bool:
    return chain.item.action in _WITH_ORIGINAL


def _changed(folders: Folders, chains: Iterable[_Chain]) -> Iterator[tuple[_Chain, _Current | None]]:
    """What is to be put back, with what is there now. Raises ``Refused`` for a file that was changed since the run."""
    for chain in chains:
        item = chain.item
        folder, name = _folder(folders, item)
        if folder is None:
            current = None
        elif item.action == "append":
            found = _appended(folder, name, item)
            if found is None:
                continue
            yield chain, found
            continue
        else:
            current = _current(folder, name, item, chain.left_as)
        now = None if current is None else sha256(current.data)
        if now == (item.before.sha256 if item.before else None):
            continue  # never written, or put back by an undo that was interrupted
        if now not in chain.left_as:
            raise Refused(f"{item.name} has changed since that run")
        yield chain, current


def _folder(folders: Folders, item: Item) -> tuple[Directory | None, str]:
    """Where a file is; nowhere, where its directory has gone and it was the run that had made it."""
    try:
        return folders.of(item.name)
    except FileNotFoundError:
        if item.before is None:
            return None, item.name
        raise


def _appended(folder: Directory, name: str, item: Item) -> _Current | None:
    """What stands behind a log's old end; ``None`` for nothing. Raises ``Refused`` where it is not our line."""
    assert item.before is not None
    try:
        info, tail = tail_after(folder, name, item.before.size, item.before.sha256)
    except OSError as error:
        raise Refused(f"{item.name} has changed since: {error.strerror or error}") from error
    if tail is None or not item.added.startswith(tail):
        raise Refused(f"{item.name} has changed since that run")
    return _Current(info, tail) if tail else None


def _current(folder: Directory, name: str, item: Item, left_as: Collection[str | None]) -> _Current | None:
    sizes = {state.size for state in (item.before, item.after) if state is not None}
    try:
        info = folder.stat(name)
    except FileNotFoundError:
        return None
    if len(left_as) == 1 and stat.S_ISREG(info.st_mode) and info.st_size not in sizes:
        raise Refused(f"{item.name} has changed since that run")  # whatever its length, it is not read
    try:
        return _Current(*read_plain(folder, name))
    except Conflict as error:
        raise Refused(f"{item.name} has changed since: {error}") from error


def _chains(archives: Sequence[Archive]) -> dict[str, _Chain]:
    """What several archives of one workspace did in sum: from the first "before" to the last "after"."""
    found: dict[str, _Chain] = {}
    for archive in archives:
        for item in _changes_of(archive):
            known = found.pop(item.name, None)
            found[item.name] = (
                _Chain(item, archive, (_sha(item.after),)) if known is None else _longer(known, item, archive)
            )
    return found


def _longer(chain: _Chain, item: Item, archive: Archive) -> _Chain:
    first = chain.item
    if _sha(first.after) != _sha(item.before) and (archive.complete or _sha(first.before) != _sha(item.before)):
        raise Refused(f"{item.name} was changed by somebody else while that run was at work")
    line = (first.line or "") + (item.line or "") if first.action == item.action == "append" else first.line
    left_as = (_sha(item.after),) if archive.complete else (*chain.left_as, _sha(item.after))
    return chain._replace(item=first._replace(after=item.after, line=line), left_as=left_as)


def _sha(state: State | None) -> str | None:
    return state.sha256 if state else None


def _inverse(step: _Step) -> Item:
    name, after = step.item.name, step.item.before
    if step.current is None:
        return Item(name, "create", None, after)
    info, current = step.current
    if after is not None and step.original is None:
        whole = State(step.item.after.sha256 if step.item.after else after.sha256, info.size, mtime_ns=info.mtime_ns)
        return Item(name, "cut", whole, after, step.item.line)
    action = "remove" if after is None else "replace"
    return Item(name, action, state_of(current, info, name), after, original=current)
