"""What a move writes and removes, file by file: logs, job files, the index (field guide section 8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stateheal.diagnosis.view import View
from stateheal.errors import Refused
from stateheal.evidence.snapshot import read_snapshot
from stateheal.formats.jsonedit import rewrite
from stateheal.formats.jsontext import Document, Json, same, write
from stateheal.fs.directory import Directory, folder_of, open_directory
from stateheal.migrate.logs import ensure_one_name
from stateheal.migrate.merge import Merged
from stateheal.model.disk import INDEX, JOBS, Snapshot, Unreadable, job_file
from stateheal.model.plan import FileChange
from stateheal.model.report import Diff


def files_of(merged: Merged, source: View, target: View | None, directory: Directory) -> Iterator[FileChange]:
    """Logs, job files, the index: an entry never stands before what it names."""
    there = target.evidence if target is not None else None
    for ident in merged.logs:
        with directory.sub(JOBS) as jobs:
            log = read_snapshot(jobs, f"{ident}.log", f"{JOBS}/{ident}.log")
        if not isinstance(log, Snapshot):
            why = log.reason if log is not None else "has gone"
            raise Refused(f"{directory.path}/{JOBS}/{ident}.log cannot be copied: it {why}")
        before = _there(target, f"{ident}.log")
        if before is None or before.data != log.data:
            yield FileChange(log.name, before, log.data, mtime_ns=log.stat.mtime_ns, mode=log.stat.mode)
    for ident, value in merged.records.items():
        mine = source.evidence.records[ident]
        before = _there(target, f"{ident}.json")
        after = _text(mine, value)
        if before is None or not isinstance(before.document, Document) or not same(before.value, value):
            yield FileChange(job_file(ident), before, after, mode=mine.stat.mode)
    index = there.index if there is not None else None
    if index is None:
        mode = source.evidence.index.stat.mode if source.evidence.index is not None else None
        yield FileChange(INDEX, None, write(merged.index), mode=mode)
    elif not same(index.value, merged.index):
        yield change_of(INDEX, index, merged.index)


def _there(target: View | None, name: str) -> Snapshot | None:
    """What the target has under a name in its ``jobs``. Raises ``Refused`` for what is no plain file."""
    if target is None:
        return None
    try:
        with open_directory(target.evidence.place.directory / JOBS) as jobs:
            found = read_snapshot(jobs, name, f"{JOBS}/{name}")
    except FileNotFoundError:
        return None
    if isinstance(found, Unreadable):
        raise Refused(f"{target.evidence.place.directory}/{found.name} is in the way: {found.reason}")
    return found


def _text(snapshot: Snapshot, value: Json) -> bytes:
    document = snapshot.document
    return rewrite(document, value) if isinstance(document, Document) else write(value)


def change_of(name: str, before: Snapshot, value: Json) -> FileChange:
    return FileChange(name, before, _text(before, value))


def diff_of(target: Path, change: FileChange) -> Diff:
    return Diff(f"{target.name}/{change.name}", change.before.data if change.before else None, change.after)


def everything_in(directory: Directory) -> Iterator[FileChange]:
    """Every file of a workspace, to be removed; the index last. Raises ``Refused`` for what cannot be kept."""
    names = [f"{JOBS}/{name}" for name in _names(directory, JOBS)]
    names += sorted((name for name in directory.names() if name != JOBS), key=lambda name: name == INDEX)
    for name in names:
        with folder_of(directory, name) as (folder, plain):
            found = read_snapshot(folder, plain, name)
        if not isinstance(found, Snapshot):
            raise Refused(f"{directory.path}/{name} cannot be archived: {found.reason if found else 'it is gone'}")
        ensure_one_name(found.stat.links, directory.path / name)
        yield FileChange(name, found, None)


def _names(directory: Directory, name: str) -> list[str]:
    try:
        with directory.sub(name) as folder:
            return folder.names()
    except FileNotFoundError:
        return []
