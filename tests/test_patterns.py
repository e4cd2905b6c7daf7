"""An expression that is compiled when it is first used does what a compiled one does."""

from __future__ import annotations

import re

import pytest

from stateheal.patterns import pattern


def test_it_finds_what_re_finds() -> None:
    given, text = pattern(r"(?P<first>[a-c])(\d)", re.IGNORECASE), "a1 B2 d3"
    same = re.compile(r"(?P<first>[a-c])(\d)", re.IGNORECASE)
    assert [match.span() for match in given.finditer(text)] == [match.span() for match in same.finditer(text)]
    assert given.sub(r"\2\g<first>", text) == same.sub(r"\2\g<first>", text) == "1a 2B d3"
    assert given.findall(text) == same.findall(text) and given.split(text) == same.split(text)
    assert given.fullmatch(text) is None and given.match(text)[0] == "a1"  # type: ignore[index]
    assert (given.pattern, given.groups, dict(given.groupindex)) == (same.pattern, 2, {"first": 1})


def test_it_is_compiled_once_and_not_before() -> None:
    broken = pattern("(")
    with pytest.raises(re.error):
        broken.search("x")
    given = pattern("x")
    assert given.search == given.search and "search" in vars(given)
    with pytest.raises(AttributeError):
        given.none  # type: ignore[attr-defined]  # noqa: B018
