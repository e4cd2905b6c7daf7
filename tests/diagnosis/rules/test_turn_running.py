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


@pytest.mark.parametrize("thread", ["thr_1", "x$(touch pwned)", "--yolo", "a b", "a\nb", "a;b"])
def test_no_text_of_a_record_stands_in_a_command_to_be_typed(thread: str, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1", threadId=thread, turnId="turn_1", startedAt=at(-7200)))
    os.utime(tree.path / "jobs/task-1.log", (NOW - MINUTE, NOW - MINUTE))
    write_json(tree.path / "broker.json", {"endpoint": ENDPOINT, "sessionDir": "/x", "pid": 77})
    here = world(FakeProcesses().live(77, *SERVES, created=NOW - 7300), ask=lambda endpoint: Answer.YES)
    found = audit([tree.root], world=here, journal=journal_in(tmp_path)).findings
    (notice,) = [each for each in found if each.rule == "turn-running"]
    told = {(f"{each.message} {each.evidence}", each.resume) for each in found}
    assert ("codex resume thr_1" in notice.evidence) is (thread == "thr_1")
    assert thread == "thr_1" or not any(thread in text or resume for text, resume in told)


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
