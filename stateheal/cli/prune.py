"""``stateheal prune``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from stateheal.cli.options import Output, duration, interruptible, output_options, place_options, verdict_options
from stateheal.cli.progress import progress_bar
from stateheal.cli.scope import scope_of
from stateheal.engine.prune import Pruned, Pruning, prune
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.formats.times import write_duration
from stateheal.model.request import Request
from stateheal.report.text import print_lines, short_path
from stateheal.text import count_of, printable, size_of


@click.command("prune")
@place_options
@click.option("--gone", is_flag=True, help="All state of projects whose directory is not there any more.")
@click.option(
    "--older-than", metavar="DURATION", callback=duration, help="Finished jobs that ended longer ago than that: 30d."
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would go, with sizes, and remove nothing.")
@verdict_options
@output_options
def prune_command(request: Request, gone: bool, older_than: float | None, dry_run: bool, output: Output) -> int:
    """Archive and remove what nobody needs any more.

    What goes is packed into one archive in the journal's directory first, where it stays; 'stateheal undo' brings it
    back, too. Never a job that may live, a broker that answers, the broker.json that alone names one, or a project
    that may only be elsewhere (a container's, another system's, on what is not mounted now): those are named first,
    with what would help. PATH as for audit.

    \b
    Example: stateheal prune --gone -n
    """
    if not gone and older_than is None:
        raise UsageError("say what is to go: --gone, --older-than 30d, or both")
    with interruptible() as interrupt, progress_bar(output.quiet) as bar:
        world = World(stop=interrupt, progress=bar)
        done = prune(request, gone=gone, older_than=older_than, dry_run=dry_run, world=world)
    if output.is_text:
        again = _again(gone, older_than, scope_of(request).command)
        print_lines(output.console, _lines(done, output.quiet, again))
    else:
        output.print_json(done.report, "pruned", pruned=[_as_json(each) for each in done.places], packed=done.archive)
    refused = any(each.refusal for each in done.places)
    status = 1 if refused or (dry_run and done.places) else 0
    return interrupt.status(output.finish(done.report) or (0 if output.exit_zero else status))


def _again(gone: bool, older_than: float | None, scope: str) -> str:
    """The same command without -n."""
    words = [
        *(["--gone"] if gone else []),
        *([] if older_than is None else ["--older-than", write_duration(older_than)]),
    ]
    return " ".join(["stateheal prune", *words]) + scope


def _lines(done: Pruning, quiet: bool, again: str) -> Iterator[str]:
    """What goes, what is left and why, and the command to run next: ``again``."""
    refused = [each for each in done.places if each.refusal]
    going = [each for each in done.places if not each.refusal]
    for each in refused:
        yield f"{_name(each)}: left alone, {printable(each.refusal or '')}"
    for each in () if quiet else going:
        what = "all of it" if each.whole else count_of(len(each.jobs), "job")
        yield f"{_name(each)}: {what}, {size_of(each.size)}"
    total = f"{count_of(len(going), 'workspace')}, {size_of(sum(each.size for each in going))}"
    if not going:
        yield "Nothing to remove."
    elif done.report.dry_run:
        yield f"{total} would go."
        yield "Dry run: nothing was removed. Next, for the removal:"
        yield f"  {printable(again)}"
    else:
        yield f"{total} removed. All of it is in"
        yield f"  {printable(done.archive or '')}"
        yield "'stateheal undo' brings it back."


def _name(each: Pruned) -> str:
    """The project where it is known, else the state's own name."""
    return printable(short_path(each.home) if each.home else each.place.name)


def _as_json(each: Pruned) -> dict[str, object]:
    return {
        "workspace": each.place.name,
        "path": str(each.place.directory),
        "project": each.home,
        "whole": each.whole,
        "jobs": list(each.jobs),
        "size": each.size,
        "refusal": each.refusal,
    }
