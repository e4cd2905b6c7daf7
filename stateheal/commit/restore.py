"""One workspace as it was before a run: all of it, or nothing (DESIGN.md promise 2).

Everything that is to be put back is written beside its place first. Only then are files swapped, each old one keeping a
second name to the end; where one of them cannot be swapped, the others are swapped back. Should that fail too, the undo
stays open in the journal, and the next one finishes it.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from stateheal.commit.archive import Archive
from stateheal.commit.creation import Creation
from stateheal.commit.files import Target, named_errors, read_plain
from stateheal.commit.journal import Journal
from stateheal.commit.leftovers import remove_emptied, remove_leftovers
from stateheal.commit.logs import Cut, tail_after
from stateheal.commit.manifest import Item, State, attributes_of, state_of
from stateheal.commit.removal import Removal
from stateheal.commit.replacement import Replacement
from stateheal.commit.run_writer import RunWriter
from stateheal.commit.swap import Swap
from stateheal.commit.watch import MOST
from stateheal.digests import sha256
from stateheal.errors import Conflict, Refused, StatehealError, WriteError
from stateheal.fs.directory import Directory, Folders
from stateheal.model.disk import INDEX, FileStat
from stateheal.values import NamedTuple

_WITH_ORIGINAL = ("replace", "remove")
"""What was done to files whose bytes the archive holds for putting back."""


def changes_of(archive: Archive) -> Iterator[Item]:
    """What an archive changed: not what it only keeps a copy of."""
    return (item for item in archive.items if item.action != "keep")


def remove_empty(paths: Sequence[Path]) -> None:
    """Remove directories that hold nothing, the last one first."""
    for path in reversed(paths):
        with suppress(OSError):
            path.rmdir()


class Current(NamedTuple):
    """What stands under a name now. Of a log that a line was appended to, not the bytes but what is behind the old."""

    info: FileStat
    data: bytes


class Step(NamedTuple):
    """One file that stands as the run left it, and what it was."""

    item: Item
    current: Current | None
    """``None`` where the run removed it."""
    original: bytes | None
    """``None`` where there was none, or where a line is to be cut off."""


def restore(directory: Directory, archives: Sequence[Archive], journal: Journal, writer: RunWriter) -> int:
    """Put every file back, or leave all as they are; what cannot be decided the next undo finishes.

    Only when nothing is left lying about is the undo at its end: killed before, the next one cleans up.
    """
    with Folders(directory) as folders, ExitStack() as stack:
        with named_errors(directory.path.name):
            steps = list(steps_of(folders, archives))
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
        stack.close()
        if any(item.name == INDEX and item.before is None for each in archives for item in changes_of(each)):
            remove_emptied(directory, journal)  # the run had made the workspace itself
        else:
            remove_leftovers(directory, journal)
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
        for number, work in enumerate(works):
            if number >= MOST:
                _settle(works[number - MOST])
            work.perform()
        for work in works:
            _settle(work)
    except BaseException:
        for work in reversed(works):
            with suppress(StatehealError):
                work.revert()
        raise


def _settle(work: Swap | Cut) -> None:
    if isinstance(work, Swap):
        work.settle()


def _work(folders: Folders, step: Step, tag: str, stack: ExitStack) -> Swap | Cut:
    with named_errors(step.item.name):
        folder, name = folders.of(step.item.name)
    before = step.item.before
    if step.current is not None and before is not None and step.original is None:
        return Cut(folder, name, step.current.info, before.size, before.mtime_ns or 0)
    return stack.enter_context(_swap(folder, name, step, tag))


def _swap(folder: Directory, name: str, step: Step, tag: str) -> Swap:
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


class Chain(NamedTuple):
    """What the archives of one workspace did to one file in sum, and which states it may have been left in."""

    item: Item
    origin: Archive
    """Where its original is."""
    left_as: tuple[str | None, ...]
    """Digests: the last of a run that came to its end; of an interrupted one any that it may have got to."""


def steps_of(folders: Folders, archives: Sequence[Archive]) -> Iterator[Step]:
    """The files to restore, the last written first. Raises ``Refused`` where one was changed since the run."""
    changed = list(changed_in(folders, reversed(list(chains_of(archives).values()))))
    originals: dict[tuple[Path, str], bytes] = {}
    for archive in {chain.origin.path: chain.origin for chain, _ in changed}.values():
        wanted = [chain.item for chain, _ in changed if chain.origin.path == archive.path and _needs_original(chain)]
        originals |= {(archive.path, name): data for name, data in archive.originals(wanted).items()}
    for chain, current in changed:
        yield Step(chain.item, current, originals.get((chain.origin.path, chain.item.name)))


def _needs_original(chain: Chain) -> bool:
    return chain.item.action in _WITH_ORIGINAL


def changed_in(folders: Folders, chains: Iterable[Chain]) -> Iterator[tuple[Chain, Current | None]]:
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
    """Where a file is; nowhere, where its directory has gone and it was the run that had made or removed it."""
    try:
        return folders.of(item.name)
    except FileNotFoundError:
        if item.before is None or item.action == "remove":
            return None, item.name
        raise


def _appended(folder: Directory, name: str, item: Item) -> Current | None:
    """What stands behind a log's old end; ``None`` for nothing. Raises ``Refused`` where it is not our line."""
    assert item.before is not None
    try:
        info, tail = tail_after(folder, name, item.before.size, item.before.sha256)
    except OSError as error:
        raise Refused(f"{item.name} has changed since: {error.strerror or error}") from error
    if tail is None or not item.added.startswith(tail):
        raise Refused(f"{item.name} has changed since that run")
    return Current(info, tail) if tail else None


