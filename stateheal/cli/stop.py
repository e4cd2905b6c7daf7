"""``stateheal stop``."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import click

from stateheal.cli import say
from stateheal.cli.ask import YES, confirmed
from stateheal.cli.options import Output, duration, job_ids, no_empty_id, output_options, place_options
from stateheal.engine.close import choose
from stateheal.engine.stop import GRACE, Stopped, Target, stop_job, targets_of, why_none
from stateheal.engine.stop_broker import find_broker, stop_broker
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.model.records import label_of
from stateheal.model.report import Report
from stateheal.model.request import Request, Settings
from stateheal.report.paint import folded
from stateheal.report.text import write_lines
from stateheal.text import command_line, printable, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HANGING = 2
"""Columns by which a folded line's rest is indented further."""


@click.command("stop")
@click.argument("job", required=False, shell_complete=job_ids, callback=no_empty_id)
@place_options
@click.option("--broker", metavar="WORKSPACE", help="End this workspace's broker: its state or project directory.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be ended, and end nothing.")
@YES
@click.option(
    "--grace",
    metavar="DURATION",
    callback=duration,
    default=f"{GRACE:.0f}s",
    show_default=True,
    help="Patience between SIGTERM and SIGKILL.",
)
@output_options
def stop_command(
    job: str | None,
    request: Request,
    broker: str | None,
    dry_run: bool,
    yes: bool,
    grace: float,
    output: Output,
) -> int:
    """End a job's process, then close its record.

    Only a process that is proven to be this job's own: its command line is a companion's with --job-id JOB, or the
    record holds its identity. It is held by a handle and proven once more, so that a recycled pid cannot be hit.
    SIGTERM to its process group if that is its own, then SIGKILL. Shows what it would end, and asks. The record is
    journalled: 'stateheal undo' restores it, not the process. No other command signals a process that it did not start.

    JOB is a job id or its beginning; PATH as for audit.

    \b
    Example: stateheal stop -n task-mnyhf4jl-1mnkv1
    """
    if (job is None) == (broker is None):
        raise UsageError("name a job ('stateheal jobs' lists them), or a workspace with --broker")
    if broker is not None:
        return _stop_broker(broker, dry_run, yes, grace, output)
    return _stop_job(job or "", request, dry_run, yes, grace, output)


def _stop_job(job: str, request: Request, dry_run: bool, yes: bool, grace: float, output: Output) -> int:
    chosen = choose(job, request)
    view, found = chosen.look()
    targets = targets_of(chosen, view, found)
    title = label_of(*found.sides)
    _tell(output, [f"{chosen.job}" + (f'  "{title}"' if title else ""), *_target_lines(targets)])
    if not targets:
        say(f"{chosen.job} is not stopped: {why_none(view, found)}")
        return _finish(output, chosen.told(Report("stop", dry_run)), [], [], 1)
    if dry_run:
        return _nothing_ended(output, targets, chosen.told(Report("stop", True)))
    if not confirmed("End it?" if len(targets) == 1 else "End them?", yes):
        return _nothing_ended(output, targets, chosen.told(Report("stop")))
    with _told_if_interrupted(targets, f"stateheal explain -q {chosen.job}"):
        stopped, report, note = stop_job(chosen, targets, grace)
    return _told(output, targets, stopped, chosen.told(report or Report("stop")), note)


def _stop_broker(workspace: str, dry_run: bool, yes: bool, grace: float, output: Output) -> int:
    world, settings = World(), Settings()
    broker = find_broker(workspace, settings, world)
    targets = [broker.target] if broker.target else []
    what = f"the broker of {broker.home or broker.place.directory}, whose endpoint {broker.answer}"
    _tell(output, [what, *_target_lines(targets)])
    refusal = broker.refusal or (
        "" if targets else "no process is proven to be it; 'stateheal heal' removes a stale one"
    )
    if refusal:
        say(f"the broker is not stopped: {refusal}")
        return _finish(output, Report("stop", dry_run), targets, [], 1)
    if dry_run:
        return _nothing_ended(output, targets, Report("stop", True))
    if not confirmed("End it?", yes):
        return _nothing_ended(output, targets, Report("stop"))
    with _told_if_interrupted(targets, f"stateheal audit {quoted(str(broker.place.directory))}"):
        stopped, report, note = stop_broker(broker, grace, settings, world)
    return _told(output, targets, [stopped], report or Report("stop"), note)


