"""What could not be read or written, and what went wrong in stateheal itself."""

from __future__ import annotations

from stateheal.enums import Words
from stateheal.values import NamedTuple


class ProblemKind(Words):
    """What went wrong, so that nobody has to read it off the message."""

    UNREADABLE = "unreadable"
    NOT_WRITTEN = "not-written"
    JOURNAL = "journal"
    INTERNAL = "internal"
    """A defect of stateheal itself."""


class Problem(NamedTuple):
    """Something that could not be read or written."""

    path: str
    message: str
    kind: ProblemKind = ProblemKind.UNREADABLE
    origin: str = ""
    """Of a defect: the exception's type and the function it came from; never a text from a record."""


def internal_problem(path: str, error: Exception) -> Problem:
    """A defect of stateheal, told without a traceback."""
    import traceback

    where = traceback.extract_tb(error.__traceback__)[-1].name
    name = type(error).__name__
    message = f"internal error, please report it: {name}: {error} ({where})"
    return Problem(path, message, ProblemKind.INTERNAL, f"{name} in {where}")
