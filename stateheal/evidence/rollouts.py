"""Codex rollouts: a thread's turns, and the answer of one (field guide section 7). Read as a stream, never written.

A rollout is found by the thread id in its name, over all day directories and the archive, never by text, cwd or time.
A compressed one (``.jsonl.zst``) needs a library (Python 3.14 or ``stateheal[zstd]``); a plain sibling wins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from stateheal.model.turns import RolloutTurn, TurnFacts
from stateheal.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

_NAME = pattern(
    r"rollout-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-(?P<thread>.+?)(?:_(?P<rollout>[^_]+))?\.jsonl(?P<packed>\.zst)?"
)
_UUID = pattern(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Rollouts:
    """The rollouts of one ``CODEX_HOME``; its directories are listed once, at the first question."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or Path(os.environ.get("CODEX_HOME") or Path(os.path.expanduser("~")) / ".codex")
        self._paths: dict[str, list[Path]] | None = None
        self._read: dict[str, tuple[object, tuple[RolloutTurn, ...]]] = {}
        """By thread: the state of its rollouts when they were read, and their turns."""

    def turn(self, thread: str, turn: str) -> TurnFacts | None:
        """What the rollouts of a thread say about one turn; ``None`` where none mentions it."""
        for found in self.turns(thread):
            if found.turn_id == turn:
                return TurnFacts(found.end, found.path, _stat(Path(found.path))[0])
        return None

    def turns(self, thread: str) -> tuple[RolloutTurn, ...]:
        """Every turn of a thread, in the order of its rollouts, the newest rollout first."""
        paths = self._of(thread)
        state = [(path, _stat(path)) for path in paths]
        known = self._read.get(thread)
        if known is None or known[0] != state:  # several jobs of a thread ask for the same
            known = self._read[thread] = (state, self._turns_in(paths))
        return known[1]

    def _turns_in(self, paths: list[Path]) -> tuple[RolloutTurn, ...]:
        if not paths:
            return ()
        from stateheal.evidence.rollout import read  # few threads have any

        readers = [read(path) for path in paths]
        for reader in readers:
            for other in readers:
                if other is not reader:
                    reader.roll_back_after(other.rollbacks)
        return tuple(turn for reader in readers for turn in reader.turns)

    def answer(self, turn: RolloutTurn) -> str | None:
        """The last message of a completed turn, as its rollout has it now."""
        from stateheal.evidence.rollout import event_in, lines_of, payload_of

        for number, line in enumerate(lines_of(Path(turn.path))):
            if number == turn.line:
                payload = payload_of(event_in(line))
                said = payload.get("last_agent_message")
                return said if payload.get("turn_id") == turn.turn_id and isinstance(said, str) else None
        return None

    def _of(self, thread: str) -> list[Path]:
        if self._paths is None:
            self._paths = {}
            for path in self._all():
                match = _NAME.fullmatch(path.name)
                for name in _threads(match) if match else ():
                    self._paths.setdefault(name, []).append(path)
        found = set(self._paths.get(thread, []))
        return sorted(
            (path for path in found if path.suffix != ".zst" or path.with_suffix("") not in found), reverse=True
        )

    def _all(self) -> Iterator[Path]:
        for folder in ("sessions", "archived_sessions"):
            for base, _, names in os.walk(self.home / folder):
                yield from (Path(base) / name for name in names if name.startswith("rollout-"))


def _threads(match: re.Match[str]) -> set[str]:
    """The thread that a name is of: what follows a ``_`` is a rollout's id only behind an id that has none itself."""
    thread, rollout = match["thread"], match["rollout"]
    if rollout is None:
        return {thread}
    return {thread, f"{thread}_{rollout}"} if _UUID.fullmatch(thread) else {f"{thread}_{rollout}"}


def _stat(path: Path) -> tuple[float, int]:
    """When a rollout was last written, and its size."""
    try:
        info = path.lstat()
    except OSError:
        return 0.0, 0
    return info.st_mtime, info.st_size
