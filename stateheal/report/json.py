"""A report as JSON text, whole or a record a line. Pure ASCII: text from records is data."""

from __future__ import annotations

import json
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _indented(key: str, value: Any) -> str:
    if key == "findings" and value:  # there may be thousands, and json indents slowly
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    return json.dumps(value, indent=2).replace("\n", "\n  ")


def lines(whole: dict[str, Any], ndjson: bool, *each: str) -> Iterator[str]:
    """The object as text: indented, each finding on a line, or (``ndjson``) a record a line and then the rest.

    ``each``: the lists of which ndjson gives every member a line; the last line has them empty.
    """
    if not ndjson:
        yield (
            "{\n" + ",\n".join(f"  {json.dumps(key)}: {_indented(key, value)}" for key, value in whole.items()) + "\n}"
        )
        return
    for key in each:
        yield from map(json.dumps, whole.get(key, ()))
    yield json.dumps({**whole, **{key: [] for key in each if key in whole}})
