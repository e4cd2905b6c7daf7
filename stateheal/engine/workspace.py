"""One workspace: looked at, or looked at and repaired under its lock. The engine says which, and in which order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache

from stateheal.commit.apply import carry_out
from stateheal.commit.journal import Journal
from stateheal.commit.lock import is_held, workspace_lock
from stateheal.commit.resume import resume_interrupted
from stateheal.commit.run_writer import RunWriter
from stateheal.diagnosis.case import Case
from stateheal.diagnosis.clean import clean_jobs
from stateheal.diagnosis.liveness import judge
from stateheal.diagnosis.plan import make_plan
from stateheal.dialects.table import kin_of
from stateheal.engine.attempts import Progress, as_begun, as_written, failed, with_outcome
from stateheal.engine.collect import WorkspaceResult
from stateheal.engine.retry import until_agreed
from stateheal.engine.world import World, never
from stateheal.errors import Conflict, Refused, StatehealError
from stateheal.evidence.discover import Discovery
from stateheal.evidence.schema import violations
from stateheal.evidence.snapshot import max_bytes
from stateheal.evidence.workspace import Sources, gather
from stateheal.fs.directory import Directory, Folders, folder_of, open_directory
from stateheal.model.dialect import Dialect
from stateheal.model.disk import JOBS, Place
from stateheal.model.evidence import Evidence
from stateheal.model.findings import Outcome
from stateheal.model.layout import log_name
from stateheal.model.liveness import Liveness, Owner
from stateheal.model.look import Look
from stateheal.model.problems import Problem
from stateheal.model.records import pid_of
from stateheal.model.request import Settings
from stateheal.model.turns import LostJob, RolloutTurn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.engine.ahead import Ahead

_LOOK_AGE = 0.1
"""Seconds for which a look at the process table is fresh enough to write by."""


def _choose_turn(job: LostJob, read_turns: Callable[[], Sequence[RolloutTurn]]) -> RolloutTurn | str:
    from stateheal.diagnosis.turns import choose_turn  # few jobs have lost their answer

    return choose_turn(job, read_turns)


class Auditor:
    """Reads and plans one workspace."""

    def __init__(
        self, found: Discovery, settings: Settings, world: World, journal: Journal, tells_edits: bool = False
    ) -> None:
        max_bytes()  # a setting that makes no sense is told once, before anything is read
        self.settings = settings
        self.tells_edits = tells_edits
        self.world = world
        self.runs = journal.run_ids()
        self.originals = journal.originals
        self.life: Callable[[], Look] = cache(world.processes.look)
        """The process table as it was at the run's first doubt."""
        self.by_hash: dict[str, list[Place]] = {}
        for place in found.places:
            self.by_hash.setdefault(place.hash, []).append(place)

    def afresh(self) -> Auditor:
        """The same, but that it looks at the process table anew: for what is judged once more before a write."""
        again = object.__new__(Auditor)
        vars(again).update(vars(self))
        again.life = _lasting(self.world.processes.look, _LOOK_AGE)
        return again

    def audit(self, place: Place, earlier: Evidence | None) -> WorkspaceResult:
        """What is found in one workspace."""
        with open_directory(place.directory) as directory:
            # What another run is writing just now is no leftover.
            runs = frozenset[str]() if is_held(directory) else self.runs
            return self.examine(place, directory, earlier, runs)

    def look_ahead(self, place: Place, directory: Directory) -> WorkspaceResult:
        """What a repair will begin with, of a workspace that nobody holds just now."""
        return self.examine(place, directory, None, self.runs)

    def dry_run(self, place: Place, earlier: Evidence | None) -> WorkspaceResult:
        """A dry run's outcome: every repair that would be made, and its diff."""
        result = self.audit(place, earlier)
        plan = result.plan
        if plan.refusal:
            return failed(result, Refused(plan.refusal))
        from stateheal.report.diff import diffs_of

        return result._replace(findings=with_outcome(result.findings, Outcome.WOULD_HEAL), diffs=tuple(diffs_of(plan)))

    def examine(
        self, place: Place, directory: Directory, earlier: Evidence | None, runs: frozenset[str]
    ) -> WorkspaceResult:
        """Gather and diagnose. A visit is postponed once for files that may be on their way."""
        twins = tuple(str(other.directory) for other in self.by_hash.get(place.hash, ()) if _are_twins(place, other))
        world = self.world
        evidence = gather(
            place,
            directory,
            Sources(
                world.processes,
                world.rollouts,
                clean_jobs,
                _choose_turn,
                self.life,
                world.ask,
                world.greet,
                runs,
                self.originals,
                twins,
                self.settings.recover,
                earlier,
            ),
        )
        plan = make_plan(evidence, self.settings, violations, self.tells_edits)
        errors = tuple(Problem(str(place.directory / each.name), each.reason) for each in evidence.unreadable)
        errors += tuple(Problem(str(place.directory), each) for each in plan.problems)
        postponed = (bool(evidence.unsettled) or plan.waits) and earlier is None
        return WorkspaceResult(plan.findings, evidence, plan, errors, postponed=postponed)


