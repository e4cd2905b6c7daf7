"""Active jobs whose process is dead: ``dead-pid``, ``recycled-pid``, ``missing-pid``, ``unsafe-pid``.

Field guide section 3 says what a healed record holds, section 5 which rule is which.
"""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.repairs import orphan_change, terminated_by
from stateheal.diagnosis.rule import Diagnosed, Rule, job_finding
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json
from stateheal.formats.times import MINUTE, describe_activity, describe_age
from stateheal.model.claims import names_pid
from stateheal.model.dialect import Dialect
from stateheal.model.disk import argument_of
from stateheal.model.findings import Severity
from stateheal.model.layout import status_of
from stateheal.model.liveness import Liveness, Verdict
from stateheal.model.plan import Change, Patch
from stateheal.model.records import is_finished, pid_of


def _find_orphans(view: View, rule: Rule) -> Iterator[Diagnosed]:
    """Active jobs whose verdict belongs to this one of the four rules."""
    for job in view.jobs:
        if job.active and _rule_of(job, view.judge(job).verdict) == rule.name:
            yield from _diagnose(view, job, rule)


def find_missing(view: View) -> Iterator[Diagnosed]:
    """Active jobs that name no process and have been silent for too long."""
    return _find_orphans(view, MISSING_PID)


def find_recycled(view: View) -> Iterator[Diagnosed]:
    """Active jobs whose pid belongs to another process by now."""
    return _find_orphans(view, RECYCLED_PID)


def find_dead(view: View) -> Iterator[Diagnosed]:
    """Active jobs whose process is gone."""
    return _find_orphans(view, DEAD_PID)


def find_unsafe(view: View) -> Iterator[Diagnosed]:
    """Pids that are none, on any record: on active jobs as far as they are dead, on finished ones always."""
    yield from _find_orphans(view, UNSAFE_PID)
    for job in view.jobs:
        if job.any_active:
            continue  # its other side may speak of a process that lives
        entry = _nulled(job.entry, job.dialect)
        record = _nulled(job.record, job.dialect)
        if entry or record:
            shown = next(side[key] for side in job.sides for key in _nulled(side, job.dialect))
            yield Diagnosed(
                job_finding(
                    view,
                    job,
                    UNSAFE_PID,
                    f"this finished job still names {shown!r} as its process",
                    "the plugin may signal recorded pids, and this one stands for no single process",
                    f"set {', '.join(sorted({*entry, *record}))} to null",
                ),
                Change(position=job.position, entry=entry, stem=job.id, record=record),
            )


def _nulled(side: Record | None, dialect: Dialect) -> Patch:
    named = [key for key in (*dialect.pids, *dialect.clears) if side is not None and side.get(key) is not None]
    if side is None or not named or not is_finished(side, dialect):
        return {}
    return dict.fromkeys((key for key in named if names_pid(key) and not _is_sound(side[key])), None)


def _is_sound(value: Json) -> bool:
    pid = pid_of(value)
    return pid is not None and pid > 1 and not isinstance(value, str)


def _rule_of(job: Job, verdict: Verdict) -> str:
    """A pid that is there but is no number makes the job one without a pid, and the damage ``unsafe-pid``."""
    named = any(side.get(key) is not None for side in job.sides for key in job.dialect.pids)
    return "unsafe-pid" if verdict.rule == "missing-pid" and named else verdict.rule


def _diagnose(view: View, job: Job, rule: Rule) -> Iterator[Diagnosed]:
    verdict = view.judge(job).verdict
    last = view.last_sign(job)
    log = view.evidence.logs.get(job.id)
    recorded = max(view.times(job), default=None)
    evidence = "no sign of life is recorded" if last is None else f"last sign of life {describe_age(last, view.now)}"
    if log is not None and recorded is not None and abs(log.mtime - recorded) > MINUTE:
        evidence = describe_activity(recorded, log.mtime, view.now)
    status = str(status_of(job.sides[0], job.dialect))
    if verdict.state is Liveness.UNSURE:
        message = f"{status}, and whether its process lives cannot be told: {verdict.reason}"
        settles = verdict.settles.format(job=argument_of(job.id, view.evidence.place))
        evidence = "; ".join(filter(None, [evidence, settles]))
        yield Diagnosed(job_finding(view, job, rule, message, evidence, severity=Severity.UNSURE))
    elif verdict.state is Liveness.DEAD:
        only = "" if job.entry and job.record else " in the index" if job.entry else " in the job file"
        repair = f"mark it failed/{'terminated' if terminated_by(view, job) else 'orphaned'}{only}"
        finding = job_finding(view, job, rule, f"{status}, but {verdict.reason}", evidence, repair)
        yield Diagnosed(finding, orphan_change(view, job))


UNSAFE_PID = Rule(
    "unsafe-pid",
    Severity.DAMAGE,
    "The recorded pid is 0, 1, negative, true or no number at all. The plugin signals recorded pids by process "
    "group, and such a value can stand for every process of yours.",
    "Set pid to null. An active job is marked failed/orphaned as well; one whose pid is text and no number waits "
    "for the grace time first.",
    find_unsafe,
    hook_reason="what it names as its process stands for none",
    harmless_to_move=True,
)
MISSING_PID = Rule(
    "missing-pid",
    Severity.DAMAGE,
    "The job is recorded as active, names no process, and has been silent for longer than the grace time (an hour "
    "unless --grace says otherwise). Nothing will ever finish it.",
    "Mark it failed/orphaned in the index and in the job file; a last Codex error in its log is quoted. Younger "
    "ones are left alone: a job that was just queued has no pid for some seconds.",
    find_missing,
    hook_reason="it names no process and has been silent for too long",
    harmless_to_move=True,
)
RECYCLED_PID = Rule(
    "recycled-pid",
    Severity.DAMAGE,
    "The job's process is gone and its pid belongs to another process by now. The plugin would signal that "
    "innocent process when the session ends or the job is cancelled.",
    "Mark the job failed/orphaned and set pid to null. The other process is never signalled.",
    find_recycled,
    hook_reason="pid {pid} belongs to another process by now",
    harmless_to_move=True,
)
DEAD_PID = Rule(
    "dead-pid",
    Severity.DAMAGE,
    "The job is recorded as active, but its process is gone: it was killed, ran out of memory or did not survive "
    "a reboot. Status shows it running for ever, and follow-up tasks are refused.",
    "Mark it failed/orphaned in the index and in the job file, with pid null and the time of its last sign of "
    "life, and note it in the job's log. Thread and turn stay, so that the conversation can be resumed.",
    find_dead,
    hook_reason="its process {pid} is gone",
    harmless_to_move=True,
)
