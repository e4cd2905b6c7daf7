"""JSON text with everything replaced that may be private, and nothing else changed.

It works on tokens, the same way for texts that parse and for torn ones: layout, key order, duplicate keys, the spelling
of numbers, NUL padding, trailing junk and second documents stay byte for byte, so that the damage stays what it is.
``redact_rules`` says what may stay; here is only where it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from stateheal.export.pseudonyms import Pseudonyms
from stateheal.export.redact_rules import CHILDREN, is_literal, key_instead, number_instead, text_instead
from stateheal.patterns import pattern

_PLAIN = r'[^\x00-\x20{}\[\],:"]'
_TOKEN = pattern(
    rf'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[ \t\n\r]+|[\x00-\x1f{{}}\[\],:]|{_PLAIN}+(?: {_PLAIN}+)*', re.DOTALL
)
"""A string, which may be cut at the end of the text; layout; a bracket, comma or colon; or anything else.

A number, ``true``, or words that belong nowhere: those are one token with their spaces, whose places say something too.
"""
_COLON = pattern(r"[ \t\n\r]*:")
_OBJECT = pattern(r'\{[ \t\n\r]*"(?:[^"\\\x00-\x1f]|\\.)*"[ \t\n\r]*:', re.DOTALL)
"""The beginning of an object. No string can hold one, because of its quotes: a string before it was cut."""
_NUMBER = pattern(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UNIT = pattern(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\.?|[^\\]', re.DOTALL)
_ESCAPE = pattern(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_KEPT = pattern("[\x00-\x1f\ufeff\udc80-\udcff]")
_FOREIGN = pattern("[\udc80-\udcff]")


def redact_json(data: bytes, pseudonyms: Pseudonyms, kind: str, whole: bool) -> bytes:
    """The text of a file of this kind (``index``, ``record``, ``broker``).

    ``whole``: it parses. In a text that does not, nobody can say where an object stands: no key stays because of that.
    """
    text = data.decode("utf-8", "surrogateescape")
    starts = [] if whole else [match.start() for match in _OBJECT.finditer(text)]
    walk = _Walk(pseudonyms, kind if whole else "foreign")
    pieces = [text[begin:end] for begin, end in zip([0, *starts], [*starts, len(text)], strict=True)]
    return "".join(token for piece in pieces for token in walk.tokens(piece)).encode("utf-8", "surrogateescape")


class _Walk:
    """Goes through a text and knows which key and which kind of object it is at."""

    def __init__(self, pseudonyms: Pseudonyms, root: str) -> None:
        self.pseudonyms = pseudonyms
        self.root = root
        self.kinds: list[str] = []
        self.key: str | None = None

    def tokens(self, text: str) -> Iterator[str]:
        """Every token of the text, or what stands for it."""
        for match in _TOKEN.finditer(text):
            token = match[0]
            if token.startswith('"'):
                yield self._string(token, _COLON.match(text, match.end()) is not None)
            elif token[0] <= " " or token in "{}[],:":
                self._step(token)
                yield token
            else:
                yield self._word(token)
                self.key = None

    def _step(self, token: str) -> None:
        if token in ("{", "["):
            self.kinds.append(self._kind_inside(token))
        elif token in ("}", "]") and self.kinds:
            self.kinds.pop()
        if token in ("{", "[", "}", "]", ","):
            self.key = None

    def _kind_inside(self, bracket: str) -> str:
        """The kind of what begins here."""
        if not self.kinds:
            return "entries" if self.root == "index" and bracket == "[" else self.root
        if self.kinds[-1] == "entries":
            return "record" if bracket == "{" else "foreign"
        inside = CHILDREN.get((self.kinds[-1], self.key or ""), "foreign")
        return inside if (inside == "entries") is (bracket == "[") else "foreign"

    def _string(self, token: str, is_key: bool) -> str:
        closed = len(token) > 1 and token.endswith('"') and _is_closed(token)
        text = _decoded(token[1:-1]) if closed else None
        if text is None:
            self.key = None
            return _damaged(token, closed, self.pseudonyms)
        key, self.key = self.key, text if is_key else None
        if is_key:
            instead = key_instead(self.kinds[-1] if self.kinds else "foreign", text, self.pseudonyms)
        else:
            instead = text_instead(key, text, self.pseudonyms)
        return token if instead == text else json.dumps(instead)

    def _word(self, word: str) -> str:
        if is_literal(word):
            return word
        return number_instead(self.key, word) if _NUMBER.fullmatch(word) else self.pseudonyms.raw(word)


def _is_closed(token: str) -> bool:
    """Whether its last quote is not escaped."""
    body = token[1:-1]
    return (len(body) - len(body.rstrip("\\"))) % 2 == 0


def _decoded(body: str) -> str | None:
    """What a string says; ``None`` where it is itself damaged."""
    if _FOREIGN.search(body):
        return None
    try:
        return str(json.loads(f'"{body}"'))
    except ValueError:
        return None


def _damaged(token: str, closed: bool, pseudonyms: Pseudonyms) -> str:
    """A string that is cut, or holds raw control characters, bytes that are no UTF-8 or wrong escapes: it still does.

    A letter stands for each character, escaped or not.
    """
    body = token[1:-1] if closed else token[1:]
    units = _UNIT.findall(body)
    mask = pseudonyms.letters(body, len(units))
    letters = (_unit(unit, letter) for unit, letter in zip(units, mask, strict=True))
    return '"' + "".join(letters) + ('"' if closed else "")


def _unit(unit: str, letter: str) -> str:
    if _KEPT.fullmatch(unit):
        return "\udcff" if _FOREIGN.fullmatch(unit) else unit
    if unit.startswith("\\") and not _ESCAPE.fullmatch(unit):
        return "\\" if unit == "\\" else "\\x"
    return letter
