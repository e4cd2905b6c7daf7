"""What a killed run has left undone: an update in a file's second name, a log without its line (``resume``).

Imported where a run was killed: whatever it does goes to the journal first, as whatever a run changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from stateheal.commit.archive import Archive
from stateheal.commit.files import read_plain
from stateheal.commit.journal import Journal
from stateheal.commit.logs import append_line, log_state, may_append, records_beside, tail_after
from stateheal.commit.manifest import Item, State, state_of
from stateheal.commit.run_writer import RunWriter
from stateheal.errors import Conflict
from stateheal.fs.directory import Directory, Folders
from stateheal.model.disk import INDEX, FileStat
from stateheal.values import NamedTuple

_SECOND = 10**9
_FINE = 1000
"""Nanoseconds that a file system may leave out of an age."""


def put_back(folders: Folders, second: str, item: Item, writer: RunWriter) -> None:
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


class _Rest(NamedTuple):
    """What a log lacks of the line that an interrupted run had for it."""

    name: str
    info: FileStat
    bytes: bytes
    mtime_ns: int
    """The age that it had before that run."""


def finish_lines(folders: Folders, archive: Archive, journal: Journal, writer: RunWriter) -> None:
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
