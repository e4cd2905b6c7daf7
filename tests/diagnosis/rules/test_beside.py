"""Brokers behind real sockets, leftovers of real interrupted runs, rollouts as Codex writes them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import audit, heal
from stateheal.engine.commands import undo
from stateheal.evidence.broker import ask_endpoint
from stateheal.evidence.rollouts import Rollouts
from stateheal.fs.own_names import TEMP_PREFIX
from stateheal.model.evidence import Answer
from stateheal.model.findings import Outcome, Severity
from stateheal.model.look import Look, Seen
from stateheal.model.turns import TurnEnd
from tests.support import FakeProcesses, Tree, done, files_in, job, journal_in, world, write_json

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="unix sockets")


def broker(tree: Tree, endpoint: str, pid: Any = 4242) -> Path:
    path = tree.path / "broker.json"
    write_json(path, {"endpoint": endpoint, "sessionDir": "/tmp/cxc-x", "pid": pid})
    return path


# --- stale-broker --------------------------------------------------------------------------------------------------


def test_what_counts_as_no_answer(tmp_path: Path) -> None:
    assert ask_endpoint(f"unix:{tmp_path}/nowhere.sock") is Answer.NO
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "here.sock"))
        assert ask_endpoint(f"unix:{tmp_path}/here.sock") is Answer.NO, "bound, but nobody listens"
        server.listen()
        assert ask_endpoint(f"unix:{tmp_path}/here.sock") is Answer.YES
    assert ask_endpoint(f"unix:{tmp_path}/here.sock") is Answer.NO, "the file is there, the server gone"
    (tmp_path / "file").write_text("")
    for unknown in (
        f"unix:{tmp_path}/file/x",
        "unix:b.sock",
        "pipe:x",
        "tcp:1",
        None,
        5,
        "unix:/" + "x" * 300,
        "unix:/a\0b",
    ):
        assert ask_endpoint(unknown) is Answer.UNKNOWN, unknown


def test_an_answering_broker_stays_whatever_its_pid(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    path = broker(tree, f"unix:{tmp_path}/b.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "b.sock"))
        server.listen()
        assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).run is None
        assert path.exists()
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert report.healed == 1 and not path.exists()


def test_a_stale_broker_comes_back_on_undo(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    path = broker(tree, f"unix:{tmp_path}/b.sock")
    path.chmod(0o640)
    before, stat = files_in(tree.path), path.stat()
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    assert files_in(tree.path) == before
    assert (path.stat().st_mode, path.stat().st_mtime_ns) == (stat.st_mode, stat.st_mtime_ns)


def test_a_new_broker_that_came_meanwhile_is_not_overwritten_by_undo(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    broker(tree, f"unix:{tmp_path}/b.sock")
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    path = broker(tree, f"unix:{tmp_path}/new.sock")
    assert undo(journal=journal_in(tmp_path)).exit_status == 1
    assert "new.sock" in path.read_text()


@pytest.mark.parametrize("argv", [None, ("node", "/x/app-server-broker.mjs", "serve", "--endpoint", "ENDPOINT")])
def test_a_live_pid_that_may_be_the_broker_protects_it(tmp_path: Path, argv: tuple[str, ...] | None) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    path = broker(tree, f"unix:{tmp_path}/b.sock")
    endpoint = f"unix:{tmp_path}/b.sock"
    table = FakeProcesses().live(4242, *(word.replace("ENDPOINT", endpoint) for word in argv or ()))
    assert heal([tree.root], world=world(table), journal=journal_in(tmp_path)).run is None
    assert path.exists()


def test_a_broker_that_shows_itself_before_its_file_is_removed_keeps_it(tmp_path: Path) -> None:
    """Its recorded pid is proven another's; planning sees no broker anywhere, the look before the write does."""
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    endpoint = f"unix:{tmp_path}/b.sock"
    path = broker(tree, endpoint)
    before = path.read_bytes()
    processes = ShowsItself().live(4242, "vim")
    processes.words = ("node", "/x/app-server-broker.mjs", "serve", "--endpoint", endpoint)
    report = heal([tree.root], world=world(processes), journal=journal_in(tmp_path))
    assert path.read_bytes() == before and processes.looks > 1
    assert not [each for each in report.findings if each.outcome is Outcome.HEALED]
    assert heal([tree.root], world=world(FakeProcesses().live(4242, "vim")), journal=journal_in(tmp_path)).run
    assert not path.exists()


class ShowsItself(FakeProcesses):
    """A look at the process table shows one more from the second on."""

    words: tuple[str, ...] = ()

    def look(self) -> Look:
        if self.looks:
            self.elsewhere = [Seen(77, self.words)]
        return super().look()


def test_the_session_directory_is_never_touched(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    session = tmp_path / "cxc-1"
    session.mkdir()
    (session / "broker.pid").write_text("")
    write_json(
        tree.path / "broker.json", {"endpoint": f"unix:{session}/b.sock", "sessionDir": str(session), "pid": 4242}
    )
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).healed == 1
    assert [path.name for path in session.iterdir()] == ["broker.pid"]


