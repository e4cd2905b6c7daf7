"""A quick yes for the many records that are valid; whatever is not accepted here is jsonschema's to judge and explain.

It knows the keywords that the shipped schemas use, and refuses to be built for any other. Validating a record with
jsonschema takes some 165 microseconds and importing it a tenth of a second, of which a hook has not got ten; here it is
a few microseconds and nothing to import (measured; the compiled validators cost 25 to 40 ms to import). A property test
shows that the two never disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from stateheal.formats.times import is_spelled_as_usual
from stateheal.patterns import pattern as compiled_at_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Accept = Callable[["Any"], bool]
Resolve = Callable[[str], Accept]
_REMEMBERED = 1000
_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})$"
"""The pattern of a time, which need not be asked about one that is spelled as usual."""
_IGNORED = {"$schema", "$id", "title", "description", "$defs"}
_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


class Unknown(Exception):
    """A schema uses a keyword that is not known here."""


def compile_schema(schema: Any, resolve: Resolve) -> Accept:
    """A function that says whether a value is certainly valid. ``resolve`` does that for a ``$ref``.

    Raises ``Unknown``. A whole float (``1.0``) where an integer belongs is valid for jsonschema and not accepted here.
    """
    if not isinstance(schema, Mapping):
        raise Unknown(str(schema))
    told = {keyword: limit for keyword, limit in schema.items() if keyword not in _IGNORED}
    unknown = told.keys() - _KEYWORDS.keys()
    if unknown:
        raise Unknown(min(unknown))
    if told.keys() == {"type", "pattern"}:
        return _text(told["type"], told["pattern"])
    checks = [_KEYWORDS[keyword](limit, resolve) for keyword, limit in told.items()]
    if len(checks) == 1:
        return checks[0]

    def accept(value: Any) -> bool:
        for check in checks:  # noqa: SIM110 (all() with a generator takes twice as long)
            if not check(value):
                return False
        return True

    return accept


def _kinds(limit: Any) -> frozenset[type]:
    names = [limit] if isinstance(limit, str) else limit
    return frozenset(kind for name in names for kind in _TYPES[name])


def _type(limit: Any, resolve: Resolve) -> Accept:
    accepted = _kinds(limit)
    return lambda value: type(value) in accepted


def _text(kinds: Any, pattern: str) -> Accept:
    """A type and a pattern in one step: a record's times, which its index entry mostly repeats."""
    accepted, expression = _kinds(kinds), compiled_at_first_use(pattern)
    known: set[str] = set()

    def accept(value: Any) -> bool:
        if type(value) is not str:
            return type(value) in accepted
        if value in known:
            return True
        if str not in accepted or not ((pattern == _TIME and is_spelled_as_usual(value)) or expression.search(value)):
            return False
        if len(known) >= _REMEMBERED:
            known.clear()
        known.add(value)
        return True

    return accept


def _required(limit: Any, resolve: Resolve) -> Accept:
    return lambda value: not isinstance(value, dict) or all(key in value for key in limit)


def _properties(limit: Any, resolve: Resolve) -> Accept:
    # Most fields have a type and nothing else, and most records have the same fields of the same types: which checks
    # are left for such a shape is told once.
    plain = {key: schema for key, schema in limit.items() if isinstance(schema, Mapping) and _is_plain(schema)}
    kinds = {key: _kinds(schema["type"]) for key, schema in plain.items()}
    inner = {key: compile_schema(schema, resolve) for key, schema in limit.items() if key not in plain}

    known: dict[tuple[object, ...], tuple[tuple[str, Accept], ...]] = {}

    def accept(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        shape = (*value, *map(type, value.values()))
        left = known.get(shape)
        if left is None:
            if any(key in kinds and type(each) not in kinds[key] for key, each in value.items()):
                return False
            if len(known) >= _REMEMBERED:
                known.clear()
            left = known[shape] = tuple((key, inner[key]) for key in value if key in inner)
        for key, check in left:  # noqa: SIM110 (as above)
            if not check(value[key]):
                return False
        return True

    return accept


def _is_plain(schema: Mapping[str, Any]) -> bool:
    return schema.keys() - _IGNORED == {"type"}


def _items(limit: Any, resolve: Resolve) -> Accept:
    check = compile_schema(limit, resolve)
    return lambda value: not isinstance(value, list) or all(map(check, value))


def _const(limit: Any, resolve: Resolve) -> Accept:
    return lambda value: type(value) is type(limit) and bool(value == limit)


def _pattern(limit: Any, resolve: Resolve) -> Accept:
    search = re.compile(limit).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _ref(limit: Any, resolve: Resolve) -> Accept:
    return resolve(limit)


_KEYWORDS: dict[str, Callable[[Any, Resolve], Accept]] = {
    "type": _type,
    "required": _required,
    "properties": _properties,
    "items": _items,
    "const": _const,
    "pattern": _pattern,
    "$ref": _ref,
}
