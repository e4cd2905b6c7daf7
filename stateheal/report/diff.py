"""Unified diffs of what a repair changes, for the eye."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from stateheal.model import Diff
from stateheal.unified import diff_lines

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def render_diff(diff: Diff) -> Iterator[Text]:
    """The lines of the diff, coloured."""
    for number, line in enumerate(diff_lines(diff)):
        style = "bold" if number < 2 else _STYLES.get(line[:1], "")
        yield Text(line, style=style)
