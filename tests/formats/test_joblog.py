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


OLD, NEW = "[2026-11-22T00:00:00.000Z]", "[2026-11-23T08:00:00.000Z]"


def test_lines_of_a_log_that_an_answer_quotes_belong_to_it() -> None:
    """What was written behind an answer is younger than it is; what it quotes is older, titles of blocks included."""
    text = f"the log says:\n{OLD} GET /\n{OLD} Final output\nnothing\n\n{OLD} and so on\n\nend"
    for title in ("Final output", "Review output", "Assistant message"):
        log = f"{TIME} Starting.\n\n{TIME} {title}\n{text}\n{NEW} Orphaned: pid 7 no longer alive (was running/x)\n"
        assert last_answer(log) == LogAnswer(title, f"{text}\n")
        assert last_answer(log.partition(NEW)[0]) == LogAnswer(title, f"{text}\n")


def test_a_clock_that_was_set_back_hides_no_final_output() -> None:
    log = f"{NEW} Assistant message\nfirst\n\n{TIME} Final output\nthe answer\n{TIME} Turn completed.\n"
    assert last_answer(log) == LogAnswer("Final output", "the answer\n")


def test_a_quoted_line_of_the_future_hides_no_final_output() -> None:
    log = f"{TIME} Assistant message\nseen:\n{NEW} x\n\n{TIME} Final output\nthe answer\n"
    assert last_answer(log) == LogAnswer("Final output", "the answer\n")
