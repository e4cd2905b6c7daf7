"""Answers that stand in a rollout, for jobs whose worker did not live to write them (field guide section 7).

A repair where recovering was asked for, a notice otherwise. The rule stands before those that close jobs, so that none
is first failed and then completed.
"""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.repairs import ending, log_line, no_process
from stateheal.diagnosis.rule import Diagnosed, Rule, job_finding
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json
from stateheal.formats.times import format_time
from stateheal.model.dialect import Dialect
from stateheal.model.findings import Severity
from stateheal.model.jobs import resume_of
from stateheal.model.liveness import Liveness
from stateheal.model.plan import GONE, Change, Gone, Patch
from stateheal.model.records import COMPLETED, is_active, is_completed, is_lost, lacks_answer, text_of
from stateheal.model.turns import Recovery, TurnEnd
from stateheal.text import quoted
from stateheal.version import __version__

_TOOL = "stateheal"
_LINE = "Recovered the result of its turn from a rollout"


def find_recovered(view: View) -> Iterator[Diagnosed]:
    """Jobs that are dead or were closed as such: completed with their answer, or why they are left as they are."""
    for job in view.jobs:
        if not view.settings.recover:
            yield from _notice(view, job)
            continue
        if _is_half_recovered(view, job):
            yield _finishing(view, job)
            continue
        recovery = view.evidence.recoveries.get(job.id)
        unanswered = job.record is not None and lacks_answer({**(job.entry or {}), **job.record}, job.dialect)
        if recovery is None or not (unanswered or _is_lost(view, job)):
            continue
        if recovery.message is None or job.record is None:
            why = recovery.reason or "it has no job file to hold the answer"
            message = f"not recoverable, left as it is: {why}"
            yield Diagnosed(job_finding(view, job, RECOVERABLE, message))
            continue
        why = "its file has lost its answer" if unanswered else "its worker died"
        message = f"{why}, but Codex finished the turn: the answer is in {recovery.path}"
        finding = job_finding(
            view, job, RECOVERABLE, message, "", "mark it completed/done with the answer", Severity.DAMAGE
        )
        yield Diagnosed(finding, _change(view, job, recovery))


def _notice(view: View, job: Job) -> Iterator[Diagnosed]:
    for side in job.sides:
        thread, turn = text_of(side, "threadId"), text_of(side, "turnId")
        facts = view.evidence.turns.get((thread, turn)) if thread and turn else None
        if side.get("jobClass") != "task" or facts is None or facts.end is not TurnEnd.COMPLETED:
            continue
        if _is_lost(view, job):
            message = f"its worker died, but Codex finished the turn: the answer is in {facts.path}"
            where = quoted(str(view.evidence.place.directory))
            resume = resume_of(*job.sides, dialect=job.dialect)
            helps = f"stateheal recover --job {quoted(job.id)} {where}" + (f", or {resume}" if resume else "")
            yield Diagnosed(job_finding(view, job, RECOVERABLE, message, helps))
        return


def _is_lost(view: View, job: Job) -> bool:
    if job.active:
        return view.judge(job).verdict.state is Liveness.DEAD
    return (
        bool(job.sides)
        and all(is_lost(side, job.dialect) or is_active(side, job.dialect) for side in job.sides)
        and (not job.any_active or view.judge(job).verdict.state is Liveness.DEAD)
    )


def _is_half_recovered(view: View, job: Job) -> bool:
    """Whether a recovery was killed between the two records: the job file has its answer, the index its old end."""
    entry, record = job.entry, job.record
    if entry is None or record is None or not (is_completed(record, job.dialect) and _recovered_here(record)):
        return False
    if is_active(entry, job.dialect):
        return view.judge(job).verdict.state is Liveness.DEAD
    return is_lost(entry, job.dialect)


def _recovered_here(record: Record) -> bool:
    result = record.get("result")
    source = result.get("recoveredFrom") if isinstance(result, dict) else None
    return isinstance(source, dict) and source.get("tool") == _TOOL


def _finishing(view: View, job: Job) -> Diagnosed:
    """What the killed recovery did not come to do: the index ends as the job file does, and the log says so."""
    assert job.entry is not None and job.record is not None
    message = "its answer was recovered, but the index was not told: the recovery was interrupted"
    repair = "the index takes over the job file's ending"
    log = view.evidence.logs.get(job.id)
    told = log is not None and _LINE in log.last_line
    change = Change(
        position=job.position,
        entry=ending(job.record, job.entry, job.dialect),
        stem=job.id,
        log=None if log is None or told else log_line(view, job.entry, _LINE),
        requires_record=job.id,
        owners_to_recheck=view.judge(job).owners if job.any_active else (),
    )
    return Diagnosed(job_finding(view, job, RECOVERABLE, message, "", repair, Severity.DAMAGE), change)


def _change(view: View, job: Job, recovery: Recovery) -> Change:
    ended = recovery.ended_at
    both: dict[str, Json | Gone] = {job.dialect.status[-1]: COMPLETED, "phase": "done", **job.dialect.answered}
    if all(is_completed(side, job.dialect) for side in job.sides):
        both = {}  # its end is told already; only the answer is missing
    elif ended is not None and ended <= view.now:
        both["completedAt"] = format_time(ended)
    elif any(text_of(side, "completedAt") is None for side in job.sides):
        both["completedAt"] = format_time(view.last_sign(job) or view.now)
    source = {"rollout": recovery.path, "turnId": recovery.turn_id, "tool": _TOOL, "version": __version__}
    result = {"status": 0, "rawOutput": recovery.message, "recoveredFrom": source}
    return Change(
        position=job.position,
        entry=_patch(job.entry, both, recovery, job.dialect),
        stem=job.id,
        record={**_patch(job.record, both, recovery, job.dialect), "result": result, "rendered": recovery.message},
        log=log_line(view, job.sides[0], _LINE),
        owners_to_recheck=view.judge(job).owners if job.any_active else (),
    )


def _patch(side: Record | None, both: Patch, recovery: Recovery, dialect: Dialect) -> Patch:
    if side is None:
        return {}
    patch = {**both, **(no_process(side, dialect) if both else {})}
    if "errorMessage" in side:
        patch["errorMessage"] = GONE
    if text_of(side, "turnId") is None and recovery.turn_id is not None:
        patch["turnId"] = recovery.turn_id
    return patch


RECOVERABLE = Rule(
    "recoverable",
    Severity.NOTICE,
    "A task whose worker died, but whose turn Codex finished all the same: the answer stands in a rollout.",
    "None by 'heal'. 'stateheal recover', or 'heal --recover', writes the answer into the job's records: "
    "completed/done, with where it came from. 'codex resume THREAD' shows it too.",
    find_recovered,
)
