"""The console that reports are printed on: apart, since importing rich takes longer than a command that needs none."""

from __future__ import annotations

import os

from rich.console import Console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WIDEST = 10_000


def has_columns() -> bool:
    """Whether ``$COLUMNS`` says how wide to print: anything but a width is as if it were not set."""
    given = os.environ.get("COLUMNS", "")
    return given.isascii() and given.isdigit() and len(given) < 6 and 0 < int(given) <= _WIDEST


class PlainConsole(Console):
    """Says that the reader has gone instead of ending the program."""

    def __init__(self, **options: Any) -> None:
        unset = () if has_columns() else ("COLUMNS",)
        environ = {name: value for name, value in os.environ.items() if name not in unset}
        if not unset:
            environ["COLUMNS"] = str(max(2, int(environ["COLUMNS"])))  # rich takes one off on an old Windows console
        super().__init__(_environ=environ, **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError
