"""After a run that was killed between two operations: finish what only the journal still knows of.

While a file is swapped its old self keeps a second name (``swap``). A writer that had the old file open wrote into
that. The journal knows both selves: if what stands in place is still exactly what the killed run made of it, and the
second name holds something else than it was made from, then that something is an update that would be lost, and is put
back.

A log's line is written last of all. Where the records were healed and the line is missing, it is written now.

Both go to the journal as whatever a run changes. Which run healed a record is told by its bytes *and* its age, which a
run gives to the nanosecond: heals are deterministic, so that every interrupted one would have made the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from stateheal.commit.archive import Archive
from stateheal.commit.files import named_errors, read_plain
from stateheal.commit.journal import Journal
from stateheal.commit.logs import append_line, log_state, may_append, records_beside, tail_after
from stateheal.commit.manifest import Item, State, state_of
from stateheal.commit.run_writer import RunWriter
from stateheal.commit.swap import SECOND_SUFFIX
from stateheal.errors import Conflict
from stateheal.fs.directory import Directory, Folders, file_stat, own_name, parse_own_name
from stateheal.model.disk import INDEX, JOBS, FileStat
from stateheal.values import NamedTuple

_SECOND = 10**9
_FINE = 1000
"""Nanoseconds that a file system may leave out of an age."""


def resume_interrupted(
    directory: Directory, journal: Journal, writer: RunWriter, interrupted: Iterable[Archive]
) -> None:
    """Do both in one workspace, under its lock. What is overwritten goes to the journal first.

    ``interrupted``: the archives that had no end when this run began; another run may have finished its own since.
    Raises ``JournalError`` or ``WriteError``.
    """
    with named_errors(directory.path.name), Folders(directory) as folders:
        for second, run in _second_names(directory):
            for item in journal.changes(run, directory.path):
                head, _, name = item.name.rpartition("/")
                if f"{head}/{own_name(run, name, SECOND_SUFFIX)}".lstrip("/") == second and item.before:
                    _put_back(folders, second, item, writer)
        mine = [each for each in interrupted if each.workspace == directory.path and not each.undoes]
        for archive in mine:
            if not archive.complete:
                _finish_lines(folders, archive, journal, writer)


# --- an update in a second name ------------------------------------------------------------------------------------


def _second_names_in(folder: Directory, prefix: str) -> Iterator[tuple[str, str]]:
    """Second names that a run has left in a directory, each relative to the workspace, and the run."""
    for name in folder.names():
        own = parse_own_name(name)
        if own is not None and own.suffix == SECOND_SUFFIX and not own.of_job:
            yield prefix + name, own.run


def _second_names(directory: Directory) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for folder, prefix in _folders(directory):
        with suppress(OSError):
            found += _second_names_in(folder, prefix)
    return found


def _folders(directory: Directory) -> Iterator[tuple[Directory, str]]:
    """Every directory that a run writes in, and what its names begin with: some companions keep one for each job, and
    some keep their locks in one."""
    yield directory, ""
    for name in _directories_in(directory):
        with suppress(OSError), directory.sub(name) as folder:
            yield folder, f"{name}/"
            for inner in _directories_in(folder) if name == JOBS else ():
                with folder.sub(inner) as deeper:
                    yield deeper, f"{name}/{inner}/"


def _directories_in(folder: Directory) -> list[str]:
    return [name for name, is_directory in folder.listing().items() if is_directory]


def _put_back(folders: Folders, second: str, item: Item, writer: RunWriter) -> None:
    assert item.before is not None
    folder, name = folders.of(item.name)
    second_name = second.rpartition("/")[2]
    try:
        info, update = read_plain(folder, second_name)
        place = _in_place(folder, name)
    except Conflict:
        return
    if state_of(update).sha256 == item.before.sha256:
        return
    if place is None:
        if item.after is not None:
            return
        archive = writer.record(folders.of("")[0].path, [Item(item.name, "create", None, state_of(update, info))])
        folder.link(second_name, name)
        folder.unlink(second_name)
    else:
        then, current = place
        if item.after is None or state_of(current).sha256 != item.after.sha256:
            return
        before = state_of(current, then, item.name)
        change = Item(item.name, "replace", before, state_of(update), original=current)
        archive = writer.record(folders.of("")[0].path, [change])
        folder.replace(second_name, name)
    folder.sync()
    writer.finish(archive, [item.name])


def _in_place(folder: Directory, name: str) -> tuple[FileStat, bytes] | None:
    try:
        folder.stat(name)
    except FileNotFoundError:
        return None
    return read_plain(folder, name)


# --- missing lines -------------------------------------------------------------------------------------------------


class _Rest(NamedTuple):
    """What a log lacks of the line that an interrupted run had for it."""

    name: str
    info: FileStat
    bytes: bytes
    mtime_ns: int
    """The age that it had before that run."""


def _finish_lines(folders: Folders, archive: Archive, journal: Journal, writer: RunWriter) -> None:
    items = archive.planned
    rests = [rest for item in items if item.action == "append" if (rest := _rest(folders, item, items)) is not None]
    if not rests or archive.key in journal.taken_back():
        return
    planned = [_appended(folders, rest) for rest in rests]
    path = writer.record(archive.workspace, planned, root=archive.root)
    written = []
    try:
        for rest in rests:
            folder, name = folders.of(rest.name)
            with suppress(Conflict):
                append_line(folder, name, rest.info, rest.bytes, rest.mtime_ns)
                written.append(rest.name)
    finally:
        writer.finish(path, written)


def _rest(folders: Folders, item: Item, items: Sequence[Item]) -> _Rest | None:
    """What a log lacks, where its job's record is the one that this very run wrote."""
    healed = {each.name: each for each in items if each.action in ("replace", "create")}
    beside = (*records_beside(item.name), INDEX)
    record = next((healed[name] for name in beside if name in healed), None)
    if record is None or item.before is None or not _is_its_work(folders, record):
        return None
    try:
        folder, name = folders.of(item.name)
        if not may_append(folder, name):
            return None
        info, tail = tail_after(folder, name, item.before.size, item.before.sha256)
    except OSError:
        return None
    age = item.before.mtime_ns if item.before.mtime_ns is not None else info.mtime_ns
    if tail is None or not item.added.startswith(tail):
        return None  # it has moved on: then the line is not missed
    if tail == item.added:
        if info.mtime_ns != age:
            folder.set_mtime(name, age)
        return None
    return _Rest(item.name, info, item.added[len(tail) :], age)


