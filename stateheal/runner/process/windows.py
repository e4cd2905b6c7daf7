"""Running one command to its end on Windows: output passed on, Ctrl-C forwarded, time limits kept.

What a process group, signals and the parent-death signal are elsewhere, a job object and console events are here (field
guide section 12). The command and all it starts are in one job object, which ends with the runner however that ends.
When the command has ended by itself, what it left running in the background goes on, as elsewhere what has left its
group does; where it was asked to end, everything is ended. Its output goes through pipes: it sees no console there.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from types import FrameType

from stateheal.runner.process.find import find_program
from stateheal.runner.process.order import CannotStart, Clock, Ended, Keep, Order, is_over
from stateheal.system import console, job_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

assert sys.platform == "win32"

_ENDING = (signal.SIGINT, signal.SIGBREAK, signal.SIGTERM)
_PAUSE = 0.05
"""Seconds between two looks at what nobody tells."""
_QUIET = 0.2
"""Seconds of silence after the end of the command: what still holds its pipes open is not waited for."""
_CHUNK = 65536
_CONTROL_C_EXIT = 0xC000013A
"""The exit status of a process that let a Ctrl-C or Ctrl-Break end it."""
_KILLED = 1
"""The exit status of what is terminated."""


class _Pump(threading.Thread):
    """From one pipe of the command to one of ours; what comes is told on the way."""

    def __init__(self, name: str, source: int, sink: int, told: queue.Queue[tuple[str, bytes]]) -> None:
        super().__init__(name=name, daemon=True)
        self.busy = False
        """Whether bytes are being passed on just now."""
        self._source, self._sink, self._told = source, sink, told

    def run(self) -> None:
        try:
            while data := os.read(self._source, _CHUNK):
                self.busy = True
                self._told.put((self.name, data))
                while data:
                    data = data[os.write(self._sink, data) :]
                self.busy = False
        except OSError:
            pass  # nobody reads us any more: the command shall hear of it
        finally:
            self.busy = False
            os.close(self._source)


class Supervisor:
    """One run of one command. A context manager: Ctrl-C is caught from its beginning to its end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.keep: Keep | None = None
        """Hears the output; without it the command gets the runner's own streams."""
        self._pending: list[int] = []
        self._asked_by: int | None = None
        self._timed_out = False
        self._killed = False
        self._told: queue.Queue[tuple[str, bytes]] = queue.Queue(64)
        self._pumps: list[_Pump] = []
        self._seen: set[int] = set()
        """Pids that were in the job."""
        self._ours = console.has_console()

    def __enter__(self) -> Supervisor:
        self._before: dict[int, Any] = {}
        for signum in _ENDING:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._pending.append(signum)

    def asked_to_end(self) -> int | None:
        """A signal that asks for an end and has not been acted on."""
        return self._pending[0] if self._pending else None

    def run(self) -> Ended:
        """Start the command and return when it has ended. Raises ``CannotStart``."""
        self._clock = Clock(self._order)
        with job_object.JobObject() as job:
            child = self._start(job)
            try:
                status = self._watch(child, job)
                self._drain()
            except BaseException:
                job.end(_KILLED)  # nobody would be left to look after it
                raise
            left = self._look(job)
            if self._asked_by is not None or self._timed_out:
                job.end(_KILLED)
            else:
                job.spare()
                self._seen -= left
            return self._ended(status)

    # --- the start ---

    def _start(self, job: job_object.JobObject) -> subprocess.Popen[bytes]:
        """Suspended until it is in the job: whatever it starts is in it too."""
        order = self._order
        environment: Mapping[str, str] = os.environ if order.env is None else order.env
        program = find_program(order.argv, order.cwd, environment)
        pipe = subprocess.PIPE if self.keep is not None else None
        inherited = [fd if _is_open(fd) else None for fd in (0, order.stdout, 2)]
        try:
            child = subprocess.Popen(
                [program, *order.argv[1:]],
                stdin=inherited[0],  # named, or a command with a console of its own would get that one's
                stdout=pipe or inherited[1],
                stderr=pipe or inherited[2],
                cwd=order.cwd,
                env=dict(environment),
                creationflags=job_object.CREATE_SUSPENDED | console.creation_flags(self._ours),
            )
        except OSError as error:
            raise CannotStart(order.argv[0], error.errno or 0) from error
        handle = int(getattr(child, "_handle"))  # noqa: B009
        try:
            job.add(handle)
        except OSError as error:
            child.kill()
            raise CannotStart(order.argv[0], error.errno or 0) from error
        job_object.resume(handle)
        self._seen.add(child.pid)
        for name, stream, sink in (("stdout", child.stdout, order.stdout), ("stderr", child.stderr, 2)):
            if stream is not None:
                self._pumps.append(_Pump(name, os.dup(stream.fileno()), sink, self._told))
                stream.close()
                self._pumps[-1].start()
        return child

    # --- the loop ---

    def _watch(self, child: subprocess.Popen[bytes], job: job_object.JobObject) -> int:
        while (status := child.poll()) is None:
            self._act_on_signals(child)
            self._keep_time(child, job)
            self._hear(self._clock.wait(_PAUSE))
        return status

    def _act_on_signals(self, child: subprocess.Popen[bytes]) -> None:
        while self._pending:
            self._asked_by = self._asked_by or self._pending[0]
            self._pending.pop(0)
            self._ask(child)

    def _ask(self, child: subprocess.Popen[bytes]) -> None:
        """Ask it to end; once the grace is over, or where it cannot be asked, it is terminated."""
        self._clock.begin_grace()
        if not console.ask_to_end(child.pid, self._ours):
            self._clock.kill_at = 0.0

    def _keep_time(self, child: subprocess.Popen[bytes], job: job_object.JobObject) -> None:
        clock = self._clock
        if is_over(clock.timeout_at):
            self._timed_out, clock.timeout_at = True, None
            self._ask(child)
        if is_over(clock.kill_at) and child.poll() is None:
            self._killed, clock.kill_at = True, None
            clock.give_up_at = float("inf")
            job.end(_KILLED)
        if is_over(clock.sample_at):
            self._look(job)
            clock.sample()

    def _look(self, job: job_object.JobObject) -> frozenset[int]:
        try:
            found = job.pids()
        except OSError:
            return frozenset()
        self._seen |= found
        return found

    def _hear(self, wait: float) -> bool:
        """Keep what has come from the command; whether anything has."""
        try:
            name, data = self._told.get(timeout=max(wait, 0.001))
        except queue.Empty:
            return False
        if self.keep is not None:
            self.keep(name, data)
        return True

    def _drain(self) -> None:
        """Keep what is still on its way, until there is silence or somebody wants an end."""
        self._clock.leader_ended()
        while self._hear(_QUIET) or (any(pump.busy for pump in self._pumps) and self.asked_to_end() is None):
            if not any(pump.is_alive() for pump in self._pumps) and self._told.empty():
                return

    # --- the end ---

    def _ended(self, status: int) -> Ended:
        asked = self._asked_by or signal.SIGTERM
        killed_by = asked if self._killed or status == _CONTROL_C_EXIT else None
        if killed_by is None and self._timed_out and status == 0:
            killed_by = asked  # the command had ended well, what it left behind had not
        passed_on = status - (1 << 32) if status >= 1 << 31 else status  # sys.exit takes it with a sign
        passed_on = 128 + killed_by if killed_by is not None else passed_on
        return Ended(passed_on, killed_by, self._asked_by, self._timed_out, frozenset(self._seen))


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
