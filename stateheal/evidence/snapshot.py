"""One file to one Snapshot: one ``open``, no link followed, nothing but regular files, nothing unbounded."""

from __future__ import annotations

import os
import stat

from stateheal.directory import Directory, file_stat
from stateheal.jsontext import parse
from stateheal.model import FileStat, LogFacts, Snapshot, Unreadable

MAX_BYTES = 64 * 1024 * 1024
"""Larger records are reported, not read."""
_LOG_TAIL = 64 * 1024
_RETRIES = 3
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_snapshot(directory: Directory, name: str, shown: str) -> Snapshot | Unreadable | None:
    """Read and parse ``name``; ``None`` where there is no such file. ``shown`` is its name in reports."""
    for _ in range(_RETRIES):
        try:
            before, data, after = _read(directory, name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            return Unreadable(shown, why_unreadable(directory, name, error))
        if before == after:
            break  # else it was written while we read: look again
    return Snapshot(shown, data, after, parse(data))


def _read(directory: Directory, name: str) -> tuple[FileStat, bytes, FileStat]:
    fd = directory.open(name, os.O_RDONLY)
    with os.fdopen(fd, "rb") as file:
        before = file_stat(os.fstat(fd))
        if not stat.S_ISREG(before.mode):
            raise ValueError(f"is {_KINDS.get(stat.S_IFMT(before.mode), 'no regular file')}, not a regular file")
        if before.size > MAX_BYTES:
            raise ValueError(f"is {before.size:,} bytes long; more than {MAX_BYTES:,} are not read")
        data = file.read(MAX_BYTES + 1)
        return before, data, file_stat(os.fstat(fd))


def why_unreadable(directory: Directory, name: str, error: OSError | ValueError) -> str:
    """The reason in plain words: what stands there instead of a file, or what the system answered."""
    if not isinstance(error, OSError):
        return str(error)
    try:
        kind = stat.S_IFMT(directory.stat(name).st_mode)
    except OSError:
        kind = 0
    if kind and not stat.S_ISREG(kind):
        return f"is {_KINDS.get(kind, 'no regular file')}, not a regular file; it is not followed"
    return f"cannot be read: {error.strerror or error}"


def read_log(directory: Directory, name: str) -> LogFacts | None:
    """When the log was last written, and its last ``Codex error:`` line. ``None`` where there is no plain log."""
    try:
        fd = directory.open(name, os.O_RDONLY)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        info = file_stat(os.fstat(fd))
        if not stat.S_ISREG(info.mode):
            return None
        file.seek(max(0, info.size - _LOG_TAIL))
        tail = file.read(_LOG_TAIL).decode("utf-8", "replace")
    errors = [line.partition("Codex error:")[2].strip() for line in tail.splitlines() if "] Codex error:" in line]
    return LogFacts(info.mtime, errors[-1][:300] if errors else None)
