"""What stands in a workspace's directory and in its ``jobs/``: names, ages and modes first, contents when asked for.

Nothing is followed, nothing outside the two directories is looked at, nothing that blocks is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from stateheal.evidence.snapshot import ensure_size, why_unreadable
from stateheal.fs.directory import Directory, file_stat, folder_of
from stateheal.model.disk import JOBS, FileStat, Unreadable
from stateheal.values import dataclass

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


@dataclass(frozen=True)
class DirEntry:
    """One name, relative to the workspace, and what stands under it."""

    name: str
    kind: str
    """``file``, ``directory``, ``link``, ``fifo``, ``socket`` or ``device``."""
    stat: FileStat
    target: str | None = None
    """Where a link leads."""

    @property
    def base(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def in_jobs(self) -> bool:
        return self.name.startswith(JOBS + "/")


def dir_entries(directory: Directory) -> Iterator[DirEntry | Unreadable]:
    """Every name in the workspace, then every name in its ``jobs/``, sorted; what has gone meanwhile is left out."""
    jobs: DirEntry | None = None
    for each in _names(directory, ""):
        yield each
        if isinstance(each, DirEntry) and (each.name, each.kind) == (JOBS, "directory"):
            jobs = each
    if jobs is None:
        return
    try:
        with directory.sub(JOBS) as folder:
            yield from _names(folder, JOBS + "/")
    except OSError as error:
        yield Unreadable(JOBS, why_unreadable(error))


def entries_below(directory: Directory, name: str) -> Iterator[DirEntry | Unreadable]:
    """The same of one directory in ``jobs/``: some companions keep one for each job."""
    try:
        with folder_of(directory, name) as (folder, base), folder.sub(base) as inner:
            yield from _names(inner, name + "/")
    except OSError as error:
        yield Unreadable(name, why_unreadable(error))


def _names(folder: Directory, prefix: str) -> Iterator[DirEntry | Unreadable]:
    for name in folder.names():
        try:
            info = file_stat(folder.stat(name))
            kind = _KINDS.get(stat.S_IFMT(info.mode), "device")
            target = _target(folder, name) if kind == "link" else None
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Unreadable(prefix + name, why_unreadable(error))
            continue
        yield DirEntry(prefix + name, kind, info, target)


def _target(folder: Directory, name: str) -> str:
    if folder.fd is None:
        return os.readlink(folder.path / name)
    return os.readlink(name, dir_fd=folder.fd)


def read_bytes(directory: Directory, name: str) -> bytes | Unreadable | None:
    """A regular file's bytes; ``None`` where it has gone, and a reason where it cannot or must not be read."""
    try:
        with folder_of(directory, name) as (folder, base), folder.regular(base) as (fd, info):
            ensure_size(info.size)
            with os.fdopen(fd, "rb", closefd=False) as file:
                return file.read(info.size)  # of a log that grows meanwhile, what it was
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return Unreadable(name, why_unreadable(error))
