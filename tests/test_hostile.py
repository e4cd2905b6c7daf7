"""Hostile input, and what a reading of the promises with hostile eyes once found: one test a promise nearly broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit import apply
from stateheal.commit.journal import Journal
from stateheal.commit.replacement import Replacement
from stateheal.engine.api import audit, heal, settings_of
from stateheal.engine.commands import undo
from stateheal.evidence.processes import SystemProcesses
from stateheal.model.findings import Outcome, Severity
from tests.support import (
    FakeProcesses,
    Tree,
    at,
    done,
    entry_of,
    files_in,
    job,
    journal_in,
    stats_in,
    world,
    write_json,
)

WORKER = ("node", "/x/codex-companion.mjs", "task")


def heal_in(tree: Tree, processes: FakeProcesses | None = None, **more: Any) -> Any:
    return heal([tree.root], world=world(processes), journal=journal_in(tree.root.parent), **more)


# --- values --------------------------------------------------------------------------------------------------------

ODD = [None, True, 0, -1, 1.5, 1e30, "", "x", "\ud800", [], {}, [{"a": [1]}], 10**30, "a\x1b[31m\n\u202e"]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    "field", ["id", "status", "phase", "pid", "createdAt", "logFile", "workspaceRoot", "owner", "request"]
)
def test_any_value_in_any_field_leaves_the_neighbours_healed(tmp_path: Path, field: str, value: Any) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(job("task-2", pid=4243))
    index = tree.read_index()
    index["jobs"][0][field] = value
    write_text(tree.path / "state.json", index)
    write_text(tree.path / "jobs/task-1.json", {**tree.record("task-1"), field: value})
    before = files_in(tree.root)
    report = heal_in(tree)
    assert not [error for error in report.errors if "internal" in error.message]
    assert tree.record("task-2")["phase"] == "orphaned" and tree.entry("task-2")["phase"] == "orphaned"
    assert heal_in(tree).run is None
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    assert files_in(tree.root) == before


def write_text(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


@pytest.mark.parametrize("ident", ["a\nb", "a\rb", "a\u2028b", "a\x85b", "a b", "\u00fc", "t" * 235, "a\udcffb"])
def test_odd_ids_are_healed_and_undone_exactly(tmp_path: Path, ident: str) -> None:
    tree = Tree(tmp_path / "tree")
    record = job(ident, logFile=None)
    (tree.path / "jobs").mkdir(parents=True)
    try:
        write_text(tree.path / "jobs" / f"{ident}.json", record)
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such name")
    write_text(tree.path / "state.json", {"version": 1, "jobs": [entry_of(record)]})
    before = files_in(tree.root)
    assert heal_in(tree).healed == 1
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    assert files_in(tree.root) == before


def test_one_poisoned_workspace_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.engine import workspace as visits

    bad = Tree(tmp_path / "tree", "/a").add(job("task-1"))
    good = Tree(tmp_path / "tree", "/b").add(job("task-1"))
    real = visits.make_plan

    def poisoned(evidence: Any, *rest: Any) -> Any:
        if evidence.place.name == bad.path.name:
            raise TypeError("boom")
        return real(evidence, *rest)

    monkeypatch.setattr(visits, "make_plan", poisoned)
    report = heal_in(good)
    assert report.exit_status == 3 and "internal error" in report.errors[0].message
    assert good.entry("task-1")["phase"] == "orphaned"


@pytest.mark.processes
@pytest.mark.posix("a FIFO")
def test_a_fifo_for_an_index_is_not_waited_for_by_job_either(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1", pid=0))
    other = Tree(tree.root, "/other").add(job("task-2", pid=0))
    (other.path / "state.json").unlink()
    os.mkfifo(other.path / "state.json")
    command = [sys.executable, "-m", "stateheal", "heal", "--job", "task-1", str(tree.root)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert child.returncode == 3 and "a FIFO" in child.stderr
    assert tree.entry("task-1")["phase"] == "orphaned"


# --- liveness ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pid", [True, 0, "7000"])
def test_the_finished_side_of_a_live_job_is_not_touched(tmp_path: Path, pid: Any) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1", pid=pid), status="running", pid=7000)
    before = stats_in(tree.path)
    report = heal_in(tree, FakeProcesses().live(7000, *WORKER))
    assert report.run is None and stats_in(tree.path) == before


@pytest.mark.parametrize("spoilt", [lambda data: b"[" * 300 + data, lambda data: data[:-9]], ids=["too deep", "torn"])
@pytest.mark.parametrize("select", [[], ["dead-pid"]])
def test_no_verdict_while_the_index_may_name_a_live_process(tmp_path: Path, spoilt: Any, select: list[str]) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"), pid=7000)
    path = tree.path / "state.json"
    path.write_bytes(spoilt(path.read_bytes()))
    os.utime(path, (1, 1))
    before = tree.record("task-1")
    heal_in(tree, FakeProcesses().live(7000, *WORKER), settings=settings_of(select))
    assert tree.record("task-1") == before


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_process_whose_first_thread_has_ended_is_no_zombie() -> None:
    sleeper = "import threading, time, ctypes; threading.Thread(target=time.sleep, args=(60,)).start();"
    code = f"{sleeper} ctypes.CDLL(None).pthread_exit(None)"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 20
        while "State:\tZ" not in Path(f"/proc/{child.pid}/status").read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        facts = SystemProcesses().facts(child.pid)
        assert facts.exists and not facts.zombie
    finally:
        child.kill()
        child.wait()


@pytest.mark.links("a log that leads nowhere")
def test_an_unreadable_log_is_still_a_sign_of_life(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1", pid=None))
    log = tree.path / "jobs/task-1.log"
    log.unlink()
    log.symlink_to("/nonexistent")
    os.utime(log, (world().processes.host().now - 10,) * 2, follow_symlinks=False)
    (finding, *_) = heal_in(tree).findings
    assert finding.severity is Severity.UNSURE


# --- the journal, and undo -----------------------------------------------------------------------------------------


def test_an_original_that_was_overwritten_at_once_stays_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    original = (tree.path / "jobs/task-1.json").read_bytes()
    reading, seen = Replacement._read_back, []

    def meddling(self: Replacement, data: bytes) -> None:
        if self.target.name == "task-1.json" and not seen:
            seen.append(self.target.name)
            write_json(tree.path / "jobs/task-1.json", {**tree.record("task-1"), "theirs": 1})
        reading(self, data)

    monkeypatch.setattr(Replacement, "_read_back", meddling)
    heal_in(tree)
    monkeypatch.undo()
    archives = [archive for run in journal_in(tmp_path).runs() for archive in run.archives]
    kept = [archive.originals([i])[i.name] for archive in archives for i in archive.planned if "task-1.json" in i.name]
    assert original in kept


def test_undo_refuses_what_somebody_else_wrote_between_two_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stateheal.errors import Conflict

    tree = Tree(tmp_path / "tree").add(job("task-1"))
    calls = []

    def racing(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 1:
            record = job("task-3", pid=4243)
            tree.add(record)
            raise Conflict("the log was written to")

    monkeypatch.setattr(apply, "append_line", racing)
    heal_in(tree)
    monkeypatch.undo()
    now = files_in(tree.path)
    report = undo(journal=journal_in(tmp_path))
    assert report.exit_status == 1 and files_in(tree.path) == now


def test_an_undo_that_fails_half_way_takes_itself_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(job("task-2", pid=4243))
    write_json(tree.path / "broker.json", {"endpoint": "unix:/nonexistent/b", "pid": 4242})
    heal_in(tree)
    healed = files_in(tree.path)
    real = Replacement._swap

    def failing(self: Replacement) -> None:
        if self.target.name == "task-1.json":
            raise OSError(28, "No space left on device")
        real(self)

    monkeypatch.setattr(Replacement, "_swap", failing)
    assert undo(journal=journal_in(tmp_path)).exit_status == 1
    monkeypatch.undo()
    assert files_in(tree.path) == healed
    assert undo(journal=journal_in(tmp_path)).exit_status == 0


def test_a_run_at_work_is_not_pruned(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    journal = Journal(tmp_path / "j", keep=1)
    at_work = journal.begin("heal", "0", 0)
    at_work.record(tree.path, [])
    for number in range(3):
        tree.add(job(f"task-new-{number}"))
        heal([tree.root], world=world(), journal=journal)
    assert at_work.id in journal.run_ids() and len(journal.run_ids()) == 2
    at_work.close()


def test_a_log_gets_one_line_whatever_the_record_says(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1", phase="x\n[t] Codex error: forged\x1b[31m"))
    heal_in(tree)
    lines = (tree.path / "jobs/task-1.log").read_text().splitlines()
    assert len(lines) == 2 and "\x1b" not in lines[1]


# --- one odd job does not block its workspace ------------------------------------------------------------------------


def test_a_relabelled_job_that_carries_the_message_on_both_sides(tmp_path: Path) -> None:
    bad = {"status": "failed", "phase": "orphaned", "errorMessage": "Orphaned: by another tool"}
    tree = Tree(tmp_path / "tree").add(done("task-1", errorMessage="Orphaned: by another tool"), **bad)
    assert heal_in(tree).remaining == 0
    assert "errorMessage" not in tree.record("task-1") and "errorMessage" not in tree.entry("task-1")


def test_a_bad_time_is_not_copied(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1", completedAt="x"), status="running", pid=4242, completedAt=...)
    heal_in(tree)
    assert tree.entry("task-1")["status"] == "completed" and "completedAt" not in tree.entry("task-1")


def test_a_dry_run_foretells_what_silence_settles(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"), status="running", pid="abc", completedAt=...)
    write_json(tree.path / "state.json", {**tree.read_index()})
    now = world().processes.host().now
    for path in tree.path.rglob("*"):
        os.utime(path, (now - 600, now - 600))
    foretold = heal_in(tree, dry_run=True)
    done_ = heal_in(tree)
    assert [f.job for f in foretold.findings if f.outcome is Outcome.WOULD_HEAL] == ["task-1"]
    assert [f.job for f in done_.findings if f.outcome is Outcome.HEALED] == ["task-1"]


# --- sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs an address space limit")
@pytest.mark.posix("an address space limit")
def test_huge_files_are_reported_under_a_memory_limit(tmp_path: Path) -> None:
    import resource  # Windows has none

    tree = Tree(tmp_path / "tree").add(job("task-1", pid=0))
    huge = Tree(tree.root, "/home/dev/projects/huge").add(job("task-2", pid=0))
    with (huge.path / "state.json").open("r+b") as file:
        file.truncate(3 * 1024**3)
    with (tree.path / "jobs/task-big.json").open("wb") as file:
        file.truncate(100 * 1024**2)
    child = subprocess.run(
        [sys.executable, "-m", "stateheal", "heal", str(tree.root)],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 * 1024**3, 2 * 1024**3)),
    )
    assert child.returncode == 3
    assert child.stderr.count("\n") == 2 and "3,221,225,472 bytes" in child.stderr and "104,857,600" in child.stderr
    assert tree.entry("task-1")["phase"] == "orphaned", "the rest of the work is done"


def test_thousands_of_entries_of_one_pid(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").file(job("task-0"))
    tree.index(*(entry_of(job(f"task-{n}", pid=7000, startedAt=at(-n))) for n in range(3000)))
    report = audit([tree.root], world=world(FakeProcesses().live(7000, created=0.0)), journal=journal_in(tmp_path))
    assert report.jobs == 3000


def test_a_text_of_quotes_does_not_cost_its_square(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    (tree.path / "jobs/task-1.json").write_bytes(b"[" + b"[]," * 600 + b'"' + b'\\"' * 200_000)
    finished = threading.Event()
    thread = threading.Thread(target=lambda: (heal_in(tree), finished.set()), daemon=True)
    thread.start()
    assert finished.wait(60)
