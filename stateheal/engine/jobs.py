"""Every job of every workspace: what it is, and alive or dead by the same verdict that a heal takes.

Field guide sections 2 and 4. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.diagnosis.job import Job
from stateheal.diagnosis.permitted import why_left
from stateheal.diagnosis.view import View, first_draft
from stateheal.engine.collect import ReportBuilder, WorkspaceResult
from stateheal.engine.commands import asked_for, fill
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World
from stateheal.evidence.schema import violations
from stateheal.formats.times import HOUR
from stateheal.model.beats import own_times
from stateheal.model.disk import Place
from stateheal.model.evidence import Evidence
from stateheal.model.findings import Finding
from stateheal.model.jobs import JobRow, resume_of
from stateheal.model.layout import status_of
from stateheal.model.liveness import Liveness, Verdict
from stateheal.model.records import is_active, pid_of, text_of, time_of
from stateheal.model.report import Report
from stateheal.model.request import Request, Settings
from stateheal.values import replace

_HANGS = 2 * HOUR
"""Seconds of silence after which a live job is said to hang, perhaps."""
_STOPPABLE = ("lives-on", "stuck-worker")
"""Notices of processes that ``stop`` would end."""
_TELLING = ("turn-running", "agent-lives", "unrecorded-process")
"""Further ones that say what lives."""
_INDEX_UNREAD = Verdict(
    Liveness.UNSURE, "index-unread", "dead-pid", "its state.json cannot be read, and may name another process"
)


def list_jobs(request: Request, *, world: World | None = None) -> Report:
    """A report whose ``rows`` are all jobs, newest first in each workspace. Errors as for ``audit``."""
    world, settings = world or World(), request.settings
    found = asked_for(request)
    auditor = Auditor(found, settings, world, Journal(journal_path()))
    builder = ReportBuilder(found, "jobs", False, request.job)

    def look(place: Place, earlier: Evidence | None) -> WorkspaceResult:
        result = auditor.audit(place, earlier)
        rows = () if result.postponed else rows_of(result.evidence, settings, result.findings)
        return result._replace(findings=(), rows=tuple(rows))

    fill(builder, look, world, writes=False)
    return builder.report(None)


def looking_at(evidence: Evidence, settings: Settings) -> View:
    """All jobs of a workspace, for whoever only looks: beside a torn index the job files tell of theirs."""
    if evidence.index is not None and not isinstance(evidence.index.value, dict):
        evidence = replace(evidence, index=None)
    return View(evidence, first_draft(evidence), settings, violations)


def rows_of(evidence: Evidence, settings: Settings, findings: Iterable[Finding]) -> Iterator[JobRow]:
    """Every job of a workspace, those that are recorded as active or live on first, then the newest."""
    view = looking_at(evidence, settings)
    torn = view.evidence is not evidence
    told: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.job is not None and finding.rule in (*_STOPPABLE, *_TELLING):
            told.setdefault(finding.job, []).append(finding)
    rows = [_with_notices(_row(view, job, torn), told.get(job.id, ())) for job in view.jobs]
    yield from sorted(rows, key=lambda row: (not row.stands_out, -(row.began or row.last_sign or 0.0)))


def _with_notices(row: JobRow, found: Sequence[Finding]) -> JobRow:
    needs = "stop" if any(each.rule in _STOPPABLE for each in found) else row.needs
    return row._replace(notices=tuple(each.message for each in found), needs=needs)


def _row(view: View, job: Job, torn: bool) -> JobRow:
    active = job.any_active
    verdict = None if not active else _INDEX_UNREAD if torn else view.judge(job).verdict
    log = view.evidence.logs.get(job.id)
    last = view.last_sign(job)
    thread, keys = _text(job, "threadId"), job.dialect.pids
    return JobRow(
        view.evidence.place,
        job.id,
        next((text for side in reversed(job.sides) if (text := status_of(side, job.dialect))), "unknown"),
        view.evidence.home or _text(job, "workspaceRoot"),
        _text(job, "jobClass"),
        _text(job, "title"),
        _text(job, "summary"),
        _text(job, "phase"),
        _text(job, "sessionId"),
        verdict.state if verdict else None,
        verdict.reason if verdict else "",
        next((pid for key in keys for side in job.sides if (pid := pid_of(side.get(key))) is not None), None),
        _time(view, job, "startedAt", "createdAt"),
        None if active else _time(view, job, "completedAt", "cancelledAt", *job.dialect.orphan_time, "updatedAt"),
        max((moment for side in job.sides for moment in own_times(side, view.now)), default=None),
        log.mtime if log else None,
        last,
        job.entry is not None and is_active(job.entry, job.dialect) and job.entry.get("jobClass") == "task",
        thread,
        resume_of(*job.sides, dialect=job.dialect),
        _needs(verdict, None if last is None else view.now - last, torn or why_left(view, job) is None),
    )


def _needs(verdict: Verdict | None, silence: float | None, closable: bool) -> str | None:
    """The command that would help; none where it would leave the record as it is."""
    if verdict is None:
        return None
    if verdict.state is not Liveness.ALIVE:
        return None if not closable else "heal" if verdict.state is Liveness.DEAD else "close"
    return "stop" if silence is not None and silence > _HANGS else None


def _text(job: Job, key: str) -> str | None:
    return next((text for side in job.sides if (text := text_of(side, key))), None)


def _time(view: View, job: Job, *keys: str) -> float | None:
    times = (time_of(side, key, view.now) for key in keys for side in job.sides)
    return next((moment for moment in times if moment is not None), None)
