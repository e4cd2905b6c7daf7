"""A turn that may still run in the broker: person and model are told. Of a younger broker it would be untrue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stateheal.formats.times import format_time
from tests.support import Tree, job, write_json

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform == "win32", reason="a broker behind a unix socket"),
]
ORPHAN = "task-mnyhf4jy-1mnkv1"
SERVES = (
    "import socket, sys, time\n"
    "server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[-1][5:]); server.listen()\n"
    "print(flush=True); time.sleep(600)"
)
with subprocess.Popen([sys.executable, "-c", ""]) as _ended:
    DEAD = _ended.pid


@contextmanager
def broker(tree: Tree, endpoint: str) -> Iterator[None]:
    """A process that is a broker by its command line and takes connections, with its broker.json."""
    words = [sys.executable, "-c", SERVES, "/x/app-server-broker.mjs", "serve", "--endpoint", endpoint]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            write_json(tree.path / "broker.json", {"endpoint": endpoint, "sessionDir": "/x", "pid": process.pid})
            yield
        finally:
            process.kill()


def call(project: Path) -> dict[str, Any]:
    tool = {"tool_name": "Bash", "tool_input": {"command": "node /p/codex-companion.mjs task --resume-last go on"}}
    event = {"session_id": "s", "cwd": str(project), "hook_event_name": "PreToolUse", **tool}
    done = subprocess.run(
        [sys.executable, "-m", "stateheal", "hook"], input=json.dumps(event).encode(), capture_output=True, timeout=120
    )
    assert done.returncode == 0 and not done.stderr
    return json.loads(done.stdout) if done.stdout else {}


def lost(tree: Tree, moved: float, last_line: str = "Starting Codex Task.", **fields: Any) -> None:
    """A task whose worker is dead; its log moved at that time."""
    began = format_time(moved - 30)
    times = {"createdAt": began, "startedAt": began, "updatedAt": began}
    turn = {"threadId": "thr_42", "turnId": "turn_7"}
    log = tree.path.resolve() / f"jobs/{ORPHAN}.log"
    record = job(ORPHAN, pid=DEAD, workspaceRoot=tree.project, logFile=str(log), **{**times, **turn, **fields})
    tree.file(record).index(record)
    log.write_text(f"[{format_time(moved)}] {last_line}\n")
    os.utime(log, (moved, moved))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATEHEAL_HOOK_TIMEOUT", "100")
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def tree(project: Path, isolated: Path) -> Tree:
    tree = Tree(isolated / "home/.claude", project=str(project.resolve()))
    (tree.path / "jobs").mkdir(parents=True)
    return tree


def test_person_and_model_are_told_and_told_again(tree: Tree, project: Path, tmp_path: Path) -> None:
    with broker(tree, f"unix:{tmp_path}/b.sock"):
        lost(tree, time.time() + 0.2)
        time.sleep(0.3)
        first, second = call(project), call(project)
    assert tree.entry(ORPHAN)["phase"] == "orphaned"
    for said in (first, second):
        assert f"The turn of {ORPHAN} may still be running in this workspace's broker" in said["systemMessage"]
        model = said["hookSpecificOutput"]["additionalContext"]
        assert f"- {ORPHAN}: its worker is dead, but its turn may still be running" in model
        assert "Do not resume its thread" in model and "would hang" in model
        assert "goes on with" not in model, "a resume is the one thing not to offer"
    assert "closed or repaired 1 job" in first["systemMessage"] and "closed" not in second["systemMessage"]


@pytest.mark.parametrize(
    ("moved", "last_line", "fields"),
    [
        pytest.param(-60, "Starting Codex Task.", {}, id="the broker is younger than the turn's last move"),
        pytest.param(1, "Turn completed.", {}, id="its log tells the turn's end"),
        pytest.param(1, "Starting Codex Task.", {"jobClass": "review"}, id="a review's thread is never resumed"),
        pytest.param(1, "Starting Codex Task.", {"turnId": None}, id="it never had a turn"),
    ],
)
def test_where_it_would_be_untrue_nothing_is_said_of_it(
    moved: float, last_line: str, fields: dict[str, Any], tree: Tree, project: Path, tmp_path: Path
) -> None:
    with broker(tree, f"unix:{tmp_path}/b.sock"):
        lost(tree, time.time() + moved, last_line, **fields)
        time.sleep(max(0, moved) + 0.1)
        said = [call(project), call(project), call(project)]
    assert tree.entry(ORPHAN)["phase"] == "orphaned"
    assert "closed or repaired 1 job" in said[0]["systemMessage"]
    assert "may still be running" not in json.dumps(said)


def test_without_a_broker_nothing_runs_on(tree: Tree, project: Path, tmp_path: Path) -> None:
    with broker(tree, f"unix:{tmp_path}/b.sock"):
        lost(tree, time.time())
    said = [call(project), call(project)]
    assert not (tree.path / "broker.json").exists()
    assert "may still be running" not in json.dumps(said)
