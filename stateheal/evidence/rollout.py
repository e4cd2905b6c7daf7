"""One Codex rollout, read as a stream: its lines, its turns (field guide section 7).

A compressed one (``.jsonl.zst``) needs a library (Python 3.14 or ``stateheal[zstd]``).
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stateheal.digests import text_digest
from stateheal.formats.times import parse_time
from stateheal.model.turns import RolloutTurn, TurnEnd
from stateheal.text import shorten
from stateheal.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

_MAX_LINE = 32 * 1024 * 1024
_STARTED = ("task_started", "turn_started")
_COMPLETED = ("task_complete", "turn_complete")
_WORDS = (*_STARTED, *_COMPLETED, "turn_aborted", "user_message", "thread_rolled_back", "error")
_MARKS = tuple(f'"{word}"'.encode() for word in _WORDS)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    # No link, and nothing that could keep us waiting: a FIFO has no business here.
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if path.suffix != ".zst":
            yield file
            return
        try:
            import zstandard
        except ImportError:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore]

            with zstd.open(file, "rb") as unpacked:
                yield unpacked
            return
        with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:
            yield io.BufferedReader(reader)  # type: ignore[arg-type,unused-ignore]


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a rollout, as far as it can be read; a longer one than ``_MAX_LINE`` comes in pieces."""
    try:
        with _opened(path) as file:
            while line := file.readline(_MAX_LINE):
                yield line
    except (OSError, ImportError, EOFError):
        return
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise


def event_in(line: bytes) -> Mapping[str, Any]:
    """A line's event; nothing for a line of no interest, or a torn one."""
    if not any(mark in line for mark in _MARKS):
        return {}
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) and event.get("type") == "event_msg" else {}


def payload_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = event.get("payload")
    return payload if isinstance(payload, dict) else {}


@dataclass
class Reader:
    """The turns of a rollout, line by line."""

    path: str
    turns: list[RolloutTurn] = field(default_factory=list)
    current: int | None = None
    """Which of them is going on."""
    rollbacks: list[float | None] = field(default_factory=list)
    """When turns were rolled back."""

    def take(self, number: int, event: Mapping[str, Any]) -> None:
        """One line's event."""
        payload = payload_of(event)
        kind, moment = payload.get("type"), parse_time(event.get("timestamp"))
        ident = payload.get("turn_id") if isinstance(payload.get("turn_id"), str) else None
        if kind in _STARTED:
            self.current = self._place(ident, number)
            began = self.turns[self.current].started_at or _seconds(payload.get("started_at")) or moment
            self._change(started_at=began, end=TurnEnd.OPEN)  # once more: its earlier end was none
        elif kind == "user_message" and self.current is not None:
            self._hear(payload.get("message"))
        elif kind in _COMPLETED:
            self.current = self._place(ident, number)
            self._complete(number, payload, moment)
        elif kind == "turn_aborted":
            self.current = self._place(ident, number)
            self._change(end=TurnEnd.ABORTED, line=number, trouble="both aborted and completed")
            self.current = None
        elif kind == "error" and self.current is not None:
            self._change(trouble="with an error")
        elif kind == "thread_rolled_back":
            self.rollbacks.append(moment)
            self._roll_back(payload.get("num_turns"))

    def _place(self, ident: str | None, number: int) -> int:
        """The turn with this id; without one, the turn that is going on."""
        if ident is None and self.current is not None:
            return self.current
        for place, turn in enumerate(self.turns):
            if ident is not None and turn.turn_id == ident:
                return place
        self.turns.append(RolloutTurn(ident, self.path, number, TurnEnd.OPEN))
        return len(self.turns) - 1

    def _change(self, **fields: Any) -> None:
        assert self.current is not None
        self.turns[self.current] = self.turns[self.current]._replace(**fields)

    def _hear(self, message: object) -> None:
        assert self.current is not None
        if isinstance(message, str) and self.turns[self.current].prompt is None:
            self._change(prompt=text_digest(message), prompt_short=shorten(message))

    def _complete(self, number: int, payload: Mapping[str, Any], moment: float | None) -> None:
        assert self.current is not None
        said, before = payload.get("last_agent_message"), self.turns[self.current]
        trouble = before.trouble or ("with an error" if payload.get("error") is not None else "")
        if not trouble and not (isinstance(said, str) and said.strip()):
            trouble = "without a message"
        answer = text_digest(said) if isinstance(said, str) else None
        if before.end is TurnEnd.COMPLETED and before.answer != answer:
            trouble = trouble or "twice, and differently"
        end = TurnEnd.FAILED if trouble else TurnEnd.COMPLETED
        ended = _seconds(payload.get("completed_at")) or moment
        self._change(end=end, trouble=trouble, line=number, ended_at=ended, answer=answer)
        self.current = None

    def roll_back_after(self, moments: list[float | None]) -> None:
        """Another rollout of the thread was rolled back: whatever had ended by then may have been meant."""
        for place, turn in enumerate(self.turns):
            if any(moment is None or turn.ended_at is None or moment >= turn.ended_at for moment in moments):
                self.turns[place] = turn._replace(rolled_back=True)

    def _roll_back(self, count: object) -> None:
        """So many turns before this line are undone."""
        whole = (isinstance(count, int) and not isinstance(count, bool)) or (
            isinstance(count, float) and count.is_integer()
        )
        left = int(count) if whole and count >= 0 else len(self.turns)  # type: ignore[call-overload,operator]
        for place in reversed(range(len(self.turns))):
            if left > 0 and not self.turns[place].rolled_back:
                self.turns[place] = self.turns[place]._replace(rolled_back=True)
                left -= 1


def _seconds(value: object) -> float | None:
    return (
        float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e11 else None
    )


def read(path: Path) -> Reader:
    reader = Reader(str(path))
    for number, line in enumerate(lines_of(path)):
        event = event_in(line)
        if event:
            reader.take(number, event)
    return reader
