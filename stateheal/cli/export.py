"""``stateheal export``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import click

from stateheal.cli import output_stream, tell
from stateheal.cli.options import Interrupt, Output, interruptible, output_options, scope_options
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.export.bundle import MANIFEST, Exported, Found, find, pack
from stateheal.fs.output import new_file
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.report.text import print_lines
from stateheal.text import count_of, printable


@click.command("export")
@scope_options
@click.option(
    "--redact/--no-redact",
    default=True,
    help="Replace what is private (the default); --no-redact packs every byte as it is.",
)
@click.option("-o", "--output", "target", metavar="FILE", help="The archive to write; '-' is stdout.")
@output_options
def export_command(request: Request, redact: bool, target: str | None, output: Output) -> int:
    """Pack state for a bug report, without what is private.

    Packs the job index, job records, logs and broker.json into one tar.gz, in which prompts, titles, summaries,
    results, messages, what logs say, paths, and names of projects, users and hosts are replaced by placeholders. Equal
    texts get equal ones, and the damage stays as it is. Of other files only name, size and age are told. MANIFEST.json
    in it says what was done and what an audit finds.

    --no-redact PACKS THE SAME FILES AS THEY ARE: PROMPTS, ANSWERS, SECRETS AND ALL.

    The archive is stateheal-export-TIME.tar.gz in the current directory unless -o names another; nothing is ever
    overwritten. PATH as for audit. Look at it before you send it.

    \b
    Example: stateheal export --cwd .
    """
    if target == "-" and not output.is_text:
        raise UsageError("-o - and --format both want stdout")
    if target == "-" and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError("an archive is nothing for a terminal: give -o FILE, or pipe it somewhere")
    with interruptible() as interrupt:
        world = World(stop=interrupt)
        found = find(request, world=world)
        if not found.places:
            return output.finish(Report("export", roots=found.audit.roots, errors=found.errors))
        if target == "-":
            exported = pack(found, output_stream().buffer, redact=redact, world=world)
            for line in _lines(exported, None, redact):
                tell(line)
        else:
            path = Path(target) if target else _free_name()
            exported = _write(found, path, redact, interrupt)
            _show(exported, path, redact, output)
    return interrupt.status(output.finish(exported.report))


def _free_name() -> Path:
    """Where nobody named the archive: by the time, and a number where that second has one already."""
    stem = time.strftime("stateheal-export-%Y%m%dT%H%M%SZ", time.gmtime())
    names = (Path(f"{stem}{f'-{number}' if number > 1 else ''}.tar.gz") for number in count(1))
    return next(path for path in names if not os.path.lexists(path))


def _write(found: Found, path: Path, redact: bool, interrupt: Interrupt) -> Exported:
    with new_file(path) as (file, keep):
        exported = pack(found, file, redact=redact, world=World(stop=interrupt))
        if not exported.report.interrupted:
            keep()
    return exported


def _show(exported: Exported, path: Path, redact: bool, output: Output) -> None:
    if not output.is_text:
        done = None if exported.report.interrupted else str(path)
        output.print_json(exported.report, archive={"path": done, "redacted": redact, "files": exported.files})
    elif exported.report.interrupted:
        print_lines(output.console, ["Interrupted: nothing was written."])
    else:
        print_lines(output.console, list(_lines(exported, path, redact))[: 1 if output.quiet else None])


def _lines(exported: Exported, path: Path | None, redact: bool) -> Iterator[str]:
    packed = f"{count_of(exported.files, 'file')} of {count_of(exported.report.workspaces, 'workspace')}"
    name = printable(str(path)) if path else "stdout"
    how = "redacted" if redact else "NOT REDACTED: prompts, answers and paths are in it"
    yield f"Packed {packed} into {name}, {how}."
    if path:
        yield f"Look at it before you send it: tar tzf {name}; tar xzOf {name} {MANIFEST}"
