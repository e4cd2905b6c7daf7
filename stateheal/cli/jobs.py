"""``stateheal jobs``, which ``status`` is another name for."""

from __future__ import annotations

import click

from stateheal.cli.options import Output, duration, interruptible, output_options, scope_options, verdict_options
from stateheal.cli.progress import progress_bar
from stateheal.cli.scope import scope_of
from stateheal.engine.children import processors
from stateheal.engine.jobs import list_jobs
from stateheal.engine.world import World
from stateheal.model.jobs import JobRow
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.report.jobs import job_list, job_summary, rows_json


@click.command("jobs")
@scope_options
@click.option("-a", "--all", "everything", is_flag=True, help="Finished jobs, too.")
@click.option(
    "--since", metavar="DURATION", callback=duration, help="Finished jobs too, as far as they ended in that time: 2d."
)
@verdict_options
@output_options
def jobs_command(request: Request, everything: bool, since: float | None, output: Output) -> int:
    """List jobs: what runs, what hangs, what is dead.

    Of every job that is recorded as active, or of which something lives on: what it is, alive or dead by the same table
    as a heal's, why, since when it is silent, what it blocks, and how to resume it in Codex. Changes nothing. PATH as
    for audit.

    \b
    Example: stateheal jobs --since 2d
    """
    with interruptible() as interrupt, progress_bar(output.quiet) as bar:
        world = World(stop=interrupt, workers=processors(), progress=bar)
        report = list_jobs(request, world=world)
    now = world.processes.host().now
    chosen = everything or request.job is not None
    rows = [row for row in report.rows if row.stands_out or chosen or (since is not None and _moved(row, now - since))]
    if output.is_text:
        _show(report, rows, now, output, scope_of(request).command)
    else:
        output.print_json(report, "jobs", jobs=rows_json(rows))
    return interrupt.status(output.finish(report))


def _moved(row: JobRow, since: float) -> bool:
    last = row.ended or row.last_sign
    return last is not None and last >= since


def _show(report: Report, rows: list[JobRow], now: float, output: Output, scope: str) -> None:
    from stateheal.report.paint import painter
    from stateheal.report.text import write_lines

    console = output.console
    lines = job_list(rows, now, console.width, painter(console), quiet=output.quiet)
    write_lines(console, [*lines, *job_summary(report.rows, len(rows), report, scope, console.width)])
