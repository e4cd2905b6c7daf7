"""How a verdict comes about: every row of the liveness table up to the one that decides, for ``explain``.

Field guide section 4. ``judge`` goes the same way and tells its end alone; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stateheal.diagnosis.case import Case
from stateheal.diagnosis.liveness import LOOKS, ROWS, Row, asked_of_the_look
from stateheal.values import replace


def walk(rows: Iterable[Row], case: Case) -> Iterator[tuple[Row, str | None]]:
    """Every row up to and including the one that matches, each with its reason or ``None``."""
    for row in rows:
        reason = row.test(case)
        yield row, reason
        if reason is not None:
            return


def trace(case: Case) -> list[tuple[Row, str | None]]:
    """The rows up to the one that decides. What shows life anywhere outranks what the rows behind it say."""
    steps = list(walk(ROWS, case))
    decided = steps[-1][0]
    rows = asked_of_the_look(decided)
    looked = list(walk(rows, replace(case, look=case.life()))) if rows else []
    if not looked or looked[-1][1] is None:
        return steps
    row, reason = looked[-1]
    return [*steps[:-1][: LOOKS.start], *looked[:-1], (row._replace(rule=row.rule or decided.rule), reason)]
