"""What is wrong with the content of a file as such, or unknown: the rule ``schema``, which only reports."""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.repairs import is_shape
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding, job_finding, on_disk
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import ParseFailure
from stateheal.model.disk import INDEX, stem_of
from stateheal.model.findings import Finding, Severity, Violation
from stateheal.model.layout import status_of
from stateheal.model.records import entries_of, text_of


def find_violations(view: View) -> Iterator[Diagnosed]:
    """Texts that do not parse, schema violations, and the notices about what is unknown."""
    for snapshot in (view.evidence.index, *view.evidence.records.values()):
        if snapshot is not None and isinstance(snapshot.document, ParseFailure) and snapshot.document.too_deep:
            yield from _too_deep(view, snapshot.name, snapshot.document.reason)
    for name, violation in view.violations():
        job = _job_of(view, name, violation)
        if view.wants(job) and not (name == INDEX and _is_anothers(view, violation, job)):
            yield Diagnosed(_violation(view, name, violation, job))
    yield from _unknown_statuses(view)


def _is_anothers(view: View, violation: Violation, job: str | None) -> bool:
    """Whether another rule speaks of it: of wrong shapes, and of stubs that cannot be filled in yet."""
    stub = violation.message.startswith("'status' is missing") and job in view.draft.records
    return stub or is_shape(view, violation.pointer)


def _job_of(view: View, name: str, violation: Violation) -> str | None:
    if name != INDEX:
        return stem_of(name)
    entries = entries_of(view.draft.index)
    if violation.position is not None and violation.position < len(entries):
        entry = entries[violation.position]
        return text_of(entry, "id") if isinstance(entry, dict) else None
    return None


def _violation(view: View, name: str, violation: Violation, job: str | None) -> Finding:
    pointer = on_disk(view, violation.pointer) if name == INDEX else violation.pointer
    message = f"{name}{pointer or ''}: {violation.message}"
    return file_finding(view, SCHEMA, name, message, pointer=violation.pointer, job=job)


def _too_deep(view: View, name: str, reason: str) -> Iterator[Diagnosed]:
    job = stem_of(name)
    if view.wants(job):
        message = f"{name} is {reason}: it is not read here, though the plugin may read it"
        yield Diagnosed(file_finding(view, SCHEMA, name, message, severity=Severity.NOTICE, job=job))


def _unknown_statuses(view: View) -> Iterator[Diagnosed]:
    for job in view.jobs:
        if job.ended or len(job.active_sides) == len(job.sides):
            continue
        known = job.dialect.active | job.dialect.finished | {None}
        unknown = {status_of(side, job.dialect) for side in job.sides} - known
        if unknown:
            shown = ", ".join(sorted(repr(status)[:40] for status in unknown))
            message = f"status {shown} is not known here; the job is left alone"
            yield Diagnosed(job_finding(view, job, SCHEMA, message, severity=Severity.NOTICE))


def unknown_version(view: View) -> Iterator[Diagnosed]:
    """The notice about an index of another version: the whole workspace is left alone."""
    if view.unknown_version is not None:
        torn = "" if isinstance(view.draft.index, dict) else ", and it is damaged"
        message = f"version {view.unknown_version} is unknown{torn}; the whole workspace is left alone"
        yield Diagnosed(file_finding(view, SCHEMA, INDEX, message, severity=Severity.NOTICE, pointer="/version"))


SCHEMA = Rule(
    "schema",
    Severity.DAMAGE,
    "A file, or a field in it, is not of the shape that the plugin writes. The message names the place and the reason.",
    "None: reported only. What is unknown (another version, an unknown status) is a notice and is left alone.",
    find_violations,
    harmless_to_move=True,
)
