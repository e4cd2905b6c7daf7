"""Codex rollouts: how a turn ended (field guide section 7). Read as a stream, never written.

A rollout is found by the thread id in its name, over all day directories and the archive, never by text, cwd or time.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stateheal.model import TurnEnd, TurnFacts

_NAME = re.compile(r"rollout-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-(?P<thread>.+?)(?:_(?P<rollout>[^_]+))?\.jsonl")
_MAX_LINE = 32 * 1024 * 1024


class Rollouts:
    """The rollouts of one ``CODEX_HOME``; its directories are listed once, at the first question."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
        self._paths: dict[str, list[Path]] | None = None

    def turn(self, thread: str, turn: str) -> TurnFacts | None:
        """What the rollouts of a thread say about one turn; ``None`` where none mentions it."""
        for path in self._of(thread):
            facts = _read_turn(path, turn)
            if facts is not None:
                return facts
        return None

    def _of(self, thread: str) -> list[Path]:
        if self._paths is None:
            self._paths = {}
            for path in self._all():
                match = _NAME.fullmatch(path.name)
                for name in {match["thread"], match["thread"] + "_" + str(match["rollout"])} if match else ():
                    self._paths.setdefault(name, []).append(path)
        return sorted(self._paths.get(thread, []), reverse=True)

    def _all(self) -> Iterator[Path]:
        for folder in ("sessions", "archived_sessions"):
            for base, _, names in os.walk(self.home / folder):
                yield from (Path(base) / name for name in names if name.startswith("rollout-"))


def _read_turn(path: Path, turn: str) -> TurnFacts | None:
    """The end of a turn; a later word on it outweighs an earlier one."""
    end: TurnEnd | None = None
    try:
        with path.open("rb") as file:
            mtime = os.fstat(file.fileno()).st_mtime
            while line := file.readline(_MAX_LINE):
                payload = _payload(line)
                if payload.get("turn_id") == turn:
                    end = _end_of(payload) or end or TurnEnd.OPEN
    except OSError:
        return None
    return None if end is None else TurnFacts(end, str(path), mtime)


def _payload(line: bytes) -> Mapping[str, Any]:
    """An event's payload; nothing for a line of another kind, or a torn one."""
    if b'"turn_id"' not in line:
        return {}
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    payload = event.get("payload") if isinstance(event, dict) and event.get("type") == "event_msg" else None
    return payload if isinstance(payload, dict) else {}


def _end_of(payload: Mapping[str, Any]) -> TurnEnd | None:
    kind = payload.get("type")
    if kind in ("task_complete", "turn_complete"):
        spoken = isinstance(payload.get("last_agent_message"), str) and payload["last_agent_message"]
        return TurnEnd.COMPLETED if spoken and not payload.get("error") else TurnEnd.FAILED
    return TurnEnd.ABORTED if kind == "turn_aborted" else None
