"""Whose log a recorded path names, and whether it is here (field guide sections 5 and 11)."""

from __future__ import annotations

import os

from stateheal.model.disk import JOBS
from stateheal.model.layout import log_name
from stateheal.model.records import is_file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.diagnosis.job import Job
    from stateheal.diagnosis.view import View


def is_own_log(view: View, job: Job, log: str) -> bool:
    """Whether it is the job's own log by name: here, or where the tree has stood before."""
    return is_file_name(job.id) and log.replace("\\", "/").endswith(f"/{_own(view, job)}")


def folder_of_logs(view: View, job: Job, log: str) -> str:
    """The directory in which a job's own log says that all logs are, in the spelling of whatever system."""
    return log[: -len(_own(view, job)) - 1]


def _own(view: View, job: Job) -> str:
    return log_name(job.id, view.dialect).removeprefix(f"{JOBS}/")


def is_inside_jobs(view: View, log: str) -> bool:
    """Whether a path leads, every link resolved, to where this workspace keeps its logs: a name right in ``jobs/``."""
    evidence = view.evidence
    parent, jobs = os.path.dirname(log), evidence.place.jobs_path
    real = evidence.real_parents.get(parent, parent)
    return real == jobs or ("/" in view.dialect.log.removeprefix(f"{JOBS}/") and os.path.dirname(real) == jobs)
