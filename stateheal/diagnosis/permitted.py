"""Which repairs may be made at all: what a companion's own code was not seen to take is found, told, and left.

Field guide section 11: a companion whose rewrite is not proven harmless by its own loader is audited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stateheal.diagnosis.job import Job
from stateheal.diagnosis.rule import Diagnosed
from stateheal.diagnosis.view import View


def permitted(view: View, found: Iterable[Diagnosed]) -> Iterator[Diagnosed]:
    """The findings, those without their repair that nobody may make, and why."""
    spared = view.dialect.spares and {job.id: job for job in view.jobs}
    for each in found:
        why = None if each.change is None else _why_not(view, spared.get(each.finding.job or "") if spared else None)
        if why is None:
            yield each
        else:
            said = "; ".join(filter(None, [each.finding.evidence, why]))
            yield Diagnosed(each.finding._replace(repair=None, evidence=said))


def _why_not(view: View, job: Job | None) -> str | None:
    dialect = view.dialect
    if not dialect.heals:
        return f"left as it is: that {dialect.name} itself can read a repaired one has not been seen"
    if job is not None and job.any_active and any(side.get(key) for side in job.sides for key in dialect.spares):
        return f"left as it is: {dialect.name} may still find its answer elsewhere"
    return None
