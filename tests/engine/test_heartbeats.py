"""A time of any spelling at which a job was at work is a sign of life (field guide section 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import heal, settings_of
from tests.support import FakeProcesses, Tree, at, files_in, job, journal_in, native, world

DAY = 86400
LATE: dict[str, Any] = {"createdAt": at(-2 * DAY), "startedAt": at(-2 * DAY), "updatedAt": at(-DAY - 60)}
ELSEWHERE: dict[str, Any] = {
    "workspaceRoot": native("/workspaces/shop"),
    "logFile": native("/home/vscode/jobs/task-1.log"),
}
BEATS = ["heartbeatAt", "lastHeartbeatAt", "lastProgressAt", "lastActivityAt", "lastSeenAt"]


def healed(tree: Tree, tmp_path: Path) -> bool:
    before = files_in(tree.root)
    heal([tree.root], settings=settings_of(), world=world(FakeProcesses()), journal=journal_in(tmp_path))
    return files_in(tree.root) != before


@pytest.mark.parametrize("field", BEATS)
@pytest.mark.parametrize("fields", [{**ELSEWHERE, "pid": 4242}, {"pid": None}], ids=["a container's", "no pid"])
def test_a_job_whose_heart_beats_is_left(field: str, fields: dict[str, Any], tmp_path: Path) -> None:
    record = job("task-1", **{**LATE, **fields, field: at(-9)})
    assert not healed(Tree(tmp_path / "tree").file(record).index(record), tmp_path)


@pytest.mark.parametrize("fields", [{**ELSEWHERE, "pid": 4242}, {"pid": None}], ids=["a container's", "no pid"])
@pytest.mark.parametrize("more", [{}, {"heartbeatAt": at(-DAY - 9)}, {"deadlineAt": at(900)}, {"heartbeatAt": "now"}])
def test_one_whose_heart_stopped_is_healed(more: dict[str, Any], fields: dict[str, Any], tmp_path: Path) -> None:
    record = job("task-1", **{**LATE, **fields, **more})
    assert healed(Tree(tmp_path / "tree").file(record).index(record), tmp_path)


def test_the_last_beat_is_when_it_ended(tmp_path: Path) -> None:
    record = job("task-1", logFile=None, **{**LATE, "heartbeatAt": at(-600)})
    tree = Tree(tmp_path / "tree").file(record).index(record)
    assert healed(tree, tmp_path) and tree.record("task-1")["completedAt"] == at(-600)
