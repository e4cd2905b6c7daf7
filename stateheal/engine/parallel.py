"""Looking at many workspaces without writing, over several processes: each child takes a share and sends its summaries.

Forked, so that nothing is imported twice. The children never write a file; where one dies, the workspaces it had not
told of are named as trouble. A child ends with its parent: its next summary finds no reader.
"""

from __future__ import annotations

import gc
import os
import pickle
import selectors
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from stateheal.engine.collect import WorkspaceSummary
from stateheal.model.disk import Place
from stateheal.model.problems import Problem
from stateheal.system.disk import write_all
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM)
_LENGTH = 8
_MOST = 8
_PATIENCE = 0.1
"""Seconds after which it is asked again whether the user wants an end."""
_CHUNK = 1 << 20


def processors() -> int:
    """How many processes may run at once, as far as the system tells; one where it cannot fork."""
    if not hasattr(os, "fork"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return min(_MOST, len(os.sched_getaffinity(0)))
    return min(_MOST, os.cpu_count() or 1)


class _Child(NamedTuple):
    pid: int
    fd: int
    share: Sequence[Place]
    received: bytearray


def spread(
    places: Sequence[Place],
    go: Callable[[Sequence[Place]], Iterable[WorkspaceSummary]],
    workers: int,
    stop: Callable[[], bool],
) -> Iterator[WorkspaceSummary]:
    """``go`` over all places in ``workers`` processes: the summaries as they come. Ends early where ``stop`` says so.

    In this process alone where the system has no further process to give.
    """
    children = _started(_shares(places, workers), go)
    if not children:
        yield from go(places)
        return
    told: set[Place] = set()
    try:
        for summary in _listen(children, stop):
            told.add(summary.place)
            yield summary
    finally:
        for child in children:
            _end(child)
    if not stop():
        for child in children:
            for place in child.share:
                if place not in told:
                    message = "it was not looked at: the process that was to do it has ended"
                    yield WorkspaceSummary(place, (Problem(str(place.directory), message),), looked=False)


def _shares(places: Sequence[Place], workers: int) -> list[Sequence[Place]]:
    """Dealt to and fro: whatever comes around at every second, or every tenth, falls to all alike."""
    round_trip = (*range(workers), *reversed(range(workers)))
    shares: list[list[Place]] = [[] for _ in range(workers)]
    for number, place in enumerate(places):
        shares[round_trip[number % len(round_trip)]].append(place)
    return [*shares]


def _started(
    shares: Iterable[Sequence[Place]], go: Callable[[Sequence[Place]], Iterable[WorkspaceSummary]]
) -> list[_Child]:
    """All the children, or none."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        return []  # where nobody waits for children their pids are given away at once: none could be ended safely
    children: list[_Child] = []
    gc.freeze()  # what is there already is not looked through again by each child
    # What arrives between fork and a child's first step is the parent's to handle.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        for share in shares:
            children.append(_start(share, go))
    except OSError:
        for child in children:
            _end(child)
        return []
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        gc.unfreeze()
    return children


def _start(share: Sequence[Place], go: Callable[[Sequence[Place]], Iterable[WorkspaceSummary]]) -> _Child:
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
    return _Child(pid, reading, share, bytearray())


def _work(fd: int, share: Sequence[Place], go: Callable[[Sequence[Place]], Iterable[WorkspaceSummary]]) -> NoReturn:
    """A child's whole life. Whatever happens, it never returns into its parent's code."""
    status = 1
    try:
        # The terminal's Ctrl-C reaches children too: it is the parent that decides and ends them.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        gc.set_threshold(10_000, 10, 10)  # as in __main__
        for summary in go(share):
            data = pickle.dumps(summary, pickle.HIGHEST_PROTOCOL)
            write_all(fd, len(data).to_bytes(_LENGTH, "big") + data)
        status = 0
    finally:
        os._exit(status)


def _listen(children: Iterable[_Child], stop: Callable[[], bool]) -> Iterator[WorkspaceSummary]:
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.fd, selectors.EVENT_READ, child)
        while selector.get_map() and not stop():
            for key, _ in selector.select(_PATIENCE):
                if data := os.read(key.fd, _CHUNK):
                    key.data.received.extend(data)
                    yield from _summaries_in(key.data.received)
                else:
                    selector.unregister(key.fd)


def _summaries_in(received: bytearray) -> Iterator[WorkspaceSummary]:
    """The summaries that have come whole; they are taken out."""
    start = 0
    while len(received) - start >= _LENGTH:
        end = start + _LENGTH + int.from_bytes(received[start : start + _LENGTH], "big")
        if len(received) < end:
            break
        summary: WorkspaceSummary = pickle.loads(memoryview(received)[start + _LENGTH : end])
        start = end
        yield summary
    del received[:start]


def _end(child: _Child) -> None:
    """Close the pipe, end the child if it is still at work, and reap it."""
    os.close(child.fd)
    with suppress(ProcessLookupError):
        # Not reaped yet: the pid is still its own. It writes nothing, and may have been stopped.
        os.kill(child.pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child.pid, 0)
