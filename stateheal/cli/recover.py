"""``stateheal recover``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from rich.text import Text

from stateheal.cli import say
from stateheal.cli.options import Output, interruptible, output_options, scope_options
from stateheal.cli.progress import progress_bar
from stateheal.cli.repair import show_report
from stateheal.cli.scope import scope_of
from stateheal.commit.journal import KEEP, Journal
from stateheal.commit.location import journal_path
from stateheal.engine.commands import recover
from stateheal.engine.world import World
from stateheal.fs.output import write_numbered
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.report.text import print_lines
from stateheal.text import count_of, printable

_LINES, _COLUMNS = 4, 100
"""Of each answer, in a dry run."""


@click.command("recover")
@scope_options
@click.option("-n", "--dry-run", is_flag=True, help="Show the diff and each answer's first lines; write nothing.")
@click.option(
    "--export", type=click.Path(file_okay=False), help="Write each answer into this directory as Markdown too."
)
@output_options
def recover_command(request: Request, dry_run: bool, export: str | None, output: Output) -> int:
    """Fill lost task jobs from finished Codex rollouts.

    A dead worker is not a dead turn: Codex often finished, and the answer lies in a rollout below $CODEX_HOME. It is
    taken only if that very turn was completed, without error and with a message; every other job is left as it is, and
    said why. Rollouts are read, never written. 'stateheal undo' takes it back. PATH as for audit.

    \b
    Example: stateheal recover -n --cwd .
    """
    with interruptible() as interrupt, progress_bar(output.quiet) as bar:
        report = recover(
            request,
            dry_run=dry_run,
            journal=Journal(journal_path(), KEEP),
            world=World(stop=interrupt, progress=bar),
        )
    if dry_run and output.is_text and not output.quiet:
        print_lines(output.console, list(_excerpts(report)))
    status = show_report(report, output, scope_of(request))
    if export and not dry_run:
        for workspace, ident, text in report.answers:
            path = write_answer(Path(export), workspace, ident, text)
            say(f"wrote {path}")
    return interrupt.status(status)


def _excerpts(report: Report) -> Iterator[str | Text]:
    for workspace, ident, text in report.answers:
        yield Text(f"{printable(ident)} in {printable(workspace)} answers:", style="bold")
        lines = text.strip().splitlines()
        for line in lines[:_LINES]:
            shown = printable(line)
            yield "  " + (shown if len(shown) <= _COLUMNS else shown[: _COLUMNS - 1] + "…")
        if len(lines) > _LINES:
            yield f"  … and {count_of(len(lines) - _LINES, 'line')} more"
        yield ""


def write_answer(folder: Path, workspace: str, ident: str, text: str) -> Path:
    """Write one answer, under a name that nobody has; what is there already with the same text is left as it is.

    Raises ``WriteError``.
    """
    data = f"# {printable(ident)}\n\n{text.rstrip()}\n".encode("utf-8", "replace")
    return write_numbered(folder, f"{workspace}-{ident}", ".md", data)
