"""What can still be read out of a text that is no JSON document any more: cut off, padded, doubled, half overwritten.

Nothing is completed and nothing is guessed: only values that stand there whole are taken (field guide section 5,
``torn-index`` and ``torn-job``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from stateheal.formats.jsondamage import Layout
from stateheal.formats.jsontext import Json, as_node_decodes, parse_strictly, too_deep
from stateheal.patterns import pattern
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OPENING = pattern(r"\{")
_KEY = pattern(r'[ \t\n\r,]*("(?:[^"\\\x00-\x1f]|\\.)*")[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_MEMBER_BEFORE = pattern(r"(?:[:\0][ \t\n\r]*|\n[ \t]+)\Z")
_MAX_DAMAGES = 200
"""Damaged objects and members of one text after which the rest of it is given up."""
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
    """Every whole object that is not part of another one, and the whole members of a first object that is damaged."""
    text = as_node_decodes(data)  # what the plugin would show of a whole file is kept of a cut one, too
    if too_deep(text):
        return Salvage()
    start = text.find("{")
    whole, cut = _objects(text)
    if _MEMBER_BEFORE.search(text, 0, max(start, 0)):
        start = -1  # its beginning is lost: the first object is a member of it
    return Salvage(tuple(whole), _whole_members(text, start, [_MAX_DAMAGES], alone=True), tuple(cut))


def _objects(text: str) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
    """The objects that stand whole, and of those with an ``id`` that are cut the members that do."""
    found: list[dict[str, Json]] = []
    cut: list[dict[str, Json]] = []
    position, tries, left = 0, 0, [_MAX_DAMAGES]
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
            members = _whole_members(text, match.start(), left)
            cut += [members] if isinstance(members.get("id"), str) else []
            position, tries = match.end(), tries + 1
    return found, cut


def _whole_members(text: str, start: int, left: list[int], alone: bool = False) -> dict[str, Json]:
    """The members of the object that begins at ``start`` that stand whole, those behind a damaged one included.

    Of a damaged one that is an object itself, again the whole members. ``alone``: the text holds no other object of
    its kind, so that whatever is lost amid it, a line of a member's indent is this object's. ``left``: how much damage
    is still looked behind, in all.
    """
    members: dict[str, Json] = {}
    layout = Layout(text, start + 1, alone)
    position: int | None = start + 1
    while left[0] > 0:
        while position is not None and (match := _KEY.match(text, position, layout.end)):
            if not layout.is_place(match.start(1)):
                break
            key, (value, end) = _key(match[1]), _value_at(text, match.end())
            if key is None or end < 0 or not layout.is_end_of(value, match.end(), end):
                inner = _whole_members(text, match.end(), left) if text.startswith("{", match.end()) and end < 0 else {}
                if key is not None and inner:
                    members.setdefault(key, inner)
                break
            if layout.damaged:
                members.setdefault(key, value)  # what stands before the damage is surely this object's
            else:
                members[key] = value
            position = end
        left[0] -= 1
        position = layout.behind_damage(position)
        if position is None:
            break
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


_PROCESS = pattern(rb'(?<!\\)"([A-Za-z_]{0,20}[pP][iI][dD])"\s*:')


def unread_process(data: bytes, read: Json) -> str | None:
    """The name of a field for a process that stands in the bytes and is not in what was read of them."""
    known = set(_keys_of(read))
    said = (match[1].decode("ascii") for match in _PROCESS.finditer(data))
    return next((key for key in said if key not in known), None)


def _keys_of(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys_of(each)


def gate_in(data: bytes) -> bool | None:
    """The literal value of ``stopReviewGate`` in the bytes: ``True`` if it stands there anywhere, else what is said."""
    said: set[Any] = {match[1] for match in re.finditer(rb'(?<!\\)"stopReviewGate"\s*:\s*(true|false)\b', data)}
    return True if b"true" in said else False if said else None


def version_in(data: bytes, found: Salvage | None = None) -> str | None:
    """The literal value of a top-level ``version``, before any job or, as far as it was ``found``, behind them."""
    head = re.split(rb'"(?:jobs|id)"\s*:', data, maxsplit=1)[0]
    match = re.search(rb'(?<!\\)"version"\s*:\s*("(?:[^"\\]|\\.)*"|[\w.+-]+)', head)
    if match:
        return match[1].decode("utf-8", "replace")
    members = found.members if found else {}
    return json.dumps(members["version"]) if "version" in members and "id" not in members else None
