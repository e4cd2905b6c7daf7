"""Replace one file, or lose nothing trying; append one line to a log, or leave it as it was.

DESIGN.md promises 3 and 4. The new bytes are written to a temporary file in the same directory and made durable; then
the old file is read once more, and only if it is still what the repair was concluded from is it replaced.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from stateheal.commit.lease import read_lease
from stateheal.errors import Conflict, Overwritten, Refused, WriteError
from stateheal.fs.directory import Directory, WrongKind, file_stat, own_name
from stateheal.fs.output import write_all
from stateheal.model.disk import FileStat

SECOND_SUFFIX = ".old"
"""Of the second name that a file keeps while it is replaced."""
_PERMISSIONS = 0o7777


class Target(NamedTuple):
    """A file as it must still be for it to be replaced."""

    name: str
    data: bytes
    stat: FileStat


def replace_file(directory: Directory, target: Target, data: bytes, tag: str, mtime_ns: int | None = None) -> None:
    """Put ``data`` in the place of the target. ``tag`` makes the temporary names this run's own.

    With ``mtime_ns`` the file gets that age, as an undo wants it. Raises ``Conflict`` where the file changed meanwhile,
    ``Refused`` where mode or owner cannot be kept, ``WriteError`` where the system failed. In each case the old bytes,
    or whatever a live writer made of them, are still in place.
    """
    with _named_errors(target.name), _temporary(directory, target, data, tag) as temp:
        if mtime_ns is not None:
            directory.set_mtime(temp, mtime_ns)
        _swap(directory, target, temp, own_name(tag, target.name, SECOND_SUFFIX))
        directory.sync()
    _, read_back = read_plain(directory, target.name)
    if read_back != data:
        raise Overwritten(f"{target.name} was written by somebody else right after it was replaced")


def _swap(directory: Directory, target: Target, temp: str, old: str) -> None:
    """Rename ``temp`` over the target; take it back where a live writer got hold of the old file meanwhile.

    The old file keeps a second name until it is certain that nobody has written into it: such a writer's update would
    stand in it alone.
    """
    with _opened(directory, target.name) as (fd, info), _second_name(directory, target.name, old) as has_second:
        with read_lease(fd, target.name) as writer_waits:
            _ensure_same(target, info, _read_again(fd))
            if directory.stat(target.name).st_ino != info.inode:
                raise Conflict(f"{target.name} was replaced by somebody else meanwhile")
            directory.replace(temp, target.name)
            if writer_waits() and has_second:
                directory.replace(old, target.name)
                raise Conflict(f"{target.name} is being written by somebody else")
        if _read_again(fd) != target.data and has_second:
            directory.replace(old, target.name)
            raise Conflict(f"{target.name} was written by somebody else while it was replaced")


@contextmanager
def _opened(directory: Directory, name: str) -> Iterator[tuple[int, FileStat]]:
    try:
        with directory.regular(name) as (fd, info):
            yield fd, info
    except WrongKind as error:
        raise Conflict(f"{name} is not what it was: {error.strerror}") from error
    except FileNotFoundError as error:
        raise Conflict(f"{name} is not there any more") from error


@contextmanager
def _second_name(directory: Directory, name: str, second: str) -> Iterator[bool]:
    """A second name for the block's time; ``False`` where the file system has none to give."""
    try:
        directory.link(name, second)
    except FileNotFoundError as error:
        raise Conflict(f"{name} is not there any more") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES):
            raise
        yield False
        return
    try:
        yield True
    finally:
        with suppress(FileNotFoundError):
            directory.unlink(second)


def _read_again(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb", closefd=False) as file:
        return file.read()


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


def new_stat(folder: Directory) -> FileStat:
    """Whose a new file is to be: its directory's owner's, readable as the directory is."""
    info = file_stat(os.stat(folder.fd if folder.fd is not None else folder.path))
    return info._replace(mode=info.mode & 0o666)


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
    temp = own_name(tag, target.name, ".tmp")
    fd = directory.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        try:
            write_all(fd, data)
            _keep_owner_and_mode(fd, target)
            os.fsync(fd)
        finally:
            os.close(fd)
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
    _ensure_same(target, *read_plain(directory, target.name))


def _ensure_same(target: Target, info: FileStat, data: bytes) -> None:
    if info._replace(links=target.stat.links) != target.stat or data != target.data:
        raise Conflict(f"{target.name} was changed by somebody else meanwhile")


def append_line(directory: Directory, name: str, expected: FileStat, line: str) -> None:
    """Append one line to a log and put its mtime back: a heal is no sign of life (field guide section 3).

    Raises ``Conflict`` where the log is not what it was, ``WriteError`` where the line does not fit whole; the log is
    then as it was.
    """
    with _named_errors(name), directory.regular(name, os.O_RDWR | os.O_APPEND) as (fd, before):
        if before != expected:
            raise Conflict(f"{name} was written to meanwhile")
        _append_whole(fd, before, line.encode("utf-8", "surrogateescape"))
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
