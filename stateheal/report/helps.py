"""Commands that a sentence names, set apart: what is to be typed is never broken where a line ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stateheal.patterns import pattern
from stateheal.report.paint import folded, width_of

# None of these runs a program: a record's text that looks like one of them can do no more than another of them.
_COMMAND = pattern(
    r"(?:(?<=: )|(?<=; ))(stateheal (?:heal|prune|migrate|stop|close|recover)\b.*?)(?=; |, or |$)", re.DOTALL
)
_BETWEEN = "; ,"


def apart(said: str, evidence: str, width: int) -> Iterator[tuple[str, int]]:
    """``said`` and ``evidence`` in lines of ``width`` columns, each command of the evidence whole on one of its own.

    Beside each line the columns that it must have: of a command all of its own, of anything else none.
    """
    texts = _COMMAND.split("; " + evidence)
    texts[0] = said + texts[0].rstrip(_BETWEEN)
    for position, text in enumerate(texts):
        if position % 2:
            yield text, width_of(text)
        elif text.strip(_BETWEEN):
            yield from ((line, 0) for line in folded(text.strip(_BETWEEN) if position else text, width))
