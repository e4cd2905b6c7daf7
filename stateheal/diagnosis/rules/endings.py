"""Jobs whose two records disagree about the end: ``index-behind``, ``file-behind``, ``ending-conflict``.

The plugin writes a job's end to the job file first, then to the index (field guide section 2). A finished result is
never relabelled failed: four public tools do that, these rules exist so that this one does not (section 5).
"""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.repairs import ending, is_closed_by_us, is_orphan_message, log_line
from stateheal.diagnosis.rule import Diagnosed, Rule, job_finding
from stateheal.diagnosis.signs import unrecorded_process
from stateheal.diagnosis.view import View
from stateheal.formats.times import MINUTE
from stateheal.model.findings import Finding, Severity
from stateheal.model.layout import status_of
from stateheal.model.liveness import Liveness, Owner
from stateheal.model.plan import GONE, Change, Patch
from stateheal.model.records import is_active, is_completed, is_failed, is_finished, text_of
from stateheal.values import replace

_NO_PROCESS = ("no-pid", "no-pid-yet", "unrecorded-process")
"""Rows of the liveness table for a job that records no process."""


def find_index_behind(view: View) -> Iterator[Diagnosed]:
    """The job file has the end, the index still says active."""
    for job in view.jobs:
        if job.is_split and is_finished(job.record, job.dialect) and is_active(job.entry, job.dialect):
            status = status_of(job.record, job.dialect)
            yield from _behind(view, job, INDEX_BEHIND, f"the job file says {status}, the index still active")


def find_file_behind(view: View) -> Iterator[Diagnosed]:
    """The index has the end, the job file still says active."""
    for job in view.jobs:
        if job.is_split and is_finished(job.entry, job.dialect) and is_active(job.record, job.dialect):
            status = status_of(job.entry, job.dialect)
            yield from _behind(view, job, FILE_BEHIND, f"the index says {status}, the job file still active")


def _behind(view: View, job: Job, rule: Rule, message: str) -> Iterator[Diagnosed]:
    judgement = view.judge(job)
    verdict = judgement.verdict
    if verdict.row in _NO_PROCESS and any(is_closed_by_us(side, job.dialect) for side in job.sides):
        settled, reason = True, "no process is recorded, and stateheal closed one of the records"
    elif verdict.row in _NO_PROCESS:
        # The worker clears its pid with its end, and writes the second file at once.
        clean = view.now - view.last_written(job)
        settled, reason = clean >= MINUTE, "no process is recorded, and nothing was written for a minute"
        seen = _seen(view, judgement.owners[0]) if settled and rule is FILE_BEHIND else None
        if seen is not None:  # run again under its id, or ended by somebody else: the file is the worker's own word
            yield Diagnosed(job_finding(view, job, rule, message, seen, severity=Severity.UNSURE))
            return
    else:
        settled, reason = verdict.state is Liveness.DEAD, verdict.reason
    if settled:
        repair = f"the {'index' if rule is INDEX_BEHIND else 'job file'} takes over that ending"
        finding = job_finding(view, job, rule, message, reason, repair)
        # Settled by silence alone it rests on no process; the bytes are compared before they are replaced.
        owners_to_recheck = () if verdict.row in _NO_PROCESS else judgement.owners
        yield Diagnosed(finding, _adopting(job, rule, owners_to_recheck, _missing_log_line(view, job)))
    elif verdict.state is Liveness.UNSURE:
        waiting = "it was written less than a minute ago: the other record may follow"
        doubt = waiting if verdict.row in _NO_PROCESS else verdict.reason
        yield Diagnosed(job_finding(view, job, rule, message, doubt, severity=Severity.UNSURE))


def _seen(view: View, owner: Owner) -> str | None:
    """The process that may be at work on a job which records none."""
    return unrecorded_process(replace(view.case(owner), look=view.evidence.life()))


def _missing_log_line(view: View, job: Job) -> str | None:
    """The line about a closing that a run, interrupted between job file and index, has not come to write."""
    log = view.evidence.logs.get(job.id)
    message = text_of(job.record or {}, "errorMessage")
    if log is None or not message or not is_closed_by_us(job.record or {}, job.dialect):
        return None
    if message.split(" (")[0] in log.last_line:
        return None
    return log_line(view, job.entry or {}, message.split(" (before: ")[0])


