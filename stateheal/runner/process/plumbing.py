"""Between a command and whoever started it: which descriptors the command gets, and moving bytes between them."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress

from stateheal.runner.process.launch import Wiring
from stateheal.runner.process.order import Keep
from stateheal.runner.process.pump import Keyboard, Stream
from stateheal.runner.process.terminal import RawMode, copy_size, foreground, is_terminal, open_pty

PAUSE = 0.1
"""Seconds between two looks at what nobody tells."""


class Plumbing:
    """What lies between the command and the runner's own descriptors.

    Without ``keep`` nothing does: the command gets them as they are. With it, each output goes through a pipe, or
    through a pseudo-terminal where it goes to a terminal. Where a person sits at both ends, that pseudo-terminal is
    also what the command reads from, and its controlling terminal.
    """

    def __init__(self, stdout: int, keep: Keep | None) -> None:
        self._stdout = stdout
        self._keep = keep
        self._streams: list[Stream] = []
        self._slaves: list[int] = []
        self._master: int | None = None
        self._raw = RawMode(0)
        self._keyboard: Keyboard | None = None
        """Copies keys to the command's own terminal, where it has one."""

    def wire(self) -> Wiring:
        """What the command reads from and writes to."""
        if self._keep is None:
            return Wiring(0, self._stdout, 2)
        interactive = is_interactive() and self._stdout == 1
        stdout = self._output("stdout", self._stdout, interactive)
        stderr = stdout if _same_file(self._stdout, 2) else self._output("stderr", 2, interactive)
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
        """The end that the command writes to; the other is passed on to ``sink``."""
        if is_terminal(sink):
            source, slave = open_pty(sink, cooked=interactive)
            self._master = source if self._master is None else self._master
        else:
            source, slave = os.pipe()
        keep = self._keep
        assert keep is not None
        self._streams.append(Stream(source, sink if _is_open(sink) else None, lambda data: keep(name, data)))
        self._slaves.append(slave)
        return slave

    def started(self) -> None:
        """The command has its ends: they are closed here, so that theirs is the last one."""
        while self._slaves:
            os.close(self._slaves.pop())

    def pass_on(self, wait: float, wake: int | None = None, reports: int | None = None) -> bool:
        """Wait for anything, and move what can be moved. Returns whether anything was.

        ``wake`` and ``reports`` end the wait too; the one is emptied, the other left to be read elsewhere.
        """
        reads = {stream.reads: stream for stream in self._streams if stream.reads is not None}
        writes = {stream.writes: stream for stream in self._streams if stream.writes is not None}
        told = [fd for fd in (wake, reports) if fd is not None]
        readable, writable = _wait_for([*told, *reads], [*writes], wait)
        if wake is not None and wake in readable:
            with suppress(BlockingIOError):
                os.read(wake, 4096)
        for fd in readable:
            if fd in reads:
                reads[fd].read()
        for fd in writable:
            writes[fd].write()
        return bool(writable) or any(fd in reads for fd in readable)

    def drain(self, stop: Callable[[], object]) -> None:
        """Pass on what is still on its way, until ``stop`` says so. Whoever keeps a pipe open is not waited for."""
        self._streams = [stream for stream in self._streams if not isinstance(stream, Keyboard)]
        while (self.pass_on(PAUSE if self._is_waiting else 0.0) or self._is_waiting) and not stop():
            pass

    @property
    def _is_waiting(self) -> bool:
        """Whether something was taken that its reader has not taken yet."""
        return any(stream.writes is not None for stream in self._streams)

    def resize(self) -> None:
        """The terminal has another size."""
        if self._master is not None:
            copy_size(self._stdout if is_terminal(self._stdout) else 2, self._master)

    # --- the keyboard ---

    @property
    def in_background(self) -> bool:
        """Whether keys would be copied, if the terminal were ours just now."""
        return self._keyboard is not None and self._keyboard.paused

    def keys(self, on: bool) -> None:
        """Copy keys or leave them to whoever is in the foreground."""
        if self._keyboard is not None:
            self._keyboard.paused = not on
        if not on:
            self._raw.off()
        elif self._keyboard is not None:
            self._raw.on()

    def close(self) -> None:
        """Let go of everything; the terminal is as it was."""
        self._raw.off()
        self.started()
        for stream in self._streams:
            stream.close()


def _wait_for(reads: list[int], writes: list[int], wait: float) -> tuple[list[int], list[int]]:
    """Which descriptors are ready. With poll where it can be trusted with terminals: select knows 1,024 at most."""
    if sys.platform != "linux":
        readable, writable, _ = select.select(reads, writes, [], wait)
        return readable, writable
    poll = select.poll()
    for fd in {*reads, *writes}:
        poll.register(fd, (select.POLLIN if fd in reads else 0) | (select.POLLOUT if fd in writes else 0))
    ready = dict(poll.poll(int(wait * 1000) + (wait > 0)))
    readable = [fd for fd in reads if ready.get(fd, 0) & ~select.POLLOUT]
    return readable, [fd for fd in writes if ready.get(fd, 0) & ~select.POLLIN]


def is_interactive() -> bool:
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
