"""What only Linux offers a process that starts others: dying with one's parent, adopting one's orphans."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


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


def adopt_orphans() -> bool:
    """Descendants whose parent ends become this process's children, so that it hears of their end."""
    return _call is not None and _call(_PR_SET_CHILD_SUBREAPER, 1) == 0


def group_states(group: int) -> list[str] | None:
    """The state letter of every process of a group (``R``, ``S``, ``Z`` …); ``None`` where the system has no /proc."""
    if sys.platform != "linux":
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
