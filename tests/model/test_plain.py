"""The report as plain values: what any reader of JSON takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import heal
from stateheal.model.plain import as_json
from tests.support import Tree, job, journal_in, world


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
@pytest.mark.parametrize("field", ["pid", "phase", "logFile", "completedAt", "errorMessage", "jobs"])
def test_a_number_too_big_for_a_float_is_told_as_text(tmp_path: Path, field: str, number: str) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    for path in (tree.path / "state.json", tree.path / "jobs/task-1.json"):
        value: Any = json.loads(path.read_text())
        if field != "jobs":
            value.get("jobs", [value])[0][field] = "HUGE"
        elif "jobs" in value:
            value["jobs"].append("HUGE")
        path.write_text(json.dumps(value).replace('"HUGE"', number))
    told = as_json(heal([tree.root], dry_run=True, world=world(), journal=journal_in(tmp_path)))
    text = json.dumps(told, allow_nan=False)
    assert told["findings"] and (field in ("completedAt", "jobs") or "Infinity" in text)
