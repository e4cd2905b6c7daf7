"""Asking before what a person must mean: on a terminal a question, elsewhere ``--yes``."""

from __future__ import annotations

import sys

import click

from stateheal.errors import UsageError

YES = click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")


def confirmed(question: str, yes: bool) -> bool:
    """Whether to go on. Raises ``UsageError`` where nobody can be asked."""
    if yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("nobody can be asked here: say --yes, or -n to see what would be done")
    return click.confirm(question, err=True)
