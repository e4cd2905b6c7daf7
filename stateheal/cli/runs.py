"""``stateheal undo`` and ``stateheal history``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

import click
from rich.text import Text

from stateheal.cli.options import Output, job_ids, no_empty_id, output_options
from stateheal.commit.forgetting import forget as forget_runs
from stateheal.commit.forgetting import with_their_undos
from stateheal.commit.journal import Journal, Run
from stateheal.commit.location import journal_path
from stateheal.commit.undo import find_run
from stateheal.engine.commands import undo
from stateheal.engine.history import changes_of, past_run
from stateheal.errors import StatehealError, UsageError
from stateheal.formats.times import describe_age, parse_time
from stateheal.model.problems import Problem, ProblemKind
from stateheal.model.report import Report, Restored
from stateheal.report.text import print_diffs, print_lines
from stateheal.text import count_of, printable, quoted
from stateheal.values import NamedTuple, replace

_DONE = {
    "replace": "rewritten",
    "append": "a line added",
    "cut": "our line taken off",
    "create": "new",
    "remove": "removed",
    "keep": "not changed, a copy kept",
}


def _runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers: the runs that can be undone."""
    try:
        runs = Journal(journal_path()).runs()
        return [run.id for run in runs if run.id.startswith(incomplete) and run.undone_word != "yes"]
    except StatehealError:
        return []


# --- undo ----------------------------------------------------------------------------------------------------------


@click.command("undo")
@click.argument("run", required=False, shell_complete=_runs)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be put back, as a diff; write nothing.")
@click.option("--cwd", type=click.Path(), help="Only the workspaces of this directory: its own and its parents'.")
@click.option(
    "--job",
    metavar="ID",
    shell_complete=job_ids,
    callback=no_empty_id,
    help="Only the workspaces in which the run changed this job; each comes back whole.",
)
@output_options
def undo_command(run: str | None, dry_run: bool, cwd: str | None, job: str | None, output: Output) -> int:
    """Put back the bytes that a run changed.

    RUN is an id from 'stateheal history', its number or its beginning; by default the latest run that was not undone,
    so that repeated undo walks back. A workspace is restored whole or not at all: where one of its files has changed
    since, it is left alone and named, with the files that differ and where the originals are.

    \b
    Example: stateheal undo -n
    """
    report = undo(run, dry_run=dry_run, cwd=cwd, job=job)
    if not output.is_text:
        output.print_json(report, "restored", "refused")
    else:
        print_diffs(output.console, () if output.quiet else report.diffs)
        print_lines(output.console, _undo_lines(report, output.quiet, job or cwd))
    return output.finish(report)


def _undo_lines(report: Report, quiet: bool, narrowed: str | None) -> Iterator[str | Text]:
    if report.run is None:
        of = f" of {printable(narrowed)}" if narrowed else ""
        yield f"There is nothing to undo{of}."
        return
    for each in () if quiet else report.restored:
        yield from _restored_lines(each, report.dry_run)
    refused = sum(each.refusal is not None for each in report.restored)
    done = len(report.restored) - refused
    if not report.restored:
        yield f"Run {report.run} was undone already."
        return
    what = "would be undone" if report.dry_run else "undone"
    yield f"Run {report.run}: {count_of(done, 'workspace')} {what}" + (f", {refused} refused." if refused else ".")
    if report.dry_run:
        yield "Dry run: nothing was written."
    if refused:
        yield "'stateheal undo RUN' still reaches older runs; 'stateheal history' lists them."


def _restored_lines(each: Restored, dry_run: bool) -> Iterator[str | Text]:
    name = printable(each.workspace.name)
    if each.refusal is None:
        what = "would be put back" if dry_run else "put back"
        yield f"{name}: {count_of(each.files, 'file')} {what} in {printable(str(each.workspace.parent))}"
        return
    yield Text(f"{name}: left alone, {printable(each.refusal)}", style="red")
    if each.differing:
        yield f"  changed since that run: {printable(', '.join(each.differing))}"
    for path in each.originals:
        yield f"  what was there before it: tar xf {printable(str(path))} -C DIRECTORY"


# --- history -------------------------------------------------------------------------------------------------------


class _Chosen(NamedTuple):
    """Which runs are to be forgotten."""

    purge: bool
    forget: tuple[str, ...]
    keep_last: int | None

    def __bool__(self) -> bool:
        return self.purge or bool(self.forget) or self.keep_last is not None


@click.command("history")
@click.argument("run", required=False, shell_complete=_runs)
@click.option("--purge", is_flag=True, help="Forget every run; nothing can be undone any more.")
@click.option("--forget", metavar="RUN", multiple=True, shell_complete=_runs, help="Forget this run (repeatable).")
@click.option("--keep-last", metavar="N", type=click.IntRange(min=0), help="Forget all but the latest N runs.")
@click.option("-n", "--dry-run", is_flag=True, help="Say which runs would be forgotten; forget none.")
@click.option("-y", "--yes", is_flag=True, help="Forget without asking; without a terminal nobody is asked.")
@output_options
def history_command(
    run: str | None,
    purge: bool,
    forget: tuple[str, ...],
    keep_last: int | None,
    dry_run: bool,
    yes: bool,
    output: Output,
) -> int:
    """List the runs that can be undone, newest first.

    Of one RUN, by its id, its number or its beginning: what it changed, and where the originals are. What is forgotten
    stays as it is and can no longer be undone; the number of a run is never given again.

    \b
    Example: stateheal history --keep-last 10 -n
    """
    journal, chosen = Journal(journal_path()), _Chosen(purge, forget, keep_last)
    if sum((purge, bool(forget), keep_last is not None, run is not None)) > 1:
        raise UsageError("say one of them: RUN, --purge, --forget RUN, --keep-last N")
    if not chosen and (dry_run or yes):
        raise UsageError("-n and --yes go with --purge, --forget RUN or --keep-last N")
    if chosen:
        return _forget(journal, chosen, dry_run, yes, output)
    runs = journal.runs() if run is None else [_named(journal, run)]
    report = Report("history", errors=_damage(journal))
    if output.is_text:
        print_lines(output.console, _history_lines(runs, journal) if run is None else _run_lines(runs[0]))
    else:
        _print_json(report, runs, output, with_changes=run is not None)
    return output.finish(report)


