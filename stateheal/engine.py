"""``audit`` and ``heal``: the sequence from discovery to report, one workspace at a time (DESIGN.md, the house)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs

from stateheal.book import Book, Visit
from stateheal.commit.apply import carry_out
from stateheal.commit.journal import KEEP, Journal, RunWriter
from stateheal.commit.lock import WAIT, workspace_lock
from stateheal.commit.undo import find_run, undo_run
from stateheal.diagnosis.case import Case
from stateheal.diagnosis.liveness import judge
from stateheal.diagnosis.plan import make_plan
from stateheal.diagnosis.rules import check_names
from stateheal.directory import Directory, open_directory
from stateheal.errors import Conflict, JournalError, Refused, StatehealError
from stateheal.evidence.processes import ProcessTable, SystemProcesses
from stateheal.evidence.roots import Survey, survey
from stateheal.evidence.schema import violations
from stateheal.evidence.workspace import gather
from stateheal.model import (
    JOBS,
    Diff,
    Evidence,
    Finding,
    Liveness,
    Outcome,
    Owner,
    Place,
    Report,
    Settings,
    Trouble,
)
from stateheal.records import pid_of
from stateheal.times import HOUR
from stateheal.version import __version__

Paths = Iterable["str | os.PathLike[str]"]
_ATTEMPTS = 4
"""How often a workspace is read and planned anew when somebody else writes to it meanwhile."""


def journal_path() -> Path:
    """Where the journal is: ``$STATEHEAL_STATE_DIR``, else the user's state directory."""
    given = os.environ.get("STATEHEAL_STATE_DIR")
    return Path(given) if given else Path(platformdirs.user_state_dir("stateheal", appauthor=False))


def _never() -> bool:
    return False


@dataclass(frozen=True)
class World:
    """What the engine takes from outside; tests bring their own."""

    processes: ProcessTable = field(default_factory=SystemProcesses)
    stop: Callable[[], bool] = _never
    """Asked between two files: whether the user wants an end."""
    wait: float = WAIT
    """Seconds to wait for another stateheal in the same workspace."""


def settings_of(
    select: Iterable[str] = (), ignore: Iterable[str] = (), grace: float = HOUR, assume_local: bool = False
) -> Settings:
    """Checked settings. Raises ``UsageError`` for a rule that does not exist."""
    return Settings(grace, assume_local, check_names(select), check_names(ignore))


def audit(
    paths: Paths | None = None,
    *,
    cwd: str | None = None,
    job: str | None = None,
    settings: Settings | None = None,
    world: World | None = None,
) -> Report:
    """Look at every workspace and write nothing.

    ``paths``: as the command line takes them; ``None`` for every default root, an empty list for nothing. ``cwd``
    narrows to the workspace of a directory, ``job`` to one job. Raises ``UsageError`` for a path that holds no state.
    """
    world = world or World()
    found = _survey(paths, cwd, job)
    book = Book(found, "audit", dry_run=False)
    for place in found.places:
        if world.stop():
            book.interrupted = True
            break
        book.visit(place, lambda place: _look(place, settings or Settings(), world))
    return book.report(None)


def heal(
    paths: Paths | None = None,
    *,
    dry_run: bool = False,
    cwd: str | None = None,
    job: str | None = None,
    settings: Settings | None = None,
    journal: Journal | None = None,
    world: World | None = None,
) -> Report:
    """Repair what is proven broken, journalled so that ``undo`` can take it back. Arguments as for ``audit``.

    With ``dry_run`` nothing is written and the report holds the diffs instead.
    """
    world, settings = world or World(), settings or Settings()
    found = _survey(paths, cwd, job)
    book = Book(found, "heal", dry_run)
    journal = journal or Journal(journal_path(), KEEP)
    run = journal.begin("heal", __version__, world.processes.host().now)
    for place in found.places:
        if world.stop():
            book.interrupted = True
            break
        if dry_run:
            book.visit(place, lambda place: _foretell(_look(place, settings, world), found))
        else:
            book.visit(place, lambda place: _mend(place, settings, run, world))
    if run.wrote:
        journal.prune()
    return book.report(run.id if run.wrote else None)


def undo(run: str | None = None, *, journal: Journal | None = None, world: World | None = None) -> Report:
    """Put back the bytes of a run, the latest that was not undone for ``None``.

    Raises ``UsageError`` where there is no such run, ``JournalError`` where the journal cannot be read.
    """
    world, journal = world or World(), journal or Journal(journal_path(), KEEP)
    chosen = find_run(journal, run)
    writer = journal.begin("undo", __version__, world.processes.host().now)
    return Report("undo", run=chosen.id, restored=tuple(undo_run(journal, chosen, writer, world.wait)))