class Healer:
    """Repairs one workspace, under its lock."""

    def __init__(self, auditor: Auditor, run: RunWriter, ahead: Ahead | None = None) -> None:
        self.auditor = auditor
        self.run = run
        self.ahead = ahead
        self.interrupted = run.journal.interrupted()

    def heal(self, place: Place, earlier: Evidence | None) -> WorkspaceResult:
        """Plan and carry out; plan anew when somebody else writes meanwhile."""
        world = self.auditor.world
        progress = Progress()
        looked = self.ahead.take(place) if self.ahead is not None and earlier is None else None
        with open_directory(place.directory) as directory, workspace_lock(directory, world.wait):
            resume_interrupted(directory, self.run.journal, self.run, self.interrupted)
            if self.auditor.settings.select:  # else the rule of that name finds them, and tells
                from stateheal.commit.leftovers import remove_leftovers

                remove_leftovers(directory, self.run.journal)

            def attempt(first: bool) -> WorkspaceResult:
                seen = looked.if_unchanged(directory) if looked is not None and first else None
                progress.latest = seen or self.auditor.examine(place, directory, earlier, self.auditor.runs)
                if progress.latest.postponed and first:
                    return progress.latest
                return progress.complete(self._attempt(progress, directory, first))

            try:
                return until_agreed(attempt, world.sleep)
            except StatehealError as error:
                if progress.latest is None:
                    raise
                return progress.complete(failed(progress.latest, error, progress.written))

    def _attempt(self, progress: Progress, directory: Directory, first: bool) -> WorkspaceResult:
        """Carry out what was planned last. Raises ``Conflict`` and other errors; what was written is noted."""
        result = progress.latest
        assert result is not None
        progress.written = []
        try:
            if not first:
                _ensure_settled(result)
            finished = self._carry_out(result, directory, progress.written)
        except Conflict:
            progress.note(result, progress.written)
            raise
        found = tuple(as_begun(finding, progress.begun) for finding in result.findings)
        result = result._replace(findings=found, stopped=not finished)
        now = with_outcome(found, Outcome.HEALED) if finished else as_written(result, progress.written)
        return result._replace(findings=now)

    def _carry_out(self, result: WorkspaceResult, directory: Directory, written: list[str]) -> bool:
        if result.plan.refusal:
            raise Refused(result.plan.refusal)
        if not result.plan.files:
            return True
        world = self.auditor.world
        stop = never if world.whole_workspaces else world.stop
        with Folders(directory) as folders:
            confirm = _confirmer(result.evidence, self.auditor.settings, world, folders)
            return carry_out(result.plan, directory, self.run, confirm, stop, written)


def _confirmer(
    evidence: Evidence, settings: Settings, world: World, folders: Folders
) -> Callable[[tuple[Owner, ...]], str | None]:
    """Judges owners once more, by fresh probes and a fresh look at the process table, directly before a write."""
    life = _lasting(world.processes.look, _LOOK_AGE)

    def confirm(owners: tuple[Owner, ...]) -> str | None:
        for owner in owners:
            pid = pid_of(owner.pid)
            process = world.processes.facts(pid) if pid is not None and pid > 0 else None
            now = owner._replace(grown=_grown(folders, owner, evidence.dialect))
            verdict = judge(Case(now, process, evidence.host, settings, life))
            if verdict.state is not Liveness.DEAD:
                return f"{owner.job} may be alive after all: {verdict.reason}"
        return None

    return confirm


def _are_twins(place: Place, other: Place) -> bool:
    """Whether both hold the state of one project that the same companion may have written."""
    alike = (place.name == place.hash) == (other.name == other.hash)
    return other.directory != place.directory and alike and not kin_of(place.plugin).isdisjoint(kin_of(other.plugin))


def _lasting(look: Callable[[], Look], seconds: float) -> Callable[[], Look]:
    """The same look for a moment: a repair of many jobs must not cost one each."""
    taken: list[tuple[float, Look]] = []

    def lasting() -> Look:
        if not taken or time.monotonic() - taken[-1][0] > seconds:
            taken[:] = [(time.monotonic(), look())]
        return taken[0][1]

    return lasting


def _grown(folders: Folders, owner: Owner, dialect: Dialect) -> int | None:
    """Bytes by which the job's log has grown since it was read."""
    if owner.log_size is None:
        return owner.grown
    try:
        jobs, _ = folders.of(f"{JOBS}/")  # opened once; a job's own directory, where it has one, is closed again
        with folder_of(jobs, log_name(owner.job, dialect).removeprefix(f"{JOBS}/")) as (folder, name):
            return folder.stat(name).st_size - owner.log_size
    except (OSError, ValueError):
        return owner.grown


def _ensure_settled(result: WorkspaceResult) -> None:
    """A file that is on its way while a repair is under way is a conflict like any other."""
    if result.evidence.unsettled:
        raise Conflict(f"{', '.join(sorted(result.evidence.unsettled))} is just being written by somebody else")
