"""What can still be read out of a text that is no JSON document any more: cut off, padded, doubled, half overwritten.

Nothing is completed and nothing is guessed: only values that stand there whole are taken (field guide section 5,
``torn-index`` and ``torn-job``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from stateheal.formats.jsontext import Json, as_node_decodes, parse_strictly, too_deep

_OPENING = re.compile(r"\{")
_KEY = re.compile(r'[ \t\n\r,]*("(?:[^"\\\x00-\x1f]|\\.)*")[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_MAX_TRIES = 2000
"""Opening braces that are tried in vain before giving up: a hostile text must not cost its square."""


class Salvage(NamedTuple):
    """What can still be read out of a file that does not parse."""

    objects: tuple[dict[str, Json], ...] = ()
    """Whole objects that are not part of another whole one."""
    members: Mapping[str, Json] = MappingProxyType({})
    """The whole members of the first object."""
    fragments: tuple[Mapping[str, Json], ...] = ()
    """Of objects with an ``id`` that are cut, the members that stand whole."""


def salvage(data: bytes) -> Salvage:
    """Every whole object that is not part of another one, and the whole members of a first object that is cut."""
    text = as_node_decodes(data)  # what the plugin would show of a whole file is kept of a cut one, too
    if too_deep(text):
        return Salvage()
    start = text.find("{")
    whole, cut = _objects(text)
    return Salvage(tuple(whole), _whole_members(text, start) if start >= 0 else {}, tuple(cut))


def _objects(text: str) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
    """The objects that stand whole, and of those with an ``id`` that are cut the members that do."""
    found: list[dict[str, Json]] = []
    cut: list[dict[str, Json]] = []
    position, tries = 0, 0
    limit = max(20, min(_MAX_TRIES, 100_000_000 // (len(text) + 1)))
    while tries < limit:
        match = _OPENING.search(text, position)
        if match is None:
            break
        value, end = _value_at(text, match.start())
        if isinstance(value, dict):
            found.append(value)
            position = end
        else:
            members = _whole_members(text, match.start())
            cut += [members] if isinstance(members.get("id"), str) else []
            position, tries = match.end(), tries + 1
    return found, cut


def _whole_members(text: str, start: int) -> dict[str, Json]:
    """The members of the object that begins at ``start``, up to the first that is not whole; of that one, if it is an
    object itself, again the whole members."""
    members: dict[str, Json] = {}
    position = start + 1
    while match := _KEY.match(text, position):
        key = _key(match[1])
        if key is None:
            break
        value, end = _value_at(text, match.end())
        if end < 0:
            inner = _whole_members(text, match.end()) if text.startswith("{", match.end()) else {}
            return {**members, key: inner} if inner else members
        members[key] = value
        position = end
    return members


def _key(quoted: str) -> str | None:
    """A key's text; ``None`` where an escape in it is wrong: then the member does not stand whole."""
    try:
        return str(json.loads(quoted))
    except ValueError:
        return None


def _value_at(text: str, position: int) -> tuple[Json, int]:
    """The value that stands whole at a position and where it ends; ``(None, -1)`` where none does."""
    try:
        value, end = parse_strictly(text, position)
    except ValueError:
        return None, -1
    return (None, -1) if _is_cut_number(text, value, end) else (value, end)


def _is_cut_number(text: str, value: Json, end: int) -> bool:
    """A number at the very end of the text may be the beginning of a longer one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and end == len(text)


def gate_in(data: bytes) -> bool | None:
    """The literal value of ``stopReviewGate`` in the bytes: ``True`` if it stands there anywhere, else what is said."""
    said: set[Any] = {match[1] for match in re.finditer(rb'(?<!\\)"stopReviewGate"\s*:\s*(true|false)\b', data)}
    return True if b"true" in said else False if said else None


def version_in(data: bytes) -> str | None:
    """The literal value of a top-level ``version`` that stands before any job, as text; ``None`` where none does."""
    head = re.split(rb'"(?:jobs|id)"\s*:', data, maxsplit=1)[0]
    match = re.search(rb'(?<!\\)"version"\s*:\s*("(?:[^"\\]|\\.)*"|[\w.+-]+)', head)
    return match[1].decode("utf-8", "replace") if match else None
