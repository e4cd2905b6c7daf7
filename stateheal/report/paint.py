"""Styles as the escapes that a terminal takes, and lines folded to its width.

rich decides whether there are colours and what a style is; a report of thousands of lines is then put together without
it, which takes a twentieth of the time (measured).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator

from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

Paint = Callable[[str, str], str]
"""A text and a style to what is written."""


def painter(console: Console) -> Paint:
    """Paints for this console; plainly where it shows no styles."""
    if not console.is_terminal or console.color_system is None:
        return lambda text, style: text
    known: dict[str, tuple[str, str]] = {}

    def paint(text: str, style: str) -> str:
        if not style or not text:
            return text
        if style not in known:
            known[style] = _escapes(style, console.no_color)
        before, after = known[style]
        return f"{before}{text}{after}"

    return paint


def _escapes(style: str, no_color: bool) -> tuple[str, str]:
    parsed = Style.parse(style)
    if no_color:
        parsed = parsed.without_color
    before, _, after = parsed.render("|", color_system=ColorSystem.STANDARD).partition("|")
    return before, after


def width_of(text: str) -> int:
    """Columns that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def cut(text: str, width: int) -> str:
    """The text, or as much of its beginning as stands in ``width`` columns with dots behind it."""
    return text if width_of(text) <= width else set_cell_size(text, max(1, width - 3)).rstrip() + "..."


def folded(text: str, width: int) -> Iterator[str]:
    """The text in lines of at most ``width`` columns, broken at spaces. What is longer in one piece stays whole, so
    that a path or a command can be copied from the screen.
    """
    width = max(1, width)
    if width_of(text) <= width:
        yield text
    elif text.isascii() and text.isprintable() and "  " not in text and not text.startswith(" "):
        yield from _folded_plain(text.rstrip(" "), width)
    elif text.isascii():
        yield from textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    else:
        yield from _folded_wide(text.split(" "), width)


def _folded_plain(text: str, width: int) -> Iterator[str]:
    """As ``textwrap`` would, but at a tenth of its price: words with one space between them, a column a character."""
    while len(text) > width:
        end = text.rfind(" ", 0, width + 1)
        end = end if end >= 0 else text.find(" ", width)
        if end < 0:
            break
        yield text[:end]
        text = text[end + 1 :]
    yield text


def _folded_wide(words: list[str], width: int) -> Iterator[str]:
    line, used = words[0], width_of(words[0])
    for word in words[1:]:
        more = width_of(word)
        if used + 1 + more > width and line:
            yield line
            line, used = word, more
        else:
            line, used = f"{line} {word}", used + 1 + more
    yield line
