"""``turn-running``: only of a broker that was there when the turn last moved (field guide section 4, end)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import audit, heal
from stateheal.model.evidence import Answer
from tests.support import NOW, FakeProcesses, Tree, at, job, journal_in, world, write_json

ENDPOINT = "unix:/nonexistent/b.sock"
SERVES = ("node", "/x/app-server-broker.mjs", "serve", "--endpoint", ENDPOINT)
MINUTE = 60.0


@pytest.mark.parametrize(
    ("began", "moved", "said"),
    [
        pytest.param(-7300, -MINUTE, True, id="an older broker"),
        pytest.param(-61, -MINUTE, True, id="it began a moment before"),
        pytest.param(-58, -MINUTE, False, id="it began a moment later"),
        pytest.param(-10, -MINUTE, False, id="a younger broker"),
        pytest.param(None, -MINUTE, True, id="when it began cannot be read"),
        pytest.param(-7300, -29 * MINUTE, True, id="half an hour is not over"),
        pytest.param(-7300, -31 * MINUTE, False, id="half an hour is over"),
    ],
)
def test_when_it_is_said(began: float | None, moved: float, said: bool, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1", threadId="thr_1", turnId="turn_1", startedAt=at(-7200)))
    os.utime(tree.path / "jobs/task-1.log", (NOW + moved, NOW + moved))
    write_json(tree.path / "broker.json", {"endpoint": ENDPOINT, "sessionDir": "/x", "pid": 77})
    table = FakeProcesses().live(77, *SERVES, created=None if began is None else NOW + began)

    def findings(do: Any) -> set[str]:
        here = world(table, ask=lambda endpoint: Answer.YES, greet=lambda endpoint: True)
        return {each.rule for each in do([tree.root], world=here, journal=journal_in(tmp_path)).findings}

    for do in (audit, heal):
        found = findings(do)
        assert "dead-pid" in found and ("turn-running" in found) is said
    assert ("turn-running" in findings(audit)) is said, "the repair itself is no move of the turn"
    assert tree.entry("task-1")["phase"] == "orphaned"
