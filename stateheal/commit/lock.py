"""One stateheal at a time in a workspace, whoever runs it and wherever their journal is.

``flock`` on the workspace directory's own descriptor leaves no file behind and dies with its process (field guide
section 6). Where the system has none (Windows), a name in its kernel serves that is made of the directory's path.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stateheal.errors import Busy
from stateheal.fs.directory import Directory, open_directory

WAIT = 5.0
"""Seconds to wait for another stateheal before giving up."""
_PAUSE = 0.02


@contextmanager
def workspace_lock(directory: Directory, wait: float = WAIT) -> Iterator[None]:
    """Hold the workspace for the length of the block. Raises ``Busy`` after ``wait`` seconds."""
    with _held(directory, wait):
        yield


if sys.platform == "win32":
    from stateheal.system import names

    @contextmanager
    def _held(directory: Directory, wait: float) -> Iterator[None]:
        deadline = time.monotonic() + wait
        while (handle := names.hold(str(directory.path))) is None:
            if time.monotonic() >= deadline:
                raise Busy(f"another stateheal is at work in {directory.path.name}")
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            names.let_go(handle)

else:
    import fcntl

    @contextmanager
    def _held(directory: Directory, wait: float) -> Iterator[None]:
        assert directory.fd is not None
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
    if sys.platform == "win32":
        return names.is_held(str(directory.path))
    assert directory.fd is not None
    try:
        fcntl.flock(directory.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    fcntl.flock(directory.fd, fcntl.LOCK_UN)
    return False


def hold(path: Path) -> int | None:
    """Hold a directory of our own until ``let_go`` of what is returned; ``None`` where that is not possible."""
    if sys.platform == "win32":
        return names.hold(str(path))
    fd = os.open(path, os.O_RDONLY)
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def let_go(held: int) -> None:
    """Hold a directory no longer."""
    if sys.platform == "win32":
        names.let_go(held)
    else:
        os.close(held)


def is_held_by_another(path: Path) -> bool:
    """Whether some process holds a directory of our own."""
    try:
        with open_directory(path) as directory:
            return is_held(directory)
    except OSError:
        return False
