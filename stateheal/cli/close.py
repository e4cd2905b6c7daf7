"""``stateheal close``."""

from __future__ import annotations

import click

from stateheal.cli import say
from stateheal.cli.ask import YES, confirmed
from stateheal.cli.options import Output, job_ids, no_empty_id, output_options, place_options, verdict_options
from stateheal.cli.repair import show_report
from stateheal.cli.scope import scope_of
from stateheal.diagnosis.repairs import CLOSED
from stateheal.diagnosis.word import Word
from stateheal.engine.close import Chosen, choose, close_record, why_not_closed
from stateheal.engine.explain import explain
from stateheal.model.report import Report
from stateheal.model.request import Request, Scope
from stateheal.report.explanation import explanation_lines
from stateheal.report.text import print_lines
from stateheal.text import quoted


@click.command("close")
@click.argument("job", shell_complete=job_ids, callback=no_empty_id)
@place_options
@click.option("-n", "--dry-run", is_flag=True, help="Show the facts and the diff, and write nothing.")
@YES
@verdict_options
@output_options
def close_command(job: str, request: Request, dry_run: bool, yes: bool, output: Output) -> int:
    """Close a record that heal leaves as unsure.

    On your word: you know what cannot be proven here. Every fact is shown first, as explain shows it, then you are
    asked. The record is marked failed/orphaned, so that answers can still be recovered; 'stateheal undo' takes it back.
    A job that lives is refused: 'stateheal stop' ends it first. No process is signalled.

    JOB is a job id or its beginning; PATH as for audit.

    \b
    Example: stateheal close task-mnyhf4jl-1mnkv1
    """
    chosen = choose(job, request)
    if output.is_text and not output.quiet:
        for each in explain(chosen.job, Request((str(chosen.place.directory),), settings=request.settings)).jobs:
            print_lines(output.console, explanation_lines(each))
    view, found = chosen.look()
    reason = why_not_closed(view, found)
    if reason is not None:
        say(f"{chosen.job} is not closed: {reason}")
        return _refused(chosen, output, dry_run)
    why = view.judge(found).verdict.reason.partition("; --assume-local")[0]
    word = Word("orphaned", f"{CLOSED}{why}", min(view.last_sign(found) or view.now, view.now))
    if not dry_run and not confirmed("Close it all the same?", yes):
        return _refused(chosen, output, dry_run)
    again = Scope(places=" ".join([quoted(chosen.job), scope_of(request).places]).rstrip())
    return show_report(chosen.told(close_record(chosen, word, "close", dry_run=dry_run)), output, again)


def _refused(chosen: Chosen, output: Output, dry_run: bool) -> int:
    report = chosen.told(Report("close", dry_run))
    if not output.is_text:
        output.print_json(report)
    return output.finish(report) or (0 if output.exit_zero else 1)
