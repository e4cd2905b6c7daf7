"""What a process that starts others needs of the system: dying with one's parent, adopting one's orphans.

Linux has both. Elsewhere (macOS) a guardian, a process of its own, waits for the runner's end and ends the command
then; orphans go to the system's first process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from stateheal.system.process_handle import open_process

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LOOK = 5.0
"""Seconds between two looks at who one's parent is, where the kernel might not have told of its end."""


def _prctl() -> Callable[[int, int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        function = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return lambda option, value: int(function(option, value, 0, 0, 0))


_call = _prctl()


def die_with_parent(parent: int) -> None:
    """The calling process gets SIGKILL when its parent ends, however that ends. For use between fork and exec."""
    if _call is not None:
        _call(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the kernel knew
            os._exit(128 + signal.SIGKILL)


def await_end(pid: int) -> None:
    """Return when a process has ended: told by the kernel where it tells (a pidfd, NOTE_EXIT), else seen by a parent's
    change. Signal handlers run meanwhile.
    """
    parent = os.getppid()
    try:
        handle = open_process(pid)
    except OSError:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        return
    if handle is not None:
        with handle:
            while not handle.wait(_LOOK) and os.getppid() == parent:
                pass


def watch_over(leader: int) -> int | None:
    """Where nothing dies with its parent: a guardian that ends the group of a child of ours once we have ended.

    Returns its pid, for ``dismiss``; ``None`` where it is not needed.
    """
    if _call is not None:
        return None
    parent = os.getpid()
    guardian = os.fork()
    if guardian == 0:
        _guard(parent, leader)
    return guardian


def dismiss(guardian: int | None) -> None:
    """The guardian is not needed any more."""
    if guardian is not None:
        with suppress(OSError):
            os.kill(guardian, signal.SIGKILL)
            os.waitpid(guardian, 0)


def _guard(parent: int, leader: int) -> None:
    """The guardian's whole life. The group is ended only while its leader lives: then its number is nobody else's."""
    try:
        os.setpgid(0, 0)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
            signal.signal(signum, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.closerange(3, 1024)  # a pipe is not at its end as long as anybody holds it open
        command = open_process(leader)
        await_end(parent)
        if command is not None and command.lives:
            os.killpg(leader, signal.SIGKILL)
    finally:
        os._exit(0)


def adopt_orphans() -> bool:
    """Descendants whose parent ends become this process's children, so that it hears of their end."""
    return _call is not None and _call(_PR_SET_CHILD_SUBREAPER, 1) == 0


def group_states(group: int) -> list[str] | None:
    """The state letter of every process of a group (``R``, ``S``, ``Z`` …); ``None`` where the system has no /proc."""
    if sys.platform != "linux" or not os.path.exists("/proc/self/stat"):
        return None
    states = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    state, _, pgrp = file.read().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if pgrp == str(group):
                states.append(state)
    return states
