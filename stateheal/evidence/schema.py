"""The shipped JSON Schemas, and what breaks them, in sentences. The only module that imports jsonschema.

Of a state file, a job and a broker what breaks their schemas is found without it: see ``schema_faults``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache

from stateheal.errors import UsageError
from stateheal.evidence.schema_accept import Accept, Unknown, compile_schema
from stateheal.formats.jsontext import Json
from stateheal.model.findings import Violation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import jsonschema

    from stateheal.evidence.schema_faults import Fault

NAMES = ("state", "job", "broker", "report", "journal")
_KINDS = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a string",
    "array": "a list",
    "object": "an object",
}


def schema_text(name: str) -> str:
    """The text of a shipped schema. Raises ``UsageError`` for a name there is none of."""
    if name not in NAMES:
        raise UsageError(f"there is no schema {name!r}; there are {', '.join(NAMES)}")
    package, file = os.path.dirname(os.path.dirname(os.path.realpath(__file__))), f"{name}.schema.json"
    try:
        return _text_at(os.path.join(package, "schemas", file))
    except FileNotFoundError:  # a source checkout
        return _text_at(os.path.join(os.path.dirname(package), "schemas", file))


def _text_at(path: str) -> str:
    with open(path, encoding="utf-8") as text:
        return text.read()


@cache
def _document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schema_text(name))
    return found


@cache
def _quick(name: str) -> Accept | None:
    """The quick yes for a schema; ``None`` where it uses what only jsonschema knows."""
    whole = _document(name)

    def resolve(reference: str) -> Accept:
        other, _, part = reference.partition("#/$defs/")
        return compile_schema(whole["$defs"][part], resolve) if part else _acceptor(other.partition(".")[0])

    try:
        return compile_schema(whole, resolve)
    except Unknown:
        return None


def _acceptor(name: str) -> Accept:
    return _quick(name) or (lambda value: False)


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    import jsonschema
    from referencing import Registry, Resource

    registry: Registry[Any] = Registry().with_resources(
        (f"{each}.schema.json", Resource.from_contents(_document(each))) for each in ("job",)
    )
    return jsonschema.Draft202012Validator(_document(name), registry=registry)


def violations(name: str, value: Json) -> tuple[Violation, ...]:
    """Every way in which the value breaks the named schema, in the order of the document."""
    if _acceptor(name)(value):
        return ()
    find = _found_here if _quick(name) else _found_by_jsonschema
    found = [
        ((*prefix, *fault.path), _sentence(fault))
        for prefix, schema, part in _parts(name, value)
        for fault in find(schema, part)
    ]
    return tuple(Violation(_pointer(path), sentence) for path, sentence in sorted(found, key=lambda each: each[0]))


def _found_here(name: str, value: Json) -> Iterator[Fault]:
    from stateheal.evidence.schema_faults import Documents, faults

    whole = _document(name)
    return faults(Documents(whole, _document), whole, value)


def _found_by_jsonschema(name: str, value: Json) -> Iterator[Fault]:
    from stateheal.evidence.schema_faults import Fault

    for error in _validator(name).iter_errors(value):
        path = tuple(map(str, error.absolute_path))
        keyword, limit = str(error.validator), error.validator_value
        yield Fault(path, keyword, error.instance, limit, error.schema, error.message)


def _parts(name: str, value: Json) -> Iterator[tuple[tuple[str, ...], str, Json]]:
    """What has to be looked at: of an index the entries that were not accepted, and the index without entries."""
    entries = value.get("jobs") if name == "state" and isinstance(value, dict) else None
    if not isinstance(entries, list):
        yield (), name, value
        return
    accept = _acceptor("job")
    yield (), name, {**value, "jobs": []}
    yield from ((("jobs", str(n)), "job", entry) for n, entry in enumerate(entries) if not accept(entry))


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _sentence(fault: Fault) -> str:
    value, limit = fault.value, fault.limit
    if fault.keyword == "type":
        wanted = [limit] if isinstance(limit, str) else list(limit)
        return f"{_shown(value)} stands where {' or '.join(_KINDS[name] for name in wanted)} belongs"
    if fault.keyword == "required":
        return f"{fault.message.partition(' is a required')[0]} is missing"
    if fault.keyword == "const":
        return f"{_shown(value)} stands where only {json.dumps(limit)} is known"
    if fault.keyword == "pattern" and isinstance(fault.schema, dict):
        return f"{_shown(value)} is not {fault.schema.get('title', f'of the form {limit}')}"
    return fault.message[:200]


def _shown(value: Json) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"
