"""Small questions that the hook asks say what an expression says, and need none to be compiled."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateheal.diagnosis.foreign import _is_posix_path, _is_windows_path
from stateheal.evidence.leftovers import _is_temporary
from stateheal.formats.times import _ISO, _parse, is_spelled_as_usual
from stateheal.hook import heal
from stateheal.hook.check import _is_time
from stateheal.model import jobs
from stateheal.model.disk import hash_in
from stateheal.model.records import is_plain_id


def _path_here(pattern: str) -> str:
    return rf"(?s)(?:{pattern}).*"


QUESTIONS: list[tuple[Callable[[str], object], str]] = [
    (is_plain_id, r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}"),
    (jobs._is_plain, r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"),
    (heal._is_plain, r"[A-Za-z0-9_-]{1,80}"),
    (hash_in, r"(?s)(?:.*-)?([0-9a-f]{16}|[0-9a-f]{12})"),
    (_is_temporary, r"(?s).*(\.tmp|\.temp|~|\.swp)|.*\.tmp[.-].*"),
    (_is_windows_path, r"(?s)(?:[A-Za-z]:[\\/]|[\\/]{2}[^\\/]).*"),
    (_is_posix_path, r"(?s)/(?!/[^/]).*"),
    (is_spelled_as_usual, r"(?a)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    (_is_time, r"(?a)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
]
ODD = ["", "\n", "a\n", "\udc80", "\u0661" * 12, "é", "a" * 81, "a" * 121, "-", ".", "\0", "K", "C:", "//", "///a"]


@pytest.mark.parametrize(("question", "pattern"), QUESTIONS, ids=lambda each: getattr(each, "__qualname__", ""))
@given(data=st.data())
def test_a_question_is_answered_as_its_expression_would(
    question: Callable[[str], object], pattern: str, data: st.DataObject
) -> None:
    matching = st.from_regex(pattern, fullmatch=True)
    changed = st.tuples(matching, st.integers(0, 200), st.text(max_size=2)).map(
        lambda each: each[0][: each[1]] + each[2] + each[0][each[1] + 1 :]
    )
    text = data.draw(matching | changed | st.sampled_from(ODD) | st.text("a1F-_./:~\\\n\u0663", max_size=18))
    assert bool(question(text)) == bool(re.fullmatch(pattern, text))


@given(st.from_regex(r"(?a)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fullmatch=True))
def test_a_time_that_is_spelled_as_usual_is_the_time_that_any_spelling_tells(text: str) -> None:
    assert _ISO.fullmatch(text) and _parse(text) == _parse(text.removesuffix("Z") + "+00:00")