@contextmanager
def _told_if_interrupted(targets: Sequence[Target], command: str) -> Iterator[None]:
    """Ctrl-C: whoever was asked to end may end yet, and what is recorded of it may be closed or not."""
    try:
        yield
    except KeyboardInterrupt:
        whom = f"pid {_pids([each.pid for each in targets])}"
        say(f"interrupted: {whom} may have been ended already; how it stands: {command}")
        raise


def _nothing_ended(output: Output, targets: Sequence[Target], report: Report) -> int:
    _tell(output, ["Dry run: nothing was ended." if report.dry_run else "Nothing was ended."])
    return _finish(output, report, targets, [], 1)


def _tell(output: Output, lines: Iterable[str]) -> None:
    """Lines, folded to the screen; what is indented stays so."""
    if output.is_text and not output.quiet:
        console = output.console
        for line in map(printable, lines):
            margin = " " * (len(line) - len(line.lstrip(" ")))
            first, *rest = folded(line.lstrip(" "), console.width - len(margin) - _HANGING)
            write_lines(console, [margin + first, *(margin + " " * _HANGING + each for each in rest)])


def _target_lines(targets: Sequence[Target]) -> Iterator[str]:
    for each in targets:
        yield f"  pid {each.pid}: {command_line(each.argv)[:300]}"
        yield f"  {each.why}"
        if each.group:
            yield f"  with it {len(each.group)} more of its process group: {_pids(each.group)}"


def _pids(pids: Sequence[int]) -> str:
    return ", ".join(map(str, pids[:10])) + (" …" if len(pids) > 10 else "")


def _told(output: Output, targets: Sequence[Target], stopped: Sequence[Stopped], report: Report, note: str) -> int:
    """What came of it, on stdout; what did not, on stderr."""
    bad = [each for each in stopped if each.refusal or (each.ended and each.ended.survivors)]
    lines = [_outcome(each) for each in stopped if not each.refusal]
    if report.healed:
        lines += [f"{_done(report)}; 'stateheal undo' restores it"]
    elif note:
        lines.append(note)
    _tell(output, lines)
    for each in stopped:
        if each.refusal:
            say(each.refusal)
    return _finish(output, report, targets, stopped, 1 if bad else 0)


def _done(report: Report) -> str:
    """What was written, from what each repair says it does."""
    repairs = dict.fromkeys(finding.repair or "" for finding in report.findings)
    closed = [each.removeprefix("mark it ") for each in repairs if each.startswith("mark it ")]
    told = [f"its record is closed as {', '.join(closed)}"] if closed else []
    removed = [each.removeprefix("remove ").partition(";")[0] for each in repairs if each.startswith("remove ")]
    return "; ".join([*told, *(f"its {each} is removed" for each in removed)]) or "its records are brought together"


def _outcome(each: Stopped) -> str:
    if each.ended is None:
        return f"pid {each.pid} had ended by itself"
    sent = signal.Signals(each.ended.signum).name
    if each.ended.survivors:
        return f"pid {_pids(each.ended.survivors)} is still there after {sent}"
    return f"pid {each.pid} ended after {sent} in {each.ended.seconds:.1f} s"


def _finish(output: Output, report: Report, targets: Sequence[Target], stopped: Sequence[Stopped], status: int) -> int:
    if not output.is_text:
        output.print_json(report, processes=_as_json(targets, stopped))
    failed = output.finish(report)
    return failed if failed == 3 else 0 if output.exit_zero else status


def _as_json(targets: Sequence[Target], stopped: Sequence[Stopped]) -> list[dict[str, Any]]:
    came = {each.pid: each for each in stopped}
    rows = []
    for each in targets:
        told = came.get(each.pid)
        ended = told.ended if told else None
        rows.append(
            {
                "pid": each.pid,
                "argv": list(each.argv),
                "why": each.why,
                "group": list(each.group),
                "ended": told is not None and not told.refusal and not (ended and ended.survivors),
                "signal": signal.Signals(ended.signum).name if ended else None,
                "survivors": list(ended.survivors) if ended else [],
                "refusal": told.refusal if told else None,
            }
        )
    return rows
