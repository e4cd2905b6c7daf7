"""Process groups, and whose a process is: procfs where there is one, psutil elsewhere.

Windows knows no groups: there, a process and all that descends from it stand for the group that it leads.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from stateheal.evidence.host import read_text
from stateheal.evidence.processes import (
    command_lines_by_psutil,
    created_by_psutil,
    descendants,
    directory_by_psutil,
    parent_by_psutil,
    pids_by_psutil,
    user_by_psutil,
)

_PROC = Path("/proc")
_SAME_MOMENT = 0.001
"""Seconds by which psutil and a handle may tell the same moment differently."""


def group_of(pid: int) -> int | None:
    """The process group that a process is in; ``None`` where it is gone."""
    if sys.platform == "win32":
        return pid
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def members_of(group: int, held: Mapping[int, float] | None = None) -> Iterator[int]:
    """The processes that are in a group now, as far as the system shows them.

    ``held``: on Windows, those on which somebody has a handle, and when each was created (seconds since the epoch):
    what they have started belongs to them even when they have ended themselves.
    """
    if sys.platform == "win32":
        from stateheal.system.process_handle import parents

        below = descendants(group) if held is None else descendants_of(held, parents(), created_by_psutil)
        yield from {group, *below}
        return
    yield from (pid for pid in _pids() if group_of(pid) == group)


def descendants_of(
    held: Mapping[int, float], parents: Mapping[int, int], created: Callable[[int], float | None]
) -> set[int]:
    """The processes below some that may have ended, by the parents' numbers that Windows keeps.

    Both sides are needed: nobody is given the number of a process while a handle on it is open, and a process that is
    older than the one with its parent's number is the child of an earlier one.
    """
    born, new = dict(held), dict(held)
    while new:
        children = {pid: created(pid) for pid, parent in parents.items() if parent in new and pid not in born}
        new = {pid: at for pid, at in children.items() if at is not None and at > new[parents[pid]] - _SAME_MOMENT}
        born |= new
    return born.keys() - held.keys()


def command_lines() -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every process that shows its command line, with that."""
    if not has_proc():
        yield from command_lines_by_psutil()
        return
    for pid in _pids():
        text = read_text(_PROC / str(pid) / "cmdline")
        if text:
            yield pid, tuple(text.removesuffix("\0").split("\0"))


def has_proc() -> bool:
    """Whether there is a procfs to look into."""
    return sys.platform == "linux" and os.path.exists(_PROC / "self" / "stat")


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()] if has_proc() else pids_by_psutil()


def user_of(pid: int) -> int | None:
    """The user that a process runs as; ``None`` where the system does not tell. Windows: 0 for one of our own."""
    if not has_proc():
        return user_by_psutil(pid)
    match = re.search(r"^Uid:\s*(\d+)", read_text(_PROC / str(pid) / "status") or "", re.MULTILINE)
    return int(match[1]) if match else None


def directory_of(pid: int) -> str | None:
    """The directory that a process is in, even one that was removed; ``None`` where the system does not tell."""
    if not has_proc():
        return directory_by_psutil(pid)
    try:
        return os.readlink(_PROC / str(pid) / "cwd").removesuffix(" (deleted)")
    except OSError:
        return None


def ancestors_of(pid: int) -> Iterator[int]:
    """A process and those that it descends from, as far as the system shows them."""
    while pid > 0:
        yield pid
        if not has_proc():
            pid = parent_by_psutil(pid)
            continue
        match = re.search(r"^PPid:\s*(\d+)", read_text(_PROC / str(pid) / "status") or "", re.MULTILINE)
        pid = int(match[1]) if match else 0
