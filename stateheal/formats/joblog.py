"""A job's log: lines that begin with a time in brackets, and blocks, whose text follows on lines of its own.

Field guide section 2. What the plugin writes: ``[time] message``, and for longer texts an empty line, ``[time] title``
and the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stateheal.formats.times import parse_time
from stateheal.patterns import pattern
from stateheal.values import NamedTuple

_LINE = pattern(r"^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^\]\n]*)\] ?", re.MULTILINE)
_ANSWERS = ("Final output", "Review output", "Assistant message")
"""Titles of blocks that hold an answer, the best first."""


class LogAnswer(NamedTuple):
    """The text of a block that holds an answer."""

    title: str
    text: str


def last_answer(log: str) -> LogAnswer | None:
    """The last answer that stands in a log: its final output, else a review's output, else the last message."""
    blocks = list(_blocks(log))
    for wanted in _ANSWERS:
        for title, text in reversed(blocks):
            if title.startswith(wanted) and text.strip():
                return LogAnswer(title.strip(), text.strip("\n").rstrip() + "\n")
    return None


def _blocks(log: str) -> Iterator[tuple[str, str]]:
    """Title and text of every block that holds an answer."""
    marks = list(_LINE.finditer(log))
    number = 0
    while number < len(marks):
        mark, behind = marks[number], number + 1
        title = _title(log, mark)
        if title.startswith(_ANSWERS):
            while behind < len(marks) and _is_quoted(log, marks[behind], mark):
                behind += 1
            end = marks[behind].start() if behind < len(marks) else len(log)
            yield title, log[mark.start() : end].partition("\n")[2]
        number = behind


def _title(log: str, mark: re.Match[str]) -> str:
    end = log.find("\n", mark.end())
    return log[mark.end() : len(log) if end < 0 else end]


def _is_quoted(log: str, mark: re.Match[str], answer: re.Match[str]) -> bool:
    """Whether a line with a time stands in an answer's own text: it is older than the answer.

    An empty line and a title begin another answer, however the clock was set.
    """
    written, moment = parse_time(answer[1]), parse_time(mark[1])
    if written is None or moment is None or moment >= written:
        return False
    return not (log.endswith("\n\n", 0, mark.start()) and _title(log, mark).startswith(_ANSWERS))
