"""Writing one job's two records and its log, beside a live plugin that takes no lock.

The discipline is a heal's (field guide section 6): the workspace lock between stateheals, each file replaced only if it
is still what was read, under a read lease where the system has one. A file that changed meanwhile is read again and the
job's own fields are merged into what it says now; nothing of anybody else is touched, and no file is ever removed.
"""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from stateheal.commit.atomic import create_file, replace_file
from stateheal.commit.files import Target, new_stat, read_plain
from stateheal.commit.lock import workspace_lock
from stateheal.errors import Busy, Conflict, Refused, StatehealError, WriteError
from stateheal.formats.jsonedit import rewrite
from stateheal.formats.jsontext import Document, Json, parse, same, write
from stateheal.formats.times import format_time
from stateheal.fs.directory import Directory, open_directory
from stateheal.model.disk import INDEX, JOBS, NEW_INDEX
from stateheal.model.records import entries_of, is_active
from stateheal.runner.record import Ending, first_entry
from stateheal.system.disk import write_all

PATIENCE = 5.0
"""Seconds to go on trying beside writers that write without pause."""
_LONGEST_PAUSE = 0.05
_ON_ITS_WAY = 0.5
"""Seconds in which a file that is being written must become whole."""

Edit = Callable[[Json], Json]
"""From what a file says (``None``: no such file) to what it is to say. Raises ``_NotOurs`` where others closed it."""


class _NotOurs(Exception):
    """Somebody else has ended or removed the job: it is not brought back."""


class JobStore:
    """The files of one job. Every method raises ``StatehealError`` where the system does not let it write."""

    def __init__(self, directory: Path, ident: str) -> None:
        self.directory = directory
        self.id = ident
        self.log_path = directory / JOBS / f"{ident}.log"

    def begin(self, record: Mapping[str, Json]) -> StatehealError | None:
        """Log, job file, index entry: the plugin's own order. Returns why the index could not take the entry.

        A job without entry is tracked all the same: a heal adds it from its job file.
        """
        with _named_errors(self.directory):
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            _make_private(self.directory)
            (self.directory / JOBS).mkdir(exist_ok=True)
            fd = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            os.close(fd)
        self.log(f"Starting {record.get('title')}.")
        with self._locked(PATIENCE) as workspace:
            with workspace.sub(JOBS) as jobs:
                _edit(jobs, f"{self.id}.json", self.id, lambda _: dict(record), PATIENCE)
            try:
                _edit(workspace, INDEX, self.id, lambda index: _with_entry(index, first_entry(record)), PATIENCE)
            except (StatehealError, OSError) as error:
                return _as_ours(error, self.directory)
        return None

    def progress(self, fields: Mapping[str, Json], now: float) -> bool:
        """New fields for the entry, then for the job file. Returns whether the job is still this runner's to change."""
        with self._locked(PATIENCE) as workspace:
            stamped = {**fields, "updatedAt": format_time(now)}
            ours = _edit(workspace, INDEX, self.id, lambda index: _patched_entry(index, self.id, stamped), PATIENCE)
            with workspace.sub(JOBS) as jobs:
                return _edit(jobs, f"{self.id}.json", self.id, lambda r: _patched(r, fields), PATIENCE) and ours

    def end(self, ending: Ending, now: float, patience: float = PATIENCE) -> bool:
        """Close the job file, then the entry: each only if it is there and still active. Returns whether it was ours.

        The second record is closed even where the first cannot be; the first trouble is raised at the end.
        """
        in_file = {**ending.both, **ending.file_only}
        in_entry = {**ending.both, **ending.entry_only, "updatedAt": format_time(now)}
        with self._locked(patience) as workspace:
            problem: StatehealError | None = None
            closed = False
            try:
                with workspace.sub(JOBS) as jobs:
                    closed = _edit(jobs, f"{self.id}.json", self.id, lambda r: _patched(r, in_file), patience)
            except (StatehealError, OSError) as error:
                problem = _as_ours(error, self.directory)
            closed &= _edit(workspace, INDEX, self.id, lambda index: _patched_entry(index, self.id, in_entry), patience)
            if problem is not None:
                raise problem
        return closed

    def log(self, text: str) -> None:
        """One line with the time, as the plugin logs it. A log that was removed is not made again."""
        if text.strip():
            self.log_bytes(f"[{format_time(time.time())}] {text.strip()}\n".encode("utf-8", "replace"))

    def log_block(self, title: str, body: str) -> None:
        """A titled block, as the plugin logs longer texts."""
        if body.strip():
            text = f"\n[{format_time(time.time())}] {title}\n{body.rstrip()}\n"
            self.log_bytes(text.encode("utf-8", "replace"))

    def log_bytes(self, data: bytes) -> None:
        """Bytes as they are."""
        with _named_errors(self.log_path), open_directory(self.log_path.parent) as jobs:
            try:
                with jobs.regular(self.log_path.name, os.O_WRONLY | os.O_APPEND) as (fd, _):
                    write_all(fd, data)
            except FileNotFoundError:
                return

    @contextmanager
    def _locked(self, patience: float) -> Iterator[Directory]:
        """The workspace, held if that is possible in time: comparing before replacing protects what a lock does not."""
        with _named_errors(self.directory), open_directory(self.directory) as workspace, ExitStack() as stack:
            with suppress(Busy):
                stack.enter_context(workspace_lock(workspace, patience))
            yield workspace


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _as_ours(error, path) from error


