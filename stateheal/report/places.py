"""The places where state was looked for, and which of them are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from stateheal.model.places import Looked
from stateheal.text import printable


def looked_lines(looked: Iterable[Looked]) -> Iterator[str]:
    """A line for each place that is there, and one for all missing places of one directory."""
    places = list(looked)
    for each in places:
        if each.there:
            yield f"  there      {printable(str(each.path))}"
    missing: dict[Path, list[str]] = {}
    for each in places:
        if not each.there:
            missing.setdefault(each.path.parent, []).append(each.path.name)
    for parent, names in missing.items():
        shown = names[0] if len(names) == 1 else "{" + ", ".join(names) + "}"
        yield f"  not there  {printable(str(parent / shown))}"
