"""What is wrong with the content of a file as such, or unknown: the rule ``schema``, which only reports."""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.rule import Diagnosed, job_finding
from stateheal.diagnosis.view import View
from stateheal.jsontext import ParseFailure
from stateheal.model import (
    ACTIVE,
    FINISHED,
    INDEX,
    JOBS,
    Finding,
    Severity,
    Snapshot,
    Violation,
)
from stateheal.records import entries_of, text_of


def find_violations(view: View) -> Iterator[Diagnosed]:
    """Texts that do not parse, schema violations, and the notices about what is unknown."""
    for snapshot in (view.evidence.index, *view.evidence.records.values()):
        if snapshot and isinstance(snapshot.document, ParseFailure) and _wanted(view, _job_of(view, snapshot.name, "")):
            yield Diagnosed(_unparsed(view, snapshot, snapshot.document))
    for name, violation in view.violations():
        job = _job_of(view, name, violation.pointer)
        if _wanted(view, job) and not (name == INDEX and violation.pointer == "/version"):
            yield Diagnosed(_violation(view, name, violation, job))
    yield from _unknown_statuses(view)


def _wanted(view: View, job: str | None) -> bool:
    only = view.evidence.place.jobs
    return only is None or job in only


def _job_of(view: View, name: str, pointer: str) -> str | None:
    if name != INDEX:
        return name[len(JOBS) + 1 : -len(".json")]
    parts = pointer.split("/")
    entries = entries_of(view.draft.index)
    if len(parts) > 2 and parts[1] == "jobs" and parts[2].isdigit() and int(parts[2]) < len(entries):
        entry = entries[int(parts[2])]
        return text_of(entry, "id") if isinstance(entry, dict) else None
    return None


def _violation(view: View, name: str, violation: Violation, job: str | None) -> Finding:
    place = view.evidence.place
    return Finding(
        rule="schema",
        severity=Severity.DAMAGE,
        workspace=place.name,
        path=str(place.directory / name),
        pointer=violation.pointer,
        job=job,
        message=f"{name}{violation.pointer}: {violation.message}",
    )


def _unparsed(view: View, snapshot: Snapshot, failure: ParseFailure) -> Finding:
    place = view.evidence.place
    reads = "the plugin may still read it" if failure.too_deep else "the plugin reads it as empty"
    return Finding(
        rule="schema",
        severity=Severity.NOTICE if failure.too_deep else Severity.DAMAGE,
        workspace=place.name,
        path=str(place.directory / snapshot.name),
        job=_job_of(view, snapshot.name, ""),
        message=f"{snapshot.name}: {failure.reason}",
        evidence=reads,
    )


def _unknown_statuses(view: View) -> Iterator[Diagnosed]:
    for job in view.jobs:
        unknown = {text_of(side, "status") for side in job.sides} - ACTIVE - FINISHED - {None}
        if unknown:
            shown = ", ".join(sorted(repr(status)[:40] for status in unknown))
            message = f"status {shown} is not known here; the job is left alone"
            yield Diagnosed(job_finding(view, job, "schema", message, severity=Severity.NOTICE))


def unknown_version(view: View) -> Iterator[Diagnosed]:
    """The notice about an index of another version: the whole workspace is left alone."""
    place = view.evidence.place
    if view.unknown_version is not None:
        yield Diagnosed(
            Finding(
                rule="schema",
                severity=Severity.NOTICE,
                workspace=place.name,
                path=str(place.directory / INDEX),
                pointer="/version",
                message=f"version {view.unknown_version} is unknown; the whole workspace is left alone",
            )
        )
