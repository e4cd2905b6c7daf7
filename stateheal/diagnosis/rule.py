"""What a rule is: a name, what it means, what its repair does, and a function that finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from stateheal.diagnosis.job import Job
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Document
from stateheal.model.disk import INDEX
from stateheal.model.evidence import Evidence
from stateheal.model.findings import Finding, Severity, entry_position
from stateheal.model.jobs import resume_of
from stateheal.model.plan import Change
from stateheal.model.records import entries_of, text_of
from stateheal.values import NamedTuple


class Diagnosed(NamedTuple):
    """A finding, and the repair for it where there is one."""

    finding: Finding
    change: Change | None = None


class Rule(NamedTuple):
    """One kind of damage (field guide section 5)."""

    name: str
    severity: Severity
    means: str
    """What was seen and what it means for the user."""
    repair: str
    """What ``heal`` does about it."""
    find: Callable[[View], Iterable[Diagnosed]]
    hook_reason: str = ""
    """What the hook's answer says of a job that was healed under it; ``{pid}`` stands for the recorded pid."""
    harmless_to_move: bool = False
    """A migration moves such damage as it is, or mends it: it is no obstacle."""


def job_finding(
    view: View,
    job: Job,
    rule: Rule,
    message: str,
    evidence: str = "",
    repair: str | None = None,
    severity: Severity | None = None,
) -> Finding:
    """A finding about one job. It points at the job's index entry, or at its file where it has none."""
    in_index = job.position is not None
    return _finding(
        view,
        rule,
        INDEX if in_index else job.file,
        message,
        "; ".join(filter(None, [evidence, *_doubled_keys(view, job)])),
        repair,
        severity,
        f"/jobs/{job.position}" if in_index else None,
        job.id,
        pid=_first_pid(view, job),
        title=job.label,
        last_sign=view.last_sign(job),
        # Of what is closed, or was.
        resume=resume_of(*job.sides, dialect=job.dialect) if repair and rule.hook_reason else None,
    )


def _first_pid(view: View, job: Job) -> int | None:
    """What the job names as its process; of several fields the most telling one's, whichever side has it."""
    each = len(view.dialect.pids)
    return next((pid for start in range(each) for pid in job.pids[start::each] if pid is not None), None)


def file_finding(
    view: View,
    rule: Rule,
    name: str,
    message: str,
    evidence: str = "",
    repair: str | None = None,
    *,
    severity: Severity | None = None,
    pointer: str | None = None,
    job: str | None = None,
) -> Finding:
    """A finding about a file of the workspace, or a place in it, rather than about one job.

    ``pointer`` is one into the draft, and is told as one into the file on disk.
    """
    return _finding(view, rule, name, message, evidence, repair, severity, pointer, job)


def _finding(
    view: View,
    rule: Rule,
    name: str,
    message: str,
    evidence: str,
    repair: str | None,
    severity: Severity | None,
    pointer: str | None,
    job: str | None,
    *,
    pid: int | None = None,
    title: str | None = None,
    last_sign: float | None = None,
    resume: str | None = None,
) -> Finding:
    place = view.evidence.place
    directory, root = place.texts
    return Finding(
        rule=rule.name,
        severity=rule.severity if severity is None else severity,
        workspace=place.name,
        path=place.index_path if name == INDEX else os.path.join(directory, name) if name else directory,
        message=message,
        evidence=evidence,
        pointer=on_disk(view, pointer) if name == INDEX else pointer,
        job=job,
        pid=pid,
        repair=repair,
        title=title,
        project=project_of(view.evidence),
        root=root,
        last_sign=last_sign,
        resume=resume,
    )


def project_of(evidence: Evidence) -> str | None:
    """The project directory of a workspace: the one that fits its name, else the first that a record names."""
    if evidence.home is not None:
        return evidence.home
    entries = entries_of(evidence.index.value if evidence.index else None)
    records: Iterable[object] = (*entries, *(snapshot.value for snapshot in evidence.records.values()))
    return next((home for each in records if isinstance(each, dict) and (home := text_of(each, "workspaceRoot"))), None)


def on_disk(view: View, pointer: str | None) -> str | None:
    """A pointer into the draft's index as one into the file, which repairs before may have shifted; ``None`` where what
    it points at is not there.
    """
    position = entry_position(pointer) if pointer else None
    if pointer is None or position is None:
        return pointer
    there = _position_on_disk(view, position)
    return None if there is None else f"/jobs/{there}{pointer.removeprefix(f'/jobs/{position}')}"


def _position_on_disk(view: View, position: int) -> int | None:
    """Where the entry at a place of the draft stands in the file as it was read: itself, or the first of its id."""
    read = entries_of(view.evidence.index.value) if view.evidence.index else []
    entries = entries_of(view.draft.index)
    if position >= len(entries):
        return None
    entry = entries[position]
    if position < len(read) and read[position] is entry:
        return position
    ident = text_of(entry, "id") if isinstance(entry, dict) else None
    named = (text_of(each, "id") if isinstance(each, dict) else None for each in read)
    return next((n for n, other in enumerate(named) if other == ident), None) if ident is not None else None


def _doubled_keys(view: View, job: Job) -> Iterable[str]:
    for name, snapshot in (("job file", view.evidence.records.get(job.id)), ("index", view.evidence.index)):
        document = snapshot.document if snapshot else None
        if isinstance(document, Document) and document.duplicates:
            keys = ", ".join(map(repr, dict.fromkeys(document.duplicates)))
            yield f"in the {name} {keys} stands twice in one object, and the last one counts"
