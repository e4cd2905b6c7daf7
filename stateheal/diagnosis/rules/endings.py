"""Jobs whose two records disagree about the end: ``index-behind``, ``file-behind``, ``ending-conflict``.

The plugin writes a job's end to the job file first, then to the index (field guide section 2). A finished result is
never relabelled failed: four public tools do that, these rules exist so that this one does not (section 5).
"""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.rule import Diagnosed, job_finding
from stateheal.diagnosis.rules.orphans import ORPHANED, log_line
from stateheal.diagnosis.view import Job, Record, View
from stateheal.formats.jsontext import Json
from stateheal.formats.times import MINUTE, parse_time
from stateheal.model.findings import Finding, Severity
from stateheal.model.liveness import Liveness, Owner
from stateheal.model.plan import GONE, Change, Gone, Patch
from stateheal.model.records import is_active, is_finished, text_of

_PHASES = {"completed": "done", "failed": "failed", "cancelled": "cancelled"}


def find_index_behind(view: View) -> Iterator[Diagnosed]:
    """The job file has the end, the index still says active."""
    for job in view.jobs:
        if job.record is not None and is_finished(job.record) and is_active(job.entry):
            status = job.record["status"]
            yield from _behind(view, job, "index-behind", f"the job file says {status}, the index still active")


def find_file_behind(view: View) -> Iterator[Diagnosed]:
    """The index has the end, the job file still says active."""
    for job in view.jobs:
        if job.entry is not None and is_finished(job.entry) and is_active(job.record):
            status = job.entry["status"]
            yield from _behind(view, job, "file-behind", f"the index says {status}, the job file still active")


def _behind(view: View, job: Job, rule: str, message: str) -> Iterator[Diagnosed]:
    judgement = view.judge(job)
    verdict = judgement.verdict
    if verdict.row in ("no-pid", "no-pid-yet"):
        # The worker clears its pid with its end, and writes the second file at once.
        clean = view.now - view.last_written(job)
        settled, reason = clean >= MINUTE, "no process is recorded, and nothing was written for a minute"
    else:
        settled, reason = verdict.state is Liveness.DEAD, verdict.reason
    if settled:
        repair = f"the {'index' if rule == 'index-behind' else 'job file'} takes over that ending"
        finding = job_finding(view, job, rule, message, reason, repair)
        # Settled by silence alone it rests on no process; the bytes are compared before they are replaced.
        owners_to_recheck = () if verdict.row in ("no-pid", "no-pid-yet") else judgement.owners
        yield Diagnosed(finding, _adopting(job, rule, owners_to_recheck, _missing_log_line(view, job)))
    elif verdict.state is Liveness.UNSURE:
        waiting = "it was written less than a minute ago: the other record may follow"
        doubt = waiting if verdict.row == "no-pid-yet" else verdict.reason
        yield Diagnosed(job_finding(view, job, rule, message, doubt, severity=Severity.UNSURE))


def _missing_log_line(view: View, job: Job) -> str | None:
    """The line about an orphan that a heal, interrupted between job file and index, has not come to write."""
    log = view.evidence.logs.get(job.id)
    message = text_of(job.record or {}, "errorMessage")
    if log is None or not message or not message.startswith(ORPHANED) or message.split(" (")[0] in log.last_line:
        return None
    return log_line(view, job.entry or {}, message.split(" (before: ")[0])


def _adopting(job: Job, rule: str, owners_to_recheck: tuple[Owner, ...], log: str | None) -> Change:
    assert job.entry is not None and job.record is not None
    if rule == "index-behind":
        entry = ending(job.record, job.entry)
        return Change(job.position, entry, job.id, log=log, requires_record=job.id, owners_to_recheck=owners_to_recheck)
    return Change(
        stem=job.id, record=ending(job.entry, job.record), requires_index=True, owners_to_recheck=owners_to_recheck
    )


def ending(source: Record, target: Record) -> Patch:
    """What ``target`` must change to end as ``source`` does. A thread or turn it knows is never forgotten."""
    status = str(source["status"])
    wanted: dict[str, Json | Gone] = {"status": status, "pid": None}
    if "phase" in source or "phase" in target:
        wanted["phase"] = text_of(source, "phase") or _PHASES[status]
    if parse_time(source.get("completedAt")) is not None:
        wanted["completedAt"] = source["completedAt"]
    for key in ("threadId", "turnId"):
        if text_of(source, key) is not None:
            wanted[key] = source[key]
    message = text_of(source, "errorMessage")
    if message is not None and not (status == "completed" and message.startswith(ORPHANED)):
        wanted["errorMessage"] = message
    elif "errorMessage" in target and (status == "completed" or _is_orphan_message(target)):
        wanted["errorMessage"] = GONE
    missing = object()
    return {key: value for key, value in wanted.items() if value is GONE or target.get(key, missing) != value}


def _is_orphan_message(side: Record) -> bool:
    return (text_of(side, "errorMessage") or "").startswith(ORPHANED)


def find_ending_conflict(view: View) -> Iterator[Diagnosed]:
    """Both records are finished, and differently."""
    for job in view.jobs:
        if job.entry is not None and job.record is not None and is_finished(job.entry) and is_finished(job.record):
            yield from _conflict(view, job, job.entry, job.record)
        elif len(job.sides) == 1 and not (job.has_file and job.record is None):
            yield from _leftover(view, job)


def _conflict(view: View, job: Job, entry: Record, record: Record) -> Iterator[Diagnosed]:
    ends = (entry["status"], record["status"])
    has_result = record.get("result") is not None
    if ends == ("failed", "completed") and has_result:
        message = "the index says failed, but the job file is completed and holds its result"
        leftover: Patch = {"errorMessage": GONE} if _is_orphan_message(record) else {}
        change = Change(job.position, ending(record, entry), job.id, leftover, requires_record=job.id)
        yield Diagnosed(_finding(view, job, message, "the index takes over the job file's ending"), change)
    elif ends == ("completed", "failed") and has_result and _is_orphan_message(record):
        message = "the job file was marked orphaned, but it holds a result and the index says completed"
        leftover = {"errorMessage": GONE} if _is_orphan_message(entry) else {}
        change = Change(job.position, leftover, job.id, ending(entry, record), requires_index=True)
        yield Diagnosed(_finding(view, job, message, "the job file takes over the index's ending"), change)
    elif ends[0] != ends[1]:
        message = f"the index says {ends[0]}, the job file {ends[1]}; neither can be proven, so both are left"
        yield Diagnosed(_finding(view, job, message, None))
    else:
        yield from _leftover(view, job)


def _leftover(view: View, job: Job) -> Iterator[Diagnosed]:
    """A completed job that still carries an orphan's message: the plugin would show it as an error."""
    sides = (job.entry, job.record)
    if any(side is not None and side.get("status") != "completed" for side in sides):
        return
    entry, record = ({"errorMessage": GONE} if side and _is_orphan_message(side) else {} for side in sides)
    if entry or record:
        message = "this job is completed, but still carries the message of an orphan"
        change = Change(position=job.position, entry=entry, stem=job.id, record=record)
        yield Diagnosed(_finding(view, job, message, "remove the message"), change)


def _finding(view: View, job: Job, message: str, repair: str | None) -> Finding:
    severity = Severity.DAMAGE if repair else Severity.NOTICE
    return job_finding(view, job, "ending-conflict", message, "", repair, severity)
