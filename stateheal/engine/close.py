"""One record closed on a person's word, through the same plan, journal and writes as a heal's (DESIGN.md promise 2)."""

from __future__ import annotations

from collections.abc import Callable

from stateheal.commit.apply import carry_out
from stateheal.commit.journal import KEEP, Journal
from stateheal.commit.location import journal_path
from stateheal.commit.lock import workspace_lock
from stateheal.commit.run_writer import RunWriter
from stateheal.diagnosis.job import Job
from stateheal.diagnosis.plan import plan_asked_for
from stateheal.diagnosis.repairs import is_closed_by_us
from stateheal.diagnosis.view import View, first_draft
from stateheal.diagnosis.word import Word, closed_on_word
from stateheal.engine.collect import failed_summary
from stateheal.engine.commands import asked_for
from stateheal.engine.retry import until_agreed
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World, never
from stateheal.errors import ReadError, Refused, UsageError
from stateheal.evidence.discover import Discovery
from stateheal.evidence.schema import violations
from stateheal.fs.directory import Directory, open_directory
from stateheal.model.disk import Place, argument_of
from stateheal.model.findings import Outcome
from stateheal.model.liveness import Liveness
from stateheal.model.plan import Plan
from stateheal.model.problems import Problem
from stateheal.model.records import is_finished
from stateheal.model.report import Report
from stateheal.model.request import Request, Settings
from stateheal.report.diff import diffs_of
from stateheal.text import count_of
from stateheal.values import NamedTuple, replace
from stateheal.version import __version__

_SETTLING = 0.5
"""Seconds after which a file that was being written must be whole."""
WhyNot = Callable[[View, Job], "str | None"]


class Chosen(NamedTuple):
    """The one job that a person means, and what is needed to look at it again."""

    found: Discovery
    place: Place
    job: str
    settings: Settings
    world: World
    errors: tuple[Problem, ...] = ()
    """What could not be looked at: a job of that id may stand there, too."""

    def told(self, report: Report) -> Report:
        """A report with what could not be looked at beside it."""
        return replace(report, errors=tuple(dict.fromkeys((*self.errors, *report.errors))))

    def look(self) -> tuple[View, Job]:
        """The workspace and the job as they are now. Raises ``Refused`` where the job is gone or cannot be read."""
        auditor = Auditor(self.found, self.settings, self.world, Journal(journal_path()))
        result = auditor.audit(self.place, None)
        if result.postponed:
            self.world.sleep(_SETTLING)
            result = auditor.audit(self.place, result.evidence)
        view = View(result.evidence, first_draft(result.evidence), self.settings, violations)
        job = next((each for each in view.jobs if each.id == self.job), None)
        if job is None:
            raise Refused(f"{self.job}: its records cannot be read now")
        return view, job


def choose(job: str, request: Request, world: World | None = None) -> Chosen:
    """The job of that id, or the only one whose id begins so. Raises ``UsageError`` where it is none, or not one.

    ``ReadError`` where it is none, and not everything could be looked at.
    """
    world, settings = world or World(), request.settings
    found = asked_for(request)
    auditor = Auditor(found, settings, world, Journal(journal_path()))
    places: dict[str, list[Place]] = {}
    errors = list(found.errors)
    for place in found.places:
        try:
            result = auditor.audit(place, None)
        except OSError as error:
            errors += failed_summary(place, error).errors
            continue
        errors += result.errors
        evidence = result.evidence
        for each in View(evidence, first_draft(evidence), settings, violations).jobs:
            if each.id.startswith(job):
                places.setdefault(each.id, []).append(place)
    if not places:
        none = f"no job {job!r} in {count_of(len(found.places), 'workspace')}"
        if errors:
            raise ReadError(f"{none}; not all could be looked at: {errors[0].path}: {errors[0].message}")
        raise UsageError(f"{none} ('stateheal jobs --all' lists them)")
    if job not in places and len(places) > 1:
        raise UsageError(f"{job!r} may be {', '.join(sorted(places)[:10])}: name one of them")
    ident = job if job in places else next(iter(places))
    if len(places[ident]) > 1:
        where = ", ".join(str(place.directory) for place in places[ident])
        raise UsageError(f"{ident} stands in {where}: name one of them as PATH")
    return Chosen(found, places[ident][0], ident, settings, world, tuple(dict.fromkeys(errors)))


