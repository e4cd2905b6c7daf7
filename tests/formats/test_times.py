"""Times, ages and durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateheal.formats.times import describe_age, format_time, parse_duration, parse_time, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00.000Z", 0.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T01:00:00.5+01:00", 0.5),
        ("1969-12-31T23:00:00-0100", 0.0),
        ("2026-11-22T07:52:49.690Z", 1795333969.69),
    ],
)
def test_a_time_with_a_zone_is_read(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        *(7, None, True, [], "yesterday", "", "2026-11-22", "2026-11-22T07:52:49", "2026-13-01T00:00:00Z"),
        *("2026-02-30T00:00:00Z", "\u0662026-11-22T07:52:49Z", "2026-11-22T07:52:49Z ", "0001-01-01T00:00:00+23:00"),
    ],
)
def test_anything_else_is_no_time(value: object) -> None:
    assert parse_time(value) is None


@given(st.integers(0, 4_000_000_000_000))
def test_milliseconds_survive_the_round_trip(milliseconds: int) -> None:
    text = format_time(milliseconds / 1000)
    assert len(text) == 24
    assert round((parse_time(text) or 0) * 1000) == milliseconds


@given(st.floats(allow_nan=False))
def test_a_time_that_no_year_holds_is_the_first_or_the_last_that_can_be_spelt(seconds: float) -> None:
    text = format_time(seconds)
    assert len(text) == 24 and parse_time(text) is not None
    assert seconds < 253402300800 or text == "9999-12-31T23:59:59.999Z"
    assert seconds > -62135596801 or text == "0001-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400), ("250ms", 0.25)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-5s", "5 weeks", "1e9", "nan", "5s5s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("ago", "words"),
    [(0.2, "now"), (5, "5 s ago"), (200, "3 min ago"), (7300, "2 h ago"), (3e5, "3 d ago"), (-90, "in 1 min")],
)
def test_ages(ago: float, words: str) -> None:
    assert describe_age(1e9 - ago, 1e9) == words


@pytest.mark.parametrize(
    ("text", "shown"), [("30d", "30d"), ("720h", "30d"), ("90", "90s"), ("250ms", "0.25s"), ("120m", "2h"), ("0", "0s")]
)
def test_a_duration_is_written_in_the_largest_unit_that_says_it_whole(text: str, shown: str) -> None:
    assert write_duration(parse_duration(text)) == shown


@given(st.integers(0, 10**9))
def test_a_written_duration_reads_back_as_itself(milliseconds: int) -> None:
    assert parse_duration(write_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)
