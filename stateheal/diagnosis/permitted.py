"""Which repairs may be made at all: what a companion's own code was not seen to take is found, told, and left.

Field guide section 11: a companion whose rewrite is not proven harmless by its own loader is audited. A job whose end
its companion finds elsewhere, once it is asked, is no damage: nobody has asked yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stateheal.diagnosis.job import Job
from stateheal.diagnosis.rule import Diagnosed
from stateheal.diagnosis.view import View
from stateheal.model.findings import Severity


def permitted(view: View, found: Iterable[Diagnosed]) -> Iterator[Diagnosed]:
    """The findings, those without their repair that nobody may make, and why."""
    spared = view.dialect.spares and {job.id: job for job in view.jobs}
    for each in found:
        if each.change is None:
            yield each
        elif spared and _is_spared(view, spared.get(each.finding.job or "")):
            yield _left(each, _elsewhere(view), Severity.UNSURE)
        elif not view.dialect.heals:
            yield _left(each, _unseen(view), each.finding.severity)
        else:
            yield each


def why_left(view: View, job: Job) -> str | None:
    """Why neither a heal nor a person's word closes a job's record here; ``None`` where they may."""
    if view.hands_off is not None:
        return view.hands_off
    if _is_spared(view, job):
        return _elsewhere(view)
    return None if view.dialect.heals else _unseen(view)


def _elsewhere(view: View) -> str:
    return f"{view.dialect.name} may still find its answer elsewhere"


def _unseen(view: View) -> str:
    return f"that {view.dialect.name} itself can read a repaired one has not been seen"


def _left(found: Diagnosed, why: str, severity: Severity) -> Diagnosed:
    said = "; ".join(filter(None, [found.finding.evidence, f"left as it is: {why}"]))
    return Diagnosed(found.finding._replace(repair=None, evidence=said, severity=severity))


def _is_spared(view: View, job: Job | None) -> bool:
    keys = view.dialect.spares
    return job is not None and job.any_active and any(side.get(key) for side in job.sides for key in keys)
