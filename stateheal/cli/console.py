"""The console that reports are printed on: apart, since importing rich takes longer than a command that needs none."""

from __future__ import annotations

from rich.console import Console


class PlainConsole(Console):
    """Says that the reader has gone instead of ending the program."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError
