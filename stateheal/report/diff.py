"""Unified diffs of what a repair changes, painted."""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.model import Diff
from stateheal.report.paint import Paint
from stateheal.unified import diff_lines

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def painted_diff(diff: Diff, paint: Paint) -> Iterator[str]:
    """The lines of the diff."""
    for number, line in enumerate(diff_lines(diff)):
        yield paint(line, "bold" if number < 2 else _STYLES.get(line[:1], ""))
