"""Answers that stand in a job's log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stateheal.formats.joblog import LogAnswer, last_answer

TIME = "[2026-11-23T07:58:20.000Z]"
LINES = st.lists(st.sampled_from([TIME, f"{TIME} Assistant message", f"{TIME} Turn completed.", "text", "", "[x] y"]))


@given(st.one_of(st.text(), LINES.map("\n".join)))
def test_any_text_is_read(log: str) -> None:
    found = last_answer(log)
    assert found is None or found.text.strip() in log


def test_a_log_without_a_single_time_holds_no_answer() -> None:
    assert last_answer("") is None and last_answer("Assistant message\nit works\n") is None


def test_the_final_output_counts_before_a_later_message() -> None:
    log = f"{TIME} Assistant message\nfirst\n\n{TIME} Final output\nthe answer\n\n{TIME} Assistant message\nlater\n"
    assert last_answer(log) == LogAnswer("Final output", "the answer\n")
