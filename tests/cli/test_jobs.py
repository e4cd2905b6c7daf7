"""``stateheal jobs``: what runs, what hangs, what is dead; judged as a heal judges."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from stateheal.evidence.schema import violations
from stateheal.formats.times import format_time
from stateheal.text import quoted
from tests.support import Tree, done, files_in, job
from tests.workers import gone_pid, worker

GONE = gone_pid()


def ago(seconds: float) -> str:
    return format_time(time.time() - seconds)


def started(seconds: float) -> dict[str, str]:
    return {"createdAt": ago(seconds + 1), "startedAt": ago(seconds)}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A dead job, one of another machine, one that was completed."""
    made = Tree(tmp_path / "tree")
    made.add(job("task-dead", pid=GONE, threadId="thr_7", summary="fix the\nbuild", **started(7200)))
    made.add(job("review-far", jobClass="review", owner={"hostname": "elsewhere"}, threadId="thr_8", **started(60)))
    return made.add(done("task-done", completedAt=ago(90_000), **started(90_061)))


def block(out: str, ident: str) -> str:
    """What is said of one job, folded lines put together."""
    lines = out.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(f"  {ident} "))
    rest = lines[first + 1 :]
    end = next((n for n, line in enumerate(rest) if not line.startswith("    ")), len(rest))
    return " ".join(" ".join(lines[first : first + 1 + end]).split())


def test_active_jobs_are_listed_with_verdict_title_age_and_resume_command(run: Any, tree: Tree) -> None:
    before = files_in(tree.root)
    said = run("jobs", tree.root)
    assert said.status == 0 and said.err == ""
    dead = block(said.out, "task-dead")
    for word in (
        "running, dead",
        "2 h ago",
        '"Codex Task: fix the build"',
        str(GONE),
        "codex resume thr_7",
        "; blocks",
    ):
        assert word in dead, word
    far = block(said.out, "review-far")
    assert "unsure" in far and "elsewhere" in far and "codex resume" not in far, "a review's thread is gone"
    assert "task-done" not in said.out
    assert "2 active (1 dead, 1 unsure), 1 finished (--all shows them)" in " ".join(said.out.split())
    assert f"  stateheal heal {quoted(str(tree.root))}\n" in said.out
    assert f"  stateheal close review-far {quoted(str(tree.path))}\n" in said.out
    assert max(len(line) for line in said.out.splitlines() if "stateheal" not in line) <= 80
    assert files_in(tree.root) == before


def test_status_is_another_name(run: Any, tree: Tree) -> None:
    assert run("status", tree.root).out == run("jobs", tree.root).out


@pytest.mark.parametrize(
    ("options", "shown"),
    [(["--all"], True), (["--since", "2d"], True), (["--since", "1h"], False), (["--job", "task-done"], True)],
)
def test_finished_jobs_are_listed_when_asked_for(run: Any, tree: Tree, options: list[str], shown: bool) -> None:
    said = run("jobs", *options, tree.root)
    assert ("  task-done  completed 1 d ago after 1 min" in said.out) is shown


@pytest.mark.processes
def test_a_live_worker_is_alive_and_one_that_is_silent_for_hours_may_be_stopped(
    run: Any, tmp_path: Path, tree: Tree
) -> None:
    with worker(tmp_path, "task-live") as process:
        tree.add(job("task-live", pid=process.pid, **started(3 * 3600)))
        said = run("jobs", tree.root)
        assert f"pid {process.pid} runs this very job" in block(said.out, "task-live")
        assert "alive" in block(said.out, "task-live")
        assert f"  stateheal stop task-live {quoted(str(tree.path))}\n" in said.out
        tree.log("task-live")
        os.utime(tree.path / "jobs/task-live.log")
        said = run("jobs", tree.root)
        assert "log touched now, last recorded activity 3 h ago" in block(said.out, "task-live")
        assert "stateheal stop" not in said.out


@pytest.mark.processes
def test_a_job_that_is_recorded_as_ended_and_lives_on_stands_in_the_list(run: Any, tmp_path: Path, tree: Tree) -> None:
    ident = f"task-listed{os.getpid()}"
    with worker(tmp_path, ident) as process:
        tree.add(job(ident, status="cancelled", pid=None, completedAt=ago(60), **started(3600)))
        said = run("jobs", tree.root)
        told = block(said.out, ident)
        assert "cancelled 1 min ago" in told and f"its worker lives: pid {process.pid}" in told
        assert "2 finished (--all shows them), of 1 something lives on." in " ".join(said.out.split())
        assert f"  stateheal stop {ident} {quoted(str(tree.path))}\n" in said.out
        (row,) = (row for row in run("jobs", tree.root, "--format", "json").json["jobs"] if row["job"] == ident)
        assert row["needs"] == "stop" and row["active"] is False and str(process.pid) in row["notices"][0]
    assert ident not in run("jobs", tree.root).out


