"""JSON text to value and back, exactly as the plugin's own ``JSON.parse`` and ``JSON.stringify`` do it.

What they refuse is refused here: NaN, Infinity, a byte order mark, a second document (field guide section 3). What
they read is read: a byte that is no UTF-8 is U+FFFD to node, which decodes before it parses.
Changing a text without rewriting the rest of it is the business of ``jsonedit``.

A text in the plugin's own layout, which nearly all are, is known by orjson writing the very same bytes again: then it
holds no key twice, no number that would be read as another, no odd escape, and there is nothing more to look for.
Everything else is read by ``json`` with all the questions asked, and so is everything as long as there is little of it:
to import orjson, which brings dataclasses, inspect and uuid, takes as long as ``json`` takes for some megabytes. A
property test shows that the two never disagree.
"""

from __future__ import annotations

import json
import re
from _thread import _local

from stateheal.patterns import pattern
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Json = Any  # a JSON value: dict, list, str, int, float, bool or None
else:
    Json = object

_LONE_SURROGATE = pattern("[\ud800-\udfff]")
_BRACKET = pattern(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_MAX_DEPTH = 200  # well under the interpreter's own limits, so that no later walk over the value can hit them
_HUGE, _INFINITY = 10**401, float("inf")
_PAYS = 4 << 20
"""Bytes after which orjson has earned its import: what it saves on each is measured, 2.5 ns in reading."""
_EDIT = 32
"""So many times as much it saves where a byte is written anew."""
_MAX_INT_DIGITS = 400  # beyond it JavaScript reads Infinity, and Python refuses past 4,300 digits


class ParseFailure(NamedTuple):
    """Why bytes are not a JSON document, in words for the user."""

    reason: str
    too_deep: bool = False
    """The text is nested deeper than this program can read: not damage, only out of reach."""

    @property
    def value(self) -> None:
        """What a text says that does not parse: nothing."""
        return None


class Document(NamedTuple):
    """A JSON text and what it says."""

    data: bytes
    value: Json
    duplicates: tuple[str, ...] = ()
    """Keys that stand twice in one object; the last one counts, as for the plugin."""
    plain: bool = False
    """The text is byte for byte what ``write_plain`` makes of the value."""

    @property
    def text(self) -> str:
        """The text such that ``as_bytes`` gives the very same bytes again: one that is no UTF-8 is a lone surrogate."""
        return self.data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """The bytes of a ``Document.text``, edited or not."""
    return text.encode("utf-8", "surrogateescape")


def as_node_decodes(data: bytes) -> str:
    """What ``readFileSync(path, "utf8")`` gives for these bytes, whatever they are."""
    return data.decode("utf-8", "replace")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else float(digits)


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_int=_integer)
_here = _local()
"""Of each thread: ``duplicates``, the keys that stand twice in what it is reading."""


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        _here.duplicates += [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    return value


_CAREFUL = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer)


class _Quick:
    """orjson, once there has been enough to read."""

    so_far = 0
    module: Any = None

    @classmethod
    def pays(cls, size: int) -> bool:
        """Whether to use it for the next so many bytes."""
        if cls.module is None:
            cls.so_far += size
            if cls.so_far >= _PAYS:
                import orjson

                cls.module = orjson
        return cls.module is not None


def expect_much() -> None:
    """There is much to read: what makes that quick is loaded now, before the process is forked."""
    _Quick.pays(_PAYS)


def parse(data: bytes) -> Document | ParseFailure:
    """Read one JSON document as the plugin does. Never raises for bad input."""
    return (_parse_plain(data) if _Quick.pays(len(data)) else None) or parse_carefully(data)


def _parse_plain(data: bytes) -> Document | None:
    """A container in the plugin's own layout; ``None`` for any other text."""
    try:
        value = _Quick.module.loads(data)
    except ValueError:
        return None
    if not isinstance(value, (dict, list)) or _plain_text(value) != data:
        return None
    if data.count(b"[") + data.count(b"{") > _MAX_DEPTH and too_deep(data.decode("utf-8")):
        return None
    return Document(data, value, (), True)


