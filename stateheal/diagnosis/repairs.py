"""What finders share: how a repair closes a job, takes over an ending, and what may never be touched.

Field guide sections 3 and 5.
"""

from __future__ import annotations

from collections.abc import Collection

from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json
from stateheal.formats.times import format_time, parse_time
from stateheal.model.claims import names_pid
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.layout import status_of
from stateheal.model.liveness import Liveness, Verdict
from stateheal.model.plan import GONE, Change, Gone, Patch
from stateheal.model.records import (
    FAILED,
    entries_of,
    is_active,
    is_completed,
    is_failed,
    pid_of,
    text_of,
    time_of,
)
from stateheal.model.request import Closing
from stateheal.text import printable

ORPHANED = "Orphaned: "
"""How the message of every orphan begins."""
CLOSED = "Closed on request: "
"""How the message of a record begins that a person had closed."""
_CLOCK = 2.0
"""Seconds that a job may seem to be older than the command that started it."""
CAP = 50
"""Entries that the plugin keeps."""
PHASES = {"completed": "done", "failed": "failed", "cancelled": "cancelled"}
"""What the plugin gives as the phase of a job that ended so."""


def ending(source: Record, target: Record, dialect: Dialect = CODEX) -> Patch:
    """What ``target`` must change to end as ``source`` does. A thread or turn it knows is never forgotten."""
    status, completed = str(status_of(source, dialect)), is_completed(source, dialect)
    wanted: dict[str, Json | Gone] = {**_status_as_in(source, target, dialect), **no_process(target, dialect)}
    if "phase" in source or "phase" in target:
        wanted["phase"] = text_of(source, "phase") or PHASES.get(status, status)
    if parse_time(source.get("completedAt")) is not None:
        wanted["completedAt"] = source["completedAt"]
    for key in ("threadId", "turnId", *dialect.orphan, *dialect.orphan_time):
        if text_of(source, key) is not None:
            wanted[key] = source[key]
    message = text_of(source, "errorMessage")
    if message is not None and not (completed and message.startswith(ORPHANED)):
        wanted["errorMessage"] = message
    elif "errorMessage" in target and (completed or is_orphan_message(target)):
        wanted["errorMessage"] = GONE
    missing = object()
    return {key: value for key, value in wanted.items() if value is GONE or target.get(key, missing) != value}


def _status_as_in(source: Record, target: Record, dialect: Dialect) -> Patch:
    """The fields that say how a job stands; one that the source does not have would outrank what it says."""
    said: dict[str, Json | Gone] = {key: source[key] for key in dialect.status if text_of(source, key) is not None}
    return {**said, **{key: GONE for key in dialect.status if key in target and key not in said}}


def no_process(side: Record, dialect: Dialect, living: Collection[int] = ()) -> Patch:
    """What a record that has ended says of processes: none, as its companion's own code leaves it.

    A further process that lives on stays named.
    """
    own = (key for key in dialect.pids if key in side or key in CODEX.pids)
    further = (key for key in dialect.clears if key in side and not (names_pid(key) and pid_of(side[key]) in living))
    return dict.fromkeys((*own, *further), None)


def is_orphan_message(side: Record) -> bool:
    return (text_of(side, "errorMessage") or "").startswith(ORPHANED)


def is_closed_by_us(side: Record, dialect: Dialect) -> bool:
    """Whether a heal, or a person by ``close``, has ended this record: then no worker will write the other one."""
    return is_failed(side, dialect) and (text_of(side, "errorMessage") or "").startswith((ORPHANED, CLOSED))


def orphan_change(view: View, job: Job) -> Change:
    """What makes a job whose verdict is dead an orphan, on every side that is there."""
    judgement = view.judge(job)
    text = _message(view, job, judgement.verdict)
    return Change(
        position=job.position,
        entry=_orphaned(view, job, job.entry, text),
        stem=job.id,
        record=_orphaned(view, job, job.record, text),
        log=log_line(view, job.sides[0], text),
        owners_to_recheck=judgement.owners,
    )


def terminated_by(view: View, job: Job) -> Closing | None:
    """The signal's end of the command that ran the job, where that is known (``stateheal run --no-record``)."""
    closing = view.settings.closing
    if closing is None or closing.message is None:
        return None
    named = [{pid_of(side.get(key)) for key in job.dialect.pids} - {None} for side in job.active_sides]
    started = [time_of(side, key, view.now) for side in job.sides for key in ("startedAt", "createdAt")]
    own = all(moment is None or moment >= closing.began - _CLOCK for moment in started)
    return closing if own and all(pids and pids <= closing.pids for pids in named) else None


def _message(view: View, job: Job, verdict: Verdict) -> str:
    closing = terminated_by(view, job)
    if closing is not None and closing.message is not None:
        return closing.message
    log = view.evidence.logs.get(job.id)
    quote = log.error if log and verdict.rule == "missing-pid" else None
    return f"{verdict.message}; {job.dialect.drives.name} error: {quote}" if quote else verdict.message


def _orphaned(view: View, job: Job, side: Record | None, text: str) -> Patch:
    # The plugin shows completedAt - startedAt as the job's duration: never a time to come, never the healing's own.
    ended = max((sign for sign in view.signs(job) if sign <= view.now), default=view.now)
    closing = terminated_by(view, job)
    phase = "terminated" if closing else "orphaned"
    return closed(side, phase, text, closing.ended if closing else ended, job.dialect)


def closed(
    side: Record | None,
    phase: str,
    text: str,
    ended: float,
    dialect: Dialect = CODEX,
    living: Collection[int] = (),
) -> Patch:
    """What ends one side of a job as failed; an earlier message is kept behind the new one (field guide section 3).

    ``living``: further processes that live on, and stay named.
    """
    if side is None or not is_active(side, dialect):
        return {}
    before, moment = text_of(side, "errorMessage"), format_time(ended)
    return {
        dialect.status[-1]: FAILED,
        "phase": phase,
        **no_process(side, dialect, living),
        "completedAt": moment,
        "errorMessage": f"{text} (before: {before})" if before else text,
        **dialect.orphan,
        **dict.fromkeys(dialect.orphan_time, moment),
    }


def log_line(view: View, side: Record, text: str) -> str:
    """What a job's log is told of a repair: when, why, and what its record said before (field guide section 3)."""
    return printable(f"[{view.time}] {text} (was {status_of(side, view.dialect)}/{side.get('phase')})")


def may_live(view: View, job: Job) -> bool:
    """Whether the job is active and not proven dead: then nothing of it is touched."""
    return job.any_active and view.judge(job).verdict.state is not Liveness.DEAD


def is_shape(view: View, pointer: str) -> bool:
    """Whether a violation at this place of the index is about its shape rather than about one field of a job."""
    parts = pointer.split("/")[1:]
    if parts == ["jobs"]:
        return view.draft.index.get("jobs") is not None  # null has one meaning, and is mended
    if parts[:1] in (["config"], ["version"]):
        return True
    if len(parts) != 2 or parts[0] != "jobs":
        return False
    entry = entries_of(view.draft.index)[int(parts[1])]
    return entry is not None and not isinstance(entry, dict)
