"""A look at the whole process table through /proc (Linux), for jobs that live where their recorded pid does not show.

Field guide section 4, "Signs of life that no pid shows". psutil tells neither the pid that a process has in its own
namespace nor a kernel thread, so /proc is read here, beside it.
"""

from __future__ import annotations

import os

from stateheal.evidence.host import created_at, has_live_threads, read_bytes, stat_of, status_of
from stateheal.model.look import Look, Seen

_PROC = "/proc"


class Known:
    """What earlier looks of a run have shown and what cannot have changed since: everything else is read anew."""

    __slots__ = ("inner", "kernel", "users")

    def __init__(self) -> None:
        self.inner: dict[tuple[int, int], int | None] = {}
        """By pid and start in clock ticks: the pid that the process has in its own namespace, which it never leaves."""
        self.kernel: dict[int, tuple[int, Seen]] = {}
        """Threads of the kernel by pid, each with the inode of its directory: no two processes have the same one."""
        self.users: set[int] = set()
        """Pids of everybody else: of these no inode is asked for."""


def look_at_proc(boot: float | None, known: Known) -> Look:
    """Every process but this one. ``boot``: when the machine was booted, seconds since the epoch. Never raises."""
    try:
        os.readlink(f"{_PROC}/self")  # an empty /proc, or another pid namespace's: it shows nobody that matters
        pids = [int(name) for name in os.listdir(_PROC) if name.isdigit()]
    except OSError as error:
        return Look(trouble=f"{_PROC}: {error.strerror or error}")
    own = os.getpid()
    return Look(tuple(_seen(pid, boot, known) for pid in pids if pid != own))


def _seen(pid: int, boot: float | None, known: Known) -> Seen:
    inode = None if pid in known.users else _inode_of(pid)  # first: whoever has the pid next has another one
    if inode is not None and pid in known.kernel and known.kernel[pid][0] == inode:
        return known.kernel[pid][1]
    stat = stat_of(pid)
    created = created_at(stat.ticks, boot)
    if stat.kernel:  # it has no command line, and stands in no other namespace: a look is taken before every repair
        seen = Seen(pid, (), None, created, stat.kernel, stat.zombie)
        if inode is not None:
            known.kernel[pid] = inode, seen
        return seen
    known.users.add(pid)
    zombie = stat.zombie and not has_live_threads(pid)
    return Seen(pid, argv_of(pid), _inner_pid(pid, stat.ticks, known), created, stat.kernel, zombie)


def _inode_of(pid: int) -> int | None:
    try:
        return os.lstat(f"{_PROC}/{pid}").st_ino
    except OSError:
        return None


def _inner_pid(pid: int, ticks: int | None, known: Known) -> int | None:
    """The pid that a process has in its own namespace, where that is another one than this."""
    if ticks is None:
        return _named_inside(status_of(pid))
    if (pid, ticks) not in known.inner:  # the dearest of its files
        status = status_of(pid)
        if not status:
            return None
        known.inner[pid, ticks] = _named_inside(status)
    return known.inner[pid, ticks]


def _named_inside(status: bytes) -> int | None:
    pids = status.partition(b"\nNSpid:")[2].partition(b"\n")[0].split()
    return int(pids[-1]) if len(pids) > 1 and pids[-1].isdigit() else None


def argv_of(pid: int) -> tuple[str, ...]:
    """A process's command line; a program that has changed its title may have put spaces between the elements, and
    zeros behind them. Empty where it has none or will not be read.
    """
    words = read_bytes(f"{_PROC}/{pid}/cmdline").decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    return tuple(words[0].split() if len(words) == 1 else words)