def plain_text(value: Json, size: int) -> bytes | None:
    """The text of a value in which every number is finite, quickly; ``None`` where it takes more care.

    ``size``: of how many bytes it will be, about.
    """
    return _plain_text(value) if _Quick.pays(_EDIT * size) else None


def _plain_text(value: Json) -> bytes | None:
    orjson = _Quick.module
    try:
        data: bytes = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a number of more than 64 bits, a lone surrogate, or too deep
        return None
    return data


def write_plain(value: Json, size: int = 0) -> bytes | None:
    """A whole file in the plugin's own layout, quickly; ``None`` where a value in it takes more care."""
    data = plain_text(value, size)
    return data if data is not None and _Quick.module.loads(data) == value else None  # infinity would be null


def parse_carefully(data: bytes) -> Document | ParseFailure:
    """``parse`` for any text."""
    _here.duplicates = []
    if not data.strip(b" \t\r\n"):
        return ParseFailure("empty" if not data else "nothing but white space")
    if not data.strip(b"\0 \t\r\n"):
        return ParseFailure("filled with NUL bytes")
    try:
        text = as_node_decodes(data)
        if too_deep(text):
            return ParseFailure(f"nested more than {_MAX_DEPTH} levels deep", too_deep=True)
        if text.startswith("\ufeff"):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
        value = _CAREFUL.decode(text)
    except json.JSONDecodeError as error:
        return ParseFailure(f"not JSON ({error.msg}, line {error.lineno} column {error.colno})")
    except ValueError as error:
        return ParseFailure(f"not JSON ({error})")
    return Document(data, value, tuple(_here.duplicates))


def parse_strictly(text: str, position: int) -> tuple[Json, int]:
    """The value that begins at ``position``, and where it ends. Raises ``ValueError`` where none stands there whole.

    The caller has made sure that the text is not ``too_deep``.
    """
    value, end = _DECODER.raw_decode(text, position)
    return value, end


def too_deep(text: str) -> bool:
    """Whether the text nests deeper than is read here."""
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return False
    depth = 0
    for match in _BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > _MAX_DEPTH:
            return True
    return False


def stringify(value: Json, indent: str = "  ", newline: str = "\n", margin: str = "") -> str:
    """What ``JSON.stringify(value, null, indent)`` writes, without a final newline.

    ``margin`` is the indent of the line the value starts on; an empty ``indent`` gives one compact line.
    """
    if not indent:
        return one_line(value, ",", ":")
    text = json.dumps(_writable(value), ensure_ascii=False, indent=indent)
    # Raw line feeds in the output are layout only: inside strings they are escaped.
    return _escape_lone_surrogates(text.replace("\n", newline + margin))


def is_finite(number: float) -> bool:
    """As ``math.isfinite``, without a module to be loaded for it."""
    return abs(number) < _INFINITY


def _writable(value: Json) -> Json:
    """The value with every infinity (``1e999`` is legal JSON) as a number that is read back as one."""
    if isinstance(value, float) and not is_finite(value):
        return _HUGE if value > 0 else -_HUGE
    if isinstance(value, dict):
        return {key: _writable(each) for key, each in value.items()}
    return [_writable(each) for each in value] if isinstance(value, list) else value


def one_line(value: Json, comma: str, colon: str) -> str:
    """The value on one line, with the separators of the file it goes into."""
    text = json.dumps(_writable(value), ensure_ascii=False, separators=(comma, colon))
    return _escape_lone_surrogates(text)


def _escape_lone_surrogates(text: str) -> str:
    return text if text.isascii() else _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def write(value: Json) -> bytes:
    """A whole file in the plugin's own layout: two spaces and a final newline."""
    quick = write_plain(value)
    return (stringify(value) + "\n").encode("utf-8") if quick is None else quick


def says(data: bytes, value: Json) -> bool:
    """Whether the bytes are a JSON document of that value."""
    if data == write_plain(value, len(data)):
        return True
    read_back = parse(data)
    return isinstance(read_back, Document) and same(read_back.value, value)


def finite(text: str) -> Json:
    """A value that was written by Python's ``json``, with the numbers that no other JSON reader takes as text."""
    return json.loads(text, parse_constant=str)


def same(left: Json, right: Json) -> bool:
    """JSON equality: unlike Python's, it tells ``1`` from ``true`` and from ``1.0``."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
