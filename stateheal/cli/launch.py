"""``stateheal run``."""

from __future__ import annotations

import json
import os
import signal
import sys

import click

from stateheal.cli import say
from stateheal.cli.options import duration
from stateheal.errors import UsageError
from stateheal.model.findings import Outcome
from stateheal.text import command_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@click.command("run", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("--title", help="What the plugin's tables call the job [default: the command's name].")
@click.option("--summary", help="One line about it [default: the command].")
@click.option("--kind", default="task", show_default=True, help="task, review or adversarial-review.")
@click.option("--cwd", type=click.Path(exists=True, file_okay=False), help="Run in this project directory.")
@click.option("--data-dir", type=click.Path(file_okay=False), help="The plugin's data dir to record in.")
@click.option("--session-id", help="The Claude Code session that the job belongs to.")
@click.option(
    "--timeout",
    metavar="DURATION",
    callback=duration,
    help="End the command after so long: 90s, 15m, 2h. The exit status is 124 then.",
)
@click.option(
    "--grace",
    metavar="DURATION",
    callback=duration,
    default="5s",
    show_default=True,
    help="How long an asked command may take to end before it is killed.",
)
@click.option("--no-record", is_flag=True, help="The command keeps its own record; close it if the command does not.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON at the end; the output goes to stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Name the job on stderr.")
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
def run_command(command: tuple[str, ...], kind: str, no_record: bool, **options: Any) -> int:
    """Run a command as a job that cannot get stuck.

    Its output passes through and is kept in the job's log, its exit status is passed on, and signals are forwarded to
    all its processes. With --no-record the command keeps its own record, as the Codex companion does; when it has
    ended, active records that name one of its ended processes are closed.

    \b
    Example: stateheal run --title "Nightly tests" --timeout 30m -- make test
    """
    if options["timeout"] == 0:
        raise UsageError("--timeout 0: give it some time, or leave the option out")
    if kind not in ("task", "review", "adversarial-review"):
        raise UsageError(f"--kind {kind}: it is task, review or adversarial-review")
    from stateheal.runner.process.order import Order

    order = Order(
        command,
        cwd=options["cwd"],
        timeout=options["timeout"],
        grace=options["grace"],
        stdout=2 if options["as_json"] else 1,
    )
    _flush()
    status = _clean_up_behind(order, options) if no_record else _track(order, kind, options)
    if os.name == "posix" and status == 128 + signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
        # Whoever waits for us at this terminal stops too, a shell's loop for one, if it sees how we ended.
        _flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    return status


def _track(order: Any, kind: str, options: dict[str, Any]) -> int:
    from stateheal.runner.command import run_tracked
    from stateheal.runner.job import describe

    argv = order.argv
    job_class = "task" if kind == "task" else "review"
    title = options["title"] or os.path.basename(argv[0]) or argv[0]
    about = describe(
        title,
        options["summary"] or command_line(argv, visible=False),
        kind,
        job_class,
        session_id=options["session_id"],
    )
    say_id = (lambda job: say(f"job {job.id} in {job.directory}")) if options["verbose"] else (lambda job: None)
    wrapped = run_tracked(order, about, options["cwd"], options["data_dir"], say_id)
    assert wrapped.job is not None
    for problem in wrapped.job.problems:
        say(problem)
    _explain(wrapped.status, wrapped.message, options)
    if options["as_json"]:
        shown = {"job": wrapped.job.id, "workspace": str(wrapped.job.directory), "status": wrapped.job.status}
        print(json.dumps({**shown, "message": wrapped.message, "exit_status": wrapped.status}, indent=2))
    return wrapped.status


def _clean_up_behind(order: Any, options: dict[str, Any]) -> int:
    from stateheal.model.plain import as_json
    from stateheal.runner.command import run_unrecorded

    data_dir = options["data_dir"]
    wrapped = run_unrecorded(order, [data_dir] if data_dir else None, options["cwd"] or os.getcwd())
    report = wrapped.report
    _explain(wrapped.status, wrapped.message, options)
    for finding in report.findings if report else ():
        if finding.outcome is Outcome.HEALED:
            say(f"closed {finding.job}: {finding.message}" if finding.job else f"repaired: {finding.message}")
    for problem in report.errors if report else ():
        say(f"{problem.path}: {problem.message}" if problem.path else problem.message)
    if options["as_json"] and report:
        print(json.dumps({**as_json(report), "exit_status": wrapped.status}, indent=2))
    return wrapped.status


def _explain(status: int, message: str | None, options: dict[str, Any]) -> None:
    """What the command itself could not say: that it was not started, or that its time was over."""
    if message and (status in (126, 127) or message.startswith("Timed out") or options["verbose"]):
        say(message)


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()
