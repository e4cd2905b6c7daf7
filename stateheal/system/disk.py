"""Bytes and names that stay: what must be called on each system before a write counts as done.

``fsync`` reaches the disk on Linux and Windows; on macOS it leaves the bytes in the drive, and ``F_FULLFSYNC`` does not
(fsync(2) of macOS says so; field guide section 12). A file system that does not know it gets ``fsync``.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

_F_FULLFSYNC = 51  # sys/fcntl.h of macOS
_BUSY = (5, 32, 33)
"""Access denied, sharing violation, lock violation: somebody has the file open just now (a scanner, an indexer)."""
PATIENCE = 1.0
"""Seconds for which a file that somebody has open is tried again."""
_PAUSE = 0.01


def _control(fd: int, command: int) -> None:
    __import__("fcntl").fcntl(fd, command)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte to a descriptor. Raises ``OSError``, also where the system takes none."""
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written <= 0:
            raise OSError(errno.EIO, "nothing could be written")
        view = view[written:]


def sync(fd: int, platform: str = sys.platform, control: Callable[[int, int], None] = _control) -> None:
    """Make what was written to a descriptor durable. Raises ``OSError``."""
    if platform == "darwin":
        try:
            control(fd, _F_FULLFSYNC)
        except OSError:
            pass  # a network file system, or one of another make
        else:
            return
    os.fsync(fd)


def start_sync(fd: int) -> None:
    """Have the system begin to write, and not wait: of many files each ``sync`` then finds most of its work done.

    Without it every file gets its blocks on the disk, and the file system its commit, one after the other (ext4).
    """
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def is_busy(error: OSError) -> bool:
    """Whether this is what Windows says of a file that somebody has open."""
    return getattr(error, "winerror", None) in _BUSY


def patiently(act: Callable[[], None], patience: float = PATIENCE) -> None:
    """Do it, and again for a second while somebody has the file open (Windows). Raises the last ``OSError``."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return act()
        except OSError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)