# --- leftover-temp -------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from stateheal.fs.directory import Directory
def killed(self, old, new): os._exit(9)
Directory.replace = killed
from stateheal import cli
sys.exit(cli.run(["heal", "--assume-local", sys.argv[1]]))
"""


@pytest.mark.processes
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path, isolated: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1", pid=0))
    before = files_in(tree.path)
    assert subprocess.run([sys.executable, "-c", KILLED, str(tree.root)], timeout=60).returncode == 9
    left = files_in(tree.path).keys() - before.keys()
    assert {Path(name).suffix for name in left} == {".tmp", ".old"}
    assert all(Path(name).name.startswith(TEMP_PREFIX) for name in left)
    seen = audit([tree.root], world=world())
    assert "leftover-temp" in {finding.rule for finding in seen.findings}
    report = heal([tree.root], world=world())
    assert report.remaining == 0 and not [name for name in files_in(tree.path) if TEMP_PREFIX in name]
    while (report := undo()).run is not None:
        assert report.exit_status == 0
    assert {k: v for k, v in files_in(tree.path).items() if k not in left} == before


def test_a_temporary_file_of_a_run_at_work_is_no_leftover(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    journal = journal_in(tmp_path)
    (journal.runs_path / "0001-20261123T080000Z").mkdir(parents=True)
    (tree.path / ".stateheal-0001-20261123T080000Z-state.json.tmp").write_text("{")
    fcntl = pytest.importorskip("fcntl")
    fd = os.open(tree.path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert audit([tree.root], world=world(), journal=journal).count(Severity.DAMAGE) == 0
    os.close(fd)
    assert audit([tree.root], world=world(), journal=journal).count(Severity.DAMAGE) == 1


# --- rollouts ------------------------------------------------------------------------------------------------------


def rollout(home: Path, name: str, *events: Any, folder: str = "sessions/2026/11/22", tail: str = "") -> None:
    path = home / folder / f"rollout-{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"timestamp": "t", "type": kind, "payload": payload}) for kind, payload in events]
    path.write_text("\n".join(lines) + "\n" + tail)


def event(kind: str, turn: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "event_msg", {"type": kind, "turn_id": turn, **more}


DONE = {"last_agent_message": "The answer."}


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([event("task_started", "t1")], TurnEnd.OPEN),
        ([event("task_started", "t1"), event("task_complete", "t1", **DONE)], TurnEnd.COMPLETED),
        ([event("turn_complete", "t1", **DONE)], TurnEnd.COMPLETED),
        ([event("task_complete", "t1", last_agent_message=None)], TurnEnd.FAILED),
        ([event("task_complete", "t1", **DONE, error={"message": "limit"})], TurnEnd.FAILED),
        ([event("task_started", "t1"), event("turn_aborted", "t1")], TurnEnd.ABORTED),
        ([event("task_complete", "t2", **DONE)], None),
        ([("response_item", {"type": "task_complete", "turn_id": "t1", **DONE})], None),
        ([("event_msg", "nonsense"), ("unknown", None), event("task_complete", "t1", **DONE)], TurnEnd.COMPLETED),
    ],
)
def test_how_a_turn_ended(tmp_path: Path, events: list[Any], end: TurnEnd | None) -> None:
    rollout(tmp_path, "2026-11-22T08-53-08-thr_1", *events, tail='{"timestamp": "t", "turn_id": "t1", "ty')
    facts = Rollouts(tmp_path).turn("thr_1", "t1")
    assert (facts.end if facts else None) is end


def test_a_rollout_is_found_by_its_thread_alone(tmp_path: Path) -> None:
    thread = "019d8b1c-3a7e-7d40-b8a1-9e2f4c6d8e11"
    finished = event("task_complete", "t1", **DONE)
    rollout(tmp_path, f"2025-01-01T23-59-59-{thread}", finished, folder="sessions/2025/01/01")
    rollout(
        tmp_path,
        f"2025-01-01T00-00-00-{thread}_roll-7",
        event("task_complete", "t2", **DONE),
        folder="archived_sessions",
    )
    rollout(tmp_path, f"2025-01-01T00-00-00-x{thread}", event("task_complete", "t3", **DONE))
    found = Rollouts(tmp_path)
    assert [bool(found.turn(thread, turn)) for turn in ("t1", "t2", "t3")] == [True, True, False]
    assert found.turn(thread[:-1], "t1") is None
    assert Rollouts(tmp_path / "nowhere").turn(thread, "t1") is None


def test_a_recoverable_answer_is_named(tmp_path: Path, isolated: Path) -> None:
    rollout(isolated / "home/.codex", "2026-11-22T08-53-08-thr_1", event("task_complete", "t1", **DONE))
    tree = Tree(tmp_path / "tree").add(job("task-1", threadId="thr_1", turnId="t1"))
    report = audit([tree.root], world=world(), journal=journal_in(tmp_path))
    assert [f.rule for f in report.findings] == ["recoverable", "dead-pid"]
    assert report.findings[0].evidence == f"stateheal recover --job task-1 {tree.path}, or codex resume thr_1"
