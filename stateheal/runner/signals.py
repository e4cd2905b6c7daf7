"""Signals of a process that runs tracked jobs: every job is brought to an end on disk before the process ends.

The rules (field guide section 3; the models are trio and borg): a signal that arrives in the middle of a write is held
back until the write is whole; what was ignored before (``nohup``) stays ignored; the handler that was there before is
called after the flush; handlers are put back with the last job. Only the main thread can have handlers at all: a job
tracked in another thread while the main thread tracks none is left to ``atexit`` and to the next heal.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any, Protocol
else:
    Protocol = object

WANTED = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
IMPATIENCE = 2.0
"""Seconds after the first signal in which further ones are taken for the same request."""
_OTHER_THREAD = 5.0
"""Seconds to wait for a write in another thread before the flush goes on without it."""


class Closable(Protocol):
    """A job as the guard sees it."""

    def terminate(self, signum: int) -> None:
        """Close the records because of a signal. Must not raise."""

    def abandon(self) -> None:
        """Close the records because the process ends. Must not raise."""


class Guard:
    """The one keeper of a process's active jobs, writes and handlers."""

    def __init__(self) -> None:
        self._jobs: list[Closable] = []
        self._lock = threading.RLock()
        self._depth = 0
        """Nesting of writes in the main thread."""
        self._held_back: list[int] = []
        self._ended_by = 0
        self._ended_at = 0.0
        self._previous: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unheard: list[int] = []

    # --- jobs ---

    def add(self, job: Closable, loop: asyncio.AbstractEventLoop | None = None, handlers: bool = True) -> None:
        """A job begins: from now on a signal closes it, unless the caller has ``handlers`` of its own."""
        self._ended_by = 0
        self._jobs.append(job)
        if handlers and not self._previous and threading.current_thread() is threading.main_thread():
            self._install(loop)

    def drop(self, job: Closable) -> None:
        """A job has ended. With the last one the old handlers come back, unless a signal is ending the process."""
        with suppress(ValueError):
            self._jobs.remove(job)
        if not self._jobs and not self._ended_by:
            self._restore()

    def forget(self) -> None:
        """In a forked child: the jobs are the parent's."""
        self._jobs, self._held_back, self._depth = [], [], 0
        self._lock = threading.RLock()
        self._restore()

    def at_exit(self) -> None:
        """The interpreter ends, maybe with jobs still active."""
        for job in reversed(self._jobs.copy()):
            job.abandon()
        if self._ended_by:
            # Python gives its handlers up from here on: a second signal must not change the exit status.
            for signum in self._previous:
                signal.signal(signum, signal.SIG_IGN)

    # --- writes ---

    def __enter__(self) -> None:
        """A write begins. Signals that arrive from here on wait for its end."""
        if threading.current_thread() is threading.main_thread():
            self._depth += 1
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()
        if threading.current_thread() is threading.main_thread():
            self._depth -= 1
            if self._depth == 0 and self._held_back:
                self._end(self._held_back[0], None)

    # --- signals ---

    def _install(self, loop: asyncio.AbstractEventLoop | None) -> None:
        for signum in WANTED:
            previous = signal.getsignal(signum)
            if previous is None or previous is signal.SIG_IGN:
                continue  # ignored on purpose, or not Python's to give back
            self._previous[signum] = previous  # first: whatever interrupts the rest, it can be given back
            try:
                self._set(signum, loop)
            except (ValueError, RuntimeError, OSError):  # a sub-interpreter, a loop in another thread
                del self._previous[signum]

    def _set(self, signum: int, loop: asyncio.AbstractEventLoop | None) -> None:
        if loop is not None:
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(signum, self._on_signal_of_loop, signum)
                # The loop hears of a signal in its next turn, if it has one: what it has not heard is not forgotten.
                signal.signal(signum, lambda number, frame: self._unheard.append(number))
                self._loop = loop
                return
        signal.signal(signum, self._on_signal)

    def _restore(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may; its next job finds the handlers in place
        previous, self._previous = self._previous, {}
        loop, self._loop = self._loop, None
        for signum, handler in previous.items():
            if loop is not None:
                with suppress(ValueError, RuntimeError):
                    if not loop.remove_signal_handler(signum):
                        continue  # somebody else has taken it over meanwhile
            elif signal.getsignal(signum) != self._on_signal:
                continue
            signal.signal(signum, handler)
        unheard, self._unheard = self._unheard, []
        for signum in unheard:  # it came too late for the last job: it is for who was there before
            signal.raise_signal(signum)

    def _on_signal_of_loop(self, signum: int) -> None:
        self._unheard.clear()
        self._on_signal(signum, None)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if self._depth:
            self._held_back.append(signum)
        elif not self._jobs and not self._ended_by:  # the last job ended in a thread, which cannot restore handlers
            self._restore()
            signal.raise_signal(signum)
        else:
            self._end(signum, frame)

    def _end(self, signum: int, frame: FrameType | None) -> None:
        """Flush, call who was there before, exit with 128+n."""
        if self._ended_by:
            self._again(signum)
            return
        self._ended_by, self._ended_at = signum, time.monotonic()
        self._leave_loop()
        previous = self._previous.get(signum)
        self._flush(signum)
        try:
            if callable(previous) and previous is not signal.default_int_handler:
                previous(signum, frame)
        except SystemExit:
            pass  # it wants an end too; the status is the signal's
        raise SystemExit(128 + signum)

    def _leave_loop(self) -> None:
        """The process ends, its event loop first: what closes takes its handlers with it, and puts in the system's.

        Until then a further signal is the same request, also while the loop closes and after; so it comes to us
        directly. Between the two handlers no signal may be delivered.
        """
        loop, self._loop = self._loop, None
        if loop is None:
            return
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, self._previous)
        try:
            for signum in self._previous:
                with suppress(ValueError, RuntimeError):
                    if loop.remove_signal_handler(signum):
                        signal.signal(signum, self._on_signal)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _flush(self, signum: int) -> None:
        self._depth += 1  # what arrives now is held back, and then dropped
        taken = self._lock.acquire(timeout=_OTHER_THREAD)
        try:
            for job in reversed(self._jobs.copy()):
                job.terminate(signum)
        finally:
            if taken:
                self._lock.release()
            self._held_back.clear()
            self._depth -= 1

    def _again(self, signum: int) -> None:
        """A further signal while the process is ending: the same request for a while, then what it was before."""
        self._held_back.clear()
        if time.monotonic() - self._ended_at >= IMPATIENCE:
            self._ended_by = 0
            self._restore()
            signal.raise_signal(signum)


GUARD = Guard()
atexit.register(GUARD.at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=GUARD.forget)
