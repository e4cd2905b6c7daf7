"""One job: every fact that was gathered about it, and the rows of the liveness table that decided."""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.diagnosis.job import Job
from stateheal.diagnosis.permitted import why_left
from stateheal.diagnosis.trace import trace
from stateheal.diagnosis.view import View, first_draft
from stateheal.engine.collect import failed_summary
from stateheal.engine.sequence import ON_ITS_WAY
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.evidence.discover import discover
from stateheal.evidence.schema import violations
from stateheal.model.disk import Place
from stateheal.model.jobs import Explanation
from stateheal.model.liveness import Step, Trial
from stateheal.model.problems import Problem
from stateheal.model.request import Request
from stateheal.text import count_of
from stateheal.values import NamedTuple


class Explained(NamedTuple):
    """What there is to say of a job, wherever it is, and what could not be read."""

    jobs: tuple[Explanation, ...]
    errors: tuple[Problem, ...]


def explain(job: str, request: Request, *, world: World | None = None) -> Explained:
    """Every job of that id, or whose id begins so, in the places asked for, and what could not be read of those.

    Raises ``UsageError`` where there is none and everything could be read.
    """
    found = discover(request.paths, request.cwd)
    auditor = Auditor(found, request.settings, world or World(), Journal(journal_path()))
    errors = list(found.errors)
    explanations = [each for place in found.places for each in _in_place(place, job, auditor, errors)]
    exact = [each for each in explanations if each.job == job]
    if not explanations and not errors:
        raise UsageError(
            f"no job {job!r} in {count_of(len(found.places), 'workspace')} ('stateheal jobs --all' lists them)"
        )
    return Explained(tuple(exact or explanations), tuple(dict.fromkeys(errors)))


def _in_place(place: Place, job: str, auditor: Auditor, errors: list[Problem]) -> Iterator[Explanation]:
    try:
        result = auditor.audit(place, None)
        if result.postponed:
            auditor.world.sleep(ON_ITS_WAY)
            result = auditor.audit(place, result.evidence)
    except Exception as error:  # trouble in one does not keep the others from being told
        errors += failed_summary(place, error).errors
        return
    errors += result.errors
    evidence = result.evidence
    view = View(evidence, first_draft(evidence), auditor.settings, violations)
    for each in view.jobs:
        if not each.id.startswith(job):
            continue
        trials = tuple(_trials(view, each)) if each.any_active else ()
        mine = tuple(finding for finding in result.findings if finding.job == each.id)
        last = view.last_sign(each)
        log = evidence.logs.get(each.id)
        written = log.mtime if log else None
        sides, host, kept_by = (each.entry, each.record), evidence.host, evidence.recognition
        left = why_left(view, each)
        yield Explanation(place, each.id, *sides, host, last, written, trials, mine, kept_by, left)


def _trials(view: View, job: Job) -> Iterator[Trial]:
    for owner in view.owners(job):
        case = view.case(owner)
        steps = tuple(Step(row.name, row.state, reason) for row, reason in trace(case))
        yield Trial(owner, case.process, steps)
