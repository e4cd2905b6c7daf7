"""One file to one Snapshot: one ``open``, no link followed, nothing but regular files, nothing unbounded."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from functools import cache

from stateheal.errors import UsageError
from stateheal.formats.jsontext import ParseFailure, parse
from stateheal.fs.directory import Directory, ensure_regular, file_stat
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import FileStat, LogFacts, Snapshot, Unreadable
from stateheal.model.records import is_companion_id

LIMIT = "STATEHEAL_MAX_BYTES"
"""The environment variable that moves the limit beyond which a record is reported, not read."""
_LOG_TAIL = 64 * 1024
_TURN_WORDS = ("] Turn started", "] Turn completed")
_RETRIES = 3
_RESTING = 5.0
"""Seconds since the last line from which on it is asked who has a log open: before, its size tells who writes."""


def read_snapshot(
    directory: Directory, name: str, shown: str, before: Snapshot | None = None
) -> Snapshot | Unreadable | None:
    """Read and parse ``name``; ``None`` where there is no such file. ``shown`` is its name in reports.

    ``before``: what an earlier look saw; the same bytes say the same.
    """
    for _ in range(_RETRIES):
        try:
            data, info, settled = _read(directory, name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            return Unreadable(shown, why_unreadable(error))
        if settled:
            break  # else it was written while we read: look again
    known = before.document if before is not None and before.data == data else None
    return Snapshot(shown, data, info, known or parse(data))


def _read(directory: Directory, name: str) -> tuple[bytes, FileStat, bool]:
    """All of a file, what it was then, and whether nobody seems to have written to it meanwhile.

    This is done for every file there is, so it is done without a file object or a context manager.
    """
    try:
        fd = directory.open(name, os.O_RDONLY)
    except OSError:
        directory.ensure_regular(name)
        raise
    try:
        before = os.fstat(fd)
        ensure_regular(before.st_mode)
        size = before.st_size
        ensure_size(size)
        data = os.read(fd, size + 1)
        while 0 < len(data) < size and (more := os.read(fd, size + 1 - len(data))):
            data += more
        after = os.fstat(fd)
    finally:
        os.close(fd)
    settled = len(data) == size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
    return data, file_stat(after), settled


def ensure_size(size: int) -> None:
    """Raise ``ValueError`` for a file that is too large to be read."""
    if size > max_bytes():
        raise ValueError(f"is {size:,} bytes long; more than {max_bytes():,} are not read ({LIMIT} moves the limit)")


@cache
def max_bytes() -> int:
    """The limit: 64 MiB unless the environment says otherwise. Raises ``UsageError`` where it says nothing sensible."""
    given = os.environ.get(LIMIT, "").strip()
    if not given:
        return 64 << 20
    from stateheal.formats.sizes import parse_size

    try:
        return parse_size(given)
    except ValueError as error:
        raise UsageError(f"{LIMIT}: {error}") from None


def why_unreadable(error: OSError | ValueError) -> str:
    """The reason in plain words: what stands there instead of a file, or what the system answered."""
    if not isinstance(error, OSError):
        return str(error)
    return f"cannot be read: {error.strerror or error}"


def read_log(directory: Directory, name: str, agent: str) -> LogFacts | None:
    """When the log was last written, and its last ``Codex error:`` line, or what its ``agent`` is called. ``None``
    where there is none.

    Of a log that cannot be read the age still counts as a sign of life.
    """
    try:
        with directory.regular(name) as (fd, info):
            if info.size > _LOG_TAIL:
                os.lseek(fd, info.size - _LOG_TAIL, os.SEEK_SET)
            tail = _read_up_to(fd, _LOG_TAIL).decode("utf-8", "replace")
            held = time.time() - info.mtime > _RESTING and _is_held(fd)
    except OSError:
        try:
            found = directory.stat(name)
            return LogFacts(found.st_mtime, size=found.st_size)
        except OSError:
            return None
    lines = tail.splitlines()
    word = f"] {agent} error:"
    error = _last_with(lines, word) if word in tail else -1
    said = None if error < 0 else lines[error].partition(word)[2].strip()[:300]
    begun, ended = (_last_with(lines, word) if word in tail else -1 for word in _TURN_WORDS)
    last = lines[-1][:1000] if lines else ""
    return LogFacts(info.mtime, said, last, ended > begun, info.size, held)


def _is_held(fd: int) -> bool:
    from stateheal.fs.lease import is_open_for_writing  # most runs read no log

    return is_open_for_writing(fd)


def _read_up_to(fd: int, size: int) -> bytes:
    """From where a file stands, so many bytes or what there is."""
    data = b""
    while len(data) < size and (more := os.read(fd, size - len(data))):
        data += more
    return data


def _last_with(lines: Sequence[str], word: str) -> int:
    """The number of the last line in which something stands; -1 where it stands in none."""
    return next((n for n in range(len(lines) - 1, -1, -1) if word in lines[n]), -1)


def is_record(found: Snapshot, stem: str, dialect: Dialect = CODEX) -> bool:
    """A file that the index does not name is a record if it says so itself, or is torn and named like one.

    Forks put other things into ``jobs/``; those are not looked at any further.
    """
    if isinstance(found.document, ParseFailure):
        return is_companion_id(stem) or bool(dialect.marks.ids and re.fullmatch(dialect.marks.ids, stem))
    value = found.value
    return isinstance(value, dict) and value.get("id") == stem and any(key in value for key in dialect.status)
