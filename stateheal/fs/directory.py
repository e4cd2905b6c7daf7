"""An open directory whose names are looked up against its descriptor.

Nothing is ever followed: neither the directory itself nor a name in it may be a link. What was a directory when it was
opened stays that directory, whatever is put in its place meanwhile (DESIGN.md promise 4). Where the system has no
``openat`` (Windows), names are joined to the path.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stateheal.model.disk import FileStat
from stateheal.system.disk import sync
from stateheal.system.paths import is_plain_on_windows, mode_of, unlimited

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = _NO_FOLLOW | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_FLAGS |= getattr(os, "O_BINARY", 0)
HAS_OPENAT = os.open in os.supports_dir_fd
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class WrongKind(OSError):
    """What stands under a name is not the kind of thing that was asked for."""

    def __init__(self, mode: int, wanted: str) -> None:
        kind = _KINDS.get(stat.S_IFMT(mode), "a file")
        super().__init__(errno.EINVAL, f"it is {kind}, not {wanted}")


def ensure_regular(mode: int) -> None:
    """Raise ``WrongKind`` unless this is the mode of a regular file."""
    if not stat.S_ISREG(mode):
        raise WrongKind(mode, "a regular file")


def file_stat(info: os.stat_result) -> FileStat:
    """The part of a stat that identifies a file."""
    return FileStat(
        info.st_dev,
        info.st_ino,
        info.st_mode,
        info.st_uid,
        info.st_gid,
        info.st_nlink,
        info.st_size,
        info.st_mtime_ns,
    )


def _spelled(path: Path) -> str:
    return unlimited(str(path)) if sys.platform == "win32" else str(path)


class Directory:
    """Made by ``open_directory`` or ``sub``; a context manager closes it."""

    def __init__(self, path: Path, fd: int | None) -> None:
        self.path = path
        self.fd = fd

    def _at(self, name: str) -> str:
        if name in ("", ".", "..") or "/" in name or "\0" in name or (os.sep != "/" and os.sep in name):
            raise OSError(errno.EINVAL, "not a plain file name", name)
        if sys.platform == "win32" and not is_plain_on_windows(name):
            raise OSError(errno.EINVAL, "not a file name on Windows", name)
        return name if self.fd is not None else _spelled(self.path / name)

    def sub(self, name: str) -> OpenDirectory:
        """The directory ``name`` in this one. Raises ``WrongKind`` (a link, a file) or another ``OSError``."""
        return OpenDirectory(self._at(name), self.path / name, self.fd)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """A descriptor for ``name``: never through a link, never blocking. Raises ``OSError``."""
        if not _NO_FOLLOW:
            return self._open_and_compare(name, flags, mode)
        return os.open(self._at(name), flags | _FLAGS, mode, dir_fd=self.fd)

    def _open_and_compare(self, name: str, flags: int, mode: int) -> int:
        """Without O_NOFOLLOW: what was opened must be what stands under the name, and that must be no link."""
        if sys.platform == "win32" and not flags & os.O_CREAT:
            from stateheal.system.files import open_shared

            fd = open_shared(self._at(name), flags)
        else:
            fd = os.open(self._at(name), flags | _FLAGS, mode)
        try:
            if stat.S_ISLNK(self._lstat_mode(name)) or not os.path.samestat(os.fstat(fd), self.stat(name)):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def regular(self, name: str, flags: int = os.O_RDONLY) -> OpenFile:
        """A descriptor for a regular file and what identifies it. Raises ``WrongKind`` or another ``OSError``."""
        return OpenFile(self, name, flags)

    def ensure_regular(self, name: str) -> None:
        """Raise ``WrongKind`` where something else than a regular file stands under a name that would not open."""
        mode = self._lstat_mode(name)
        if mode:
            ensure_regular(mode)

    def _lstat_mode(self, name: str) -> int:
        try:
            return mode_of(self.stat(name))
        except OSError:
            return 0

    def stat(self, name: str) -> os.stat_result:
        """``lstat`` of a name."""
        return os.stat(self._at(name), dir_fd=self.fd, follow_symlinks=False)

    def names(self) -> list[str]:
        """Every name in the directory, sorted."""
        return sorted(os.listdir(self.fd if self.fd is not None else _spelled(self.path)))

    def listing(self) -> dict[str, bool]:
        """Every name in the directory, sorted, and whether a directory stands under it (a link never does)."""
        with os.scandir(self.fd if self.fd is not None else _spelled(self.path)) as found:
            kinds = {each.name: each.is_dir(follow_symlinks=False) for each in found}
        return {name: kinds[name] for name in sorted(kinds)}  # pairs take three times as long to sort

    def replace(self, old: str, new: str) -> None:
        """Rename within the directory, taking the place of what stood there."""
        if sys.platform == "win32":
            from stateheal.system.files import replace

            replace(self._at(old), self._at(new))
        else:
            os.replace(self._at(old), self._at(new), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name. Raises ``FileExistsError`` where the name is taken."""
        if os.link in os.supports_follow_symlinks:
            os.link(self._at(old), self._at(new), src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
        else:
            os.link(self._at(old), self._at(new))

    def unlink(self, name: str) -> None:
        """Remove a name."""
        if sys.platform == "win32":
            from stateheal.system.files import unlink

            unlink(self._at(name))
        else:
            os.unlink(self._at(name), dir_fd=self.fd)

    def set_mtime(self, name: str, mtime_ns: int, fd: int | None = None) -> None:
        """Give a file an age, by its descriptor where the system can."""
        if fd is not None and os.utime in os.supports_fd:
            os.utime(fd, ns=(mtime_ns, mtime_ns))
        else:
            os.utime(self._at(name), ns=(mtime_ns, mtime_ns), dir_fd=self.fd)

    def sync(self) -> None:
        """Make renames in the directory durable."""
        if self.fd is not None:
            sync(self.fd)


class OpenFile:
    """A regular file while it is open; a context manager, and no generator: every file that is read passes here."""

    __slots__ = ("_directory", "_fd", "_flags", "_name")

    def __init__(self, directory: Directory, name: str, flags: int) -> None:
        self._directory, self._name, self._flags = directory, name, flags

    def __enter__(self) -> tuple[int, FileStat]:
        try:
            self._fd = fd = self._directory.open(self._name, self._flags)
        except OSError:
            self._directory.ensure_regular(self._name)
            raise
        try:
            info = file_stat(os.fstat(fd))
            ensure_regular(info.mode)
        except BaseException:
            os.close(fd)
            raise
        return fd, info

    def __exit__(self, kind: object, error: object, at: object) -> None:
        os.close(self._fd)


class OpenDirectory:
    """A directory while it is open; a context manager."""

    __slots__ = ("_dir_fd", "_fd", "_path", "_target")

    def __init__(self, target: str, path: Path, dir_fd: int | None) -> None:
        self._target, self._path, self._dir_fd = target, path, dir_fd
        self._fd: int | None = None

    def __enter__(self) -> Directory:
        if not HAS_OPENAT:
            self._ensure_directory()
            return Directory(self._path, None)
        try:
            self._fd = os.open(self._target, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=self._dir_fd)
        except OSError:
            self._ensure_directory()
            raise
        return Directory(self._path, self._fd)

    def __exit__(self, kind: object, error: object, at: object) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def _ensure_directory(self) -> None:
        mode = mode_of(os.stat(self._target, dir_fd=self._dir_fd, follow_symlinks=False))
        if not stat.S_ISDIR(mode):
            raise WrongKind(mode, "a directory")


def open_directory(path: Path) -> OpenDirectory:
    """The directory at ``path``, which must not be a link itself. Raises ``OSError``."""
    return OpenDirectory(_spelled(path), path, None)


@contextmanager
def folder_of(directory: Directory, name: str) -> Iterator[tuple[Directory, str]]:
    """The directory that a file of the workspace stands in, and its plain name there. Raises ``OSError``."""
    head, _, tail = name.partition("/")
    if tail:
        with directory.sub(head) as folder, folder_of(folder, tail) as found:
            yield found
    else:
        yield directory, head


class Folders:
    """The directories of a workspace, each opened once and for as long as a context manager says."""

    def __init__(self, directory: Directory) -> None:
        self._opened = {"": directory}
        self._stack = ExitStack()

    def __enter__(self) -> Folders:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def of(self, name: str) -> tuple[Directory, str]:
        """The directory that a file of the workspace stands in, and its plain name there. Raises ``OSError``."""
        head, _, tail = name.rpartition("/")
        if head not in self._opened:
            parent, plain = self.of(head)
            self._opened[head] = self._stack.enter_context(parent.sub(plain))
        return self._opened[head], tail

    def sync(self) -> None:
        """Make renames in every directory that was asked for durable. Raises ``OSError``."""
        for folder in self._opened.values():
            folder.sync()
