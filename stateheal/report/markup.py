"""Small pieces of HTML. Text from records is data: whatever stands in it stays text (DESIGN.md promise 6)."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from stateheal.formats.times import format_time
from stateheal.text import printable

LIMIT = 4000
"""Characters of one text: a record's field may hold megabytes."""


def text(value: str) -> str:
    """A text that is safe between tags and between quotes; of a very long one the beginning."""
    more = len(value) - LIMIT
    return escape(printable(value if more <= 0 else f"{value[:LIMIT]}… and {more:,} characters more"))


def tag(name: str, inside: str, kind: str = "", **attributes: str) -> str:
    """An element around markup, with a class and further attributes (``aria_label`` for ``aria-label``).

    Attributes are whole, however long: a cut style or path draws nothing, a cut link leads nowhere.
    """
    named = {**({"class": kind} if kind else {}), **attributes}
    told = "".join(f' {key.replace("_", "-")}="{escape(printable(value))}"' for key, value in named.items())
    return f"<{name}{told}>{inside}</{name}>"


def untrusted(value: str, kind: str = "") -> str:
    """Text from a record in an element of its own: right-to-left letters in it move nothing outside."""
    return tag("code", text(value), kind)


def listed(name: str, items: Iterable[str], kind: str = "", **attributes: str) -> str:
    """An element that holds its items a line each."""
    return tag(name, "\n" + "\n".join(items) + "\n", kind, **attributes)


def folded(summary: str, inside: str, kind: str, *, is_open: bool = False) -> str:
    """What unfolds without a script."""
    return f'<details class="{kind}"{" open" * is_open}><summary>{summary}</summary>\n{inside}\n</details>'


def moment(seconds: float) -> str:
    """A time to the minute, in UTC: ``2026-11-22 07:52``."""
    return format_time(seconds)[:16].replace("T", " ")
