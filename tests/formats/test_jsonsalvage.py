"""What stands whole in a damaged text is read, before the damage and behind it; nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stateheal.formats.jsonsalvage import salvage

RECORD = {
    "id": "task-mnyhf4jl-1mnkv1",
    "status": "completed",
    "summary": 'say "it", {then} stop',
    "request": {"prompt": "fix it", "model": None, "tries": [1, 22, {"status": "queued", "pid": 7}]},
    "pid": 4242,
    "write": False,
    "result": {"status": 0, "rawOutput": "the\nanswer", "nested": {"id": "x"}},
    "rendered": "the answer",
}
PRETTY = json.dumps(RECORD, indent=2) + "\n"
TABS = json.dumps(RECORD, indent="\t")
COMPACT = json.dumps(RECORD, separators=(",", ":"))


def members(text: str | bytes) -> dict[str, Any]:
    return dict(salvage(text if isinstance(text, bytes) else text.encode()).members)


def parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("byte", ["\x01", '"', "{", "}", "[", "]", ",", ":", "\\", "x", "\0", "\n", "7"])
@pytest.mark.parametrize("whole", [PRETTY, TABS, COMPACT], ids=["pretty", "tabs", "compact"])
def test_one_wrong_byte_costs_one_member_at_most(whole: str, byte: str) -> None:
    """Wherever it stands: nothing is read that was not there, and in lines all but its neighbours stay."""
    for place in range(4, len(whole) - 1):
        torn = whole[:place] + byte + whole[place + 1 :]
        if parses(torn):
            continue
        found = members(torn)
        wrong = {key for key, value in found.items() if RECORD.get(key, ...) != value}
        assert not wrong & {"id", "status", "pid", "rendered"}, (place, torn, wrong)
        # Of a damaged object a part may stand; in one line a lost bracket has no place of its own.
        assert len(wrong) <= 1 or (whole is COMPACT and byte in "[]{},"), (place, torn, wrong)
        if whole is not COMPACT:
            assert len(RECORD.keys() - found.keys()) <= 2, (place, torn[max(0, place - 20) : place + 20], found)


@pytest.mark.parametrize("whole", [PRETTY, COMPACT], ids=["pretty", "compact"])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("say", "say\x01"),
        ("fix it", "fix\tit"),
        ("stop", "st\0p"),
        ("say", 'say "'),
        ("fix it", 'fix "it'),
        ("null", "NaN"),
        ("false", "undefined"),
        ("4242", "-Infinity"),
        ("4242", "42\0\x002"),
        ("queued", "que\\qued"),
    ],
)
def test_what_stands_behind_a_wrong_value_is_read(whole: str, right: str, wrong: str) -> None:
    if whole is COMPACT and wrong in ('fix "it', "que\\qued"):
        pytest.skip("in one line nobody knows where an object with such a value ends")
    found = members(whole.replace(right, wrong, 1))
    assert {key: found[key] for key in ("id", "status", "result", "rendered")} == {
        key: RECORD[key] for key in ("id", "status", "result", "rendered")
    }
    assert all(RECORD[key] == value for key, value in found.items() if key != "request")


@pytest.mark.parametrize("size", [2, 30, 90, 200])
def test_behind_a_hole_the_lines_of_the_record_are_read(size: int) -> None:
    for start in range(2, PRETTY.index('\n  "result"') - size):
        torn = PRETTY[:start] + "\0" * size + PRETTY[start + size :]
        found = members(torn)
        assert found["result"] == RECORD["result"] and found["rendered"] == RECORD["rendered"], start
        assert all(RECORD[key] == value for key, value in found.items() if key != "request"), start


def test_a_record_without_its_beginning_is_read() -> None:
    for start in range(PRETTY.index('\n  "result"')):
        found = members("\0" * start + PRETTY[start:])
        assert found["result"] == RECORD["result"], start
        assert all(RECORD[key] == value for key, value in found.items()), start


def entries(*summaries: str) -> str:
    told = [{"id": f"task-{n}", "summary": each, "status": "completed", "pid": n} for n, each in enumerate(summaries)]
    return json.dumps({"version": 1, "jobs": told, "epoch": 9}, indent=2)


@pytest.mark.parametrize("wrong", ["\x01", '"', "\0"])
def test_of_an_entry_with_a_wrong_byte_the_rest_is_read(wrong: str) -> None:
    text = entries("first", "second", "third").replace("second", f"sec{wrong}ond")
    found = salvage(text.encode())
    assert [each["id"] for each in found.objects] == ["task-0", "task-2"]
    assert found.fragments == ({"id": "task-1", "status": "completed", "pid": 1},)
    assert found.members == {"version": 1, "epoch": 9}


def test_two_entries_with_a_hole_over_their_border_are_not_mixed() -> None:
    text = entries("first", "second", "third")
    for start in range(text.index("first"), text.index("second")):
        for size in (2, 20, 60, 150):
            found = salvage((text[:start] + "\0" * size + text[start + size :]).encode())
            for each in found.fragments:
                number = int(str(each["id"])[-1])
                assert each.get("pid", number) == number, (start, size, each)
                assert each.get("summary", str(number)) in (("first", "second", "third")[number], str(number))


def test_a_cut_text_is_read_up_to_the_cut() -> None:
    for whole in (PRETTY, TABS, COMPACT):
        for end in range(len(whole)):
            found = members(whole[:end])
            assert all(RECORD[key] == value for key, value in list(found.items())[:-1])


def test_of_two_texts_the_first_is_read() -> None:
    assert (
        members(PRETTY.replace("say", "say\x01") + PRETTY.replace("the answer", "another"))["rendered"] == "the answer"
    )
    assert members(PRETTY + "}\n") == RECORD
