"""``audit``, ``heal``, ``recover`` and ``undo``: from discovery to report (DESIGN.md, the house)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from stateheal.commit.journal import KEEP, Journal
from stateheal.commit.location import journal_path
from stateheal.engine.collect import ReportBuilder, WorkspaceResult, WorkspaceSummary
from stateheal.engine.sequence import Do, each_workspace
from stateheal.engine.workspace import Auditor, Healer
from stateheal.engine.world import World
from stateheal.errors import StatehealError, UsageError
from stateheal.evidence.discover import Discovery, discover
from stateheal.evidence.roots import default_roots
from stateheal.formats.jsontext import expect_much
from stateheal.model.disk import Place
from stateheal.model.evidence import Evidence
from stateheal.model.problems import Problem, ProblemKind
from stateheal.model.report import Diff, Report
from stateheal.model.request import Request
from stateheal.values import replace
from stateheal.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.engine.ahead import Ahead

_WORTH_IT = 16
"""Workspaces below which a second process costs more than it saves."""


def audit(
    request: Request, *, journal: Journal | None = None, world: World | None = None, page: bool = False
) -> Report:
    """Look at every workspace and write nothing.

    With ``page`` the report holds what a page draws of each workspace. Raises ``UsageError`` for a path that holds no
    state.
    """
    world = world or World()
    found = asked_for(request)
    auditor = Auditor(found, request.settings, world, journal or Journal(journal_path()))
    builder = ReportBuilder(found, "audit", False, request.job)
    fill(builder, _with_page_data(auditor.audit) if page else auditor.audit, world, writes=False)
    return builder.report(None, request.settings)


def heal(
    request: Request,
    *,
    dry_run: bool = False,
    journal: Journal | None = None,
    world: World | None = None,
    command: str = "heal",
) -> Report:
    """Repair what is proven broken, journalled so that ``undo`` can take it back.

    With ``dry_run`` nothing is written and the report holds the diffs instead. ``command``: what the history calls it.
    """
    found = asked_for(request)
    return heal_found(found, request, dry_run=dry_run, journal=journal, world=world, command=command)


def recover(
    request: Request, *, dry_run: bool = False, journal: Journal | None = None, world: World | None = None
) -> Report:
    """Fill lost task jobs from finished Codex rollouts, and do nothing else.

    ``Report.answers`` holds the recovered texts. Field guide section 7.
    """
    chosen = request.settings._replace(recover=True, select=frozenset({"recoverable"}))
    return heal(request._replace(settings=chosen), dry_run=dry_run, journal=journal, world=world, command="recover")


def heal_found(
    found: Discovery,
    request: Request,
    *,
    dry_run: bool = False,
    journal: Journal | None = None,
    world: World | None = None,
    command: str = "heal",
) -> Report:
    """``heal`` for workspaces that were found already."""
    world = world or World()
    builder = ReportBuilder(found, "heal" if command == "hook" else command, dry_run, request.job)
    journal = journal or Journal(journal_path(), KEEP)
    auditor = Auditor(found, request.settings, world, journal, tells_edits=True)
    run = journal.begin(command, __version__, world.processes.host().now)
    try:
        if dry_run:
            fill(builder, auditor.dry_run, world, writes=False)
        else:
            with _ahead_of(found.places, auditor, world) as ahead:
                fill(builder, Healer(auditor, run, ahead).heal, world, writes=True)
    finally:
        run.close()
    if run.wrote:
        with suppress(StatehealError):
            journal.prune()
    return builder.report(run.id if run.wrote else None, request.settings)


def undo(
    run: str | None = None,
    *,
    dry_run: bool = False,
    cwd: str | None = None,
    job: str | None = None,
    journal: Journal | None = None,
    world: World | None = None,
) -> Report:
    """Put back the bytes of a run, by its id, its number or an unambiguous beginning; ``None``: of the latest that was
    not undone. With nothing to undo the report names no run.

    ``cwd`` narrows to the workspaces of a directory, ``job`` to those in which the run changed that job: a workspace
    comes back whole or not at all. With ``dry_run`` nothing is written and the report holds the diffs.

    Raises ``UsageError`` where there is no such run, ``JournalError`` where the journal cannot be read.
    """
    from stateheal.commit.undo import preview_undo, undo_run  # an audit and a hook do without
    from stateheal.engine.choose import run_to_undo

    world, journal = world or World(), journal or Journal(journal_path(), KEEP)
    chosen = run_to_undo(journal, run, cwd, job)
    if chosen is None:
        damaged = tuple(Problem("", each, ProblemKind.JOURNAL) for each in journal.damaged)
        return Report("undo", dry_run, errors=damaged)
    diffs: list[Diff] = []
    if dry_run:
        previews = list(preview_undo(chosen, _known_roots))
        restored = tuple(each for each, _ in previews)
        diffs = [diff for _, found in previews for diff in found]
    else:
        writer = journal.begin("undo", __version__, world.processes.host().now)
        try:
            restored = tuple(undo_run(journal, chosen, writer, world.wait, _known_roots))
        finally:
            writer.close()
    damaged = tuple(Problem("", each, ProblemKind.JOURNAL) for each in journal.damaged)
    return Report("undo", dry_run, chosen.id, restored=restored, diffs=tuple(diffs), errors=damaged)


def _known_roots() -> frozenset[Path]:
    return frozenset(root.path for root in default_roots())


def _with_page_data(look: Do) -> Do:
    """The same results, each that is not to be made again with what a page draws of it."""
    from stateheal.report.page_data import page_data_of  # a hook must not pay for what only a page needs

    def looked(place: Place, earlier: Evidence | None) -> WorkspaceResult:
        result = look(place, earlier)
        if result.postponed:
            return result
        return result._replace(page=page_data_of(result.evidence, result.plan, result.findings))

    return looked


def asked_for(request: Request) -> Discovery:
    """The workspaces that a request names, narrowed to a job where one was asked for. Raises ``UsageError``."""
    cwd, job = request.cwd, request.job
    found = discover(request.paths, cwd)
    if cwd is not None and not found.places and not os.path.isdir(cwd):
        raise UsageError(f"{cwd}: there is no such directory, and no workspace of one that was")
    if job is None:
        return found
    places = [replace(each, jobs=frozenset({job})) for each in found.places if each.jobs is None or job in each.jobs]
    return found._replace(places=tuple(places))


@contextmanager
def _ahead_of(places: Sequence[Place], auditor: Auditor, world: World) -> Iterator[Ahead | None]:
    """A process that looks at the workspaces to come, where there is a processor for it and enough to look at."""
    if world.workers == 1 or len(places) < _WORTH_IT:
        yield None
        return
    from stateheal.engine.ahead import looking_ahead

    expect_much()
    with looking_ahead(places, auditor.look_ahead) as ahead:
        yield ahead


def fill(builder: ReportBuilder, do: Do, world: World, *, writes: bool) -> None:
    """Tour every workspace and write down what came of it; what writes nothing may be spread over processors."""
    places = builder.found.places

    def go(share: Sequence[Place]) -> Iterator[WorkspaceSummary]:
        return each_workspace(share, do, world, builder.job)

    summaries = go(places)
    if len(places) >= _WORTH_IT:
        expect_much()
    if world.workers > 1 and not writes and len(places) >= _WORTH_IT:
        from stateheal.engine.parallel import spread

        summaries = spread(places, go, world.workers, world.stop)
    for done, summary in enumerate(summaries, 1):
        builder.add(summary)
        world.progress(done, len(places), summary.place)
    builder.interrupted |= world.stop()
