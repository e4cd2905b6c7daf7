"""Carry out a plan in one workspace: journal the originals, replace each file, read it back, note it in the logs.

All new files are written and synced first, then put in place one after the other, then the directories are synced.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from stateheal.commit.attributes import read_attributes
from stateheal.commit.files import Target, ensure_unchanged, named_errors, new_stat, opened, read_plain
from stateheal.commit.logs import append_line, log_state, may_append, records_beside
from stateheal.commit.manifest import PERMISSIONS, Item, State, state_of
from stateheal.commit.replacement import Replacement
from stateheal.commit.run_writer import RunWriter
from stateheal.commit.swap import Swap
from stateheal.commit.watch import MOST
from stateheal.errors import Conflict, Refused, StatehealError, WriteError
from stateheal.fs.directory import Directory, Folders
from stateheal.fs.own_names import parse_own_name
from stateheal.model.disk import INDEX, FileStat
from stateheal.model.liveness import Owner
from stateheal.model.plan import FileChange, LogLine, Plan
from stateheal.values import NamedTuple

Confirm = Callable[[tuple[Owner, ...]], "str | None"]
"""Judges owners afresh: why one of them may live after all, or ``None``."""
Stop = Callable[[], bool]
_NO_LOG_OF_OURS = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP)
LARGEST_COPY = 16 << 20
"""Bytes of a file that is kept although it does not change; of a larger one, length and digest are noted."""


def carry_out(
    plan: Plan, directory: Directory, run: RunWriter, confirm: Confirm, stop: Stop, written: list[str]
) -> bool:
    """Write what the plan says. Returns whether all was written; ``stop`` is honoured between files.

    The name of every file that was written, or may have been, is added to ``written``. Raises ``Conflict`` where a file
    or a verdict changed meanwhile, ``Refused`` where a promise would be broken, ``WriteError`` and ``JournalError``
    where the system failed. Each file is then its old self or its healed self.
    """
    _ensure_owners_can_be_kept(plan)
    run.start()
    with Folders(directory) as folders, ExitStack() as stack:
        stamp, already = time.time_ns(), len(written)
        unread: list[WriteError] = []
        logs = list(_logs(plan, folders, unread))
        with named_errors(plan.place.name):
            items = [*(_item(change, folders, stamp) for change in plan.files), *(log.item for log in logs)]
            swaps = [stack.enter_context(_swap(change, folders, run.id, stamp)) for change in plan.files]
        kept = _kept_items(plan, folders, {item.name for item in items})
        items = [*(item for item in items if not _is_leftover_of_a_run(item.name)), *kept]
        archive = run.record(directory.path, items, root=plan.place.root) if items else None
        left: list[WriteError] = []
        whole = False
        try:
            try:
                whole = _put_in_place(plan.files, swaps, folders, confirm, stop, written)
            finally:
                trouble = _sync(folders, plan.place.name) if written[already:] else []
                late = _settle(plan.files, swaps, written)
                whole = whole and not late
                left = _write_lines(logs if whole else _due(logs, written[already:]), written)
        finally:
            if left:
                run.leave_open()  # the next run finishes the lines
            elif archive is not None:
                run.finish(archive, {*written[already:]} & {item.name for item in items})
    if late or trouble or left or unread:
        raise [*late, *trouble, *left, *unread][0]
    return whole


def _put_in_place(
    changes: Sequence[FileChange],
    swaps: Sequence[Swap],
    folders: Folders,
    confirm: Confirm,
    stop: Stop,
    written: list[str],
) -> bool:
    for swap in swaps:
        swap.prepare()
    for swap in swaps:
        swap.sync()
    for number, (change, swap) in enumerate(zip(changes, swaps, strict=True)):
        if stop():
            return False
        if number >= MOST and (late := _settle([changes[number - MOST]], [swaps[number - MOST]], written)):
            raise late[0]
        _perform(change, swap, folders, confirm, written)
    return True


def _settle(changes: Sequence[FileChange], swaps: Sequence[Swap], written: list[str]) -> list[StatehealError]:
    """Look at every old file for the last time. What its writer got back has not been written."""
    late: list[StatehealError] = []
    for change, swap in zip(changes, swaps, strict=True):
        try:
            swap.settle()
        except StatehealError as error:
            late.append(error)
            if not swap.landed:
                written.remove(change.name)
        swap.close()
    return late


def _sync(folders: Folders, place: str) -> list[WriteError]:
    try:
        folders.sync()
    except OSError as error:
        return [WriteError(f"{place}: what was written may not outlast a power cut: {error.strerror or error}")]
    return []


def _perform(change: FileChange, swap: Swap, folders: Folders, confirm: Confirm, written: list[str]) -> None:
    _ensure_still_right(change, folders, confirm)
    try:
        swap.perform()
    finally:
        if swap.landed:
            written.append(change.name)


def _ensure_owners_can_be_kept(plan: Plan) -> None:
    """Before the first write: half a repair, its other half refused, would make things worse."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return
    for change in plan.files:
        if change.before is not None and change.after is not None and change.before.stat.uid != os.geteuid():
            raise Refused(f"{change.name} belongs to another user, and that owner could not be kept")


