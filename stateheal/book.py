"""Collects what comes of each workspace into one report; trouble in one does not keep the others from being done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from stateheal.errors import StatehealError, UsageError
from stateheal.evidence.roots import Survey
from stateheal.model import Diff, Evidence, Finding, Outcome, Place, Plan, Portrait, Report, Trouble
from stateheal.records import entries_of, text_of


class Visit(NamedTuple):
    """What came of one workspace."""

    findings: tuple[Finding, ...]
    evidence: Evidence
    plan: Plan
    errors: tuple[Trouble, ...] = ()
    diffs: tuple[Diff, ...] = ()
    stopped: bool = False
    postponed: bool = False
    """A file of it may be on its way just now: nothing was concluded or done, it is to be looked at again."""


class Book:
    """See the module."""

    def __init__(self, found: Survey, command: str, dry_run: bool) -> None:
        self.found = found
        self.command = command
        self.dry_run = dry_run
        self.visits: list[Visit] = []
        self.errors: list[Trouble] = list(found.errors)
        self.interrupted = False

    def visit(self, place: Place, do: Callable[[Place], Visit]) -> Visit | None:
        """Do one workspace; trouble in it does not keep the others from being done. Returns a postponed visit."""
        try:
            visit = do(place)
        except StatehealError as error:
            self.errors.append(Trouble(str(place.directory), str(error)))
        except OSError as error:
            self.errors.append(Trouble(str(place.directory), f"cannot be opened: {error.strerror or error}"))
        except Exception as error:  # one hostile record must not keep the other workspaces from being done
            import traceback

            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"internal error, please report it: {type(error).__name__}: {error} ({where.name})"
            self.errors.append(Trouble(str(place.directory), reason))
        else:
            if visit.postponed:
                return visit
            self.visits.append(visit)
            self.errors += visit.errors
            self.interrupted |= visit.stopped
        return None

    def narrow(self, job: str | None) -> None:
        """Keep the visits to workspaces that know a job, where one was asked for.

        Raises ``UsageError`` where none does, and nothing was in the way of seeing it.
        """
        if job is None:
            return
        looked_at = len(self.found.places)
        self.visits = [visit for visit in self.visits if _knows(visit.evidence, job)]
        if not self.visits and not self.errors and not self.interrupted:
            raise UsageError(f"no job {job!r} in {looked_at} workspaces; --job takes a whole id")
        places = tuple(visit.evidence.place for visit in self.visits)
        self.found = self.found._replace(places=places)

    def report(self, run: str | None, portraits: Iterable[Portrait] = ()) -> Report:
        """Everything so far; ``run`` where the journal holds originals of it."""
        return Report(
            self.command,
            self.dry_run,
            run,
            tuple(root.path for root in self.found.roots),
            workspaces=len(self.found.places),
            jobs=sum(len(_job_ids(visit.evidence)) for visit in self.visits),
            findings=tuple(finding for visit in self.visits for finding in visit.findings),
            errors=tuple(dict.fromkeys(self.errors)),
            diffs=tuple(diff for visit in self.visits for diff in visit.diffs),
            logs=sum(len(visit.plan.logs) for visit in self.visits if self.dry_run),
            homes={v.evidence.place.name: home for v in self.visits if v.findings and (home := _home(v.evidence))},
            answers=tuple(answer for visit in self.visits for answer in _answers(visit)),
            portraits=tuple(portraits),
            interrupted=self.interrupted,
        )


def _answers(visit: Visit) -> Iterator[tuple[str, str, str]]:
    """What was, or in a dry run would be, recovered: workspace, job, text."""
    for finding in visit.findings:
        recovery = visit.evidence.recoveries.get(finding.job or "")
        told = finding.outcome in (Outcome.HEALED, Outcome.WOULD_HEAL)
        if finding.rule == "recoverable" and told and recovery is not None and recovery.message is not None:
            yield finding.workspace, finding.job or "", recovery.message


def _job_ids(evidence: Evidence) -> set[str]:
    entries = entries_of(evidence.index.value if evidence.index else None)
    named = {ident for entry in entries if isinstance(entry, dict) and (ident := text_of(entry, "id"))}
    return named | set(evidence.records)


def _knows(evidence: Evidence, job: str) -> bool:
    """Whether a job file, the index, or what can still be read of a torn one names the job."""
    pieces = [piece for salvage in evidence.salvage.values() for piece in (*salvage.objects, *salvage.fragments)]
    entries = [entry for piece in pieces for entry in (entries_of(piece) or [piece])]
    return job in _job_ids(evidence) or any(isinstance(entry, dict) and entry.get("id") == job for entry in entries)


def _home(evidence: Evidence) -> str | None:
    entries = entries_of(evidence.index.value if evidence.index else None)
    records = [*entries, *(snapshot.value for snapshot in evidence.records.values())]
    return next((home for each in records if isinstance(each, dict) and (home := text_of(each, "workspaceRoot"))), None)
