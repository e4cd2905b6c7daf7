"""Where an object goes on behind a damaged member, without a guess about how deep that place is.

A JSON text has line ends between its parts only, so that in a text with a line for each member the indent of a line
says whose it is, whatever is damaged before it. A text in one line is taken up again where the damage lies in one
value that ends where values end, or where the rest of the text is the rest of the object.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from stateheal.formats.jsontext import Json, parse_strictly
from stateheal.patterns import pattern

_USUAL = ("  ", "\t")
_FIRST_LINE = pattern(r'[ \t\r]*\n([ \t]+)"')
_OF_LINES = pattern(r"[ \t\r]*(?:,[ \t\r]*(?:[\n\0]|\Z)|\n[ \t]*[}\]]|\0|\n?\Z)")
_OF_ONE_LINE = pattern(r'[ \t\n\r]*(?:,[ \t\n\r]*(?:["\0]|\Z)|\}[ \t\n\r]*(?:[,\]}{\0]|\Z)|\0|\Z)')
_OF_ALL = pattern(r'[ \t\n\r]*(?:,[ \t\n\r]*(?:["\0]|\Z)|\}[ \t\n\r]*(?:[}{\0]|\Z)|\0|\Z)')
"""What stands behind a whole value: a quote that is not escaped ends it too early."""
_CLOSED = pattern(r"[ \t\n\r,]*\}")
_CLOSED_LINE = pattern(r"[ \t\n\r,]*\}(?:[ \t\r]*,?[ \t\r]*(?:[\n\0]|\Z)|\{)")
_HOLE = "\0\0"
_LENIENT = json.JSONDecoder(strict=False)
_JUNK = pattern(r'[^"\[\]{},:]+')
_NEXT = pattern(r'[ \t\n\r]*,(?=[ \t\n\r]*")|[ \t\n\r]*(?=\})')
_CANDIDATE = pattern(r',(?=[ \t\n\r]*"(?:[^"\\\x00-\x1f]|\\.)*"[ \t\n\r]*:)')
_KEY_BEFORE_VALUE = pattern(r'[ \t\n\r,]*"(?:[^"\\]|\\.)*"[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_MAX_CANDIDATES = 50


def _indent_at(text: str, position: int, alone: bool) -> str | None:
    """The indent of an object's members; ``None`` where they do not stand in lines."""
    first = _FIRST_LINE.match(text, position)
    if first is not None and (not alone or text.count(f'\n{first[1]}"') > 1):
        return first[1]
    if not alone or text[position:].lstrip(" ").startswith('"'):
        return first[1] if first else None
    return next((usual for usual in _USUAL if f'\n{usual}"' in text), None)  # what stands first is damaged


@lru_cache(64)
def _end_of(indent: str, alone: bool) -> re.Pattern[str]:
    """A line that closes an object with members of this indent; or opens another, or goes on outside it."""
    closing = r"([}\]])(?:[ \t\r]*,?[ \t\r]*(?:[\n\0]|\Z)|\{)"
    opening = "" if alone else r"|(?=(\{)[ \t\r]*\n)|(?=(\"))"
    return re.compile(rf"\n[ \t]{{0,{len(indent) - 1}}}(?:{closing}{opening})")


class Layout:
    """How one object's members are laid out. ``alone``: no other object of its kind is in the text."""

    def __init__(self, text: str, position: int, alone: bool) -> None:
        self.text = text
        self.alone = alone
        self.damaged = False
        """Whether anything was left out yet."""
        self.indent = _indent_at(text, position, alone)
        over = None if self.indent is None else _end_of(self.indent, alone).search(text, position)
        self.end = len(text) if over is None else over.start(over.lastindex or 0) + 1

    def is_place(self, key: int) -> bool:
        """Whether a key of this object can begin there."""
        return self.indent is None or self.text.endswith(f"\n{self.indent}", 0, key)

    def is_end_of(self, value: Json, start: int, end: int) -> bool:
        """Whether a value that was read ends where values end."""
        if self.indent is not None and self.text.find("\n", start, end) >= 0 and not self.is_place(end - 1):
            return False  # a lost bracket gives it what stands behind it
        if isinstance(value, (int, float)) and not isinstance(value, bool) and self.text[end : end + 1] == "\0":
            return False  # the hole may have taken digits
        kinds = _OF_LINES if self.indent is not None else _OF_ALL if self.alone else _OF_ONE_LINE
        return kinds.match(self.text, end) is not None

    def behind_damage(self, position: int | None) -> int | None:
        """Where the next member stands behind the one that begins at ``position``; ``None`` where none surely does."""
        if position is None or (_CLOSED if self.indent is None else _CLOSED_LINE).match(self.text, position):
            return None
        self.damaged = True
        return self._behind_value(position) if self.indent is None else self._next_line(position)

    def _next_line(self, position: int) -> int | None:
        line = f'\n{self.indent}"'
        skipped = _KEY_BEFORE_VALUE.match(self.text, position, self.end)
        found = self.text.find(line, max(position, skipped.end() if skipped else position + 1), self.end)
        if found < 0 or (not self.alone and _HOLE in self.text[position:found]):
            return None  # a hole may have taken the end of this object and the beginning of the next
        return found

    def _behind_value(self, position: int) -> int | None:
        key = _KEY_BEFORE_VALUE.match(self.text, position)
        end = None if key is None else _loosely(self.text, key.end())
        if end is None and key is not None and self.alone and self.text[key.end() : key.end() + 1] not in "[{":
            return self._rest(key.end())
        return end

    def _rest(self, position: int) -> int | None:
        """Where what is left of the text is what is left of the object, to its last brace."""
        for number, match in enumerate(_CANDIDATE.finditer(self.text, position)):
            if number >= _MAX_CANDIDATES:
                break
            rest = "{" + self.text[match.end() :]
            try:
                _, end = parse_strictly(rest, 0)
            except ValueError:
                continue
            if not rest[end:].strip(" \t\n\r\0"):
                return match.end()
        return None


def _loosely(text: str, position: int) -> int | None:
    """Behind a value that is whole but for characters which may not stand in it, or a word that is none of JSON's."""
    try:
        end = _LENIENT.raw_decode(text, position)[1]
    except ValueError:
        junk = _JUNK.match(text, position)
        if junk is None:
            return None
        end = junk.end()
    following = None if _HOLE in text[position:end] else _NEXT.match(text, end)  # it may have taken quotes
    return following.end() if following else None
