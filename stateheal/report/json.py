"""A report as JSON text, whole or a record a line. Pure ASCII: text from records is data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def pieces(whole: dict[str, Any], ndjson: bool, *each: str) -> Iterator[str]:
    """The object as text, a piece at a time: indented, each finding on a line, or (``ndjson``) a record a line and then
    the rest.

    ``whole``: plain values; its ``findings`` may be an iterator. ``each``: the lists of which ndjson gives every member
    a line; the last line has them empty.
    """
    if ndjson:
        for key in each:
            yield from (json.dumps(member) + "\n" for member in whole.get(key, ()))
        left = ((key, [] if key in each else value) for key, value in whole.items())
        yield json.dumps({key: list(value) if key == "findings" else value for key, value in left}) + "\n"
        return
    between = "{\n"
    for key, value in whole.items():
        yield f"{between}  {json.dumps(key)}: "
        yield from _findings(value) if key == "findings" else (json.dumps(value, indent=2).replace("\n", "\n  "),)
        between = ",\n"
    yield "\n}\n"


def _findings(findings: Iterable[Any]) -> Iterator[str]:
    """A finding a line: there may be thousands, and json indents slowly."""
    between = "["
    for finding in findings:
        yield f"{between}\n    {json.dumps(finding)}"
        between = ","
    yield "[]" if between == "[" else "\n  ]"
