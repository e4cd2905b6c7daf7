"""A look at the whole process table through /proc (Linux), for jobs that live where their recorded pid does not show.

Field guide section 4, "Signs of life that no pid shows". psutil tells neither the pid that a process has in its own
namespace nor a kernel thread, so /proc is read here, beside it.
"""

from __future__ import annotations

import os
import re

from stateheal.evidence.host import read_bytes, stat_of
from stateheal.model.look import Look, Seen

_PROC = "/proc"
_INNER = re.compile(rb"^NSpid:(?:\s+\d+)+\s+(\d+)$", re.MULTILINE)


def look_at_proc(boot: float | None) -> Look:
    """Every process but this one. ``boot``: when the machine was booted, seconds since the epoch. Never raises."""
    try:
        pids = [int(name) for name in os.listdir(_PROC) if name.isdigit()]
    except OSError as error:
        return Look(trouble=error.strerror or str(error))
    return Look(tuple(_seen(pid, boot) for pid in pids if pid != os.getpid()))


def _seen(pid: int, boot: float | None) -> Seen:
    argv = _argv(read_bytes(f"{_PROC}/{pid}/cmdline"))
    stat = stat_of(pid)
    inner = None if stat.kernel else _INNER.search(read_bytes(f"{_PROC}/{pid}/status"))
    created = None if boot is None or stat.ticks is None else boot + stat.ticks / os.sysconf("SC_CLK_TCK")
    return Seen(pid, argv, int(inner[1]) if inner else None, created, stat.kernel, stat.zombie)


def _argv(data: bytes) -> tuple[str, ...]:
    """Its elements; a program that has changed its title may have put spaces between them."""
    if not data:
        return ()
    words = data.decode("utf-8", "surrogateescape").removesuffix("\0").split("\0")
    return tuple(words[0].split() if len(words) == 1 else words)
