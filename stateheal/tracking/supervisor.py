"""Running one command to its end: output passed on, signals forwarded, time limits kept, the terminal left as it was.

The models are dumb-init and tini (signals to the whole group, 128+n) and the shells (stops, the foreground).
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from stateheal.tracking.group import Leadership
from stateheal.tracking.launch import Command, Wiring, start
from stateheal.tracking.pump import Keyboard, Stream
from stateheal.tracking.system import adopt_orphans
from stateheal.tracking.terminal import RawMode, copy_size, foreground, give_foreground, is_terminal, open_pty

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_FORWARDED = (signal.SIGUSR1, signal.SIGUSR2)
_OWN = (signal.SIGTSTP, signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT)
_LOOK = 0.1
"""Seconds between two looks at a group whose leader has ended."""
_AFTER_KILL = 5.0
"""Seconds after SIGKILL to wait for a group that hangs in the kernel."""
_FIRST_SAMPLE, _SAMPLE = 0.05, 1.0


@dataclass(frozen=True)
class Order:
    """What to run and how."""

    argv: Sequence[str]
    cwd: str | None = None
    timeout: float | None = None
    grace: float = 5.0
    stdout: int = 1
    """Where the command's output goes."""
    sample: Callable[[], None] | None = None
    """Called now and then while the command runs."""
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    """What to exit with: its own status, or 128+n."""
    killed_by: int | None
    asked_by: int | None
    """The first signal that asked the runner for an end."""
    timed_out: bool
    children: frozenset[int]
    """Pids of the command and of its descendants, as far as their end was seen here."""


