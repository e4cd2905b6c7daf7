"""A look at the whole process table through /proc (Linux), for jobs that live where their recorded pid does not show.

Field guide section 4, "Signs of life that no pid shows". psutil tells neither the pid that a process has in its own
namespace nor a kernel thread, so /proc is read here, beside it.
"""

from __future__ import annotations

import os

from stateheal.evidence.host import created_at, read_bytes, stat_of
from stateheal.model.look import Look, Seen

_PROC = "/proc"


def look_at_proc(boot: float | None) -> Look:
    """Every process but this one. ``boot``: when the machine was booted, seconds since the epoch. Never raises."""
    try:
        os.readlink(f"{_PROC}/self")  # an empty /proc, or another pid namespace's: it shows nobody that matters
        pids = [int(name) for name in os.listdir(_PROC) if name.isdigit()]
    except OSError as error:
        return Look(trouble=f"{_PROC}: {error.strerror or error}")
    own = os.getpid()
    return Look(tuple(_seen(pid, boot) for pid in pids if pid != own))


def _seen(pid: int, boot: float | None) -> Seen:
    stat = stat_of(pid)
    created = created_at(stat.ticks, boot)
    if stat.kernel:  # it has no command line, and stands in no other namespace: a look is taken before every repair
        return Seen(pid, (), None, created, stat.kernel, stat.zombie)
    argv = argv_of(pid)
    return Seen(pid, argv, _inner_pid(read_bytes(f"{_PROC}/{pid}/status")), created, stat.kernel, stat.zombie)


def _inner_pid(status: bytes) -> int | None:
    """The pid that a process has in its own namespace, where that is another one than this."""
    pids = status.partition(b"\nNSpid:")[2].partition(b"\n")[0].split()
    return int(pids[-1]) if len(pids) > 1 and pids[-1].isdigit() else None


def argv_of(pid: int) -> tuple[str, ...]:
    """A process's command line; a program that has changed its title may have put spaces between the elements, and
    zeros behind them. Empty where it has none or will not be read.
    """
    words = read_bytes(f"{_PROC}/{pid}/cmdline").decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    return tuple(words[0].split() if len(words) == 1 else words)
