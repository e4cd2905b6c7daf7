"""Turns of Codex threads as their rollouts tell them, and what they come to for a job (field guide section 7)."""

from __future__ import annotations

from collections.abc import Mapping

from stateheal.enums import Words
from stateheal.formats.jsontext import Json
from stateheal.values import NamedTuple


class TurnEnd(Words):
    """How a Codex turn ended, as far as its rollout tells (field guide section 7)."""

    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"
    OPEN = "open"


class TurnFacts(NamedTuple):
    """One turn in a rollout."""

    end: TurnEnd
    path: str
    mtime: float


class RolloutTurn(NamedTuple):
    """One turn of a thread as its rollout tells it; the answer itself is read only when it is wanted."""

    turn_id: str | None
    path: str
    line: int
    """Where its last word stands, counted from 0."""
    end: TurnEnd
    trouble: str = ""
    """Of a turn that ended without success: what was missing."""
    started_at: float | None = None
    ended_at: float | None = None
    prompt: str | None = None
    """sha256 of the user's message, white space at its ends left out."""
    prompt_short: str = ""
    """The user's message as the plugin shortens summaries."""
    answer: str | None = None
    """sha256 of its last message, white space at its ends left out."""
    rolled_back: bool = False


class LostJob(NamedTuple):
    """A task job that ended without a result, as far as finding its turn needs it."""

    record: Mapping[str, Json]
    """Both its sides in one, the job file's word first."""
    started_at: float | None
    last_sign: float | None
    next_start: float | None
    """When the next job on the same thread began."""


class Recovery(NamedTuple):
    """What the rollouts come to for one job: an answer, or why there is none to be had."""

    reason: str
    message: str | None = None
    turn_id: str | None = None
    path: str | None = None
    ended_at: float | None = None
    of_log: bool = False
    """The answer is what the job's log says of it, the rollout has none."""
