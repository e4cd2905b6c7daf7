"""What breaks a schema, for the keywords that the shipped schemas of records use.

The same faults in the same order as jsonschema finds them; a property test holds the two together. Importing that takes
a tenth of a second, and one faulty record in a thousand costs it. ``schema_accept.compile_schema`` refuses keywords
that are not known here: such schemas are jsonschema's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from stateheal.formats.jsontext import Json
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Schema = Mapping[str, "Any"]
_TYPES: dict[str, Callable[[Json], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == value // 1,
    "number": lambda value: _is_number(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

_PLAIN: dict[type, str] = {type(None): "null", bool: "boolean", str: "string", list: "array", dict: "object"}
"""What a value is for certain, told without asking for each kind."""


class Fault(NamedTuple):
    """One way in which a value breaks a schema."""

    path: tuple[str, ...]
    keyword: str
    value: Json
    limit: Any
    """What the keyword asks for."""
    schema: Any
    """The part of the schema that the keyword stands in."""
    message: str = ""
    """What is missing; where it comes from jsonschema, its own words."""


class Documents(NamedTuple):
    """A schema document, and where others that it refers to come from."""

    whole: Schema
    load: Callable[[str], Schema]

    def at(self, reference: str) -> tuple[Documents, Schema]:
        """The part that ``other.schema.json#/$defs/part`` names, and the document it stands in."""
        other, _, part = reference.partition("#/$defs/")
        documents = self._replace(whole=self.load(other.partition(".")[0])) if other else self
        return documents, documents.whole["$defs"][part] if part else documents.whole


def faults(documents: Documents, schema: Schema, value: Json, path: tuple[str, ...] = ()) -> Iterator[Fault]:
    """Every fault of a value, keyword by keyword in the order of the schema."""
    for keyword, limit in schema.items():
        if keyword == "$ref":
            yield from faults(*documents.at(limit), value, path)
        elif keyword == "properties" and isinstance(value, dict):
            for key, inner in limit.items():
                if key in value:
                    yield from faults(documents, inner, value[key], (*path, key))
        elif keyword == "items" and isinstance(value, list):
            for number, each in enumerate(value):
                yield from faults(documents, limit, each, (*path, str(number)))
        elif keyword == "required" and isinstance(value, dict):
            for key in limit:
                if key not in value:
                    yield Fault(path, keyword, value, limit, schema, repr(key))
        elif _breaks(keyword, limit, value):
            yield Fault(path, keyword, value, limit, schema)


def _breaks(keyword: str, limit: Any, value: Json) -> bool:
    if keyword == "type":
        kinds = (limit,) if isinstance(limit, str) else limit
        return _PLAIN.get(type(value)) not in kinds and not any(_TYPES[kind](value) for kind in kinds)
    if keyword == "const":
        return isinstance(value, bool) is not isinstance(limit, bool) or value != limit
    return keyword == "pattern" and isinstance(value, str) and re.search(limit, value) is None


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
