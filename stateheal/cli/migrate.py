"""``stateheal migrate``."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click
from rich.text import Text

from stateheal.cli.options import Output, interruptible, output_options
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.migrate.commands import Moves, Options, migrate, pairs_between, pairs_in_place, pairs_of_move
from stateheal.model.report import Moved, Report
from stateheal.report.text import print_diffs, print_lines
from stateheal.runner.place import workplace
from stateheal.text import count_of, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@click.command("migrate")
@click.option("--from", "source", metavar="ROOT", help="Where the state is: a path, 'temp', or a plugin's name.")
@click.option("--to", "target", metavar="ROOT", help="Where it is to go: a plugin's data dir or state dir may be new.")
@click.option("--cwd", type=click.Path(), help="Only the workspaces of this directory: its own and its parents'.")
@click.option("--workspace", nargs=2, metavar="OLD NEW", help="A project directory that was renamed or moved.")
@click.option("--gate", type=click.Choice(["on", "off"]), help="What the review gate is to be where the two differ.")
@click.option("--archive", is_flag=True, help="Pack a source that was moved whole, and remove it.")
@click.option("--upgrade", is_flag=True, help="Add what older records lack (phase, kindLabel); alone: in place.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be done, with the diff of each index.")
@output_options
def migrate_command(
    source: str | None,
    target: str | None,
    cwd: str | None,
    workspace: tuple[str, str] | None,
    output: Output,
    **more: Any,
) -> int:
    """Move state between roots, or after its project.

    ROOT is a config dir, a plugins/data dir, a plugin's data dir or a state dir; 'temp' is the plugin's fallback in the
    temp directory, and a plain name a plugin's in the config dir. Jobs are merged by id, the source stays as it is,
    and 'stateheal undo' takes it back. A workspace with a live job, an answering broker or a conflicting review gate
    is refused.

    \b
    Example: stateheal migrate -n --from temp --to codex-openai-codex
    """
    gate = {"on": True, "off": False}.get(more["gate"] or "")
    options = Options(gate, more["archive"], more["upgrade"], more["dry_run"])
    moves = _moves(source, target, cwd, workspace, options)
    with interruptible() as interrupt:
        report = migrate(moves, options, world=World(stop=interrupt))
    if output.is_text:
        print_diffs(output.console, () if output.quiet else report.diffs)
        print_lines(output.console, list(_lines(report, output.quiet)))
    else:
        output.print_json(report, "moved")
    return interrupt.status(output.finish(report))


def _moves(
    source: str | None, target: str | None, cwd: str | None, workspace: tuple[str, str] | None, options: Options
) -> Moves:
    if workspace:
        if target is not None or cwd is not None:
            raise UsageError("--workspace OLD NEW stays in its root: it goes with --from at most")
        if not os.path.isdir(workspace[1]):
            raise UsageError(f"{workspace[1]}: there is no such directory; NEW is where the project is now")
        place = workplace(workspace[1])
        return pairs_of_move(workspace[0], place.root, place.directory.name, source)
    if source is None:
        if options.upgrade:
            raise UsageError("say whose records: --upgrade --from ROOT")
        raise UsageError("say --from ROOT and --to ROOT, or --workspace OLD NEW")
    if target is not None:
        return pairs_between(source, target, cwd)
    if options.upgrade and not options.archive:
        return pairs_in_place(source, cwd)
    raise UsageError("say --to ROOT as well")


def _lines(report: Report, quiet: bool) -> Iterator[str | Text]:
    for each in () if quiet else report.moved:
        yield from _moved(each, report.dry_run)
    refused = sum(each.refusal is not None for each in report.moved)
    written = sum(each.written for each in report.moved)
    would = "would be written" if report.dry_run else "written"
    yield f"{count_of(len(report.moved), 'workspace')}: {written} {would}, {refused} refused."
    if report.dry_run:
        yield "Dry run: nothing was written."
    if report.run:
        yield f"Run {report.run}; 'stateheal undo' takes it back."


def _moved(each: Moved, dry_run: bool) -> Iterator[str | Text]:
    name = printable(each.source.name)
    if each.refusal is not None:
        yield Text(f"{name}: refused: {printable(each.refusal)}", style="red")
        return
    where = "in place" if each.source == each.target else f"to {printable(str(each.target))}"
    if each.written:
        yield f"{name}: {count_of(len(each.jobs), 'job')} {where}" + (" (would be)" if dry_run else "")
    else:
        yield Text(f"{name}: nothing to copy", style="dim")
    if each.stays:
        yield Text(f"  no room, stays behind: {printable(', '.join(each.stays))}", style="yellow")
    if each.archives and dry_run:
        yield f"  the source, {printable(str(each.source))}, would be packed and removed"
    if each.archived:
        yield f"  the source is packed in {printable(each.archived)}"
