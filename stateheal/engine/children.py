"""Processes that look and write nothing: forked, so that nothing is imported twice, each sends what it has found.

A child ends with its parent: what it sends next finds no reader.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from stateheal.model.disk import Place
from stateheal.system.disk import write_all
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

Go = Callable[[Sequence[Place]], "Iterable[Any]"]
"""What a child does with its share: yields what is to be sent."""
_ENDING = (signal.SIGINT, signal.SIGTERM)
_LENGTH = 8
_CHUNK = 1 << 20
_MOST = 8


def processors() -> int:
    """How many processes may run at once, as far as the system tells; one where it cannot fork."""
    if not hasattr(os, "fork"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return min(_MOST, len(os.sched_getaffinity(0)))
    return min(_MOST, os.cpu_count() or 1)


class Child(NamedTuple):
    """A process at work, and where what it sends arrives."""

    pid: int
    fd: int
    share: Sequence[Place]
    received: bytearray


def start_children(shares: Iterable[Sequence[Place]], go: Go) -> list[Child]:
    """One for each share: all of them, or none where the system has no further process to give."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        return []  # where nobody waits for children their pids are given away at once: none could be ended safely
    children: list[Child] = []
    gc.freeze()  # what is there already is not looked through again by each child
    # What arrives between fork and a child's first step is the parent's to handle.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        for share in shares:
            children.append(_start(share, go))
    except OSError:
        for child in children:
            end_child(child)
        return []
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        gc.unfreeze()
    return children


def _start(share: Sequence[Place], go: Go) -> Child:
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid == 0:
        os.close(reading)
        _work(writing, share, go)
    os.close(writing)
    os.set_blocking(reading, False)
    return Child(pid, reading, share, bytearray())


def _work(fd: int, share: Sequence[Place], go: Go) -> NoReturn:
    """A child's whole life. Whatever happens, it never returns into its parent's code."""
    status = 1
    try:
        # The terminal's Ctrl-C reaches children too: it is the parent that decides and ends them.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        gc.set_threshold(10_000, 10, 10)  # as in __main__
        for found in go(share):
            data = pickle.dumps(found, pickle.HIGHEST_PROTOCOL)
            write_all(fd, len(data).to_bytes(_LENGTH, "big") + data)
        status = 0
    finally:
        os._exit(status)


def receive(child: Child) -> list[Any] | None:
    """Read what a child has sent: all that has come whole since, or ``None`` where it has ended."""
    data = os.read(child.fd, _CHUNK)
    child.received.extend(data)
    return [*_whole_in(child.received)] if data else None


def _whole_in(received: bytearray) -> Iterator[Any]:
    """What has come whole; it is taken out."""
    start = 0
    while len(received) - start >= _LENGTH:
        end = start + _LENGTH + int.from_bytes(received[start : start + _LENGTH], "big")
        if len(received) < end:
            break
        found = pickle.loads(memoryview(received)[start + _LENGTH : end])
        start = end
        yield found
    del received[:start]


def end_child(child: Child) -> None:
    """Close the pipe, end the child if it is still at work, and reap it."""
    os.close(child.fd)
    with suppress(ProcessLookupError):
        # Not reaped yet: the pid is still its own. It writes nothing, and may have been stopped.
        os.kill(child.pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child.pid, 0)