def _as_ours(error: StatehealError | OSError, path: Path) -> StatehealError:
    if isinstance(error, StatehealError):
        return error
    return WriteError(f"{error.filename or path}: {error.strerror or error}")


def _make_private(path: Path) -> None:
    """The workspace's directory, for this user alone where it is new. Somebody else's is not written into."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        info = path.lstat()
        if not stat.S_ISDIR(info.st_mode):
            raise Refused(f"{path} is not a directory") from None
        if hasattr(os, "geteuid") and info.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
            raise Refused(f"{path} belongs to another user") from None


# --- editing one file ----------------------------------------------------------------------------------------------


class _Torn(Conflict):
    """The file is no JSON document: on its way, or damaged."""


def _edit(folder: Directory, name: str, tag: str, edit: Edit, patience: float) -> bool:
    """Make a file say what ``edit`` says. Returns whether it is still this job's to edit.

    Read, edit, replace; anew as long as somebody else gets in between. What was written and then overwritten by
    somebody who had read the older state is written again, since the file is read again.
    """
    begun = time.monotonic()
    pause = 0.001
    while True:
        try:
            return _edit_once(folder, name, tag, edit)
        except Conflict as error:
            allowed = min(patience, _ON_ITS_WAY) if isinstance(error, _Torn) else patience
            if time.monotonic() - begun > allowed:
                raise
        time.sleep(random.uniform(0, pause))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _edit_once(folder: Directory, name: str, tag: str, edit: Edit) -> bool:
    target = _read(folder, name)
    document = Document(b"", None) if target is None else parse(target.data)
    if not isinstance(document, Document):
        raise _Torn(f"{name} cannot be read: {document.reason}; 'stateheal heal' repairs it")
    try:
        after = edit(document.value)
    except _NotOurs:
        return False
    if same(after, document.value):
        return True
    if target is None:
        create_file(folder, Target(name, b"", new_stat(folder)), write(after), tag)
    else:
        replace_file(folder, target, rewrite(document, after), tag)
    return True


def _read(folder: Directory, name: str) -> Target | None:
    try:
        folder.stat(name)
    except FileNotFoundError:
        return None
    info, data = read_plain(folder, name)
    return Target(name, data, info)


def _patched(record: Json, fields: Mapping[str, Json]) -> Json:
    """An active record with new fields."""
    if not isinstance(record, dict):
        raise _NotOurs
    after = {**record, **fields}
    if not is_active(record) and not same(after, record):
        raise _NotOurs
    return after


def _patched_entry(index: Json, ident: str, fields: Mapping[str, Json]) -> Json:
    """The index with new fields in one entry; as it is where there is no such entry, whoever took it out."""
    entries = entries_of(index)
    for position, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get("id") == ident:
            after = _patched(entry, fields)
            return {**index, "jobs": [*entries[:position], after, *entries[position + 1 :]]}
    return index


def _with_entry(index: Json, entry: Mapping[str, Json]) -> Json:
    """A new entry goes first. However many there are: pruning, which deletes files, is the plugin's own business."""
    index = dict(NEW_INDEX) if index is None else index
    if not isinstance(index, dict) or not isinstance(index.get("jobs", []), list):
        raise WriteError(f"{INDEX} holds no list of jobs; 'stateheal audit' says what is wrong with it")
    entries = entries_of(index)
    known = any(isinstance(each, dict) and each.get("id") == entry["id"] for each in entries)
    return index if known else {**index, "jobs": [dict(entry), *entries]}
