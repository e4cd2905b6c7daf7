"""Windows: asking a command to end the way a person at its console would.

A process that shares our console and leads a group of its own gets Ctrl-Break. Where we have no console (a service, a
harness with pipes) the command gets one of its own that nobody sees, and we attach to it for the moment of a Ctrl-C: a
group of its own would ignore that. Nothing of this may be done by ``os.kill``, which terminates the process where the
event cannot be sent. Imported on Windows only. Sources: learn.microsoft.com, "Console Process Groups",
"GenerateConsoleCtrlEvent"; field guide section 12.
"""

from __future__ import annotations

import subprocess
import sys
import time
from ctypes import wintypes as w

from stateheal.system import kernel32

assert sys.platform == "win32"

_CTRL_C, _CTRL_BREAK = 0, 1
_DELIVERED = 0.1
"""Seconds in which a console passes an event on to everybody that it has."""


def has_console() -> bool:
    """Whether this process has a console."""
    return bool(kernel32.dll.GetConsoleProcessList((w.DWORD * 1)(), 1))


def creation_flags(ours: bool) -> int:
    """How to start a command that is to be asked later; ``ours``: it shares our console."""
    return subprocess.CREATE_NEW_PROCESS_GROUP if ours else subprocess.CREATE_NO_WINDOW


def ask_to_end(pid: int, ours: bool) -> bool:
    """Ctrl-Break, or Ctrl-C on a console of its own. Returns whether the event could be sent."""
    if ours:
        return bool(kernel32.dll.GenerateConsoleCtrlEvent(_CTRL_BREAK, pid))
    kernel32.dll.FreeConsole()  # one that nobody sees may still count as ours: then attaching is refused
    if not kernel32.dll.AttachConsole(pid):
        return False
    try:
        kernel32.dll.SetConsoleCtrlHandler(None, True)  # it is not for us
        sent = bool(kernel32.dll.GenerateConsoleCtrlEvent(_CTRL_C, 0))
        time.sleep(_DELIVERED)
    finally:
        kernel32.dll.FreeConsole()
        kernel32.dll.SetConsoleCtrlHandler(None, False)
    return sent
