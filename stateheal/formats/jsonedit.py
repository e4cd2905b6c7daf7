"""Edit a JSON text so that it says another value, and change nothing else in it.

Every byte that does not belong to a changed value stays, whatever its spelling (``1e21``, ``\\u2028``, lone
surrogates, bytes that are no UTF-8, key order, indent). In the plugin's own layout the result is what
``JSON.stringify(value, null, 2)`` would have written; in any other layout new lines use the file's own indent (field
guide section 3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from stateheal.formats.jsontext import (
    Document,
    Json,
    as_bytes,
    as_node_decodes,
    is_finite,
    one_line,
    plain_text,
    same,
    stringify,
)
from stateheal.patterns import pattern
from stateheal.values import NamedTuple, cached_property

_STRING = pattern(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_GAP = pattern(r"[ \t\n\r]*[,:]?[ \t\n\r]*")
_SKIP = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
"""Asked for where a value ends; numbers are not looked at."""
_STYLE_DEPTH = 5
_WALKED = 2
"""Levels of containers: the document, and what an index holds."""


class _Node:
    """Where one value stands in a text that ``parse`` has accepted. What is in it is found when it is asked for."""

    def __init__(self, text: str, start: int, depth: int = 0) -> None:
        self.text, self.start, self.depth = text, start, depth

    @cached_property
    def end(self) -> int:
        """Of the outer containers, whose children are asked for in any case, behind the last of these."""
        if self.depth >= _WALKED or self.text[self.start] not in "{[":
            return _SKIP(self.text, self.start)[1]
        return _past(_GAP, self.text, self.members[-1].node.end if self.members else self.start + 1) + 1

    @cached_property
    def members(self) -> list[_Member]:
        """An object's or array's children in order."""
        text, found = self.text, list[_Member]()
        position = _past(_GAP, text, self.start + 1)
        while text[self.start] in "{[" and text[position] not in "]}":
            start, key = position, None
            if text[self.start] == "{":
                end = _past(_STRING, text, start)
                key, position = _key(text[start:end]), _past(_GAP, text, end)
            found.append(_Member(start, key, _Node(text, position, self.depth + 1)))
            position = _past(_GAP, text, found[-1].node.end)
        return found


class _Member(NamedTuple):
    """One child: ``start`` is where its key (or, in an array, its value) begins."""

    start: int
    key: str | None
    node: _Node


def _past(what: re.Pattern[str], text: str, position: int) -> int:
    """Where the text goes on behind what stands at a position."""
    match = what.match(text, position)
    assert match is not None
    return match.end()


def _key(token: str) -> str:
    """The name that the plugin reads in a key as it stands in ``Document.text``."""
    if not token.isascii():
        token = as_node_decodes(as_bytes(token))
    return str(json.loads(token)) if "\\" in token else token[1:-1]


class _Style(NamedTuple):
    """The layout of a file: how its new lines and its new values are to look."""

    indent: str
    newline: str
    comma: str
    colon: str


def _style(text: str, root: _Node) -> _Style:
    """Read off the first containers that show it; the plugin's own layout where none does."""
    indent = newline = comma = colon = None
    for depth, node in _containers(root):
        first = node.members[0]
        lead = text[node.start + 1 : first.start]
        if indent is None and "\n" in lead:
            indent = lead.rpartition("\n")[2]
            indent, newline = indent[: len(indent) // depth], "\r\n" if "\r\n" in lead else "\n"
        elif comma is None and len(node.members) > 1 and "\n" not in lead:
            comma = text[first.node.end : node.members[1].start].partition(",")[2]
        key = _STRING.match(text, first.start) if first.key is not None else None
        if colon is None and key is not None:
            colon = text[key.end() : first.node.start]
    if indent is None and not root.members and text.endswith("\n"):
        indent = "  "  # nothing to read it off, and a final newline: the plugin's own
    return _Style(indent or "", newline or "\n", comma or "", colon or (": " if indent else ":"))


def _containers(root: _Node) -> Iterator[tuple[int, _Node]]:
    """The first non-empty objects and arrays, outermost first, each with its depth."""
    level, depth = [root], 1
    while level and depth <= _STYLE_DEPTH:
        yield from ((depth, node) for node in level if node.members)
        level, depth = [member.node for node in level for member in node.members[:3]], depth + 1


def rewrite(document: Document, value: Json) -> bytes:
    """The document's bytes with the least change that makes them say ``value``.

    New object keys go last. Array items are matched by equality, and by ``id`` where they are objects with one.
    """
    quick = plain_text(value, len(document.data)) if document.plain and _in_order(document.value, value) else None
    return rewrite_carefully(document, value) if quick is None else quick


def _in_order(old: Json, new: Json) -> bool:
    """Whether an edit of the old value's text puts every key where the new value has it: then that is all there is.

    ``old`` is known to be finite; what is new must be, too.
    """
    if old is new:
        return True
    if isinstance(old, dict) and isinstance(new, dict):
        kept = [key for key in old if key in new]
        return (
            kept == list(new)[: len(kept)]
            and all(_in_order(old[key], new[key]) for key in kept)
            and (len(kept) == len(new) or all(_is_finite(new[key]) for key in new if key not in old))
        )
    if isinstance(old, list) and isinstance(new, list):
        return all(map(_in_order, old, new)) if len(old) == len(new) else _entries_in_order(old, new)
    return not isinstance(new, (dict, list)) and _is_finite(new)


def _is_finite(value: Json) -> bool:
    """Whether there is no infinity in it: orjson would write null."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or is_finite(value)


def _entries_in_order(old: Sequence[Json], new: Sequence[Json]) -> bool:
    """The same where entries come or go: whichever old one of its id a new one may be taken for."""
    known: dict[str, list[Json]] = {}
    for each in old:
        if isinstance(each, dict) and isinstance(each.get("id"), str):
            known.setdefault(each["id"], []).append(each)
    for each in new:
        ident = each.get("id") if isinstance(each, dict) else None
        if isinstance(ident, str):
            before = known.get(ident)
            if not (_is_finite(each) if before is None else all(_in_order(one, each) for one in before)):
                return False
        elif isinstance(each, (dict, list)) or not _is_finite(each):
            return False
    return True


def rewrite_carefully(document: Document, value: Json) -> bytes:
    """``rewrite`` for any layout."""
    text = document.text
    root = _Node(text, len(text) - len(text.lstrip(" \t\n\r")))
    body = _Editor(text, _style(text, root)).render(root, document.value, value, "")
    return as_bytes(text[: root.start] + body + text[root.end :])


class _Editor:
    def __init__(self, text: str, style: _Style) -> None:
        self.text = text
        self.style = style

    def render(self, node: _Node, old: Json, new: Json, margin: str) -> str:
        """The text of ``new``, standing where ``old`` stood on a line indented by ``margin``."""
        if old is new or same(old, new):
            return self.text[node.start : node.end]
        if isinstance(old, dict) and isinstance(new, dict):
            return self._object(node, old, new, margin)
        if isinstance(old, list) and isinstance(new, list):
            return self._array(node, old, new, margin)
        return self.fresh(new, margin)

    def fresh(self, value: Json, margin: str) -> str:
        if self.style.indent or not isinstance(value, (dict, list)):
            return stringify(value, self.style.indent or "  ", self.style.newline or "\n", margin)
        return one_line(value, "," + self.style.comma, self.style.colon)

    def _object(self, node: _Node, old: Mapping[str, Json], new: Mapping[str, Json], margin: str) -> str:
        inner = self._inner_margin(node, margin)
        last = {member.key: member for member in node.members}
        parts: list[tuple[_Member | None, str]] = []
        for member in node.members:
            assert member.key is not None
            if member.key not in new:
                continue
            text = self.text[member.start : member.node.end]
            if last[member.key] is member:
                head = self.text[member.start : member.node.start]
                text = head + self.render(member.node, old[member.key], new[member.key], inner)
            parts.append((member, text))
        for key in new:
            if key not in last:
                parts.append((None, stringify(key) + self.style.colon + self.fresh(new[key], inner)))
        return self._join(node, parts, margin)

    def _array(self, node: _Node, old: Sequence[Json], new: Sequence[Json], margin: str) -> str:
        inner = self._inner_margin(node, margin)
        parts: list[tuple[_Member | None, str]] = []
        for before, after in _pair_up(old, new):
            if before is None:
                parts.append((None, self.fresh(new[after], inner)))
            else:
                member = node.members[before]
                parts.append((member, self.render(member.node, old[before], new[after], inner)))
        return self._join(node, parts, margin)

    def _inner_margin(self, node: _Node, margin: str) -> str:
        if node.members:
            lead = self.text[node.start + 1 : node.members[0].start]
            if "\n" in lead:
                return lead.rpartition("\n")[2]
        return margin + self.style.indent

    def _join(self, node: _Node, parts: Sequence[tuple[_Member | None, str]], margin: str) -> str:
        """Glue members with the separators that stood between them; a new one gets its neighbours' kind."""
        text, members = self.text, node.members
        opening, closing = text[node.start], text[node.end - 1]
        if not parts:
            return opening + closing
        if members:
            lead = text[node.start + 1 : members[0].start]
            tail = text[members[-1].node.end : node.end - 1]
        elif self.style.indent:
            lead = self.style.newline + margin + self.style.indent
            tail = self.style.newline + margin
        else:
            lead = tail = ""
        between = "," + (lead if "\n" in lead else self.style.comma)
        follows = {id(a): (b, text[a.node.end : b.start]) for a, b in pairwise(members)}
        pieces = [opening, lead, parts[0][1]]
        for (before, _), (member, body) in pairwise(parts):
            neighbour, gap = follows.get(id(before), (None, between))
            pieces += [gap if member is not None and neighbour is member else between, body]
        return "".join([*pieces, tail, closing])


def _token(item: Json) -> tuple[str, str]:
    if isinstance(item, dict) and isinstance(item.get("id"), str):
        return ("id", item["id"])
    return ("value", json.dumps(item, sort_keys=True))


def _pair_up(old: Sequence[Json], new: Sequence[Json]) -> list[tuple[int | None, int]]:
    """For each index of ``new`` the index of ``old`` it grew from, or ``None`` where it is new."""
    if len(old) == len(new):
        return [(i, i) for i in range(len(new))]
    from difflib import SequenceMatcher  # only where a file of another layout gains or loses entries

    matcher = SequenceMatcher(None, [_token(x) for x in old], [_token(x) for x in new], autojunk=False)
    pairs: dict[int, int] = {}
    for block in matcher.get_matching_blocks():
        pairs.update((block.b + i, block.a + i) for i in range(block.size))
    return [(pairs.get(i), i) for i in range(len(new))]
