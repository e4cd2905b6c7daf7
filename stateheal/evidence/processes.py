"""The process table, one pid at a time, asked afresh each time. The only module that imports psutil.

Field guide section 4: ``kill(pid, 0)`` saying ESRCH, or a Tgid other than the pid, is the only proof that a process is
gone. psutil alone is none: under hidepid it says NoSuchProcess where kill says EPERM. A denied query is unknown.

psutil is imported when it is first asked, and on Linux only where /proc does not tell: a hook is in a hurry.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from stateheal.evidence.host import boot_time, created_at, has_live_threads, number_in, read_host, stat_of, status_of
from stateheal.model.liveness import HostFacts, ProcessFacts
from stateheal.model.look import Look, Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from stateheal.evidence.life import Known
else:
    Protocol = object

_HOST_AGE = 1.0
"""Seconds for which what hardly ever changes of a machine is taken as read."""


class ProcessTable(Protocol):
    """Where facts about processes come from. Tests bring their own."""

    def look(self) -> Look:
        """The whole process table now, this process left out."""

    def facts(self, pid: int) -> ProcessFacts:
        """What the system says of this pid now."""

    def host(self) -> HostFacts:
        """What the system says of itself now."""


class SystemProcesses:
    """The real one."""

    def __init__(self) -> None:
        self._host: tuple[float, HostFacts] | None = None
        """What was read of this machine, and when."""
        self._known: Known | None = None

    def facts(self, pid: int) -> ProcessFacts:
        """Probe one pid. Never raises: what cannot be learnt is ``None``."""
        why = _why_gone(pid)
        if why is not None:
            return ProcessFacts(pid, exists=False, why=why)
        facts = _details(pid)
        if not _answers(pid):  # it ended while it was being looked at
            return ProcessFacts(pid, exists=False, why="no such process")
        return facts

    def look(self) -> Look:
        """Through /proc where there is one: psutil does not tell what a process's pid is in its own namespace."""
        if sys.platform == "linux":
            from stateheal.evidence.life import Known, look_at_proc

            self._known = self._known or Known()
            return look_at_proc(self.host().boot_time, self._known)
        return _look_by_psutil()

    def host(self) -> HostFacts:
        """This machine now. What hardly ever changes is read once a second: it is asked in every workspace."""
        moment = time.monotonic()
        if self._host is None or moment - self._host[0] > _HOST_AGE:
            self._host = moment, read_host(boot_time() or _boot_time())
            return self._host[1]
        return self._host[1]._replace(now=time.time())


def _boot_time() -> float | None:
    """Where the system itself does not tell."""
    import psutil

    try:
        return float(psutil.boot_time())
    except (psutil.Error, OSError, RuntimeError):
        return None


def _look_by_psutil() -> Look:
    import psutil

    try:
        table = [each.info for each in psutil.process_iter(("pid", "cmdline", "create_time", "status"))]
    except (psutil.Error, OSError) as error:
        return Look(trouble=str(error))
    return Look(tuple(_seen(info) for info in table if info["pid"] != os.getpid()))


def _seen(info: dict[str, Any]) -> Seen:
    argv = tuple(info["cmdline"] or ())
    return Seen(info["pid"], argv, created=info["create_time"], zombie=info["status"] == "zombie")


def _answers(pid: int) -> bool:
    """Whether a process answers to this pid; when in doubt, yes."""
    if pid <= 0:
        return False
    if sys.platform == "win32":  # there, os.kill(pid, 0) would send a console event
        from stateheal.system.process_handle import exists

        return exists(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # EPERM: it lives, and is not ours
        return True
    return True


def _why_gone(pid: int) -> str | None:
    if not _answers(pid):
        return "no such process"
    group = number_in(status_of(pid), b"Tgid")
    return None if group in (None, pid) else f"it is a thread of process {group}, no process"


def descendants(pid: int) -> set[int]:
    """Pids of every process below one of our own, as far as the system shows them."""
    import psutil

    try:
        return {child.pid for child in psutil.Process(pid).children(recursive=True)}
    except (psutil.Error, OSError):
        return set()


# --- where there is no procfs (macOS, Windows) ---------------------------------------------------------------------


def pids_by_psutil() -> list[int]:
    """Every pid."""
    import psutil

    return psutil.pids()


def command_lines_by_psutil() -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every process that shows its command line, with that."""
    import psutil

    for each in psutil.process_iter(("pid", "cmdline")):
        if each.info["cmdline"]:
            yield each.info["pid"], tuple(each.info["cmdline"])


def user_by_psutil(pid: int) -> int | None:
    """The user that a process runs as; on Windows, which numbers none, 0 for our own; ``None`` where it is not told."""
    import psutil

    try:
        process = psutil.Process(pid)
        if sys.platform != "win32":
            return int(process.uids().real)
        return 0 if process.username() == psutil.Process().username() else None
    except (psutil.Error, OSError):
        return None


def directory_by_psutil(pid: int) -> str | None:
    """The directory that a process is in; ``None`` where it is not told."""
    import psutil

    try:
        return psutil.Process(pid).cwd()
    except (psutil.Error, OSError):
        return None


def created_by_psutil(pid: int) -> float | None:
    """When a process was created, in seconds since the epoch; ``None`` where it is not told."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, OSError):
        return None


def parent_by_psutil(pid: int) -> int:
    """The process that started another and is older than it; 0 where there is none."""
    import psutil

    try:
        parent = psutil.Process(pid).parent()
        return parent.pid if parent is not None else 0
    except (psutil.Error, OSError):
        return 0


def _details_by_psutil(pid: int) -> tuple[bool, tuple[str, ...] | None, float | None]:
    """Whether it is a zombie, its command line, when it was created."""
    import psutil

    zombie, argv, created = False, None, None
    try:
        process = psutil.Process(pid)
        created = float(process.create_time())
        zombie = process.status() == psutil.STATUS_ZOMBIE
        argv = tuple(process.cmdline()) or None
    except (psutil.Error, OSError):
        pass  # denied, or hidden: unknown, never a mismatch
    return zombie, argv, created


def _details(pid: int) -> ProcessFacts:
    stat = stat_of(pid)
    if stat.ticks is None:
        zombie, argv, created = _details_by_psutil(pid)
    else:  # /proc says it all, as it does in a look; psutil takes 20 ms to import, and then reads the same files
        from stateheal.evidence.life import argv_of

        zombie, argv, created = stat.zombie, argv_of(pid) or None, created_at(stat.ticks, boot_time())
    if zombie and has_live_threads(pid):
        zombie = False  # only its first thread has ended
    return ProcessFacts(pid, True, zombie=zombie, argv=argv, created=created, ticks=stat.ticks, kernel=stat.kernel)
