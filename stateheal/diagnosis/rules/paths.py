"""Paths in records through which the plugin would delete files that are none of its own: ``unsafe-path``.

Field guide section 5. The plugin deletes what its records name when it prunes a job, wherever that leads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.logs import is_inside_jobs, is_own_log
from stateheal.diagnosis.repairs import may_live
from stateheal.diagnosis.rule import Diagnosed, Rule, job_finding
from stateheal.diagnosis.view import View
from stateheal.model.disk import JOBS
from stateheal.model.findings import Severity
from stateheal.model.plan import Change
from stateheal.model.records import is_active, is_file_name, text_of


def find_unsafe_paths(view: View) -> Iterator[Diagnosed]:
    """Ids and fields through which the plugin would delete files that are none of its own."""
    for job in view.jobs:
        if job.position is not None and not is_file_name(job.id):
            yield _leading_out(view, job)
            continue
        bad = [(side, key) for side in job.sides for key in job.dialect.deletes if _is_unsafe(view, job, side, key)]
        if bad:
            yield _unsafe_fields(view, job, bad)


def _is_unsafe(view: View, job: Job, side: Record, key: str) -> bool:
    """A path outside the workspace's jobs/ that is not the job's own file by name, a record, or a directory."""
    path = text_of(side, key)
    if path is None:
        return False
    base = os.path.basename(path.replace("\\", "/"))
    if not is_inside_jobs(view, path):
        own = base.startswith(f"{job.id}.") and not base.endswith(".json")
        return not (is_own_log(view, job, path) if key == "logFile" else own)
    return base.endswith(".json") or f"{JOBS}/{base}" in view.evidence.directories


def _leading_out(view: View, job: Job) -> Diagnosed:
    assert job.position is not None
    message = "its id is a path: the plugin would delete the file it leads to when it prunes the job"
    if may_live(view, job):
        return Diagnosed(job_finding(view, job, UNSAFE_PATH, message, "it may live", severity=Severity.UNSURE))
    finding = job_finding(view, job, UNSAFE_PATH, message, repair="take the entry out of the index")
    owners = view.judge(job).owners if is_active(job.entry, job.dialect) else ()
    return Diagnosed(finding, Change(drop=frozenset({job.position}), owners_to_recheck=owners))


def _unsafe_fields(view: View, job: Job, bad: list[tuple[Record, str]]) -> Diagnosed:
    side, key = bad[0]
    message = f"its {key} is {text_of(side, key)!r}: the plugin deletes that path when it prunes the job"
    if may_live(view, job):
        return Diagnosed(job_finding(view, job, UNSAFE_PATH, message, "it may live", severity=Severity.UNSURE))
    keys = ", ".join(dict.fromkeys(key for _, key in bad))
    finding = job_finding(view, job, UNSAFE_PATH, message, "that path is not looked at", f"set {keys} to null")
    change = Change(
        position=job.position,
        entry={key: None for side, key in bad if side is job.entry},
        stem=job.id,
        record={key: None for side, key in bad if side is job.record},
        owners_to_recheck=view.judge(job).owners if job.any_active else (),
    )
    return Diagnosed(finding, change)


UNSAFE_PATH = Rule(
    "unsafe-path",
    Severity.DAMAGE,
    "A job's id is a path, or its logFile (of some companions also the file of its output or its prompt) lies outside "
    "the workspace's jobs directory and is not the job's own, or is a directory or another job's record. The plugin "
    "deletes these paths when it prunes the job.",
    "Set the field to null; an entry whose id is a path leaves the index (the journal keeps it). The path itself is "
    "neither followed nor touched.",
    find_unsafe_paths,
    harmless_to_move=True,
)
