"""Windows: files opened so that nobody is kept from renaming or removing them, and names moved for good.

``os.open`` shares reading and writing only: whoever has a file open by it keeps the plugin from replacing or deleting
that file (field guide section 12; tried out under Wine, where the same table came out). Imported on Windows only.
"""

from __future__ import annotations

import msvcrt
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stateheal.system import kernel32

assert sys.platform == "win32"

_READ_ONLY, _NO_FILE = 1, 0xFFFFFFFF
_REPLACE_EXISTING, _WRITE_THROUGH = 1, 8
_ACCESS = {
    os.O_RDONLY: kernel32.GENERIC_READ,
    os.O_WRONLY: kernel32.GENERIC_WRITE,
    os.O_RDWR: kernel32.GENERIC_READ | kernel32.GENERIC_WRITE,
}


def open_shared(path: str, flags: int) -> int:
    """``os.open`` of an existing file, all three share bits set. Raises ``OSError``."""
    handle = kernel32.open_file(path, _ACCESS[flags & (os.O_WRONLY | os.O_RDWR)])
    try:
        return msvcrt.open_osfhandle(handle, flags | os.O_BINARY | os.O_NOINHERIT)
    except BaseException:
        kernel32.close(handle)
        raise


def replace(old: str, new: str) -> None:
    """Rename over what stands there; returns when the move is on the disk. Raises ``OSError``, 5 where it is open."""
    with _writable(new):
        kernel32.checked(kernel32.dll.MoveFileExW(old, new, _REPLACE_EXISTING | _WRITE_THROUGH))


def ensure_removable(path: str) -> None:
    """Raise ``OSError`` (32) where somebody has a file open and shares no removal; nobody is kept from anything."""
    kernel32.close(kernel32.open_file(path, kernel32.DELETE))


def unlink(path: str) -> None:
    """Remove a file, read-only or not. Raises ``OSError``."""
    with _writable(path):
        os.unlink(path)


@contextmanager
def _writable(path: str) -> Iterator[None]:
    """Without its read-only attribute, which forbids to replace or remove a file; it comes back where that fails."""
    attributes = kernel32.dll.GetFileAttributesW(path)
    if attributes == _NO_FILE or not attributes & _READ_ONLY:
        yield
        return
    kernel32.checked(kernel32.dll.SetFileAttributesW(path, attributes & ~_READ_ONLY))
    try:
        yield
    except OSError:
        kernel32.dll.SetFileAttributesW(path, attributes)
        raise


def answers(pipe: str) -> bool | None:
    r"""Whether somebody serves a named pipe (``\\.\pipe\...``); no connection is made. ``None``: it cannot be told."""
    if kernel32.dll.WaitNamedPipeW(pipe, 1):
        return True
    number = kernel32.last_error().winerror
    if number == kernel32.TIMED_OUT:
        return True  # all its instances are busy
    return False if number in kernel32.NOT_FOUND else None
