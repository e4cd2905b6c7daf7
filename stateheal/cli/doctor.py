"""``stateheal doctor``."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator

import click
from rich.text import Text

from stateheal.cli.defaults import check_all, told, told_by_environment
from stateheal.cli.options import Output, output_options
from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.engine.configuration import read_configuration
from stateheal.engine.doctor import Promise, examine
from stateheal.errors import StatehealError
from stateheal.evidence.roots import looked_at
from stateheal.hook.status import hook_status
from stateheal.model.places import Looked
from stateheal.model.report import Report
from stateheal.report.paint import folded
from stateheal.report.places import looked_lines
from stateheal.report.text import print_lines
from stateheal.text import printable

_PATHS = 11
"""Columns before a path: ``there``, ``not there``."""


@click.command("doctor")
@output_options
def doctor_command(output: Output) -> int:
    """Show what this machine can promise.

    Read leases, the process table, the pid namespace, the journal, every root: tried out, nothing of a workspace
    written. What is limited is no damage; the exit status is 0.

    \b
    Example: stateheal doctor
    """
    journal = Journal(journal_path())
    promises = examine(journal)
    first_root = next(number for number, each in enumerate(promises) if each.name == "root")
    promises[first_root:first_root] = [_hook(journal), _configuration()]
    looked = looked_at()
    if output.is_text:
        _show(promises, looked, output)
    else:
        output.print_json(
            Report("doctor"),
            "promises",
            promises=[{"name": p.name, "kept": p.kept, "detail": p.detail} for p in promises],
            looked={str(each.path): each.there for each in looked},
        )
    return 0


def _show(promises: Iterable[Promise], looked: Iterable[Looked], output: Output) -> None:
    """Every promise, and where state is looked for; in few words only what is limited."""
    width = output.console.width
    told = (each for each in promises if not (output.quiet and each.kept))
    print_lines(output.console, [line for each in told for line in _lines(each, width)])
    if not output.quiet:
        print_lines(output.console, ["", "Where state is looked for:", *_hanging(looked_lines(looked), width)])


def _hanging(lines: Iterable[str], width: int) -> Iterator[str]:
    """Lines that fit the screen; what follows the first stands under the path."""
    for line in lines:
        margin = " " * (len(line) - len(line.lstrip(" ")))
        first, *rest = folded(line.lstrip(" "), width - len(margin) - _PATHS)
        yield margin + first
        yield from (margin + " " * _PATHS + each for each in rest)


def _hook(journal: Journal) -> Promise:
    """Whether the pre-launch hook is installed and would run ('stateheal hook status' has it all)."""
    status = hook_status(journal)
    if not status.places:
        return Promise("hook", False, "not installed: 'stateheal hook install' heals before each launch")
    said = [f"{place.trouble or 'would run' + _version(place.version)} ({place.path})" for place in status.places]
    return Promise("hook", status.works, "; ".join([*said, *status.warnings]))


def _configuration() -> Promise:
    """What is set for good, in the file and in the environment."""
    group = click.get_current_context().find_root().command
    assert isinstance(group, click.Group)
    try:
        found = read_configuration()
        check_all(group, found)
    except StatehealError as error:
        return Promise("configuration", False, str(error))
    where = "no file is read" if found.path is None else f"{found.path}" + ("" if found.exists else " (none there)")
    return Promise("configuration", True, "; ".join([where, *told(found), *told_by_environment(group, os.environ)]))


def _version(version: str | None) -> str:
    return f", stateheal {version}" if version else ""


def _lines(promise: Promise, width: int) -> list[Text]:
    word = "yes" if promise.kept else "limited"
    lead = f"{word:8} {promise.name:17} "
    text = textwrap.wrap(
        printable(promise.detail), max(20, min(width, 100) - len(lead)), break_long_words=False, break_on_hyphens=False
    )
    style = "green" if promise.kept else "yellow"
    first = Text(lead, style=style).append(text[0] if text else "", style="default")
    return [first, *(Text(" " * len(lead) + line) for line in text[1:])]
