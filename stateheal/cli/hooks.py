"""``stateheal hook``, as far as it is not the short path of ``__main__``: installed, looked at, explained."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import click
from rich.text import Text

from stateheal.cli import say
from stateheal.cli.options import Output, output_options
from stateheal.cli.words import Commands
from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.formats.times import describe_age, format_time, parse_time
from stateheal.hook.config import NAMES, config_text
from stateheal.hook.install import Installation, install, uninstall
from stateheal.hook.settings import SCOPES
from stateheal.hook.status import HookStatus, Place, hook_status
from stateheal.model.report import Diff, Report
from stateheal.report.text import print_diffs, print_lines
from stateheal.text import count_of, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EXPLANATION = """\
Claude Code calls 'stateheal hook' with an event on stdin; there is nothing to
type here. Before a Codex job is launched, and when a session starts, it closes
what killed jobs have left behind in that project.

  stateheal hook install     into Claude Code's settings (-n shows the change)
  stateheal hook status      whether it would run, and what it did last
  stateheal hook uninstall   out of them again
"""


@click.group("hook", cls=Commands, invoke_without_command=True)
@click.option(
    "--config",
    type=click.Choice(NAMES),
    is_flag=False,
    flag_value="plugin",
    help="Print what to install: a plugin's hooks.json, settings.json, or a skill's front matter.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what went wrong.")
@click.pass_context
def hook_command(ctx: click.Context, config: str | None, verbose: bool) -> int:
    """The pre-launch hook of Claude Code.

    Reads the event on stdin, heals the workspace, answers on stdout.

    Called before every command. It acts on those that launch a companion's job, and when a session starts; anything
    else it answers at once, with nothing. It always exits with 0 and never decides anything.

    \b
    Example: stateheal hook install
    """
    if ctx.invoked_subcommand is not None:
        return 0
    if config is not None:
        print(config_text(config), end="")
    elif sys.stdin is not None and sys.stdin.isatty():
        click.echo(_EXPLANATION, nl=False)
    else:
        from stateheal.hook.main import main

        main(["-v"] if verbose else [])
    return 0


_scope = click.option(
    "--scope",
    type=click.Choice(SCOPES),
    default="user",
    show_default=True,
    help="Whose settings.json: yours, the project's in this directory, or your own for that project.",
)
_dry_run = click.option("-n", "--dry-run", is_flag=True, help="Show the diff and write nothing.")


@click.command("install")
@_scope
@_dry_run
@output_options
def hook_install_command(scope: str, dry_run: bool, output: Output) -> int:
    """Put the hook into Claude Code's settings.

    Everything else in settings.json stays as it is, byte for byte; the old file is kept. To install it again changes
    nothing. Yours and local settings get the absolute path of this stateheal, whatever PATH a session has; a project's
    settings are shared, there stateheal is looked for by name and nothing is said where it is missing.

    \b
    Example: stateheal hook install
    """
    done = install(scope, dry_run=dry_run)
    said = "The hook was installed there already." if not done.changes else _said("put into", done, dry_run)
    return _show("hook install", done, dry_run, output, [said, f"It starts: {printable(done.command or '')}"])


@click.command("uninstall")
@_scope
@_dry_run
@output_options
def hook_uninstall_command(scope: str, dry_run: bool, output: Output) -> int:
    """Take the hook out of Claude Code's settings.

    Everything else in settings.json stays as it is, byte for byte; the old file is kept.

    \b
    Example: stateheal hook uninstall
    """
    done = uninstall(scope, dry_run=dry_run)
    where = printable(str(done.path))
    said = _said("taken out of", done, dry_run) if done.changes else f"There is no hook of stateheal's in {where}."
    return _show("hook uninstall", done, dry_run, output, [said])


def _said(did: str, done: Installation, dry_run: bool) -> str:
    return f"The hook {'would be' if dry_run else 'was'} {did} {printable(str(done.path))}."


def _show(command: str, done: Installation, dry_run: bool, output: Output, said: list[str]) -> int:
    if not output.is_text:
        change = {
            "path": str(done.path),
            "changed": done.changes and not dry_run,
            "command": done.command,
            "backup": None if done.backup is None else str(done.backup),
            "warnings": list(done.warnings),
        }
        output.print_json(Report(command, dry_run), settings=change)
        return 0
    if dry_run and done.changes:
        print_diffs(output.console, [Diff(done.path.name, done.before, done.after)])
    lines = said if not output.quiet else said[:1]
    if done.backup is not None and not output.quiet:
        lines.append(f"The settings as they were are in {printable(str(done.backup))}")
    if done.changes and not dry_run and not output.quiet:
        lines.append("Claude Code sees it in its next session." + _then(command))
    print_lines(output.console, [*lines, *(["Dry run: nothing was written."] if dry_run else [])])
    _warn(done.warnings)
    return 0


def _then(command: str) -> str:
    return " 'stateheal hook status' says whether it would run." if command == "hook install" else ""


def _warn(warnings: tuple[str, ...]) -> None:
    for each in warnings:
        say(f"warning: {each}")


@click.command("status")
@output_options
def hook_status_command(output: Output) -> int:
    """Show whether the hook is installed and runs.

    Where it is installed, which version would run, when it last ran and what it healed. The exit status is 0.

    \b
    Example: stateheal hook status
    """
    status = hook_status(Journal(journal_path()))
    if output.is_text:
        print_lines(output.console, list(_status_lines(status)))
        _warn(status.warnings)
    else:
        output.print_json(Report("hook status"), hook=_as_json(status))
    return 0


def _status_lines(status: HookStatus) -> Iterator[str | Text]:
    if not status.places:
        yield Text("The hook is not installed. 'stateheal hook install' does it.", style="yellow")
    for place in status.places:
        yield Text(f"Installed in {printable(place.path)}", style="bold")
        yield f"  starts: {printable(place.command)}"
        yield Text(f"  {_verdict(place)}", style="red" if place.trouble else "green")
    now = time.time()
    ran = "no run is noted yet" if status.last_ran is None else describe_age(status.last_ran, now)
    yield f"Last ran:    {ran}"
    yield f"Last healed: {_healed(status, now)}"
    if status.last_trouble:
        yield f"Last trouble: {printable(status.last_trouble)}"


def _verdict(place: Place) -> str:
    if place.trouble:
        return f"would not run: {printable(place.trouble)}"
    return "would run" + (f", stateheal {place.version}" if place.version else "; its version was not asked")


def _healed(status: HookStatus, now: float) -> str:
    run = status.last_healed
    if run is None:
        return "nothing yet that the journal holds"
    began = parse_time(run["started"])
    age = "" if began is None else f"{describe_age(began, now)}, "
    where = ", ".join(printable(each.rpartition("/")[2]) for each in run["workspaces"][:3])
    undone = "" if run["undone"] == "no" else f", {'partly ' if run['undone'] == 'partly' else ''}undone"
    return f"{age}{count_of(run['files'], 'file')} in {where}; run {run['run']}{undone}"


def _as_json(status: HookStatus) -> dict[str, Any]:
    return {
        "works": status.works,
        "places": [place._asdict() | {"events": list(place.events)} for place in status.places],
        "warnings": list(status.warnings),
        "last_ran": None if status.last_ran is None else format_time(status.last_ran),
        "last_healed": status.last_healed,
        "last_trouble": status.last_trouble,
    }


for _command in (hook_install_command, hook_uninstall_command, hook_status_command):
    hook_command.add_command(_command)
