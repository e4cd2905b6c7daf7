"""What to run and how, what became of it, and when what is due: the same on every system."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence

from stateheal.values import NamedTuple

Keep = Callable[[str, bytes], None]
"""Hears every byte of ``stdout`` and ``stderr``."""
_FIRST_SAMPLE, _SAMPLE = 0.05, 1.0
NOT_FOUND, NOT_EXECUTABLE = 127, 126


class CannotStart(Exception):
    """The command is not there, or cannot be executed. ``status`` is what a shell would return."""

    def __init__(self, command: str, number: int) -> None:
        self.name = command
        missing = number in (errno.ENOENT, errno.ENOTDIR)
        super().__init__(f"{command}: {'command not found' if missing else os.strerror(number)}")
        self.status = NOT_FOUND if missing else NOT_EXECUTABLE


class Order(NamedTuple):
    """What to run and how."""

    argv: Sequence[str]
    cwd: str | None = None
    timeout: float | None = None
    grace: float = 5.0
    stdout: int = 1
    """Where the command's output goes."""
    sample: Callable[[], None] | None = None
    """Called now and then while the command runs."""
    env: Mapping[str, str] | None = None
    """``None``: the runner's own."""


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    """What to exit with: its own status, or 128+n."""
    killed_by: int | None
    asked_by: int | None
    """The first signal that asked the runner for an end."""
    timed_out: bool
    children: frozenset[int]
    """Pids of the command and of its descendants, as far as their end was seen here."""


class Clock:
    """What happens when: the end of the time allowed, of the grace, of all patience, the next sample."""

    def __init__(self, order: Order) -> None:
        now = time.monotonic()
        self._order = order
        self.timeout_at = None if order.timeout is None else now + order.timeout
        self.kill_at: float | None = None
        self.give_up_at: float | None = None
        self._pause = _FIRST_SAMPLE
        self.sample_at = now + self._pause if order.sample else None

    def begin_grace(self) -> None:
        if self.kill_at is None and self.give_up_at is None:
            self.kill_at = time.monotonic() + self._order.grace

    def sample(self) -> None:
        if self._order.sample is not None:
            self._order.sample()
        self._pause = min(2 * self._pause, _SAMPLE)
        self.sample_at = time.monotonic() + self._pause

    def leader_ended(self) -> None:
        self.sample_at = None

    def wait(self, longest: float) -> float:
        """Seconds until the next of them."""
        moments = [
            each for each in (self.timeout_at, self.kill_at, self.give_up_at, self.sample_at) if each is not None
        ]
        return max(0.0, min([longest, *(moment - time.monotonic() for moment in moments)]))


def is_over(moment: float | None) -> bool:
    """Whether a moment has come; one that is not set never does."""
    return moment is not None and time.monotonic() >= moment
