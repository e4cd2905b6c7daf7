"""Closing a record on a person's word: for what the table leaves as unsure, and for what was ended on request."""

from __future__ import annotations

from stateheal.diagnosis.job import Job
from stateheal.diagnosis.repairs import closed, log_line
from stateheal.diagnosis.rule import Diagnosed, Rule, job_finding
from stateheal.diagnosis.view import View
from stateheal.model.findings import Severity
from stateheal.model.layout import status_of
from stateheal.model.plan import Change
from stateheal.model.records import is_active
from stateheal.values import NamedTuple

ON_REQUEST = Rule(
    "on-request",
    Severity.DAMAGE,
    "A person asked for this record to be closed.",
    "Mark the job failed, in the index and in the job file.",
    lambda view: (),
)
"""No rule of the catalogue: nothing finds it but a request."""


class Word(NamedTuple):
    """How a job is to be closed."""

    phase: str
    message: str
    ended: float
    """Seconds since the epoch."""


def closed_on_word(view: View, job: Job, word: Word) -> Diagnosed:
    """The closing of every active side of a job, as data. One side at least must be active."""
    life = view.evidence.life().by_pid
    active = next(side for side in job.sides if is_active(side, job.dialect))
    living = {pid for each in job.others for _, pid in each if (seen := life.get(pid)) and not seen.zombie}
    message = f"recorded as {status_of(active, job.dialect)}; {word.message}"
    finding = job_finding(view, job, ON_REQUEST, message, repair=f"mark it failed/{word.phase}")
    change = Change(
        position=job.position,
        entry=closed(job.entry, word.phase, word.message, word.ended, job.dialect, living),
        stem=job.id,
        record=closed(job.record, word.phase, word.message, word.ended, job.dialect, living),
        log=None if _is_told(view, job, word) else log_line(view, active, word.message),
        owners_to_recheck=view.owners(job),
    )
    return Diagnosed(finding, change)


def _is_told(view: View, job: Job, word: Word) -> bool:
    """Whether the log has the line already: a closing that was ended between the two records is finished."""
    log = view.evidence.logs.get(job.id)
    return log is not None and word.message in log.last_line
