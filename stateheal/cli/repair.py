"""``stateheal audit`` and ``stateheal heal``."""

from __future__ import annotations

from functools import partial

import click

from stateheal.cli.options import Output, interruptible, output_options, rule_options, scope_options
from stateheal.cli.progress import progress_bar
from stateheal.cli.scope import scope_of
from stateheal.commit.journal import KEEP, Journal
from stateheal.commit.location import journal_path
from stateheal.engine.children import processors
from stateheal.engine.commands import audit, heal
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.model.report import Report
from stateheal.model.request import Request, Scope


@click.command("audit")
@scope_options
@click.option(
    "--html", metavar="FILE", type=click.Path(), help="Write one HTML page too; '-': to stdout, without the report."
)
@rule_options
@output_options
def audit_command(request: Request, html: str | None, output: Output) -> int:
    """Show what is wrong. Changes nothing.

    PATH is a config dir, a plugins/data dir, a plugin's data dir, a state dir, a workspace's state dir, its jobs dir, a
    state.json, a job file or a job's log; by default every place where plugins keep state and that belongs to you.

    \b
    Example: stateheal audit --format json ~/.claude | jq .summary
    """
    if html == "-" and not output.is_text:
        raise UsageError("--html - takes the place of the report: give it a FILE, or leave --format away")
    with interruptible() as interrupt, progress_bar(output.quiet) as bar:
        world = World(stop=interrupt, workers=processors(), progress=bar)
        report = audit(request, world=world, page=html is not None)
    scope = partial(scope_of, request)
    try:
        status = output.finish(report) if html == "-" else show_report(report, output, scope(absolute=False))
    finally:  # a reader of the report that goes away takes no page with it
        if html is not None:
            from stateheal.cli.page import show_page  # no other command needs what makes a page

            show_page(html, report, world.processes.host().now, scope(absolute=True))
    return interrupt.status(status)


@click.command("heal")
@scope_options
@click.option("-n", "--dry-run", is_flag=True, help="Show the diff and write nothing.")
@click.option(
    "--keep", metavar="N", type=click.IntRange(1), default=KEEP, show_default=True, help="Runs to keep in the journal."
)
@click.option("--recover", is_flag=True, help="Fill lost task jobs from finished Codex rollouts, too.")
@rule_options
@output_options
def heal_command(request: Request, dry_run: bool, keep: int, recover: bool, output: Output) -> int:
    """Repair what is proven broken.

    Asks nothing: a job whose process may live is never touched, the original bytes go to the journal first, and
    'stateheal undo' puts them back. PATH as for audit.

    \b
    Example: stateheal heal -n --cwd .
    """
    request = request._replace(settings=request.settings._replace(recover=recover))
    with interruptible() as interrupt, progress_bar(output.quiet) as bar:
        report = heal(
            request,
            dry_run=dry_run,
            journal=Journal(journal_path(), keep),
            world=World(stop=interrupt, workers=processors(), progress=bar),
        )
    return interrupt.status(show_report(report, output, scope_of(request)))


def show_report(report: Report, output: Output, scope: Scope) -> int:
    """Print a report in the form that was asked for; ``scope`` is for what to run next. Returns the exit status."""
    if output.is_text:
        from stateheal.report.text import print_report  # rich: a program that reads JSON need not wait for it

        journal = str(journal_path())
        print_report(output.console, report, quiet=output.quiet, verbose=output.verbose, journal=journal, scope=scope)
    else:
        output.print_json(report)
    return output.finish(report)
