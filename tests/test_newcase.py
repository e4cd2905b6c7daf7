"""A new case is made in two steps, and what is made is a case."""

from __future__ import annotations

import json
from pathlib import Path

from tests.newcase import make
from tests.support import job, write_json
from tests.test_cases import Bench, short


def test_a_case_is_begun_damaged_and_filled(tmp_path: Path) -> None:
    cases = tmp_path / "cases"
    assert "put the damage in" in make("new-rule", cases)
    (workspace,) = (cases / "new-rule/before").iterdir()
    index = json.loads((workspace / "state.json").read_text())
    assert [entry["id"] for entry in index["jobs"]] == ["task-sound"]
    record = job("task-dead", pid=4242, logFile="@JOBS@/task-dead.log")
    write_json(workspace / "jobs/task-dead.json", record)
    write_json(workspace / "state.json", {**index, "jobs": [record, *index["jobs"]]})

    assert "are they the right answers?" in make("new-rule", cases)
    told = json.loads((cases / "new-rule/case.json").read_text())
    assert [workspace.name, "task-dead", "dead-pid", "damage"] in told["findings"]
    assert "task-sound" not in {finding[1] for finding in told["findings"]}
    bench = Bench("new-rule", tmp_path / "tree", cases).lay_out()
    assert short(bench.heal()) == told["findings"]
    after = {
        path.relative_to(cases / "new-rule/after").as_posix(): path.read_bytes()
        for path in (cases / "new-rule/after").rglob("*")
        if path.is_file()
    }
    assert after == bench.files() and b"orphaned" in after[f"{workspace.name}/jobs/task-dead.json"]
    assert "is there already" in make("new-rule", cases)
