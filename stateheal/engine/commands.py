"""``audit`` and ``heal``: the sequence from discovery to report, one workspace at a time (DESIGN.md, the house)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from stateheal.commit.journal import KEEP, Journal
from stateheal.commit.location import journal_path
from stateheal.commit.undo import find_run, undo_run
from stateheal.diagnosis.catalogue import check_names
from stateheal.engine.collect import ReportBuilder, WorkspaceResult, WorkspaceSummary
from stateheal.engine.sequence import Do, tour
from stateheal.engine.workspace import Auditor, Healer
from stateheal.engine.world import World
from stateheal.errors import StatehealError, UsageError
from stateheal.evidence.roots import Discovery, discover
from stateheal.formats.times import HOUR, parse_duration
from stateheal.model.disk import Place
from stateheal.model.evidence import Evidence
from stateheal.model.report import Problem, ProblemKind, Report
from stateheal.model.request import Settings
from stateheal.version import __version__

Paths = Iterable["str | os.PathLike[str]"]
_WORTH_IT = 16
"""Workspaces below which a second process costs more than it saves."""


def settings_of(
    select: Iterable[str] = (), ignore: Iterable[str] = (), grace: float | str = HOUR, assume_local: bool = False
) -> Settings:
    """Checked settings; a text is one rule. ``grace``: seconds, or a text such as ``"2h"``.

    Raises ``UsageError`` for a rule that does not exist, or a grace that is no duration.
    """
    if isinstance(grace, str):
        try:
            grace = parse_duration(grace)
        except ValueError as error:
            raise UsageError(str(error)) from None
    if not isinstance(grace, (int, float)) or not grace >= 0:
        raise UsageError(f"{grace!r} is no grace time")
    select, ignore = ((each,) if isinstance(each, str) else each for each in (select, ignore))
    return Settings(grace, assume_local, check_names(select), check_names(ignore))


def audit(
    paths: Paths | None = None,
    *,
    cwd: str | None = None,
    job: str | None = None,
    settings: Settings | None = None,
    journal: Journal | None = None,
    world: World | None = None,
    page: bool = False,
) -> Report:
    """Look at every workspace and write nothing.

    ``paths``: as the command line takes them; ``None`` for every default root, an empty list for nothing. ``cwd``
    narrows to the workspace of a directory, ``job`` to one job. With ``page`` the report holds what a page draws of
    each workspace. Raises ``UsageError`` for a path that holds no state.
    """
    world, settings = world or World(), settings or Settings()
    found = asked_for(paths, cwd, job)
    auditor = Auditor(found, settings, world, journal or Journal(journal_path()))
    builder = ReportBuilder(found, "audit", False, job)
    look: Do = auditor.audit
    if page:
        look = _with_page_data(look)
    fill(builder, look, world, writes=False)
    return builder.report(None)


def heal(
    paths: Paths | None = None,
    *,
    dry_run: bool = False,
    cwd: str | None = None,
    job: str | None = None,
    settings: Settings | None = None,
    journal: Journal | None = None,
    world: World | None = None,
    command: str = "heal",
) -> Report:
    """Repair what is proven broken, journalled so that ``undo`` can take it back. Arguments as for ``audit``.

    With ``dry_run`` nothing is written and the report holds the diffs instead. ``command``: what the history calls it.
    """
    found = asked_for(paths, cwd, job)
    return heal_found(found, dry_run=dry_run, job=job, settings=settings, journal=journal, world=world, command=command)


def recover(
    paths: Paths | None = None,
    *,
    dry_run: bool = False,
    cwd: str | None = None,
    job: str | None = None,
    settings: Settings | None = None,
    journal: Journal | None = None,
    world: World | None = None,
) -> Report:
    """Fill lost task jobs from finished Codex rollouts, and do nothing else. Arguments as for ``heal``.

    ``Report.answers`` holds the recovered texts. Field guide section 7.
    """
    chosen = (settings or Settings())._replace(recover=True, select=frozenset({"recoverable"}))
    found = asked_for(paths, cwd, job)
    return heal_found(found, dry_run=dry_run, job=job, settings=chosen, journal=journal, world=world, command="recover")


def heal_found(
    found: Discovery,
    *,
    dry_run: bool = False,
    job: str | None = None,
    settings: Settings | None = None,
    journal: Journal | None = None,
    world: World | None = None,
    command: str = "heal",
) -> Report:
    """``heal`` for workspaces that were found already."""
    world, settings = world or World(), settings or Settings()
    builder = ReportBuilder(found, "heal" if command == "hook" else command, dry_run, job)
    journal = journal or Journal(journal_path(), KEEP)
    auditor = Auditor(found, settings, world, journal, tells_edits=True)
    run = journal.begin(command, __version__, world.processes.host().now)
    try:
        fill(builder, auditor.dry_run if dry_run else Healer(auditor, run).heal, world, writes=not dry_run)
    finally:
        run.close()
    if run.wrote:
        with suppress(StatehealError):
            journal.prune()
    return builder.report(run.id if run.wrote else None)


def undo(run: str | None = None, *, journal: Journal | None = None, world: World | None = None) -> Report:
    """Put back the bytes of a run, the latest that was not undone for ``None``.

    Raises ``UsageError`` where there is no such run, ``JournalError`` where the journal cannot be read.
    """
    world, journal = world or World(), journal or Journal(journal_path(), KEEP)
    chosen = find_run(journal, run)
    writer = journal.begin("undo", __version__, world.processes.host().now)
    try:
        restored = tuple(undo_run(journal, chosen, writer, world.wait))
    finally:
        writer.close()
    damaged = tuple(Problem("", each, ProblemKind.JOURNAL) for each in journal.damaged)
    return Report("undo", run=chosen.id, restored=restored, errors=damaged)


def _with_page_data(look: Do) -> Do:
    """The same results, each that is not to be made again with what a page draws of it."""
    from stateheal.report.page_data import page_data_of  # a hook must not pay for what only a page needs

    def looked(place: Place, earlier: Evidence | None) -> WorkspaceResult:
        result = look(place, earlier)
        if result.postponed:
            return result
        return result._replace(page=page_data_of(result.evidence, result.plan, result.findings))

    return looked


def asked_for(paths: Paths | None, cwd: str | None, job: str | None) -> Discovery:
    """The workspaces that a request names, narrowed to a job where one was asked for. Raises ``UsageError``."""
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    found = discover(paths, cwd)
    if cwd is not None and not found.places and not os.path.isdir(cwd):
        raise UsageError(f"{cwd}: there is no such directory, and no workspace of one that was")
    if job is None:
        return found
    places = [replace(each, jobs=frozenset({job})) for each in found.places if each.jobs is None or job in each.jobs]
    return found._replace(places=tuple(places))


def fill(builder: ReportBuilder, do: Do, world: World, *, writes: bool) -> None:
    """Tour every workspace and write down what came of it; what writes nothing may be spread over processors."""
    places = builder.found.places

    def go(share: Sequence[Place]) -> Iterator[WorkspaceSummary]:
        return tour(share, do, world, builder.job)

    summaries = go(places)
    if world.workers > 1 and not writes and len(places) >= _WORTH_IT:
        from stateheal.engine.parallel import spread  # a hook must not pay for what only a long tour needs

        summaries = spread(places, go, world.workers, world.stop)
    for done, summary in enumerate(summaries, 1):
        builder.add(summary)
        world.progress(done, len(places), summary.place)
    builder.interrupted |= world.stop()