def _damage(journal: Journal) -> tuple[Problem, ...]:
    return tuple(Problem("", each, ProblemKind.JOURNAL) for each in journal.damaged)


def _named(journal: Journal, run: str) -> Run:
    found = find_run(journal, run)
    assert found is not None  # only without a name nothing may be found
    return found


def _print_json(report: Report, runs: Sequence[Run], output: Output, with_changes: bool = False) -> None:
    past = [past_run(run) for run in runs]
    counts = {"runs": len(past), "files": sum(each.files for each in past)}
    places = {archive.workspace for run in runs for archive in run.archives}
    report = replace(report, workspaces=len(places), jobs=sum(each.jobs for each in past), counts=counts)
    told = [each.to_dict() for each in past]
    if with_changes:
        told = [
            {**each, "changed": [of.to_dict() for of in changes_of(run)]} for each, run in zip(told, runs, strict=True)
        ]
    output.print_json(report, "runs", runs=told)


def _history_lines(runs: Sequence[Run], journal: Journal) -> Iterator[str | Text]:
    yield from map(_history_line, runs)
    yield f"{count_of(len(runs), 'run')} in {printable(str(journal.path))}"


def _history_line(run: Run) -> Text:
    entry = past_run(run)
    state = {"no": "", "partly": "  partly undone", "yes": "  undone"}[run.undone_word]
    state += "" if entry.complete else "  interrupted"
    size = f"{count_of(entry.files, 'file')} in {count_of(entry.workspaces, 'workspace')}"
    began = parse_time(run.started)
    age = f"  {describe_age(began, time.time())}" if began is not None else ""
    return Text(f"{printable(run.id)}  {printable(run.command):8} {size}{age}{state}", style="dim" if state else "")


def _run_lines(run: Run) -> Iterator[str | Text]:
    yield _history_line(run)
    for each in changes_of(run):
        state = ("  undone" if each.undone else "") + ("" if each.complete else "  interrupted")
        yield Text(f"{printable(each.workspace)}{state}", style="bold")
        yield f"  in {printable(each.path)}"
        width = max((len(printable(file.name)) for file in each.files), default=0)
        for file in each.files:
            yield f"  {printable(file.name):{width}}  {_DONE.get(file.action, printable(file.action))}"
        yield f"  originals: {printable(each.originals)}"
    if run.undone_word != "yes":
        yield f"'stateheal undo {printable(quoted(run.id))}' takes it back; with -n it shows what that would change."


# --- forgetting ----------------------------------------------------------------------------------------------------


def _forget(journal: Journal, chosen: _Chosen, dry_run: bool, yes: bool, output: Output) -> int:
    runs = journal.runs()
    ids = _ids(journal, chosen, runs)
    names = with_their_undos(journal, ids)
    going = [run for run in runs if run.id in names]
    asks = not dry_run and not yes and bool(names) and sys.stdin is not None and sys.stdin.isatty()
    if output.is_text and (dry_run or asks) and not output.quiet:
        print_lines(output.console, map(_history_line, going))
    if asks and not click.confirm(f"Forget {_what(going, names)}? {_LOSS}", err=True):
        raise click.Abort
    busy = [] if dry_run else forget_runs(journal, names)
    errors = tuple(Problem("", f"run {name} is at work just now, and stays", ProblemKind.JOURNAL) for name in busy)
    report = Report("history", dry_run, errors=errors)
    if output.is_text:
        left = [run for run in going if run.id not in busy]
        gone = [name for name in names if name not in busy]
        print_lines(output.console, [f"{_what(left, gone)} {'would be forgotten' if dry_run else 'forgotten'}."])
    else:
        _print_json(report, going if dry_run else journal.runs(), output)
    return output.finish(report)


_LOSS = "It can no longer be undone then."


def _ids(journal: Journal, chosen: _Chosen, runs: Sequence[Run]) -> list[str]:
    if chosen.purge:
        return sorted(journal.run_ids())
    if chosen.keep_last is not None:
        return [run.id for run in runs[chosen.keep_last :]]
    damaged = journal.run_ids()  # one that cannot be read can be forgotten by its whole id
    return [each if each in damaged else _named(journal, each).id for each in chosen.forget]


def _what(runs: Sequence[Run], names: Sequence[str]) -> str:
    """How much it is: ``2 runs``, and what else of theirs the journal holds."""
    more = len(names) - len(runs)
    return count_of(len(runs), "run") + (f" and {count_of(more, 'undo or damaged run')}" if more else "")
