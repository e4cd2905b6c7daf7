"""Process groups, and whose a process is (POSIX; procfs where there is one)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from stateheal.evidence.host import read_text

_PROC = Path("/proc")


def group_of(pid: int) -> int | None:
    """The process group that a process is in; ``None`` where it is gone, or the system knows no groups."""
    try:
        return os.getpgid(pid)
    except (AttributeError, OSError):
        return None


def members_of(group: int) -> Iterator[int]:
    """The processes that are in a group now, as far as the system shows them."""
    try:
        names = os.listdir(_PROC)
    except OSError:
        return
    for name in names:
        if name.isdigit() and group_of(int(name)) == group:
            yield int(name)


def command_lines() -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every process that shows its command line, with that."""
    try:
        names = os.listdir(_PROC)
    except OSError:
        return
    for name in names:
        text = read_text(_PROC / name / "cmdline") if name.isdigit() else None
        if text:
            yield int(name), tuple(text.removesuffix("\0").split("\0"))


def user_of(pid: int) -> int | None:
    """The user that a process runs as; ``None`` where the system does not tell."""
    match = re.search(r"^Uid:\s*(\d+)", read_text(_PROC / str(pid) / "status") or "", re.MULTILINE)
    return int(match[1]) if match else None


def directory_of(pid: int) -> str | None:
    """The directory that a process is in, even one that was removed; ``None`` where the system does not tell."""
    try:
        return os.readlink(_PROC / str(pid) / "cwd").removesuffix(" (deleted)")
    except OSError:
        return None


def ancestors_of(pid: int) -> Iterator[int]:
    """A process and those that it descends from, as far as the system shows them."""
    while pid > 0:
        yield pid
        match = re.search(r"^PPid:\s*(\d+)", read_text(_PROC / str(pid) / "status") or "", re.MULTILINE)
        pid = int(match[1]) if match else 0