def why_alive(view: View, job: Job) -> str | None:
    """Why the job is taken to live; ``None`` where it is dead, or cannot be told."""
    if not job.any_active:
        return None
    verdict = view.judge(job).verdict
    if verdict.state is not Liveness.ALIVE:
        return None
    return f"it lives: {verdict.reason} (to end it first: stateheal stop {argument_of(job.id, view.evidence.place)})"


def why_not_closed(view: View, job: Job) -> str | None:
    """Why a record must not be closed on anybody's word; ``None`` where it may."""
    if view.hands_off is not None:
        return f"nothing of this workspace is touched: {view.hands_off}"
    if not job.any_active:
        return "its record is closed already"
    if any(is_finished(side, job.dialect) and not is_closed_by_us(side, job.dialect) for side in job.sides):
        return "one of its two records has ended, the other has not: 'stateheal heal' brings them together"
    return why_alive(view, job)


def close_record(chosen: Chosen, word: Word, command: str, *, dry_run: bool = False) -> Report:
    """Close the record, journalled; ``command`` is what the history calls it. In a dry run, the diffs instead.

    Raises ``Refused`` where the job lives or a promise would be broken, ``Conflict`` where somebody keeps writing.
    """
    if dry_run:
        view, job = chosen.look()
        plan = _plan(view, job, word)
        return _report(chosen, command, plan, Outcome.WOULD_HEAL, None)
    journal = Journal(journal_path(), KEEP)
    run = journal.begin(command, __version__, chosen.world.processes.host().now)
    try:
        with (
            open_directory(chosen.place.directory) as directory,
            workspace_lock(directory, chosen.world.wait),
        ):
            plan = _until_written(chosen, word, directory, run)
    finally:
        run.close()
    return _report(chosen, command, plan, Outcome.HEALED, run.id if run.wrote else None)


def _plan(view: View, job: Job, word: Word, why_not: WhyNot = why_not_closed) -> Plan:
    reason = why_not(view, job)
    if reason is not None:
        raise Refused(f"{job.id} is not closed: {reason}")
    plan = plan_asked_for(view, [closed_on_word(view, job, word)])
    if plan.refusal is not None:
        raise Refused(f"{job.id} is not closed: {plan.refusal}")
    return plan


def _until_written(chosen: Chosen, word: Word, directory: Directory, run: RunWriter) -> Plan:
    """Plan and write; anew where somebody else writes meanwhile. The job is judged again directly before each write."""
    plans: list[Plan] = []

    def attempt(first: bool) -> Plan:
        view, job = chosen.look()
        if plans and not job.any_active:
            return plans[-1]  # whoever wrote has closed it
        # After a conflict one side may be closed already, by ourselves.
        plans.append(_plan(view, job, word, why_not_closed if first else why_alive))
        carry_out(plans[-1], directory, run, lambda owners: why_alive(*chosen.look()), never, [])
        return plans[-1]

    return until_agreed(attempt, chosen.world.sleep)


def _report(chosen: Chosen, command: str, plan: Plan, outcome: Outcome, run: str | None) -> Report:
    dry = outcome is Outcome.WOULD_HEAL
    return Report(
        command,
        dry,
        run,
        tuple(root.path for root in chosen.found.roots),
        workspaces=1,
        jobs=1,
        findings=tuple(each._replace(outcome=outcome) for each in plan.findings),
        diffs=tuple(diffs_of(plan)) if dry else (),
        logs=len(plan.logs) if dry else 0,
    )