def test_json_and_ndjson_hold_the_same_rows(run: Any, tree: Tree) -> None:
    whole = run("jobs", "--all", tree.root, "--format", "json").json
    assert violations("report", whole) == () and whole["command"] == "jobs" and whole["findings"] == []
    rows = {row["job"]: row for row in whole["jobs"]}
    assert [*rows] == ["review-far", "task-dead", "task-done"], "the active ones first, then the newest"
    assert rows["task-dead"]["verdict"] == "dead" and rows["task-dead"]["blocks"] is True
    assert rows["task-dead"]["summary"] == "fix the\nbuild" and rows["task-dead"]["needs"] == "heal"
    assert rows["review-far"]["blocks"] is False and rows["review-far"]["resume"] is None
    assert rows["task-done"]["verdict"] is None and rows["task-done"]["active"] is False
    *lines, last = map(json.loads, run("jobs", "--all", tree.root, "--format", "ndjson").out.splitlines())
    assert [line["job"] for line in lines] == [*rows]
    assert last["jobs"] == [] and last["summary"]["jobs"] == 3 and violations("report", last) == ()


def test_jobs_are_listed_even_where_the_index_is_torn(run: Any, tree: Tree) -> None:
    index = tree.path / "state.json"
    index.write_bytes(index.read_bytes()[:40])
    os.utime(index, (1, 1))
    said = run("jobs", tree.root)
    assert "unsure" in block(said.out, "task-dead") and "state.json cannot be read" in block(said.out, "task-dead")


def test_a_thread_that_is_no_plain_id_stands_in_no_command(run: Any, tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(job("task-1", pid=GONE, threadId="x; rm -rf ~", **started(60)))
    assert "codex resume" not in run("jobs", made.root).out


def test_text_of_records_is_shown_escaped(run: Any, tmp_path: Path) -> None:
    nasty = "\x1b[31m\u202ehi"
    record = job("task-1", pid=GONE, title=nasty, summary=nasty, phase=nasty, status="running", **started(60))
    made = Tree(tmp_path / "tree").add({**record, "sessionId": nasty})
    made.index({**record, "id": "task-" + nasty})
    for args in (["jobs"], ["jobs", "-q"], ["jobs", "--all"]):
        said = run(*args, made.root)
        assert "\x1b" not in said.out and "\u202e" not in said.out


def test_no_jobs_and_no_state(run: Any, tmp_path: Path) -> None:
    assert run("jobs").out == "No plugin state found ('stateheal doctor' says where).\n"
    made = Tree(tmp_path / "tree").add(done("task-1"))
    assert "1 workspace: 0 active, 1 finished (--all shows them)." in run("jobs", made.root).out
    assert run("jobs", made.root, "--job", "task-2").status == 2


def test_an_id_that_is_no_plain_word_is_quoted_in_every_command(run: Any, tmp_path: Path) -> None:
    ident = "task-a;touch pwned"
    tree = Tree(tmp_path / "tree").add(job(ident, owner={"hostname": "elsewhere"}, **started(60)))
    command = f"stateheal close {quoted(ident)} {quoted(str(tree.path))}"
    assert f"  {command}\n" in run("jobs", tree.root).out
    said = run("stop", ident, tree.root, "--yes")
    assert said.status == 1 and command in said.err


def suggested(out: str, verb: str) -> list[str]:
    """The words of a command that a report names, as a shell would take them."""
    (line,) = (line for line in out.splitlines() if line.startswith(f"  stateheal {verb} "))
    return shlex.split(line)[1:]


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell's quotes")
def test_a_named_command_works_as_it_stands_for_state_that_only_its_path_leads_to(run: Any, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "else where's").add(job("task-1", owner={"hostname": "elsewhere"}, **started(60)))
    assert run("jobs").out.startswith("No plugin state found")
    command = suggested(run("jobs", tree.root).out, "close")
    assert command == ["close", "task-1", str(tree.path)]
    told = run("audit", tree.root, columns=400).out
    assert f"stateheal close task-1 {quoted(str(tree.path))}" in told
    assert run(*command, "--yes").status == 0 and tree.record("task-1")["status"] == "failed"


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell's quotes")
def test_a_named_command_says_which_of_two_jobs_of_one_id(run: Any, isolated: Path) -> None:
    """Field guide section 8: one workspace under two roots."""
    roots = (Tree(isolated / "home/.claude", plugin=f"codex-{name}") for name in ("inline", "openai-codex"))
    first, _ = (tree.add(job("task-1", owner={"hostname": "elsewhere"}, **started(60))) for tree in roots)
    assert run("close", "task-1", "--yes").status == 2
    command = suggested(run("jobs").out, "close")
    assert command == ["close", "task-1", str(first.path)] and run(*command, "--yes").status == 0


def test_where_an_id_is_enough_no_path_is_named(run: Any, isolated: Path) -> None:
    tree = Tree(isolated / "home/.claude").add(job("task-1", owner={"hostname": "elsewhere"}, **started(60)))
    for paths in ((), (tree.root,), (tree.path,)):
        assert "  stateheal close task-1\n" in run("jobs", *paths).out
