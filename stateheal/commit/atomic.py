"""Replace one file, or lose nothing trying; append one line to a log, or leave it as it was.

DESIGN.md promises 3 and 4. The new bytes are written to a temporary file in the same directory and made durable; then
the old file is read once more, and only if it is still what the repair was concluded from is it replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from stateheal.directory import Directory
from stateheal.errors import Conflict, Refused, WriteError
from stateheal.model import FileStat

TEMP_PREFIX = ".stateheal-"
_PERMISSIONS = 0o7777


@dataclass(frozen=True)
class Target:
    """A file as it must still be for it to be replaced."""

    name: str
    data: bytes
    stat: FileStat


def replace_file(directory: Directory, target: Target, data: bytes, tag: str, mtime_ns: int | None = None) -> None:
    """Put ``data`` in the place of the target. ``tag`` makes the temporary name this run's own.

    With ``mtime_ns`` the file gets that age, as an undo wants it.

    Raises ``Conflict`` where the file changed meanwhile, ``Refused`` where mode or owner cannot be kept, ``WriteError``
    where the system failed. In each case the old bytes are still in place.
    """
    with _named_errors(target.name), _temporary(directory, target, data, tag) as temp:
        if mtime_ns is not None:
            directory.set_mtime(temp, mtime_ns)
        ensure_unchanged(directory, target)
        directory.replace(temp, target.name)
        directory.sync()
    _, read_back = read_plain(directory, target.name)
    if read_back != data:
        raise Conflict(f"{target.name} was written by somebody else right after it was replaced")


def create_file(directory: Directory, target: Target, data: bytes, tag: str, mtime_ns: int | None = None) -> None:
    """Put ``data`` under a name that nobody has; the target's stat says whose it is to be and with which mode.

    Raises ``Conflict`` where the name is taken by now, otherwise as ``replace_file``.
    """
    with _named_errors(target.name), _temporary(directory, target, data, tag) as temp:
        if mtime_ns is not None:
            directory.set_mtime(temp, mtime_ns)
        try:
            directory.link(temp, target.name)
        except FileExistsError as error:
            raise Conflict(f"{target.name} was made by somebody else meanwhile") from error
        directory.sync()


def remove_file(directory: Directory, target: Target) -> None:
    """Remove the target if it is still what it was. Raises ``Conflict`` or ``WriteError``; then it is still there."""
    with _named_errors(target.name):
        ensure_unchanged(directory, target)
        directory.unlink(target.name)
        directory.sync()


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(f"{name} cannot be replaced: {error.strerror or error}") from error


@contextmanager
def _temporary(directory: Directory, target: Target, data: bytes, tag: str) -> Iterator[str]:
    """A durable file with the new bytes beside the target, gone again unless it was renamed away."""
    temp = f"{TEMP_PREFIX}{tag}-{target.name}.tmp"
    fd = directory.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            _keep_owner_and_mode(fd, target)
            os.fsync(fd)
        yield temp
    finally:
        with suppress(FileNotFoundError):
            directory.unlink(temp)


def _keep_owner_and_mode(fd: int, target: Target) -> None:
    if not hasattr(os, "fchown"):  # Windows: the file inherits what its directory says
        return
    made = os.fstat(fd)
    if (made.st_uid, made.st_gid) != (target.stat.uid, target.stat.gid):
        try:
            os.fchown(fd, target.stat.uid, target.stat.gid)
        except PermissionError as error:
            owner = f"{target.stat.uid}:{target.stat.gid}"
            raise Refused(f"{target.name} belongs to {owner}, and that owner could not be kept") from error
    os.fchmod(fd, target.stat.mode & _PERMISSIONS)


def read_plain(directory: Directory, name: str) -> tuple[FileStat, bytes]:
    """A regular file's identity and bytes. Raises ``Conflict`` where it is gone or something else by now."""
    try:
        with directory.regular(name) as (fd, info), os.fdopen(fd, "rb", closefd=False) as file:
            return info, file.read()
    except OSError as error:
        raise Conflict(f"{name} is not there any more as it was: {error.strerror or error}") from error


def ensure_unchanged(directory: Directory, target: Target) -> None:
    """Raise ``Conflict`` unless the file is still the one that was read: same file, same age, same bytes."""
    info, data = read_plain(directory, target.name)
    if replace(info, links=target.stat.links) != target.stat or data != target.data:
        raise Conflict(f"{target.name} was changed by somebody else meanwhile")


def append_line(directory: Directory, name: str, expected: FileStat, line: str) -> None:
    """Append one line to a log and put its mtime back: a heal is no sign of life (field guide section 3).

    Raises ``Conflict`` where the log is not what it was, ``WriteError`` where the line does not fit whole; the log is
    then as it was.
    """
    with _named_errors(name), directory.regular(name, os.O_RDWR | os.O_APPEND) as (fd, before):
        if before != expected:
            raise Conflict(f"{name} was written to meanwhile")
        _append_whole(fd, before, line.encode("utf-8", "replace"))
        os.fsync(fd)
        directory.set_mtime(name, before.mtime_ns, fd)


def _append_whole(fd: int, before: FileStat, data: bytes) -> None:
    try:
        if os.write(fd, data) == len(data):
            return
    except OSError:
        os.ftruncate(fd, before.size)
        raise
    os.ftruncate(fd, before.size)
    raise OSError(28, os.strerror(28))


def cut_tail(directory: Directory, name: str, expected: FileStat, size: int, mtime_ns: int) -> None:
    """Take back what ``append_line`` added: the log is cut to ``size`` bytes and gets its old mtime.

    Raises ``Conflict`` where the log is not what was checked, ``WriteError`` where the system failed.
    """
    with _named_errors(name), directory.regular(name, os.O_RDWR) as (fd, info):
        if info != expected:
            raise Conflict(f"{name} was written to meanwhile")
        os.ftruncate(fd, size)
        os.fsync(fd)
        directory.set_mtime(name, mtime_ns, fd)
