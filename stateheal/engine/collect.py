"""What comes of each workspace, and one report of it all. The evidence goes as soon as a workspace is written down."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from stateheal.diagnosis.rule import project_of
from stateheal.diagnosis.rules.places import place_findings
from stateheal.errors import StatehealError, UsageError
from stateheal.evidence.discover import Discovery
from stateheal.model.disk import Place
from stateheal.model.evidence import Evidence
from stateheal.model.findings import Finding, Outcome
from stateheal.model.plan import Plan
from stateheal.model.problems import Problem, internal_problem
from stateheal.model.records import entries_of, text_of
from stateheal.model.report import Diff, Report
from stateheal.model.request import Settings
from stateheal.text import count_of, nearest
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.model.jobs import JobRow
    from stateheal.model.page import PageData


class WorkspaceResult(NamedTuple):
    """What came of one workspace, with all that was seen there."""

    findings: tuple[Finding, ...]
    evidence: Evidence
    plan: Plan
    errors: tuple[Problem, ...] = ()
    diffs: tuple[Diff, ...] = ()
    stopped: bool = False
    postponed: bool = False
    """A file of it may be on its way just now: nothing was concluded or done, it is to be looked at again."""
    page: PageData | None = None
    rows: tuple[JobRow, ...] = ()
    """Its jobs, where a list of them was asked for."""


class WorkspaceSummary(NamedTuple):
    """What a report keeps of a visit."""

    place: Place
    errors: tuple[Problem, ...] = ()
    findings: tuple[Finding, ...] = ()
    diffs: tuple[Diff, ...] = ()
    answers: tuple[tuple[str, str, str], ...] = ()
    """What was, or in a dry run would be, recovered: workspace, job, text."""
    jobs: int = 0
    logs: int = 0
    """Lines that logs get."""
    home: str | None = None
    knows_job: bool = False
    """Whether the workspace knows the job that was asked for, where one was."""
    like_job: tuple[str, ...] = ()
    """Otherwise, jobs of it with ids much like that."""
    looked: bool = True
    """Whether it came to a visit at all."""
    stopped: bool = False
    page: PageData | None = None
    rows: tuple[JobRow, ...] = ()


def summary_of(result: WorkspaceResult, job: str | None) -> WorkspaceSummary:
    """The visit without its evidence; ``job`` is the one that was asked for."""
    evidence = result.evidence
    return WorkspaceSummary(
        evidence.place,
        result.errors,
        result.findings,
        result.diffs,
        tuple(_answers(result)),
        jobs=len(_looked_at(evidence)),
        logs=len(result.plan.logs),
        home=project_of(evidence) if result.findings else None,
        knows_job=job is not None and _knows(evidence, job),
        like_job=_like(evidence, job) if job is not None else (),
        stopped=result.stopped,
        page=result.page,
        rows=result.rows,
    )


def failed_summary(place: Place, error: Exception) -> WorkspaceSummary:
    """A workspace that could not be visited: trouble in one does not keep the others from being done."""
    path = str(place.directory)
    if isinstance(error, StatehealError):
        problem = Problem(path, str(error))
    elif isinstance(error, OSError):
        problem = Problem(path, f"cannot be opened: {error.strerror or error}")
    else:  # one hostile record must not keep the other workspaces from being done
        problem = internal_problem(path, error)
    return WorkspaceSummary(place, (problem,), looked=False)


class ReportBuilder:
    """Notes, in whatever order they come, and the report."""

    def __init__(self, found: Discovery, command: str, dry_run: bool, job: str | None = None) -> None:
        self.found = found
        self.command = command
        self.dry_run = dry_run
        self.job = job
        self.interrupted = False
        self._summaries: dict[Place, WorkspaceSummary] = {}

    def add(self, summary: WorkspaceSummary) -> None:
        """Add what came of one workspace."""
        self._summaries[summary.place] = summary
        self.interrupted |= summary.stopped

    def report(self, run: str | None, settings: Settings | None = None) -> Report:
        """Everything so far; ``run`` where the journal holds originals of it.

        Narrowed to the workspaces that know the job, where one was asked for. Raises ``UsageError`` where none does and
        nothing was in the way of seeing it.
        """
        summaries = [self._summaries[place] for place in self.found.places if place in self._summaries]
        errors = (*self.found.errors, *(error for summary in summaries for error in summary.errors))
        visited = [summary for summary in summaries if summary.looked and (self.job is None or summary.knows_job)]
        if self.job is not None and not visited and not errors and not self.interrupted:
            raise UsageError(
                f"no job {self.job!r} in {count_of(len(self.found.places), 'workspace')}{self._did_you_mean(summaries)}"
            )
        return Report(
            self.command,
            self.dry_run,
            run,
            tuple(root.path for root in self.found.roots),
            workspaces=len(self.found.places if self.job is None else visited),
            jobs=sum(summary.jobs for summary in visited),
            findings=(*self._places(settings), *(each for summary in visited for each in summary.findings)),
            errors=tuple(dict.fromkeys(errors)),
            diffs=tuple(diff for summary in visited for diff in summary.diffs),
            logs=sum(summary.logs for summary in visited if self.dry_run),
            homes={summary.place.name: summary.home for summary in visited if summary.home},
            answers=tuple(answer for summary in visited for answer in summary.answers),
            rows=tuple(row for summary in visited for row in summary.rows),
            pages=tuple(summary.page for summary in visited if summary.page),
            reached=len(summaries),
            looked=self.found.looked,
            interrupted=self.interrupted,
            time=time.time(),
        )

    def _places(self, settings: Settings | None) -> tuple[Finding, ...]:
        """What there is to say of whole places, where findings are wanted and not of one job alone."""
        if settings is None or self.job is not None:
            return ()
        return place_findings(self.found.unread, self.found.planted, settings, self.found.links)

    def _did_you_mean(self, summaries: Iterable[WorkspaceSummary]) -> str:
        near = next((ident for summary in summaries for ident in summary.like_job), None)
        return f"; did you mean {near}?" if near else " ('stateheal jobs --all' lists them)"


def _like(evidence: Evidence, job: str) -> tuple[str, ...]:
    ids = sorted(_job_ids(evidence))
    near = nearest(job, ids, 0.8)
    return (*[ident for ident in ids if job and ident.startswith(job)], *([near] if near else []))


def _answers(result: WorkspaceResult) -> Iterator[tuple[str, str, str]]:
    for finding in result.findings:
        recovery = result.evidence.recoveries.get(finding.job or "")
        told = finding.outcome in (Outcome.HEALED, Outcome.WOULD_HEAL)
        if finding.rule == "recoverable" and told and recovery is not None and recovery.message is not None:
            yield finding.workspace, finding.job or "", recovery.message


def _job_ids(evidence: Evidence) -> set[str]:
    entries = entries_of(evidence.index.value if evidence.index else None)
    named = {ident for entry in entries if isinstance(entry, dict) and (ident := text_of(entry, "id"))}
    return named | set(evidence.records)


def _looked_at(evidence: Evidence) -> set[str]:
    """Its jobs, as far as they were asked for."""
    asked = evidence.place.jobs
    return _job_ids(evidence) if asked is None else _job_ids(evidence) & asked


def _knows(evidence: Evidence, job: str) -> bool:
    """Whether a job file, the index, or what can still be read of a torn one names the job."""
    pieces = [piece for salvage in evidence.salvage.values() for piece in (*salvage.objects, *salvage.fragments)]
    entries = [entry for piece in pieces for entry in (entries_of(piece) or [piece])]
    return job in _job_ids(evidence) or any(isinstance(entry, dict) and entry.get("id") == job for entry in entries)
