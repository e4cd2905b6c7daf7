"""Trying again while somebody else writes: a live plugin takes no lock (field guide section 6)."""

from __future__ import annotations

from collections.abc import Callable

from stateheal.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Result = TypeVar("Result")

ATTEMPTS = 7
"""How often a workspace is read and planned anew when somebody else writes to it meanwhile."""
_PAUSE = 0.002


def until_agreed(attempt: Callable[[bool], Result], sleep: Callable[[float], None]) -> Result:
    """Do it, anew after each ``Conflict``, with longer and longer pauses. The last conflict is raised.

    ``attempt`` is told whether this is the first time; it reads, decides and writes all over again.
    """
    for number in range(1, ATTEMPTS):
        try:
            return attempt(number == 1)
        except Conflict:
            sleep(_PAUSE * 2**number)
    return attempt(False)
