"""A progress bar on stderr for what takes a while; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from stateheal.model.disk import Place
from stateheal.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.progress import Progress

_WORTH_IT = 0.4
"""Seconds after which a bar is shown at all: most commands are done by then."""
_STEP = 0.1
"""Seconds between two drawings of it."""


class Bar:
    """Told of each workspace that is done. Made by ``progress_bar``."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._next = time.monotonic() + _WORTH_IT
        self._progress: Progress | None = None

    def __call__(self, done: int, of: int, place: Place) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + _STEP
        progress = self._progress or self._begin(of)
        progress.update(progress.task_ids[0], completed=done, place=printable(place.name), refresh=True)

    def _begin(self, of: int) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        from stateheal.cli.console import PlainConsole

        columns = (BarColumn(24), MofNCompleteColumn(), TextColumn("{task.fields[place]}", markup=False))
        # Drawn when it is told something, never by a thread: a command may fork, and signals may come.
        self._progress = Progress(*columns, console=PlainConsole(stderr=True), transient=True, auto_refresh=False)
        self._progress.add_task("", total=of, place="")
        self._progress.start()
        return self._progress

    def end(self) -> None:
        """Take the bar off the screen."""
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Bar]:
    """A bar for the time of the block."""
    bar = Bar(not quiet and sys.stderr is not None and sys.stderr.isatty())
    try:
        yield bar
    finally:
        bar.end()
