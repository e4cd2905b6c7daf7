"""A job's log: lines that begin with a time in brackets, and blocks, whose text follows on lines of its own.

Field guide section 2. What the plugin writes: ``[time] message``, and for longer texts an empty line, ``[time] title``
and the text.
"""

from __future__ import annotations

import re

from stateheal.patterns import pattern
from stateheal.values import NamedTuple

_LINE = pattern(r"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^\]\n]*\] ?", re.MULTILINE)
_ANSWERS = ("Final output", "Review output", "Assistant message")
"""Titles of blocks that hold an answer, the best first."""


class LogAnswer(NamedTuple):
    """The text of a block that holds an answer."""

    title: str
    text: str


def last_answer(log: str) -> LogAnswer | None:
    """The last answer that stands in a log: its final output, else a review's output, else the last message."""
    marks = list(_LINE.finditer(log))
    ends = [*(mark.start() for mark in marks[1:]), len(log)]
    blocks = [log[mark.end() : ends[number]].partition("\n") for number, mark in enumerate(marks)]
    for wanted in _ANSWERS:
        for title, _, text in reversed(blocks):
            if title.startswith(wanted) and text.strip():
                return LogAnswer(title.strip(), text.strip("\n").rstrip() + "\n")
    return None
