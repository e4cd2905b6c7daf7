"""Unified diffs of what a repair changes: as lines of text, which a page folds away, and painted for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.model.plan import Plan
from stateheal.model.report import Diff
from stateheal.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:  # an audit shows no diff and need not import what paints one
    from stateheal.report.paint import Paint

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def diffs_of(plan: Plan) -> Iterator[Diff]:
    """Every file that the plan changes, before and after."""
    for change in plan.files:
        name = (plan.place.directory / change.name).relative_to(plan.place.root).as_posix()
        yield Diff(name, change.before.data if change.before else None, change.after)


def painted_diff(diff: Diff, paint: Paint) -> Iterator[str]:
    """The lines of the diff."""
    for number, line in enumerate(diff_lines(diff)):
        yield paint(line, "bold" if number < 2 else _STYLES.get(line[:1], ""))


def diff_lines(diff: Diff, context: int = 3) -> Iterator[str]:
    """The lines of a unified diff, header first, nothing in them that a terminal would obey."""
    import difflib

    old, new = (_lines(data) for data in (diff.before, diff.after))
    name = printable(diff.name)
    names = ("/dev/null" if diff.before is None else f"a/{name}", "/dev/null" if diff.after is None else f"b/{name}")
    for line in difflib.unified_diff(old, new, *names, n=context, lineterm=""):
        yield "\t".join(map(printable, line.split("\t")))  # tabs indent; in a JSON string there are none


def _lines(data: bytes | None) -> list[str]:
    """Split at line feeds only: whatever else ends a line for Python is shown escaped."""
    return [] if not data else data.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n")
