"""Passing a command's output on, untouched and without blocking, while keeping what the job's records need of it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_CHUNK = 65536
_ATOMIC = 4096
"""Bytes that a pipe which is ready takes without blocking (PIPE_BUF)."""
KEPT = 256 * 1024
"""Bytes of each output that go into the result; the rest is in the log."""


class Tail:
    """The last ``KEPT`` bytes of a stream, and how many there were before them."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0

    def add(self, data: bytes) -> None:
        """What comes next in the stream."""
        self._parts.append(data)
        self._size += len(data)
        while self._size - len(self._parts[0]) >= KEPT:
            gone = self._parts.popleft()
            self._size -= len(gone)
            self.dropped += len(gone)

    def text(self) -> str:
        """As text; what was dropped is said in a first line."""
        data = b"".join(self._parts)
        cut = max(0, len(data) - KEPT)
        text = data[cut:].decode("utf-8", "replace")
        return f"[{self.dropped + cut} bytes before this are in the job's log]\n{text}" if self.dropped + cut else text


class Stream:
    """From one descriptor to another; ``heard`` gets every byte on its way."""

    def __init__(self, source: int, sink: int | None, heard: Callable[[bytes], None] | None = None) -> None:
        self.source: int | None = source
        self.sink = sink
        self._heard = heard
        self._waiting = b""

    @property
    def reads(self) -> int | None:
        """The descriptor to wait for with something to read: none while the last has not been passed on."""
        return None if self._waiting else self.source

    @property
    def writes(self) -> int | None:
        """The descriptor to wait for until it takes something."""
        return self.sink if self._waiting else None

    def read(self) -> None:
        """Take what is there. The end of the source closes it."""
        assert self.source is not None
        try:
            data = os.read(self.source, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the pseudo-terminal open any more
            data = b""
        if not data:
            self.close()
            return
        if self._heard is not None:
            self._heard(data)
        if self.sink is not None:
            self._waiting = data

    def write(self) -> None:
        """Pass on what the sink takes at once. A sink that is closed closes the source: its writer shall hear of it."""
        assert self.sink is not None
        try:
            self._waiting = self._waiting[os.write(self.sink, self._waiting[:_ATOMIC]) :]
        except BlockingIOError:
            return
        except OSError:
            self.sink, self._waiting = None, b""
            self.close()

    def close(self) -> None:
        """Let go of the source."""
        if self.source is not None:
            with suppress(OSError):
                os.close(self.source)
            self.source = None


class Keyboard(Stream):
    """From the terminal to a pseudo-terminal: the source is not ours to close, nor to read in the background."""

    paused = False

    @property
    def reads(self) -> int | None:
        return None if self.paused else super().reads

    def close(self) -> None:
        self.source = None
