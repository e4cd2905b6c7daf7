"""A file as it must still be: read, compared, read again. What every change to a workspace's files begins with."""

from __future__ import annotations

import os
from collections.abc import Mapping

from stateheal.commit.attributes import read_attributes
from stateheal.errors import Conflict, WriteError
from stateheal.fs.directory import Directory, OpenFile, WrongKind, file_stat
from stateheal.model.disk import FileStat
from stateheal.values import NamedTuple

_CHUNK = 1 << 16


class Target(NamedTuple):
    """A file as it must still be for it to be replaced; of one that is to be made, whose it is to be."""

    name: str
    data: bytes
    stat: FileStat


class named_errors:
    """Raise ``WriteError`` with the file's name for whatever the system answers in the block."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, at: object) -> None:
        if isinstance(error, OSError):
            raise WriteError(f"{self._name} cannot be replaced: {error.strerror or error}") from error


class opened(OpenFile):
    """A regular file that was there a moment ago. Raises ``Conflict`` where it is gone or something else by now, also
    where the block finds that out."""

    __slots__ = ()

    def __init__(self, directory: Directory, name: str) -> None:
        super().__init__(directory, name, os.O_RDONLY)

    def __enter__(self) -> tuple[int, FileStat]:
        try:
            return super().__enter__()
        except OSError as error:
            self._tell(error)
            raise

    def __exit__(self, kind: object, error: object, at: object) -> None:
        super().__exit__(kind, error, at)
        self._tell(error)

    def _tell(self, error: object) -> None:
        if isinstance(error, WrongKind):
            raise Conflict(f"{self._name} is not what it was: {error.strerror}") from error
        if isinstance(error, FileNotFoundError):
            raise Conflict(f"{self._name} is not there any more") from error


def read_rest(fd: int, size: int) -> bytes:
    """All bytes of an open file from where it stands; ``size``: about so many.

    A file object would ask the system six more questions, of every file of a heal four times.
    """
    parts = [os.read(fd, size + 1)]
    while parts[-1]:
        parts.append(os.read(fd, _CHUNK))
    return b"".join(parts)


def read_again(fd: int, size: int) -> bytes:
    """All bytes of an open file, about so many, from its beginning."""
    os.lseek(fd, 0, os.SEEK_SET)
    return read_rest(fd, size)


def read_plain(directory: Directory, name: str) -> tuple[FileStat, bytes]:
    """A regular file's identity and bytes. Raises ``Conflict`` where it is gone or something else by now."""
    try:
        with directory.regular(name) as (fd, info):
            return info, read_rest(fd, info.size)
    except OSError as error:
        raise Conflict(f"{name} is not there any more as it was: {error.strerror or error}") from error


def ensure_unchanged(directory: Directory, target: Target) -> None:
    """Raise ``Conflict`` unless the file is still the one that was read: same file, same age, same bytes."""
    ensure_same(target, *read_plain(directory, target.name))


def ensure_same(target: Target, info: FileStat, data: bytes) -> None:
    """Raise ``Conflict`` where what was read now is not the target. How many names it has does not matter."""
    if info._replace(links=target.stat.links) != target.stat or data != target.data:
        raise Conflict(f"{target.name} was changed by somebody else meanwhile")


def ensure_same_entry(directory: Directory, name: str, expected: FileStat) -> None:
    """Raise ``Conflict`` where another file stands under a name, or one of another size or age: a look of a moment."""
    try:
        info = file_stat(directory.stat(name))
    except FileNotFoundError as error:
        raise Conflict(f"{name} is not there any more") from error
    if (info.inode, info.size, info.mtime_ns) != (expected.inode, expected.size, expected.mtime_ns):
        raise Conflict(f"{name} was changed by somebody else meanwhile")


def ensure_same_file(
    directory: Directory, target: Target, fd: int, info: FileStat, attributes: Mapping[str, bytes]
) -> None:
    """Raise ``Conflict`` where the open file is not the target, or no longer stands under the target's name."""
    ensure_same(target, info, read_again(fd, len(target.data)))
    if read_attributes(fd) != attributes:
        raise Conflict(f"{target.name} was given other access rights or attributes meanwhile")
    if directory.stat(target.name).st_ino != info.inode:
        raise Conflict(f"{target.name} was replaced by somebody else meanwhile")


def new_stat(folder: Directory) -> FileStat:
    """Whose a new file is to be: its directory's owner's, readable as the directory is."""
    info = file_stat(os.stat(folder.fd if folder.fd is not None else folder.path))
    return info._replace(mode=info.mode & 0o666)
