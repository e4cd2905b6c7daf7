"""A report as JSON text: the same values whole and in pieces, and a finding is made when it is its turn."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from stateheal.model.findings import Finding, Severity
from stateheal.model.plain import as_json, in_pieces
from stateheal.model.report import Report
from stateheal.report.json import pieces

FINDINGS = tuple(
    Finding("dead-pid", Severity.DAMAGE, "w-0", f"/s/w-0/{n}", "gone\n→ \ud800", job=f"task-{n}") for n in "abc"
)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_one_object_with_a_finding_a_line(count: int) -> None:
    report = Report("audit", findings=FINDINGS[:count], time=1.0)
    text = "".join(pieces(in_pieces(report, rows=[{"a": [1]}]), False))
    assert json.loads(text) == {**as_json(report), "rows": [{"a": [1]}]}
    assert text.isascii() and text.endswith("\n}\n")
    assert [line.startswith('    {"rule": ') for line in text.splitlines()].count(True) == count
    if not count:
        assert '\n  "findings": [],\n' in text


def test_a_record_a_line_and_then_the_rest() -> None:
    report = Report("audit", findings=FINDINGS, time=1.0)
    *told, rest = "".join(pieces(in_pieces(report), True, "findings")).splitlines()
    assert [json.loads(line) for line in told] == as_json(report)["findings"]
    assert json.loads(rest) == {**as_json(report), "findings": []}


def test_another_list_by_lines_leaves_the_findings_whole() -> None:
    report = Report("jobs", findings=FINDINGS, time=1.0)
    told, rest = "".join(pieces(in_pieces(report, jobs=[{"id": "x"}]), True, "jobs")).splitlines()
    assert json.loads(told) == {"id": "x"}
    assert json.loads(rest) == {**as_json(report), "jobs": []}


@pytest.mark.parametrize("ndjson", [False, True])
def test_a_finding_is_made_when_it_is_its_turn(ndjson: bool) -> None:
    made: list[int] = []

    def findings() -> Iterator[dict[str, int]]:
        for n in range(3):
            made.append(n)
            yield {"n": n}

    seen = [len(made) for piece in pieces({"findings": findings()}, ndjson, "findings") if '"n"' in piece]
    assert seen == [1, 2, 3]
