"""The terminal a command is run from: whether there is one, who is in its foreground, pseudo-terminals beside it."""

from __future__ import annotations

import fcntl
import os
import signal
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_terminal(fd: int) -> bool:
    """Whether a descriptor is open and a terminal."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


def foreground(fd: int) -> int | None:
    """The process group in the foreground of a terminal; ``None`` where it is not ours to ask."""
    try:
        return os.tcgetpgrp(fd)
    except OSError:
        return None


def give_foreground(fd: int, group: int) -> None:
    """Put a process group of this session into the foreground, from the background too."""
    with ignored(signal.SIGTTOU), suppress(OSError):
        os.tcsetpgrp(fd, group)


@contextmanager
def ignored(signum: int) -> Iterator[None]:
    """Ignore one signal for the length of the block."""
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signum, before)


class RawMode:
    """Keys of a terminal as they are typed, for another terminal to make sense of; off until ``on``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    def on(self) -> None:
        """From now on keys come as they are typed."""
        if self._before is not None:
            return
        with suppress(termios.error), ignored(signal.SIGTTOU):
            self._before = termios.tcgetattr(self._fd)
            tty.setraw(self._fd, termios.TCSADRAIN)

    def off(self) -> None:
        """The terminal is as it was."""
        if self._before is not None:
            with suppress(termios.error), ignored(signal.SIGTTOU):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
            self._before = None


def open_pty(like: int, cooked: bool) -> tuple[int, int]:
    """A pseudo-terminal with the size and settings of a terminal: its master and its slave.

    Not ``cooked``: bytes come out as they were written, since the real terminal will treat them.
    """
    master, slave = os.openpty()
    with suppress(termios.error):
        settings = termios.tcgetattr(like)
        if not cooked:
            settings[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, settings)
    copy_size(like, master)
    return master, slave


def copy_size(source: int, target: int) -> None:
    """Give one terminal the size of another; whoever is in its foreground hears of it."""
    with suppress(OSError):
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(8)))
