"""``stateheal explain``: the verdict in the first two lines, then what the job is and what to do; the table below."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stateheal.evidence.schema import violations
from stateheal.text import printable, quoted
from tests.cli.test_jobs import started
from tests.support import Tree, done, job
from tests.workers import gone_pid, worker

GONE = gone_pid()
LIVE = f"task-explained{os.getpid()}"
"""Other processes of the tests must not name the same job on their command lines."""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def lines_of(run: Any, *args: Any) -> list[str]:
    said = run("explain", *args)
    assert said.status == 0 and said.err == ""
    return [str(line) for line in said.out.splitlines()]


@pytest.mark.usefixtures("booted_long_ago")
def test_a_dead_one(run: Any, tree: Tree) -> None:
    tree.add(job("task-a", pid=GONE, threadId="thr_7", **started(7200)))
    lines = lines_of(run, "task-a", tree.root)
    assert lines[:5] == [
        "task-a  running, dead",
        f"  pid {GONE} is gone (no such process)",
        '  "Codex Task: map the failing tests"',
        f"  to close it: stateheal heal --job task-a {quoted(str(tree.path))}",
        "  to go on with it: codex resume thr_7",
    ]
    table = [line for line in lines if line.startswith(("    no  ", "    YES "))]
    assert table[-1].startswith("    YES  gone: dead.") and len(table) > 10, (
        "the table below, the row that decided last"
    )


def test_an_unsure_one(run: Any, tree: Tree) -> None:
    tree.add(job("review-a", jobClass="review", threadId="thr_7", owner={"hostname": "elsewhere"}, **started(60)))
    lines = lines_of(run, "review-a", tree.root)
    assert lines[0] == "review-a  running, unsure" and "elsewhere" in lines[1]
    assert f"  to close it on your word: stateheal close review-a {quoted(str(tree.path))}" in lines
    assert not any("codex resume" in line for line in lines), "a review's thread ends with its process"


@pytest.mark.processes
def test_a_live_one(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, LIVE) as process:
        tree.add(job(LIVE, pid=process.pid, **started(60)))
        lines = lines_of(run, LIVE, tree.root)
    assert lines[:2] == [f"{LIVE}  running, alive", f"  pid {process.pid} runs this very job (task-worker --job-id)"]
    assert f"  to end it: stateheal stop {LIVE} {quoted(str(tree.path))}" in lines


@pytest.mark.processes
def test_alive_beats_dead_where_the_two_records_name_two_processes(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, LIVE) as process:
        tree.add(job(LIVE, pid=GONE, **started(60)), pid=process.pid)
        assert lines_of(run, LIVE, tree.root)[0] == f"{LIVE}  running, alive"


@pytest.mark.parametrize(
    ("fields", "says"),
    [({}, "nothing is wrong with it"), ({"pid": 1}, "this finished job still names 1 as its process")],
)
def test_a_finished_one_says_what_is_wrong_if_anything(run: Any, tree: Tree, fields: dict[str, Any], says: str) -> None:
    tree.add(done("task-a", **fields))
    lines = lines_of(run, "task-a", tree.root)
    assert lines[:2] == ["task-a  completed", f"  {says}"]
    assert sum(says in line for line in lines) == (2 if fields else 1), "as the verdict, and as a finding"


def test_what_both_records_say_is_said_once(run: Any, tree: Tree) -> None:
    tree.add(job("task-a", pid=GONE, **started(60)), phase="editing", threadId="thr_1")
    lines = lines_of(run, "task-a", tree.root)
    assert sum('"running"' in line for line in lines) == 1
    at = lines.index("  job file, where it differs:")
    assert lines[at + 1 : at + 3] == ['    phase          "starting"', "    threadId       missing"]


def test_records_that_agree(run: Any, tree: Tree) -> None:
    assert "  job file: says the same" in lines_of(run, "task-a", tree.add(done("task-a")).root)


def test_an_id_is_quoted_for_a_shell_and_escaped(run: Any, tree: Tree) -> None:
    tree.index({**job("task-a;x\x1b", pid=GONE, **started(7200))})
    lines = lines_of(run, "task-a", tree.root)
    word = printable(quoted("task-a;x\x1b"))
    assert f"  to close it on your word: stateheal close {word} {quoted(str(tree.path))}" in lines


@pytest.mark.usefixtures("booted_long_ago")
def test_programs_are_told_the_verdict(run: Any, tree: Tree) -> None:
    tree.add(job("task-a", pid=GONE, **started(7200))).add(done("task-b"))
    whole = run("explain", "task-", tree.root, "--format", "json").json
    assert violations("report", whole) == ()
    first, second = whole["jobs"]
    assert (first["verdict"], first["reason"]) == ("dead", f"pid {GONE} is gone (no such process)")
    assert first["title"] == "Codex Task: map the failing tests" and first["status"] == "running"
    assert (second["verdict"], second["status"], second["reason"]) == (None, "completed", "nothing is wrong with it")
    assert whole["summary"]["jobs"] == 2 and whole["summary"]["workspaces"] == 1 and whole["roots"] == [str(tree.state)]


def test_quiet_is_the_verdict_and_what_helps(run: Any, tree: Tree) -> None:
    tree.add(job("task-a", pid=GONE, threadId="thr_7", **started(7200)))
    assert lines_of(run, "-q", "task-a", tree.root) == lines_of(run, "task-a", tree.root)[:5]


def test_usage(run: Any, tree: Tree) -> None:
    said = run("explain", "task-9", tree.add(done("task-a")).root)
    assert said.status == 2 and said.out == "" and "no job 'task-9' in 1 workspace" in said.err


def test_where_heal_leaves_a_companions_records_it_is_not_advised(run: Any, tree: Tree) -> None:
    other = Tree(tree.root, plugin="opencode-opencode-plugin-cc")
    entry = {**job("task-mx00003-abcdef", pid=..., childPid=GONE, **started(7200)), "cwd": other.project}
    other.index(entry, owner="opencode-plugin-cc")
    lines = lines_of(run, "task-mx00003-abcdef", other.path)
    assert not any("stateheal heal --job" in line for line in lines)
    assert "  no process is recorded:" in lines and f"    further process: childPid {GONE}" in lines
