"""Ending a process, held by a handle: whoever has its pid a moment later cannot be hit (DESIGN.md promise 1).

A handle is a pidfd, a kqueue or Windows' own (``stateheal.system.process_handle``). A group is ended through handles of
all its members: as long as one of them is there, the kernel gives the group's number to nobody else.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from stateheal.errors import Refused
from stateheal.system.process_handle import ProcessHandle, open_process
from stateheal.values import NamedTuple

_STEP = 0.02
_LAST_WAIT = 5.0
"""Seconds that a process has to vanish after SIGKILL."""
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has one way to end a process
_GO_ON = getattr(signal, "SIGCONT", 0)
HAS_HANDLES = sys.platform == "win32" or hasattr(os, "pidfd_open") or hasattr(select, "kqueue")
Members = Callable[[Mapping[int, float]], Iterable[int]]
"""Tells who is in a group, given when each process that is held was created (seconds; only Windows needs it)."""


class Ended(NamedTuple):
    """What came of it."""

    signum: int
    """The last signal that was sent."""
    survivors: tuple[int, ...] = ()
    """Pids of those that are still there."""
    seconds: float = 0.0


@contextmanager
def held(pid: int) -> Iterator[ProcessHandle | None]:
    """A handle on the process that has a pid now; ``None`` where there is none. Raises ``Refused``."""
    try:
        handle = open_process(pid)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise Refused("this system has no handles on processes, and by a bare pid nothing is ended") from error
        raise Refused(f"no handle on pid {pid} can be had: {error.strerror or error}") from error
    if handle is None:
        yield None
        return
    with handle:
        yield handle


def end(handle: ProcessHandle, members: Members, grace: float) -> Ended:
    """SIGTERM, ``grace`` seconds of patience, SIGKILL; to all whom ``members`` tells to be in a group of its own.

    Raises ``Refused`` where the process itself must not be signalled; of its group that is told as survivors.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        group = _Group(handle, members, stack)
        group.send(signal.SIGTERM)
        if not group.wait(signal.SIGTERM, grace):
            group.send(_KILL)
            group.wait(_KILL, _LAST_WAIT)
        left = tuple(sorted(each.pid for each in group.handles if each.lives))
        return Ended(group.signum, left, time.monotonic() - began)


class _Group:
    """The handles of a process and of whoever else is in its group."""

    def __init__(self, leader: ProcessHandle, members: Members, stack: ExitStack) -> None:
        self.handles = [leader]
        self.members = members
        self.stack = stack
        self.signum = 0

    def send(self, signum: int) -> None:
        self.signum = signum
        self._gather()
        for each in self.handles:
            self._send(each, signum)

    def wait(self, signum: int, seconds: float) -> bool:
        """Whether all end in time. Who is forked meanwhile gets the signal too."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            over = all(not each.lives for each in self.handles)
            new = self._gather()
            for each in new:
                self._send(each, signum)
            if over and not new:
                return True
            time.sleep(_STEP)
        return False

    def _send(self, each: ProcessHandle, signum: int) -> None:
        try:
            each.send(signum)
            if signum == signal.SIGTERM:
                each.send(_GO_ON)  # one that is stopped hears nothing else
        except PermissionError:
            if each is self.handles[0]:
                raise Refused(f"pid {each.pid} must not be signalled: it belongs to another user") from None

    def _gather(self) -> list[ProcessHandle]:
        """Hold the members that are not held yet."""
        new: list[ProcessHandle] = []
        known = {each.pid for each in self.handles if each.lives}
        for pid in self._members() - known:
            each = self.stack.enter_context(held(pid))
            if each is not None and each.lives and self._is_member(each):
                new.append(each)
        self.handles += new
        return new

    def _members(self) -> set[int]:
        """Who is in the group now; told with when each of those that are held was created, where handles know that."""
        return set(self.members({each.pid: each.created for each in self.handles if each.created is not None}))

    def _is_member(self, each: ProcessHandle) -> bool:
        """Asked once it is held, since it was opened by number; the group is ours while one of it is not reaped."""
        return each.pid in self._members() and not all(other.reaped for other in self.handles)
