"""A host that sees only files: a dev container's state, and no process of it (field guide section 4).

Docker runs in a VM on a Mac: the project's directory is not here, the log is recorded where the container has it, and
every pid is "gone". A day after the last sign of life it is over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stateheal.formats.times import format_time
from tests.support import PROJECT, Tree, files_in, job, write_json

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform == "win32", reason="a path of the container would be another system's"),
]
IDENT = "task-mnyhf4jy-1mnkv1"
HOUR = 3600.0
THERE = "/workspaces/stateheal-test-that-is-not-here"
LOGS = "/home/vscode/.claude/plugins/data/codex-openai-codex/state/demo/jobs"
with subprocess.Popen([sys.executable, "-c", ""]) as _ended:
    DEAD = _ended.pid


def stateheal(*words: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "stateheal", *words], input=stdin, capture_output=True, timeout=120, cwd=PROJECT
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def heal() -> None:
    stateheal("heal")


def hook() -> None:
    tool = {"tool_name": "Bash", "tool_input": {"command": "node /p/codex-companion.mjs task second"}}
    event = {"session_id": "s", "cwd": THERE, "hook_event_name": "PreToolUse", **tool}
    stateheal("hook", stdin=json.dumps(event).encode())


def silent_for(tree: Tree, seconds: float, project: str = THERE, logs: str = LOGS) -> None:
    """A job and a broker of a container, all last touched so long ago."""
    moved = time.time() - seconds
    times = {key: format_time(moved) for key in ("createdAt", "startedAt", "updatedAt")}
    record = job(IDENT, pid=DEAD, workspaceRoot=project, logFile=f"{logs}/{IDENT}.log", **times)
    tree.file(record).index(record)
    (tree.path / f"jobs/{IDENT}.log").write_text(f"[{format_time(moved)}] Starting Codex Task.\n")
    broker = {"endpoint": "unix:/tmp/cxc-not-here/broker.sock", "sessionDir": "/tmp/cxc-not-here", "pid": DEAD}
    write_json(tree.path / "broker.json", broker)
    for path in tree.path.rglob("*"):
        os.utime(path, (moved, moved))


@pytest.fixture
def tree(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("STATEHEAL_HOOK_TIMEOUT", "100")
    return Tree(isolated / "home/.claude", project=THERE)


def found(tree: Tree) -> dict[str, tuple[str, str]]:
    report = json.loads(stateheal("audit", "--format", "json", str(tree.root)))
    return {
        each["rule"]: (each["severity"], each["message"])
        for each in report["findings"]
        if each["rule"] in ("dead-pid", "stale-broker")
    }


@pytest.mark.parametrize("by", [heal, hook])
def test_while_it_may_live_there_nothing_is_written(by: Callable[[], None], tree: Tree) -> None:
    silent_for(tree, 23 * HOUR)
    before = files_in(tree.path)
    for severity, message in found(tree).values():
        assert severity == "unsure" and "it may run in a container" in message
    assert found(tree).keys() == {"dead-pid", "stale-broker"}
    by()
    assert files_in(tree.path) == before


@pytest.mark.parametrize("by", [heal, hook])
def test_a_day_later_it_is_over(by: Callable[[], None], tree: Tree) -> None:
    silent_for(tree, 25 * HOUR)
    assert {severity for severity, _ in found(tree).values()} == {"damage"}
    by()
    assert tree.entry(IDENT)["phase"] == tree.record(IDENT)["phase"] == "orphaned"
    assert not (tree.path / "broker.json").exists()


@pytest.mark.parametrize("by", [heal, hook])
def test_a_copy_made_just_now_is_as_old_as_its_own_words(by: Callable[[], None], tree: Tree) -> None:
    """A checkout: the end that the job's repair writes is of now, and is no sign of life for the broker."""
    silent_for(tree, 25 * HOUR)
    for path in tree.path.rglob("*"):
        os.utime(path)
    assert {rule: severity for rule, (severity, _) in found(tree).items()} == {
        "dead-pid": "damage",
        "stale-broker": "damage",
    }
    by()
    assert tree.entry(IDENT)["phase"] == "orphaned" and not (tree.path / "broker.json").exists()


@pytest.mark.parametrize("by", [heal, hook])
@pytest.mark.parametrize("here", ["the project", "the log"])
def test_what_is_here_in_part_is_of_here(here: str, by: Callable[[], None], tree: Tree, tmp_path: Path) -> None:
    silent_for(
        tree,
        HOUR,
        project=str(tmp_path) if here == "the project" else THERE,
        logs=str(tree.path.resolve() / "jobs") if here == "the log" else LOGS,
    )
    by()
    assert tree.entry(IDENT)["phase"] == "orphaned"
    assert not (tree.path / "broker.json").exists()


def test_who_knows_better_says_so(tree: Tree) -> None:
    silent_for(tree, HOUR)
    stateheal("heal", "--assume-local")
    assert tree.entry(IDENT)["phase"] == "orphaned" and not (tree.path / "broker.json").exists()
