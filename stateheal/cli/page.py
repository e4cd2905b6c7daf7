"""``audit --html``: where the page goes, and what may not be overwritten by it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stateheal.cli import output_stream, say
from stateheal.diagnosis.catalogue import RULES
from stateheal.errors import WriteError
from stateheal.fs.output import PRIVATE, replace_file
from stateheal.model.report import Report
from stateheal.model.request import Scope
from stateheal.report.html import GENERATOR, page

_HEAD = 1024
"""Bytes of a page within which it says who made it."""
_MADE_BY = GENERATOR.partition(" content=")[0] + ' content="stateheal '


def show_page(path: str, report: Report, now: float, scope: Scope) -> None:
    """Write the page to ``path``, or to stdout for ``-``. Raises ``WriteError``."""
    rules = {rule.name: (rule.means, rule.repair) for rule in RULES}
    made = page(report, now, scope, rules).encode("utf-8", "backslashreplace")
    if path == "-":
        stdout = output_stream()
        stdout.buffer.write(made)
        stdout.flush()
        return
    write_page(path, made)
    say(f"the page is in {os.path.abspath(path)}")


def write_page(path: str, made: bytes) -> None:
    """Put a page where there is none, or in the place of an earlier one, whole or not at all.

    Raises ``WriteError`` where anything else is there (a directory, a link, a device, somebody's file) or it cannot be
    written.
    """
    try:
        replace_file(Path(path), made, _mode_of(path))
    except OSError as error:
        raise WriteError(f"{path}: the page cannot be written: {error.strerror or error}") from error


def _mode_of(path: str) -> int:
    """The permissions that the page is to have: those of the earlier one."""
    if not os.path.basename(path):
        raise WriteError(f"{path}: the page cannot be written: it is the name of a directory")
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return PRIVATE
    if not stat.S_ISREG(info.st_mode):
        raise WriteError(f"{path}: the page cannot be written: {_kind(info.st_mode)} is there")
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if head and _MADE_BY.encode() not in head:
        raise WriteError(f"{path}: there is a file that is no page of stateheal's; remove it or take another name")
    return stat.S_IMODE(info.st_mode)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a directory"), (stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a pipe"))
    return next((name for is_kind, name in kinds if is_kind(mode)), "no regular file")
