"""Running one command to its end: output passed on, signals forwarded, time limits kept, the terminal left as it was.

The models are dumb-init and tini (signals to the whole group, 128+n) and the shells (stops, the foreground).
"""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from stateheal.runner.process.group import Leadership
from stateheal.runner.process.launch import Command, start
from stateheal.runner.process.order import Clock, Ended, Keep, Order, is_over
from stateheal.runner.process.plumbing import PAUSE, Plumbing, is_interactive
from stateheal.runner.process.system import adopt_orphans, dismiss, watch_over
from stateheal.runner.process.terminal import foreground, give_foreground

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_FORWARDED = (signal.SIGUSR1, signal.SIGUSR2)
_OWN = (signal.SIGTSTP, signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT)
_LONGEST = 60.0
_AFTER_KILL = 5.0
"""Seconds after SIGKILL to wait for a group that hangs in the kernel."""


class Supervisor:
    """One run of one command. A context manager: signals are caught, and a group led, from its beginning to its end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.keep: Keep | None = None
        """Hears the output; without it the command gets the runner's own descriptors."""
        self._pending: list[int] = []
        self._given = False
        """Whether the command was put into the terminal's foreground."""
        self._asked_by: int | None = None
        self._timed_out = False

    def __enter__(self) -> Supervisor:
        self._lead = Leadership()
        adopt_orphans()
        self._wake, self._waker = os.pipe()
        for fd in (self._wake, self._waker):
            os.set_blocking(fd, False)
        self._old_wakeup = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
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
        """A signal that asks for an end and has not been acted on."""
        return next((signum for signum in self._pending if signum in _ENDING), None)

    def run(self) -> Ended:
        """Start the command and return when its whole group has ended. Raises ``CannotStart``."""
        order = self._order
        self._clock = Clock(order)
        self._plumbing = Plumbing(order.stdout, self.keep)
        try:
            wiring = self._plumbing.wire()
            command = start(order.argv, wiring, order.cwd, os.environ if order.env is None else order.env)
            self._plumbing.started()
            guardian = watch_over(command.pid)
            try:
                if self.keep is None and is_interactive():
                    self._give(command)
                return self._ended(command, self._watch(command))
            except BaseException:
                command.signal(signal.SIGKILL)  # nobody would be left to look after it
                raise
            finally:
                command.close()
                dismiss(guardian)
        finally:
            self._plumbing.close()
            self._take_back()

    # --- the loop ---

    def _watch(self, command: Command) -> int:
        """Until the whole group has ended and its output is passed on. Returns the leader's wait status."""
        status: int | None = None
        while True:
            self._act_on_signals(command)
            status = self._hear(command, status)
            self._keep_time(command)
            if (status is not None and not command.lives()) or is_over(self._clock.give_up_at):
                self._plumbing.drain(lambda: self.asked_to_end() or is_over(self._clock.timeout_at))
                return signal.SIGKILL if status is None else status
            longest = _LONGEST if status is None else PAUSE
            if (
                status is None and self._plumbing.in_background
            ):  # nobody tells a running job that it is in the foreground again
                longest = PAUSE
                if self._at_front():
                    self._go_on(command, self._given)
            self._plumbing.pass_on(self._clock.wait(longest), self._wake, command.reports)

    def _hear(self, command: Command, status: int | None) -> int | None:
        """Act on the children's stops and ends. Returns the leader's wait status once there is one."""
        for event in command.news():
            if event.pid == self._lead.sentinel:
                command.signal(signal.SIGTSTP)
                self._suspend(command, sentinel_stopped=True)
            elif event.pid == command.pid and event.stopped_by is not None:
                self._on_stop(command, event.stopped_by)
            elif event.pid == command.pid and status is None:
                status = event.status
                self._clock.leader_ended()
                self._plumbing.keys(False)  # what is typed from now on is for whoever comes next
        if self._lead.sentinel in command.ended and self._asked_by is None:
            self._asked_by = signal.SIGKILL  # the group that we were started in was killed
            self._end(command, signal.SIGTERM)
        return status

    def _keep_time(self, command: Command) -> None:
        clock = self._clock
        if is_over(clock.timeout_at):
            self._timed_out, clock.timeout_at = True, None
            self._end(command, signal.SIGTERM)
        if is_over(clock.kill_at):
            command.signal(signal.SIGKILL)
            clock.kill_at, clock.give_up_at = None, time.monotonic() + _AFTER_KILL
        if is_over(clock.sample_at):
            clock.sample()

    def _act_on_signals(self, command: Command) -> None:
        while self._pending:
            signum = self._pending.pop(0)
            if signum in _ENDING:
                self._asked_by = self._asked_by or signum
                self._end(command, signum)
            elif signum in _FORWARDED:
                command.signal(signum)
            elif signum == signal.SIGWINCH:
                self._plumbing.resize()
            elif signum == signal.SIGTSTP:
                command.signal(signum)
                self._suspend(command)
            elif signum == signal.SIGCONT:
                self._go_on(command, self._given)

    def _end(self, command: Command, signum: int) -> None:
        """Ask the group to end; once the grace is over it is killed."""
        command.signal(signum)
        command.signal(signal.SIGCONT)
        self._clock.begin_grace()

    # --- stops ---

    def _on_stop(self, command: Command, signum: int) -> None:
        """The command was stopped: it wants the terminal, or the user wants their shell."""
        wants_terminal = signum in (signal.SIGTTIN, signal.SIGTTOU)
        if wants_terminal and not self._given and self._at_front():
            self._give(command)
            command.signal(signal.SIGCONT)
        elif wants_terminal and self._given and foreground(0) == command.pid:
            command.signal(signal.SIGCONT)  # it was quicker than we were in giving it
        elif self._clock.kill_at is None:
            self._suspend(command)

    def _suspend(self, command: Command, sentinel_stopped: bool = False) -> None:
        """Stop with the command; on return both go on."""
        given = self._given
        self._plumbing.keys(False)
        self._take_back()
        self._lead.stop(sentinel_stopped, self.asked_to_end)
        self._pending = [signum for signum in self._pending if signum != signal.SIGTSTP]  # as SIGCONT does to stops
        self._go_on(command, given)

    def _go_on(self, command: Command, given: bool) -> None:
        """Continued, in the foreground or in the background."""
        at_front = self._at_front()
        self._plumbing.keys(at_front)
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
        if self._timed_out and status == 0:
            status = 128 + signal.SIGTERM  # the command had ended well, what it left behind had not
        children = frozenset({command.pid, *command.ended})
        return Ended(status, killed_by, self._asked_by, self._timed_out, children)
