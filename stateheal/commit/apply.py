"""Carry out a plan in one workspace: journal the originals, replace each file, read it back, note it in the logs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from stateheal.commit.archive import Item, State, state_of
from stateheal.commit.atomic import (
    Target,
    append_line,
    create_file,
    ensure_unchanged,
    new_stat,
    read_plain,
    remove_file,
    replace_file,
)
from stateheal.commit.journal import RunWriter
from stateheal.errors import Conflict, Overwritten, Refused, StatehealError
from stateheal.fs.directory import Directory, folder_of
from stateheal.model.disk import JOBS, FileStat
from stateheal.model.liveness import Owner
from stateheal.model.plan import FileChange, LogLine, Plan

Confirm = Callable[[tuple[Owner, ...]], "str | None"]
"""Judges owners afresh: why one of them may live after all, or ``None``."""
Stop = Callable[[], bool]
_CHUNK = 1 << 20


def carry_out(
    plan: Plan, directory: Directory, run: RunWriter, confirm: Confirm, stop: Stop, written: list[str]
) -> bool:
    """Write what the plan says. Returns whether all was written; ``stop`` is honoured between files.

    The name of every file that was written is added to ``written``. Raises ``Conflict`` where a file or a verdict
    changed meanwhile, ``Refused`` where a promise would be broken, ``WriteError`` and ``JournalError`` where the system
    failed. Each file is then its old self or its healed self.
    """
    _ensure_owners_can_be_kept(plan)
    logs = list(_log_items(plan, directory))
    items = [_item(change) for change in plan.files]
    changed = {item.name for item in items} | {item.name for item, _ in logs}
    archive = run.record(directory.path, [*items, *(item for item, _ in logs), *_kept_items(plan, directory, changed)])
    already = len(written)
    try:
        for change in plan.files:
            if stop():
                return False
            try:
                _write(change, directory, run.id, confirm)
            except Overwritten:
                written.append(change.name)
                raise
            written.append(change.name)
        for item, info in logs:
            with folder_of(directory, item.name) as (folder, name):
                append_line(folder, name, info, item.line or "")
            written.append(item.name)
    finally:
        run.finish(archive, written[already:])
    return True


def _ensure_owners_can_be_kept(plan: Plan) -> None:
    """Before the first write: half a repair, its other half refused, would make things worse."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return
    for change in plan.files:
        if change.before is not None and change.after is not None and change.before.stat.uid != os.geteuid():
            raise Refused(f"{change.name} belongs to another user, and that owner could not be kept")


def _item(change: FileChange) -> Item:
    after = None if change.after is None else state_of(change.after)
    if change.before is None:
        return Item(change.name, "create", None, after)
    before = state_of(change.before.data, change.before.stat, change.name)
    action = "replace" if after else "remove"
    return Item(change.name, action, before, after, original=change.before.data)


def _kept_items(plan: Plan, directory: Directory, changed: set[str]) -> Iterator[Item]:
    """Copies of files that are not changed now, but that the plugin may delete once their job is in the index."""
    for name in (f"{JOBS}/{stem}{suffix}" for stem in plan.keeps for suffix in (".json", ".log")):
        if name.endswith(".json") and name in changed:
            continue  # its original is kept already
        try:
            with folder_of(directory, name) as (folder, plain):
                info, data = read_plain(folder, plain)
        except (OSError, StatehealError):
            continue
        state = state_of(data, info, f"kept/{name}")
        yield Item(f"kept/{name}", "keep", state, state, original=data)


def _write(change: FileChange, directory: Directory, tag: str, confirm: Confirm) -> None:
    for precondition in change.preconditions:
        with folder_of(directory, precondition.name) as (folder, name):
            ensure_unchanged(folder, Target(name, precondition.data, precondition.stat))
    alive = confirm(change.owners_to_recheck)
    if alive is not None:
        raise Conflict(alive)
    with folder_of(directory, change.name) as (folder, name):
        if change.before is None:
            new = new_stat(folder)
            new = new if change.mode is None else new._replace(mode=change.mode)
            create_file(folder, Target(name, b"", new), change.after or b"", tag, change.mtime_ns)
            return
        target = Target(name, change.before.data, change.before.stat)
        if change.after is None:
            remove_file(folder, target)
        else:
            replace_file(folder, target, change.after, tag, change.mtime_ns)


def _log_items(plan: Plan, directory: Directory) -> Iterator[tuple[Item, FileStat]]:
    """What will be appended to which log. A log that is no plain file of one name is left alone."""
    for line in plan.logs:
        try:
            with directory.sub(JOBS) as folder:
                found = _log_item(folder, line)
        except (OSError, StatehealError):
            continue
        if found is not None:
            yield found


def _log_item(folder: Directory, line: LogLine) -> tuple[Item, FileStat] | None:
    import hashlib

    sha, last = hashlib.sha256(), b"\n"
    with folder.regular(line.name) as (fd, info), os.fdopen(fd, "rb", closefd=False) as file:
        if info.links != 1:
            return None
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
            last = chunk[-1:]
    text = ("" if last == b"\n" else "\n") + line.text + "\n"
    before = State(sha.hexdigest(), info.size, mtime_ns=info.mtime_ns)
    sha.update(text.encode("utf-8", "replace"))
    after = State(sha.hexdigest(), info.size + len(text.encode("utf-8", "replace")))
    return Item(f"{JOBS}/{line.name}", "append", before, after, text), info
