r"""Windows: a name in the kernel that one process holds: what ``flock`` on a directory is elsewhere.

It leaves no file behind, dies with its process, and is the same for everybody on the machine (``Global\``, across
sessions), whoever runs and wherever their journal is. An event's mere existence is the lock: a mutex would let the
thread that holds it in a second time. Imported on Windows only.
"""

from __future__ import annotations

import ctypes
import os
import sys

from stateheal.digests import sha256
from stateheal.system import kernel32

assert sys.platform == "win32"


def _name(path: str) -> str:
    spelled = os.path.normcase(os.path.realpath(path))
    return "Global\\stateheal-" + sha256(spelled.encode("utf-8", "surrogatepass"))[:32]


def hold(path: str) -> int | None:
    """A handle that holds a directory until it is closed; ``None`` where somebody else holds it."""
    ctypes.set_last_error(0)
    handle = kernel32.dll.CreateEventW(None, True, False, _name(path))
    number = ctypes.get_last_error()
    if handle and number != kernel32.ALREADY_EXISTS:
        return int(handle)
    if handle:
        kernel32.close(handle)
    if number in (kernel32.ALREADY_EXISTS, kernel32.ACCESS_DENIED):  # another user's counts too
        return None
    raise ctypes.WinError(number)


def is_held(path: str) -> bool:
    """Whether somebody holds a directory."""
    handle = kernel32.dll.OpenEventW(kernel32.SYNCHRONIZE, False, _name(path))
    if handle:
        kernel32.close(handle)
        return True
    return kernel32.last_error().winerror == kernel32.ACCESS_DENIED


def let_go(handle: int) -> None:
    """Hold it no longer."""
    kernel32.close(handle)
