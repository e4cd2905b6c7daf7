"""What lives on after its end, in the words of whoever keeps the tree (field guide section 11)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import audit
from tests.support import NOW, WORKER, FakeProcesses, Tree, at, entry_of, job, journal_in, world

ENDED = {"completedAt": at(-3600), "pid": None}


@pytest.mark.parametrize(
    ("status", "run_status", "said"),
    [
        ("running", "INTERRUPTED", "INTERRUPTED"),
        ("running", "FINISHED", "FINISHED"),
        ("cancelled", "CANCELLED", "CANCELLED"),
        ("cancelled", "RUNNING", None),
        ("cancelled", None, "cancelled"),
    ],
)
def test_a_job_has_ended_where_its_companions_own_words_say_so(
    tmp_path: Path, status: str, run_status: str | None, said: str | None
) -> None:
    fields: dict[str, Any] = {**ENDED, "status": status, "runStatus": run_status or ..., "agentPid": 4711}
    record = job("task-1", **fields)
    tree = Tree(tmp_path / "tree").file(record).log("task-1")
    marks = job("task-2", **{**fields, "runStatus": "FINISHED", "agentPid": ...})
    tree.file(marks).index(entry_of(record), entry_of(marks), version=2)
    table = FakeProcesses().live(4242, *WORKER, "task-1", created=NOW - 7100)
    table.live(4711, "node", "/x/agent.js", created=NOW - 5000)
    found = audit([tree.root], world=world(table), journal=journal_in(tmp_path)).findings
    told = {each.rule: each for each in found if each.job == "task-1"}
    assert ("lives-on" in told) is ("agent-lives" in told) is (said is not None)
    if said is not None:
        assert told["lives-on"].message.startswith(f"recorded as {said}, but its worker lives: pid 4242")
        assert told["lives-on"].pid == 4242


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("node", "/x/gemini-companion.mjs", "task-worker", "task-1"), "with task-1"),
        ((*WORKER, "task-1"), "with --job-id task-1"),
        (("node", "/x/gemini-companion.mjs", "task-worker", "task-10"), None),
        (("node", "/x/gemini-companion.mjs", "task-worker"), None),
        (("node", "/x/gemini-companion.mjs", "cancel", "task-1"), None),
    ],
)
def test_a_worker_that_lives_on_is_known_however_it_is_given_its_job(
    tmp_path: Path, argv: tuple[str, ...], told: str | None
) -> None:
    record = job("task-1", status="cancelled", phase="cancelled", **ENDED)
    tree = Tree(tmp_path / "tree").file(record).log("task-1").index(entry_of(record))
    table = FakeProcesses().live(4242, *argv, created=NOW - 7100)
    found = audit([tree.root], world=world(table), journal=journal_in(tmp_path)).findings
    said = [each.message for each in found if each.rule == "lives-on"]
    assert said == ([] if told is None else [f"recorded as cancelled, but its worker lives: pid 4242, {told}"])
