"""One stateheal at a time in a workspace, whoever runs it and wherever their journal is.

``flock`` on the workspace directory's own descriptor leaves no file behind and dies with its process (field guide
section 6). Where the system has none (Windows), a lock file of ``filelock`` in the journal directory serves.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stateheal.errors import Busy
from stateheal.formats.digest import sha256
from stateheal.fs.directory import Directory, open_directory

WAIT = 5.0
"""Seconds to wait for another stateheal before giving up."""
_PAUSE = 0.02


@contextmanager
def workspace_lock(directory: Directory, journal: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold the workspace for the length of the block. Raises ``Busy`` after ``wait`` seconds."""
    if directory.fd is None:
        with _lock_file(directory, journal, wait):
            yield
        return
    import fcntl

    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(directory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                break  # a file system without flock: compare-before-replace must do
            if time.monotonic() >= deadline:
                raise Busy(f"another stateheal is at work in {directory.path.name}") from None
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        fcntl.flock(directory.fd, fcntl.LOCK_UN)


def is_held(directory: Directory) -> bool:
    """Whether another stateheal holds the workspace right now; asked, not waited for."""
    if directory.fd is None:
        return False
    import fcntl

    try:
        fcntl.flock(directory.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    fcntl.flock(directory.fd, fcntl.LOCK_UN)
    return False


def hold(path: Path) -> int | None:
    """A descriptor that holds a directory of our own for as long as it is open; ``None`` where there is no flock."""
    try:
        import fcntl
    except ImportError:
        return None
    fd = os.open(path, os.O_RDONLY)
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def is_held_by_another(path: Path) -> bool:
    """Whether some process holds a directory of our own."""
    try:
        with open_directory(path) as directory:
            return is_held(directory)
    except OSError:
        return False


@contextmanager
def _lock_file(directory: Directory, journal: Path, wait: float) -> Iterator[None]:
    import filelock

    journal.mkdir(parents=True, exist_ok=True)
    digest = sha256(str(directory.path).encode("utf-8", "surrogateescape"))[:16]
    try:
        with filelock.FileLock(journal / f"{digest}.lock", timeout=wait):
            yield
    except filelock.Timeout:
        raise Busy(f"another stateheal is at work in {directory.path.name}") from None
