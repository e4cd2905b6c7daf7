"""``stateheal undo`` and ``stateheal history``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import click
from rich.text import Text

from stateheal.cli.options import Output, output_options
from stateheal.commit.journal import Journal, Run
from stateheal.commit.location import journal_path
from stateheal.engine.commands import undo
from stateheal.engine.history import past_run
from stateheal.errors import StatehealError
from stateheal.formats.times import describe_age, parse_time
from stateheal.model.report import Problem, ProblemKind, Report
from stateheal.report.text import print_lines
from stateheal.text import count_of, printable


def _runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers: the runs that can be undone."""
    try:
        runs = Journal(journal_path()).runs()
        return [run.id for run in runs if run.id.startswith(incomplete) and run.undone_word != "yes"]
    except StatehealError:
        return []


@click.command("undo")
@click.argument("run", required=False, shell_complete=_runs)
@output_options
def undo_command(run: str | None, output: Output) -> int:
    """Put back the bytes that a run changed.

    RUN is an id from 'stateheal history', or its beginning; by default the latest run that was not undone, so that
    repeated undo walks back. A workspace is restored whole or not at all: where one of its files has changed since, it
    is refused and named.

    \b
    Example: stateheal undo
    """
    report = undo(run)
    if not output.is_text:
        output.print_json(report, "restored", "refused")
    else:
        print_lines(output.console, _undo_lines(report, output.quiet))
    return output.finish(report)


def _undo_lines(report: Report, quiet: bool) -> Iterator[str | Text]:
    for each in () if quiet else report.restored:
        if each.refusal is None:
            where = printable(str(each.workspace.parent))
            yield f"{printable(each.workspace.name)}: {count_of(each.files, 'file')} put back in {where}"
        else:
            yield Text(f"{printable(each.workspace.name)}: left alone, {printable(each.refusal)}", style="red")
    refused = sum(each.refusal is not None for each in report.restored)
    done = len(report.restored) - refused
    if not report.restored:
        yield f"Run {report.run} was undone already."
        return
    yield f"Run {report.run}: {count_of(done, 'workspace')} undone" + (f", {refused} refused." if refused else ".")
    if refused:
        yield "'stateheal undo RUN' still reaches older runs; 'stateheal history' lists them."


@click.command("history")
@click.option("--purge", is_flag=True, help="Forget every run; nothing can be undone any more.")
@output_options
def history_command(purge: bool, output: Output) -> int:
    """List the runs that can be undone, newest first.

    \b
    Example: stateheal history
    """
    journal = Journal(journal_path())
    report = Report("history")
    if purge:
        count = journal.purge()
        if output.is_text:
            print_lines(output.console, [f"{count_of(count, 'run')} forgotten."])
        else:
            output.print_json(report, runs=[])
        return 0
    runs = journal.runs()
    report = Report("history", errors=tuple(Problem("", each, ProblemKind.JOURNAL) for each in journal.damaged))
    if output.is_text:
        print_lines(output.console, _history_lines(runs, journal))
    else:
        past = [past_run(run) for run in runs]
        counts = {"runs": len(past), "files": sum(each.files for each in past)}
        places = {archive.workspace for run in runs for archive in run.archives}
        report = replace(report, workspaces=len(places), jobs=sum(each.jobs for each in past), counts=counts)
        output.print_json(report, "runs", runs=[each.to_dict() for each in past])
    return output.finish(report)


def _history_lines(runs: list[Run], journal: Journal) -> Iterator[str | Text]:
    for run in runs:
        entry = past_run(run)
        state = {"no": "", "partly": "  partly undone", "yes": "  undone"}[run.undone_word]
        state += "" if entry.complete else "  interrupted"
        size = f"{count_of(entry.files, 'file')} in {count_of(entry.workspaces, 'workspace')}"
        began = parse_time(run.started)
        age = f"  {describe_age(began, time.time())}" if began is not None else ""
        yield Text(f"{run.id}  {printable(run.command):8} {size}{age}{state}", style="dim" if state else "")
    yield f"{count_of(len(runs), 'run')} in {printable(str(journal.path))}"