def _current(folder: Directory, name: str, item: Item, left_as: Collection[str | None]) -> Current | None:
    sizes = {state.size for state in (item.before, item.after) if state is not None}
    try:
        info = folder.stat(name)
    except FileNotFoundError:
        return None
    if len(left_as) == 1 and stat.S_ISREG(info.st_mode) and info.st_size not in sizes:
        raise Refused(f"{item.name} has changed since that run")  # whatever its length, it is not read
    try:
        return Current(*read_plain(folder, name))
    except Conflict as error:
        raise Refused(f"{item.name} has changed since: {error}") from error


def chains_of(archives: Sequence[Archive]) -> dict[str, Chain]:
    """What several archives of one workspace did in sum: from the first "before" to the last "after"."""
    found: dict[str, Chain] = {}
    for archive in archives:
        for item in changes_of(archive):
            known = found.pop(item.name, None)
            found[item.name] = (
                Chain(item, archive, (_sha(item.after),)) if known is None else _longer(known, item, archive)
            )
    return found


def _longer(chain: Chain, item: Item, archive: Archive) -> Chain:
    first = chain.item
    if _sha(first.after) != _sha(item.before) and (archive.complete or _sha(first.before) != _sha(item.before)):
        raise Refused(f"{item.name} was changed by somebody else while that run was at work")
    line = (first.line or "") + (item.line or "") if first.action == item.action == "append" else first.line
    left_as = (_sha(item.after),) if archive.complete else (*chain.left_as, _sha(item.after))
    return chain._replace(item=first._replace(after=item.after, line=line), left_as=left_as)


def _sha(state: State | None) -> str | None:
    return state.sha256 if state else None


def _inverse(step: Step) -> Item:
    name, after = step.item.name, step.item.before
    if step.current is None:
        return Item(name, "create", None, after)
    info, current = step.current
    if after is not None and step.original is None:
        whole = State(step.item.after.sha256 if step.item.after else after.sha256, info.size, mtime_ns=info.mtime_ns)
        return Item(name, "cut", whole, after, step.item.line)
    action = "remove" if after is None else "replace"
    return Item(name, action, state_of(current, info, name), after, original=current)
