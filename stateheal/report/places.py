"""The places where state was looked for, and which of them are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from stateheal.model.places import Looked
from stateheal.text import count_of, printable


def looked_lines(looked: Iterable[Looked], *, whole: bool = True) -> Iterator[str]:
    """A line for each place that is there, and one for all missing places of one directory.

    Without ``whole`` what companions fall back to in temp directories is counted, as far as it is not there.
    """
    places = list(looked)
    for each in places:
        if each.there:
            yield f"  there      {printable(str(each.path))}"
    missing: dict[Path, list[str]] = {}
    for each in places:
        if not each.there and (whole or not each.in_temp):
            missing.setdefault(each.path.parent, []).append(each.path.name)
    for parent, names in missing.items():
        shown = names[0] if len(names) == 1 else "{" + ", ".join(names) + "}"
        yield f"  not there  {printable(str(parent / shown))}"
    fallbacks = sum(each.in_temp and not each.there for each in places)
    if fallbacks and not whole:
        yield f"  not there  {count_of(fallbacks, 'place')} in temp directories ('stateheal doctor' lists them)"