def _is_its_work(folders: Folders, record: Item) -> bool:
    """Whether what stands under a record's name is what the run made: the bytes, and the age where it noted one."""
    if record.after is None:
        return False
    try:
        folder, name = folders.of(record.name)
        info, data = read_plain(folder, name)
    except (Conflict, OSError):
        return False
    return state_of(data).sha256 == record.after.sha256 and is_age(info.mtime_ns, record.after.mtime_ns)


def is_age(found: int, noted: int | None) -> bool:
    """Whether a file's age is the noted one, as finely as its file system keeps ages."""
    if noted is None:
        return True
    return 0 <= noted - found < (2 * _SECOND if found % _SECOND == 0 else _FINE)


def _appended(folders: Folders, rest: _Rest) -> Item:
    folder, name = folders.of(rest.name)
    log = log_state(folder, name)
    before = State(log.sha256, log.info.size, mtime_ns=rest.mtime_ns)
    after = State(log.sha256_with(rest.bytes), log.info.size + len(rest.bytes))
    return Item(rest.name, "append", before, after, rest.bytes.decode("utf-8", "surrogateescape"))


# --- what is left lying about --------------------------------------------------------------------------------------


def remove_leftovers(directory: Directory, journal: Journal) -> None:
    """Remove what killed runs of this journal have left in a workspace, under its lock.

    A second name only where the journal holds those very bytes as what its file was, or where it is but another name of
    what stands in place. Nothing is raised for what cannot be removed.
    """
    runs = journal.run_ids()
    with suppress(OSError):
        for folder, prefix in _folders(directory):
            _remove_leftovers(folder, prefix, directory, journal, runs)


def remove_emptied(directory: Directory, journal: Journal) -> None:
    """A workspace whose files are gone goes itself, and before it what would not be removed at the first try.

    Without its index nobody would find it again. Nothing is raised for what stays.
    """
    remove_leftovers(directory, journal)
    for path in (directory.path / JOBS, directory.path):
        with suppress(OSError):
            path.rmdir()


def _remove_leftovers(
    folder: Directory, prefix: str, directory: Directory, journal: Journal, runs: frozenset[str]
) -> None:
    for name in folder.names():
        own = parse_own_name(name)
        if own is None or own.run not in runs:
            continue
        if own.suffix != SECOND_SUFFIX or _is_needless(folder, name, prefix, own.run, directory, journal):
            with suppress(OSError):
                folder.ensure_regular(name)
                folder.unlink(name)


def _is_needless(folder: Directory, second: str, prefix: str, run: str, directory: Directory, journal: Journal) -> bool:
    for item in journal.changes(run, directory.path):
        head, _, name = item.name.rpartition("/")
        if (f"{head}/" if head else "") != prefix or own_name(run, name, SECOND_SUFFIX) != second:
            continue
        with suppress(Conflict, OSError):
            info, data = read_plain(folder, second)
            if item.before is not None and state_of(data).sha256 == item.before.sha256:
                return True
            return file_stat(folder.stat(name)).inode == info.inode
    return False
