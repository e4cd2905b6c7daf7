"""Commands that a sentence names stand whole on lines of their own."""

from __future__ import annotations

import pytest

from stateheal.report.helps import apart


@pytest.mark.parametrize(
    ("evidence", "lines"),
    [
        ("", ["it is gone"]),
        ("log touched now", ["it is gone; log touched now"]),
        ("to end it: stateheal stop task-1", ["it is gone; to end it:", "stateheal stop task-1"]),
        (
            "if it hangs: stateheal stop task-1, or /codex:cancel task-1",
            ["it is gone; if it hangs:", "stateheal stop task-1", "or /codex:cancel task-1"],
        ),
        (
            "if it was deleted: stateheal prune --gone; if it was moved: stateheal migrate --workspace /a NEW",
            [
                *("it is gone; if it was deleted:", "stateheal prune --gone"),
                *("if it was moved:", "stateheal migrate --workspace /a NEW"),
            ],
        ),
        (
            "stateheal recover --job task-1, or codex resume t",
            ["it is gone", "stateheal recover --job task-1", "or codex resume t"],
        ),
        ("it ran: stateheal run -- rm x", ["it is gone; it ran: stateheal run", "-- rm x"]),
        ("'stateheal stop x' was tried", ["it is gone; 'stateheal stop x' was", "tried"]),
    ],
)
def test_each_stands_alone_and_whole(evidence: str, lines: list[str]) -> None:
    told = list(apart("it is gone", evidence, 35))
    assert [line for line, _ in told] == lines
    for line, needs in told:
        assert needs in (0, len(line)) and (needs > 0) == line.startswith("stateheal ")