def _adopting(job: Job, rule: Rule, owners_to_recheck: tuple[Owner, ...], log: str | None) -> Change:
    assert job.entry is not None and job.record is not None
    if rule is INDEX_BEHIND:
        entry = ending(job.record, job.entry, job.dialect)
        return Change(job.position, entry, job.id, log=log, requires_record=job.id, owners_to_recheck=owners_to_recheck)
    return Change(
        stem=job.id,
        record=ending(job.entry, job.record, job.dialect),
        requires_index=True,
        owners_to_recheck=owners_to_recheck,
    )


def find_ending_conflict(view: View) -> Iterator[Diagnosed]:
    """Both records are finished, and differently."""
    for job in view.jobs:
        if job.entry is not None and job.record is not None:
            if job.ended:
                yield from _conflict(view, job, job.entry, job.record)
        elif len(job.sides) == 1 and not (job.has_file and job.record is None):
            yield from _leftover(view, job)


def _conflict(view: View, job: Job, entry: Record, record: Record) -> Iterator[Diagnosed]:
    dialect = job.dialect
    has_result = record.get("result") is not None
    ends = [status_of(side, dialect) for side in (entry, record)]
    if is_failed(entry, dialect) and is_completed(record, dialect) and has_result:
        message = "the index says failed, but the job file is completed and holds its result"
        leftover: Patch = {"errorMessage": GONE} if is_orphan_message(record) else {}
        change = Change(job.position, ending(record, entry, dialect), job.id, leftover, requires_record=job.id)
        yield Diagnosed(_finding(view, job, message, "the index takes over the job file's ending"), change)
    elif is_completed(entry, dialect) and is_failed(record, dialect) and has_result and is_orphan_message(record):
        message = "the job file was marked orphaned, but it holds a result and the index says completed"
        leftover = {"errorMessage": GONE} if is_orphan_message(entry) else {}
        change = Change(job.position, leftover, job.id, ending(entry, record, dialect), requires_index=True)
        yield Diagnosed(_finding(view, job, message, "the job file takes over the index's ending"), change)
    elif ends[0] != ends[1]:
        message = f"the index says {ends[0]}, the job file {ends[1]}; neither can be proven, so both are left"
        yield Diagnosed(_finding(view, job, message, None))
    else:
        yield from _leftover(view, job)


def _leftover(view: View, job: Job) -> Iterator[Diagnosed]:
    """A completed job that still carries an orphan's message: the plugin would show it as an error."""
    sides = (job.entry, job.record)
    if any(side is not None and not is_completed(side, job.dialect) for side in sides):
        return
    if all(side is None or side.get("errorMessage") is None for side in sides):
        return
    entry, record = ({"errorMessage": GONE} if side and is_orphan_message(side) else {} for side in sides)
    if entry or record:
        message = "this job is completed, but still carries the message of an orphan"
        change = Change(position=job.position, entry=entry, stem=job.id, record=record)
        yield Diagnosed(_finding(view, job, message, "remove the message"), change)


def _finding(view: View, job: Job, message: str, repair: str | None) -> Finding:
    return job_finding(view, job, ENDING_CONFLICT, message, "", repair, None if repair else Severity.NOTICE)


INDEX_BEHIND = Rule(
    "index-behind",
    Severity.DAMAGE,
    "The job has ended and its job file says so, but the worker died before it could write the index. Status shows "
    "it running for ever, and follow-up tasks are refused.",
    "The index takes over the ending that the job file holds: status, phase, times, thread and turn. A completed "
    "job stays completed. Done only when the recorded process is proven dead, or none is recorded and nothing was "
    "written for a minute.",
    find_index_behind,
    hook_reason="it had ended, and the index did not say so",
)
FILE_BEHIND = Rule(
    "file-behind",
    Severity.DAMAGE,
    "The index says that the job has ended, but its job file still says active. The result view and the status "
    "view contradict each other.",
    "The job file takes over the ending that the index holds, under the same proof as index-behind.",
    find_file_behind,
    hook_reason="it had ended, and its file did not say so",
)
ENDING_CONFLICT = Rule(
    "ending-conflict",
    Severity.DAMAGE,
    "Both records are finished, and differently: for example the index was marked failed by another tool although "
    "the job file is completed and holds the result. Or a completed job still carries an orphan's message.",
    "The record that can show the result wins, and a leftover orphan message goes. A known thread or turn id is "
    "never replaced by nothing. Where neither ending can be proven, both are left and a notice says so.",
    find_ending_conflict,
    hook_reason="its two records told different ends",
)
