"""Active jobs whose process is dead: ``dead-pid``, ``recycled-pid``, ``missing-pid``, ``unsafe-pid``.

Field guide section 3 says what a healed record holds, section 5 which rule is which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stateheal.diagnosis.rule import Diagnosed, job_finding
from stateheal.diagnosis.view import Job, Record, View
from stateheal.formats.times import describe_age, format_time
from stateheal.model.findings import Severity
from stateheal.model.liveness import Liveness, Verdict
from stateheal.model.plan import Change, Patch
from stateheal.model.records import is_active, is_finished, pid_of, text_of, time_of
from stateheal.model.request import Closing
from stateheal.text import printable

_CLOCK = 2.0
"""Seconds that a job may seem to be older than the command that started it."""
ORPHANED = "Orphaned: "
"""How the message of every orphan begins."""


def find_orphans(rule: str) -> Callable[[View], Iterator[Diagnosed]]:
    """The finder of one of the four rules: active jobs whose verdict belongs to it."""

    def find(view: View) -> Iterator[Diagnosed]:
        for job in view.jobs:
            if job.active and _rule_of(job, view.judge(job).verdict) == rule:
                yield from _diagnose(view, job, rule)

    return find


def find_unsafe(view: View) -> Iterator[Diagnosed]:
    """Pids that are none, on any record: on active jobs as far as they are dead, on finished ones always."""
    yield from find_orphans("unsafe-pid")(view)
    for job in view.jobs:
        if any(map(is_active, job.sides)):
            continue  # its other side may speak of a process that lives
        entry = _nulled(job.entry)
        record = _nulled(job.record)
        if entry or record:
            shown = next(side["pid"] for side in job.sides if _nulled(side))
            yield Diagnosed(
                job_finding(
                    view,
                    job,
                    "unsafe-pid",
                    f"this finished job still names {shown!r} as its process",
                    "the plugin may signal recorded pids, and this one stands for no single process",
                    "set pid to null",
                ),
                Change(position=job.position, entry=entry, stem=job.id, record=record),
            )


def _nulled(side: Record | None) -> Patch:
    if side is None or not is_finished(side) or side.get("pid") is None:
        return {}
    pid = pid_of(side["pid"])
    sound = pid is not None and pid > 1 and not isinstance(side["pid"], str)
    return {} if sound else {"pid": None}


def _rule_of(job: Job, verdict: Verdict) -> str:
    """A pid that is there but is no number makes the job one without a pid, and the damage ``unsafe-pid``."""
    named = any(side.get("pid") is not None for side in job.sides)
    return "unsafe-pid" if verdict.rule == "missing-pid" and named else verdict.rule


def _diagnose(view: View, job: Job, rule: str) -> Iterator[Diagnosed]:
    verdict = view.judge(job).verdict
    last = view.last_sign(job)
    evidence = "no sign of life is recorded" if last is None else f"last sign of life {describe_age(last, view.now)}"
    status = str(job.sides[0].get("status"))
    if verdict.state is Liveness.UNSURE:
        message = f"{status}, and whether its process lives cannot be told: {verdict.reason}"
        yield Diagnosed(job_finding(view, job, rule, message, evidence, severity=Severity.UNSURE))
    elif verdict.state is Liveness.DEAD:
        only = "" if job.entry and job.record else " in the index" if job.entry else " in the job file"
        repair = f"mark it failed/{'terminated' if _terminated(view, job) else 'orphaned'}{only}"
        finding = job_finding(view, job, rule, f"{status}, but {verdict.reason}", evidence, repair)
        yield Diagnosed(finding, orphan_change(view, job))


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


def _terminated(view: View, job: Job) -> Closing | None:
    """The signal's end of the command that ran the job, where that is known (``stateheal run --no-record``)."""
    closing = view.settings.closing
    if closing is None or closing.message is None:
        return None
    pids = {pid_of(side.get("pid")) for side in job.sides if is_active(side)}
    started = [time_of(side, key, view.now) for side in job.sides for key in ("startedAt", "createdAt")]
    own = all(moment is None or moment >= closing.began - _CLOCK for moment in started)
    return closing if pids <= closing.pids and own else None


def _message(view: View, job: Job, verdict: Verdict) -> str:
    closing = _terminated(view, job)
    if closing is not None and closing.message is not None:
        return closing.message
    log = view.evidence.logs.get(job.id)
    quote = log.codex_error if log and verdict.rule == "missing-pid" else None
    return f"{verdict.message}; Codex error: {quote}" if quote else verdict.message


def _orphaned(view: View, job: Job, side: Record | None, text: str) -> Patch:
    if side is None or not is_active(side):
        return {}
    # The plugin shows completedAt - startedAt as the job's duration: never a time to come, never the healing's own.
    ended = max((sign for sign in view.signs(job) if sign <= view.now), default=view.now)
    closing = _terminated(view, job)
    before = text_of(side, "errorMessage")
    return {
        "status": "failed",
        "phase": "terminated" if closing else "orphaned",
        "pid": None,
        "completedAt": format_time(closing.ended if closing else ended),
        "errorMessage": f"{text} (before: {before})" if before else text,
    }


def log_line(view: View, side: Record, text: str) -> str:
    """What a job's log is told of a repair: when, why, and what its record said before (field guide section 3)."""
    return printable(f"[{format_time(view.now)}] {text} (was {side.get('status')}/{side.get('phase')})")