def _survey(paths: Paths | None, cwd: str | None, job: str | None) -> Survey:
    found = survey(paths, cwd)
    if job is None:
        return found
    places = [replace(each, jobs=frozenset({job}) & (each.jobs or {job})) for each in found.places]
    return replace(found, places=tuple(places))


# --- one workspace -------------------------------------------------------------------------------------------------


def _look(place: Place, settings: Settings, world: World) -> Visit:
    with open_directory(place.directory) as directory:
        return _plan(place, directory, settings, world)


def _plan(place: Place, directory: Directory, settings: Settings, world: World) -> Visit:
    evidence = gather(place, directory, world.processes)
    plan = make_plan(evidence, settings, violations)
    errors = [Trouble(str(place.directory / each.name), each.reason) for each in evidence.unreadable]
    return Visit(plan.findings, evidence, plan, tuple(errors))


def _foretell(visit: Visit, found: Survey) -> Visit:
    """A dry run's outcome: every repair that would be made, and its diff."""
    plan = visit.plan
    if plan.refusal:
        return _failed(visit, Refused(plan.refusal))
    base = visit.plan.place.root
    diffs = [Diff(str((plan.place.directory / c.name).relative_to(base)), c.before.data, c.after) for c in plan.files]
    return replace(visit, findings=_with_outcome(visit.findings, Outcome.WOULD_HEAL), diffs=tuple(diffs))


def _mend(place: Place, settings: Settings, run: RunWriter, world: World) -> Visit:
    """Plan and carry out under the workspace's lock; plan anew when somebody else writes meanwhile."""
    with open_directory(place.directory) as directory, workspace_lock(directory, run.journal.path, world.wait):
        healed: list[Finding] = []
        for attempts_left in reversed(range(_ATTEMPTS)):
            visit = _plan(place, directory, settings, world)
            plan = visit.plan
            if plan.refusal:
                return _failed(visit, Refused(plan.refusal))
            finished, written = True, list[str]()
            try:
                if plan.files:
                    confirm = _confirmer(visit.evidence, settings, world)
                    finished = carry_out(plan, directory, run, confirm, world.stop, written)
            except Conflict as error:
                if attempts_left == 0:
                    return _failed(visit, error)
                healed += _written_whole(visit.findings, written)
                continue
            except StatehealError as error:
                return _failed(visit, error)
            now = _with_outcome(visit.findings, Outcome.HEALED if finished else Outcome.FOUND)
            # What an earlier attempt had healed whole is not found any more, and is healed all the same.
            before = [finding for finding in healed if finding.job not in {each.job for each in now}]
            return replace(visit, findings=(*now, *before), stopped=not finished)
    raise AssertionError("the loop above always returns")


def _confirmer(evidence: Evidence, settings: Settings, world: World) -> Callable[[tuple[Owner, ...]], str | None]:
    """Judges owners once more, by a fresh probe, directly before a write."""

    def confirm(owners: tuple[Owner, ...]) -> str | None:
        for owner in owners:
            pid = pid_of(owner.pid)
            process = world.processes.facts(pid) if pid is not None and pid > 0 else None
            verdict = judge(Case(owner, process, evidence.host, settings))
            if verdict.state is not Liveness.DEAD:
                return f"{owner.job} may be alive after all: {verdict.reason}"
        return None

    return confirm


def _with_outcome(findings: Iterable[Finding], outcome: Outcome) -> tuple[Finding, ...]:
    """The findings, those that have a repair with what became of it."""
    return tuple(replace(finding, outcome=outcome) if finding.repair else finding for finding in findings)


def _written_whole(findings: Iterable[Finding], written: Sequence[str]) -> Iterator[Finding]:
    """Of an attempt that did not come to its end, the repairs of which every file was written."""
    for finding in findings:
        files = {Path(finding.path).name, f"{JOBS}/{finding.job}.json"} if finding.job else {Path(finding.path).name}
        if finding.repair and files <= set(written):
            yield replace(finding, outcome=Outcome.HEALED)


def _failed(visit: Visit, error: StatehealError) -> Visit:
    outcome = Outcome.REFUSED if isinstance(error, (Conflict, Refused)) else Outcome.FAILED
    where = "" if isinstance(error, JournalError) else str(visit.plan.place.directory)
    trouble = Trouble(where, f"not repaired: {error}")
    return replace(visit, findings=_with_outcome(visit.findings, outcome), errors=(*visit.errors, trouble))