def _item(change: FileChange, folders: Folders, stamp: int) -> Item:
    age = stamp if change.mtime_ns is None else change.mtime_ns
    after = None if change.after is None else state_of(change.after, mtime_ns=age)
    if change.before is None:
        return Item(change.name, "create", None, after)
    attributes = None
    if after is None:
        folder, name = folders.of(change.name)
        with opened(folder, name) as (fd, _):
            attributes = read_attributes(fd)
    before = state_of(change.before.data, change.before.stat, change.name, attributes=attributes)
    action = "replace" if after else "remove"
    return Item(change.name, action, before, after, original=change.before.data)


def _is_leftover_of_a_run(name: str) -> bool:
    """What a run of this journal has left behind is no file of the user's: its bytes are in the journal, or nowhere."""
    own = parse_own_name(name.rpartition("/")[2])
    return own is not None and not own.of_job


def _kept_items(plan: Plan, folders: Folders, changed: set[str]) -> Iterator[Item]:
    """Copies of files that are not changed now, but that the plugin may delete once their job is in the index."""
    logs = {line.name for line in plan.logs}  # of these the line alone is noted
    for name in plan.keeps:
        if name in changed and name not in logs:
            continue  # its original is kept already
        try:
            folder, plain = folders.of(name)
            if folder.stat(plain).st_size > LARGEST_COPY:
                log = log_state(folder, plain)
                info = log.info
                state = State(log.sha256, info.size, info.mode & PERMISSIONS, info.uid, info.gid, info.mtime_ns)
                yield Item(f"kept/{name}", "keep", state, state)
                continue
            info, data = read_plain(folder, plain)
        except (OSError, StatehealError):
            continue
        state = state_of(data, info, f"kept/{name}")
        yield Item(f"kept/{name}", "keep", state, state, original=data)


def _swap(change: FileChange, folders: Folders, tag: str, stamp: int) -> Swap:
    folder, name = folders.of(change.name)
    age = stamp if change.mtime_ns is None else change.mtime_ns
    if change.before is None:
        from stateheal.commit.creation import Creation  # most repairs make no file and remove none

        new = new_stat(folder)
        new = new if change.mode is None else new._replace(mode=change.mode)
        return Creation(folder, Target(name, b"", new), change.after or b"", tag, age)
    target = Target(name, change.before.data, change.before.stat)
    if change.after is not None and not _is_leftover_of_a_run(name):
        return Replacement(folder, target, change.after, tag, age)
    from stateheal.commit.removal import Discard, Removal

    return (Discard if _is_leftover_of_a_run(name) else Removal)(folder, target, None, tag)


def _ensure_still_right(change: FileChange, folders: Folders, confirm: Confirm) -> None:
    for precondition in change.preconditions:
        with named_errors(precondition.name):
            folder, name = folders.of(precondition.name)
        ensure_unchanged(folder, Target(name, precondition.data, precondition.stat))
    alive = confirm(change.owners_to_recheck)
    if alive is not None:
        raise Conflict(alive)


# --- logs ----------------------------------------------------------------------------------------------------------


class _Log(NamedTuple):
    """A line for a log, and the log as it is before."""

    item: Item
    folder: Directory
    name: str
    info: FileStat


def _logs(plan: Plan, folders: Folders, unread: list[WriteError]) -> Iterator[_Log]:
    """What will be appended to which log. One that is no plain file of one name, or not ours, is left alone.

    One that the disk does not give keeps nobody from healing its record, but is told: it is added to ``unread``.
    """
    for line in plan.logs:
        try:
            found = _log(folders, line)
        except StatehealError:
            continue
        except OSError as error:
            if error.errno in _NO_LOG_OF_OURS:
                continue
            unread.append(WriteError(f"{line.name} cannot be read, and gets no line: {error.strerror or error}"))
            continue
        if found is not None:
            yield found


def _log(folders: Folders, line: LogLine) -> _Log | None:
    folder, name = folders.of(line.name)
    if not may_append(folder, name):
        return None
    log = log_state(folder, name)
    text = ("" if log.last == b"\n" else "\n") + line.text + "\n"
    added = text.encode("utf-8", "replace")
    before = State(log.sha256, log.info.size, mtime_ns=log.info.mtime_ns)
    after = State(log.sha256_with(added), log.info.size + len(added))
    return _Log(Item(line.name, "append", before, after, added.decode()), folder, name, log.info)


def _due(logs: Sequence[_Log], written: Sequence[str]) -> list[_Log]:
    """Of a repair that did not come to its end, the lines of jobs whose record was written."""
    return [log for log in logs if not {*written}.isdisjoint((*records_beside(log.item.name), INDEX))]


def _write_lines(logs: Sequence[_Log], written: list[str]) -> list[WriteError]:
    """Write every line that can be written; what stood in the way of the others."""
    trouble: list[WriteError] = []
    for log in logs:
        try:
            append_line(log.folder, log.name, log.info, log.item.added)
        except Conflict:
            continue  # it has gone on meanwhile: then nobody misses the line
        except WriteError as error:
            trouble.append(error)
            continue
        written.append(log.item.name)
    return trouble