class Supervisor:
    """One run of one command. A context manager: signals are caught, and a group led, from its beginning to its end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.keep: Callable[[str, bytes], None] | None = None
        """Hears every byte of ``stdout`` and ``stderr``; without it the command gets the runner's own descriptors."""
        self._pending: list[int] = []
        self._streams: list[Stream] = []
        self._slaves: list[int] = []
        self._master: int | None = None
        self._raw = RawMode(0)
        self._keyboard: Keyboard | None = None
        """Copies keys to the command's own terminal, where it has one."""
        self._given = False
        """Whether the command was put into the terminal's foreground."""
        self._asked_by: int | None = None
        self._timed_out = False
        self._kill_at: float | None = None
        self._give_up_at: float | None = None

    def __enter__(self) -> Supervisor:
        self._lead = Leadership()
        adopt_orphans()
        self._wake, waker = os.pipe()
        for fd in (self._wake, waker):
            os.set_blocking(fd, False)
        self._waker = waker
        self._old_wakeup = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._before: dict[int, Any] = {}
        for signum in (*_ENDING, *_FORWARDED, *_OWN):
            if signal.getsignal(signum) is not signal.SIG_IGN or signum == signal.SIGCHLD:
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._wake)
        os.close(self._waker)
        self._lead.resign()

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._pending.append(signum)

    def asked_to_end(self) -> int | None:
        """A signal that came before the command was started."""
        return next((signum for signum in self._pending if signum in _ENDING), None)

    def run(self) -> Ended:
        """Start the command and return when its whole group has ended. Raises ``CannotStart``."""
        order = self._order
        with self._screen():
            wiring = self._wire()
            try:
                command = start(order.argv, wiring, order.cwd, order.env)
            finally:
                for fd in self._slaves:
                    os.close(fd)
            try:
                if not wiring.terminal and self.keep is None and _is_interactive():
                    self._give(command)
                return self._ended(command, self._watch(command))
            finally:
                command.close()
                for stream in self._streams:
                    stream.close()

    # --- wiring ---

    def _wire(self) -> Wiring:
        """What the command reads from and writes to."""
        if self.keep is None:
            return Wiring(0, self._order.stdout, 2)
        interactive = _is_interactive() and self._order.stdout == 1
        merged = _same_file(self._order.stdout, 2)
        stdout = self._output("stdout", self._order.stdout, interactive)
        stderr = stdout if merged else self._output("stderr", 2, interactive)
        if not interactive:
            return Wiring(0, stdout, stderr)
        assert self._master is not None
        master = os.dup(self._master)
        os.set_blocking(master, False)
        self._keyboard = Keyboard(0, master)
        self._streams.append(self._keyboard)
        self._raw.on()
        return Wiring(stdout, stdout, stderr, terminal=True)

    def _output(self, name: str, sink: int, interactive: bool) -> int:
        """A pipe, or for a terminal a pseudo-terminal, whose other end is passed on to ``sink``."""
        if is_terminal(sink):
            source, slave = open_pty(sink, cooked=interactive)
            self._master = source if self._master is None else self._master
        else:
            source, slave = os.pipe()
        keep = self.keep
        assert keep is not None
        self._streams.append(Stream(source, sink if _is_open(sink) else None, lambda data: keep(name, data)))
        self._slaves.append(slave)
        return slave

    @contextmanager
    def _screen(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._raw.off()
            self._take_back()

    # --- the loop ---

    def _watch(self, command: Command) -> int:
        """Until the whole group has ended and its output is passed on. Returns the leader's wait status."""
        order = self._order
        timeout_at = None if order.timeout is None else time.monotonic() + order.timeout
        sample_at, pause = time.monotonic() + _FIRST_SAMPLE, _FIRST_SAMPLE
        status: int | None = None
        while True:
            self._act_on_signals(command)
            for event in command.news():
                if event.pid == self._lead.sentinel:
                    command.signal(signal.SIGTSTP)
                    self._suspend(command, sentinel_stopped=True)
                elif event.stopped_by is not None and event.pid == command.pid:
                    self._on_stop(command, event.stopped_by)
                elif status is None and event.pid == command.pid:
                    status = event.status
                    timeout_at = None
            if self._lead.sentinel in command.ended and self._asked_by is None:
                self._asked_by = signal.SIGKILL  # the group that we were started in was killed
                self._end(command, signal.SIGTERM)
            now = time.monotonic()
            if timeout_at is not None and now >= timeout_at:
                self._timed_out, timeout_at = True, None
                self._end(command, signal.SIGTERM)
            if self._kill_at is not None and now >= self._kill_at:
                command.signal(signal.SIGKILL)
                self._kill_at, self._give_up_at = None, now + _AFTER_KILL
            if order.sample is not None and status is None and now >= sample_at:
                order.sample()
                pause = min(2 * pause, _SAMPLE)
                sample_at = time.monotonic() + pause
            over = status is not None and not command.signal(0)
            if over or (self._give_up_at is not None and now >= self._give_up_at):
                self._drain()
                return signal.SIGKILL if status is None else status
            if self._keyboard is not None and self._keyboard.paused:
                look_at: float | None = now + _LOOK  # nobody tells a running job that it is in the foreground again
                if self._at_front():
                    self._go_on(command, self._given)
            else:
                look_at = None
            moments = [timeout_at, self._kill_at, self._give_up_at, look_at, sample_at if order.sample else None]
            soonest = min((moment - now for moment in moments if moment is not None), default=60.0)
            self._pass_on(max(0.0, min(soonest, 60.0 if status is None else _LOOK)), command.reports)

    def _pass_on(self, wait: float, reports: int | None = None) -> bool:
        """Wait for anything, the monitor's reports too, and move what can be moved. Returns whether anything was."""
        reads = {stream.reads: stream for stream in self._streams if stream.reads is not None}
        writes = {stream.writes: stream for stream in self._streams if stream.writes is not None}
        told = [self._wake] if reports is None else [self._wake, reports]
        readable, writable, _ = select.select([*told, *reads], [*writes], [], wait)
        for fd in readable:
            if fd == reports:
                continue  # read by ``Command.news``
            if fd == self._wake:
                with suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            else:
                reads[fd].read()
        for fd in writable:
            writes[fd].write()
        return bool(writable) or any(fd in reads for fd in readable)

    def _drain(self) -> None:
        """What is still on its way. Whoever left the group and keeps a pipe open is not waited for."""
        self._streams = [stream for stream in self._streams if not isinstance(stream, Keyboard)]
        waiting = False
        while self._pass_on(_LOOK if waiting else 0.0) or waiting:
            waiting = any(stream.writes is not None for stream in self._streams)
            if self.asked_to_end():
                return

    def _act_on_signals(self, command: Command) -> None:
        while self._pending:
            signum = self._pending.pop(0)
            if signum in _ENDING:
                self._asked_by = self._asked_by or signum
                self._end(command, signum)
            elif signum in _FORWARDED:
                command.signal(signum)
            elif signum == signal.SIGWINCH and self._master is not None:
                copy_size(self._order.stdout if is_terminal(self._order.stdout) else 2, self._master)
            elif signum == signal.SIGTSTP:
                command.signal(signum)
                self._suspend(command)
            elif signum == signal.SIGCONT:
                self._go_on(command, self._given)

    def _end(self, command: Command, signum: int) -> None:
        """Ask the group to end; once the grace is over it is killed."""
        command.signal(signum)
        command.signal(signal.SIGCONT)
        if self._kill_at is None and self._give_up_at is None:
            self._kill_at = time.monotonic() + self._order.grace

    # --- stops ---

    def _on_stop(self, command: Command, signum: int) -> None:
        """The command was stopped: it wants the terminal, or the user wants their shell."""
        wants_terminal = signum in (signal.SIGTTIN, signal.SIGTTOU)
        if wants_terminal and not self._given and self._at_front():
            self._give(command)
            command.signal(signal.SIGCONT)
        elif self._kill_at is None:
            self._suspend(command)

    def _suspend(self, command: Command, sentinel_stopped: bool = False) -> None:
        """Stop with the command; on return both go on."""
        given = self._given
        self._raw.off()
        self._take_back()
        self._lead.stop(sentinel_stopped)
        self._go_on(command, given)

    def _go_on(self, command: Command, given: bool) -> None:
        """Continued, in the foreground or in the background."""
        at_front = self._at_front()
        if self._keyboard is not None:
            self._keyboard.paused = not at_front
            if at_front:
                self._raw.on()
        if given and at_front:
            self._give(command)
        command.signal(signal.SIGCONT)

    def _at_front(self) -> bool:
        return foreground(0) in (os.getpgrp(), self._lead.old)

    def _give(self, command: Command) -> None:
        if self._at_front():
            give_foreground(0, command.pid)
            self._given = True

    def _take_back(self) -> None:
        if self._given:
            give_foreground(0, os.getpgrp())
            self._given = False

    # --- the end ---

    def _ended(self, command: Command, wait_status: int) -> Ended:
        killed_by = os.WTERMSIG(wait_status) if os.WIFSIGNALED(wait_status) else None
        status = 128 + killed_by if killed_by is not None else os.WEXITSTATUS(wait_status)
        children = frozenset({command.pid, *command.ended})
        return Ended(status, killed_by, self._asked_by, self._timed_out, children)


def _is_interactive() -> bool:
    """Whether a person sits at both ends, and we are in the foreground."""
    return is_terminal(0) and is_terminal(1) and foreground(0) == os.getpgrp()


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _same_file(one: int, other: int) -> bool:
    try:
        return os.path.samestat(os.fstat(one), os.fstat(other))
    except OSError:
        return False
