"""A time of any spelling at which a job was at work is a sign of life (field guide section 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import heal, settings_of
from tests.support import NOW, FakeProcesses, Tree, at, files_in, job, journal_in, native, world

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


SPELLINGS = [
    *({field: at(-9)} for field in ("last_heartbeat_at", "updated_at", "lastHeartbeat", "lastSeen", "agentAliveAt")),
    *({"lastHeartbeatAt": number} for number in (int(NOW) - 9, (int(NOW) - 9) * 1000, NOW - 9.5)),
    {"heartbeat": at(-9)},
    {"heartbeat": {"at": at(-9), "seq": 4}},
    {"progress": {"percent": 40, "updatedAt": at(-9)}},
    {"timestamps": {"createdAt": at(-900), "lastProgressAt": (int(NOW) - 9) * 1000}},
    {"updatedAt": (int(NOW) - 9) * 1000},
]


@pytest.mark.parametrize("more", SPELLINGS, ids=[next(iter(each)) for each in SPELLINGS])
@pytest.mark.parametrize("fields", [{**ELSEWHERE, "pid": 4242}, {"pid": None}], ids=["a container's", "no pid"])
def test_whatever_a_beat_is_called_and_spelled(more: dict[str, Any], fields: dict[str, Any], tmp_path: Path) -> None:
    record = job("task-1", **{**LATE, **fields, **more})
    assert not healed(Tree(tmp_path / "tree").file(record).index(record), tmp_path)


@pytest.mark.parametrize(("began", "left"), [(-600, True), (-5, False)], ids=["it beat since", "another's by now"])
def test_a_process_that_began_late_is_no_other_where_the_heart_beat_since(
    began: float, left: bool, tmp_path: Path
) -> None:
    """A job run again under its id, or a clock that was put right: its process seems younger than the job."""
    began_at = NOW + began
    record = job("task-1", createdAt=at(-7200), startedAt=at(-7200), lastHeartbeatAt=at(-9), logFile=None)
    tree = Tree(tmp_path / "tree").file(record).index(record)
    table = FakeProcesses().live(record["pid"], "python3", "/opt/bridge.py", created=began_at)
    before = files_in(tree.root)
    heal([tree.root], settings=settings_of(), world=world(table), journal=journal_in(tmp_path))
    assert (files_in(tree.root) == before) is left


@pytest.mark.parametrize("field", BEATS)
@pytest.mark.parametrize("fields", [{**ELSEWHERE, "pid": 4242}, {"pid": None}], ids=["a container's", "no pid"])
def test_a_job_whose_heart_beats_is_left(field: str, fields: dict[str, Any], tmp_path: Path) -> None:
    record = job("task-1", **{**LATE, **fields, field: at(-9)})
    assert not healed(Tree(tmp_path / "tree").file(record).index(record), tmp_path)


@pytest.mark.parametrize("fields", [{**ELSEWHERE, "pid": 4242}, {"pid": None}], ids=["a container's", "no pid"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"heartbeatAt": at(-DAY - 9)},
        {"deadlineAt": at(900)},
        {"heartbeatAt": "now"},
        {"heartbeatIntervalMs": 5000, "nextPollAt": at(-9), "leaseExpiresAt": at(-9), "lastEventId": "7"},
        {"progress": {"phase": at(-9), "percent": 1e12}, "request": {"heartbeatAt": at(-9)}},
    ],
)
def test_one_whose_heart_stopped_is_healed(more: dict[str, Any], fields: dict[str, Any], tmp_path: Path) -> None:
    record = job("task-1", **{**LATE, **fields, **more})
    assert healed(Tree(tmp_path / "tree").file(record).index(record), tmp_path)


def test_the_last_beat_is_when_it_ended(tmp_path: Path) -> None:
    record = job("task-1", logFile=None, **{**LATE, "heartbeatAt": at(-600)})
    tree = Tree(tmp_path / "tree").file(record).index(record)
    assert healed(tree, tmp_path) and tree.record("task-1")["completedAt"] == at(-600)
