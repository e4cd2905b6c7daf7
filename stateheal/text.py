"""Words for people: counts, one-line summaries, and text from records.

That text is data: what could move a cursor, turn a line around or pass for markup is shown escaped.

DESIGN.md promise 6. Rich markup is never interpreted because only ``Text`` objects are handed to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from stateheal.patterns import pattern

# C0 and C1 controls, DEL, bidi marks and isolates, line and paragraph separators, zero-width and tag characters,
# byte order mark, lone surrogates.
_HOSTILE = pattern(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u0600-\u0605\u06dd\u070f\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_TYPED = pattern(_HOSTILE.pattern[:-1] + r"'\\]")


_SUMMARY_LENGTH = 96
DIGITS, HEX_DIGITS = b"0123456789", b"0123456789abcdef"
WORD = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" + DIGITS
"""Characters for ``consists_of``."""


def consists_of(text: str, allowed: bytes) -> bool:
    """Whether no other characters stand in a text than these of ASCII; what an expression would say, not compiled."""
    return text.isascii() and not text.encode().translate(None, allowed)


def printable(text: str) -> str:
    """The text with every character that is not plainly visible written as an escape."""
    return text if text.isascii() and text.isprintable() else _HOSTILE.sub(_escape, text)


_JOINERS = "\u200d\ufe0e\ufe0f"
"""What makes one emoji of several characters: nothing to be afraid of in a text of many lines."""


def printable_lines(text: str) -> str:
    """A text of many lines for the screen: line ends, tabs and emoji stay, all else that is not visible is escaped."""
    kept = "\n\t" + _JOINERS
    return _HOSTILE.sub(lambda match: match[0] if match[0] in kept else _escape(match), text.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str) -> str:
    """A text on one line, as the plugin shortens prompts to summaries."""
    line = " ".join(text.split())
    return line if len(line) <= _SUMMARY_LENGTH else line[: _SUMMARY_LENGTH - 3] + "..."


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word that a mistyped one is nearest to; ``None`` where none is near."""
    from difflib import get_close_matches  # only for what is mistyped

    return next(iter(get_close_matches(word.lower(), list(known), 1, likeness)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` behind a sentence about a mistyped word; nothing where no known word is near."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


_PLAIN_ON_WINDOWS = pattern(r"[\w@+=:,./-]+", re.ASCII)
_EXPANDED = pattern(r"""[$`"%!]|\\\\(?!\\*$)""")
"""What one of the shells there would take for more than itself, even between double quotes."""


def quoted(word: str, windows: bool = os.sep == "\\", visible: bool = True) -> str:
    """A word as one would type it: on Windows as cmd, PowerShell and Git Bash all understand it, where that can be.

    What cannot be seen, or is no text, stands there as bash, zsh and ksh take it: ``$'a\\012b'``.
    """
    if visible and not windows and _HOSTILE.search(word):
        return "$'" + _TYPED.sub(_octal, word) + "'"
    if not windows or _EXPANDED.search(word):
        import shlex  # few words need it

        return shlex.quote(word)
    if _PLAIN_ON_WINDOWS.fullmatch(word):
        return word
    backslashes = len(word) - len(word.rstrip("\\"))
    return f'"{word}{backslashes * chr(92)}"'


def _octal(match: re.Match[str]) -> str:
    try:
        data = match[0].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair, which is no byte of a file's name either
        data = match[0].encode("utf-8", "surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in data)


def command_line(words: Iterable[str], windows: bool = os.sep == "\\", visible: bool = True) -> str:
    """A command as one would type it; not ``visible``: with line ends and the like as they are."""
    return " ".join(quoted(word, windows, visible) for word in words)


def size_of(count: int) -> str:
    """Bytes as a person reads them: ``812 bytes``, ``40 kB``, ``12 MB``."""
    return f"{count} bytes" if count < 10_000 else f"{count // 1000} kB" if count < 10**7 else f"{count // 10**6} MB"


def count_of(count: int, noun: str) -> str:
    """A number and its noun: ``1 job``, ``2,500 jobs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
