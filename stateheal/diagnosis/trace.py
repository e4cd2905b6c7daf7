"""How a verdict comes about: every row of the liveness table up to the one that decides, for ``explain``.

Field guide section 4. ``judge`` goes the same way and tells its end alone; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stateheal.diagnosis.case import Case
from stateheal.diagnosis.liveness import DEAD, LOOKS, ROWS, Row
from stateheal.values import replace


def walk(rows: Iterable[Row], case: Case) -> Iterator[tuple[Row, str | None]]:
    """Every row up to and including the one that matches, each with its reason or ``None``."""
    for row in rows:
        reason = row.test(case)
        yield row, reason
        if reason is not None:
            return


def trace(case: Case) -> list[tuple[Row, str | None]]:
    """The rows up to the one that decides. Before one says dead, the whole process table is looked at."""
    steps = list(walk(ROWS, case))
    decided = steps[-1][0]
    if decided.state is not DEAD or len(steps) <= LOOKS.start:
        return steps
    looked = list(walk(ROWS[LOOKS], replace(case, look=case.life())))
    row, reason = looked[-1]
    if reason is None:
        return steps
    return [*steps[: LOOKS.start], *looked[:-1], (row._replace(rule=row.rule or decided.rule), reason)]
