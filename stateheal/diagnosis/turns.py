"""Which turn of a thread is a job's own, and whether its answer may be taken. Pure; field guide section 7.

``--resume-last`` puts many jobs into one thread, and the user may have gone on in it by hand: the turn id decides.
Where a job never learnt it, only a single turn of the right time and the right prompt will do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stateheal.digests import text_digest
from stateheal.model.records import text_of
from stateheal.model.turns import LostJob, RolloutTurn, TurnEnd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SLACK = 60.0
"""Seconds after a job's last own sign of life in which its turn may still have begun."""

Record = Mapping[str, "Any"]


def _why_not_at_all(record: Record) -> str | None:
    """Why there is no point in looking for a rollout."""
    if record.get("jobClass") != "task":
        return "a review's thread leaves no rollout"
    if record.get("result") is not None:
        return "it has a result of its own"
    return None


def choose_turn(job: LostJob, read_turns: Callable[[], Sequence[RolloutTurn]]) -> RolloutTurn | str:
    """The job's turn, completed with an answer; or why there is none to be had.

    ``read_turns`` reads the turns of its thread; it is called only where there is a point in it.
    """
    why_not = _why_not_at_all(job.record)
    if why_not is not None:
        return why_not
    turns = read_turns()
    if not turns:
        return "no rollout of its thread"
    wanted = text_of(job.record, "turnId")
    if wanted is not None:
        own = [turn for turn in turns if turn.turn_id == wanted]
        if not own:
            return "no rollout of its thread knows its turn"
    else:
        own = [turn for turn in turns if _in_time(job, turn)]
        if not own:
            return "it names no turn, and none began in its time"
        mine = [turn for turn in own if _is_prompt(job.record, turn)]
        if not mine:
            return "it names no turn, and the one of its time may be one that was run by hand: the prompt is another"
        own = mine
    if len(own) > 1 and len({(turn.end, turn.answer, turn.rolled_back) for turn in own}) > 1:
        return f"{len(own)} turns may be its own"
    if len(own) > 1 and wanted is None:
        return f"{len(own)} turns may be its own"
    turn = own[0]
    return _why_unusable(turn) or turn


def _why_unusable(turn: RolloutTurn) -> str | None:
    if turn.rolled_back:
        return "its turn was rolled back later"
    if turn.end is TurnEnd.OPEN:
        return "its turn has no end in the rollout"
    if turn.end is TurnEnd.ABORTED:
        return "its turn was aborted"
    if turn.end is TurnEnd.FAILED:
        return f"its turn ended {turn.trouble}"
    return None


def _in_time(job: LostJob, turn: RolloutTurn) -> bool:
    started = turn.started_at
    if started is None or job.started_at is None or started < job.started_at:
        return False
    if job.last_sign is not None and started > job.last_sign + _SLACK:
        return False
    return job.next_start is None or started < job.next_start


def _is_prompt(record: Record, turn: RolloutTurn) -> bool:
    """Whether the turn's user message is the job's prompt, or collapses to its summary."""
    request = record.get("request")
    prompt = request.get("prompt") if isinstance(request, Mapping) else None
    if isinstance(prompt, str) and prompt.strip():
        return turn.prompt == text_digest(prompt)
    return bool(turn.prompt_short) and turn.prompt_short == text_of(record, "summary")
