"""audit and heal name the next step, and tell what is recorded from what a log's date says; nothing twice."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from stateheal.evidence.schema import violations
from stateheal.text import quoted
from tests.cli.test_jobs import ago, started
from tests.engine.test_recover import IDENT, THREAD, Home, turn
from tests.support import Tree, done, job
from tests.workers import gone_pid

GONE = gone_pid()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def dead(ident: str, seconds: float = 7200, **fields: Any) -> dict[str, Any]:
    return job(ident, pid=GONE, **{**started(seconds), **fields})


def together(text: str) -> str:
    return " ".join(text.split())


def touched(tree: Tree, ident: str, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(tree.path / "jobs" / f"{ident}.log", (moment, moment))


# --- the command that goes on with a job -----------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["audit"], ["heal", "-n"], ["heal"]])
def test_each_dead_task_has_its_resume_command_whole_on_a_line_of_its_own(
    run: Any, tree: Tree, command: list[str]
) -> None:
    tree.add(dead("task-a", threadId=THREAD)).add(dead("task-b", threadId="thr_9"))
    lines = [line.strip() for line in run(*command, tree.root).out.splitlines()]
    assert lines.count(f"codex resume {THREAD}") == lines.count("codex resume thr_9") == 1


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"jobClass": "review", "threadId": "thr_1"}, id="a review's thread ends with its process"),
        pytest.param({"threadId": None}, id="no thread"),
        pytest.param({"threadId": "thr; rm -rf ~"}, id="no plain id: it would be typed into a shell"),
    ],
)
def test_what_cannot_be_resumed_has_none(run: Any, tree: Tree, fields: dict[str, Any]) -> None:
    tree.add(dead("task-a", **fields))
    assert "codex resume" not in run("audit", tree.root).out
    (finding,) = [f for f in run("audit", tree.root, "--format", "json").json["findings"] if f["job"] == "task-a"]
    assert finding["resume"] is None


def test_programs_are_told_it_too(run: Any, tree: Tree) -> None:
    tree.add(dead("task-a", threadId="thr_9"))
    whole = run("heal", tree.root, "--format", "json").json
    assert violations("report", whole) == ()
    assert [f["resume"] for f in whole["findings"] if f["job"] == "task-a"] == ["codex resume thr_9"]


# --- answers that wait -----------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path)
    monkeypatch.setenv("CODEX_HOME", str(made.codex))
    return made


@pytest.mark.parametrize("command", ["audit", "heal"])
def test_where_an_answer_waits_the_command_that_fetches_it_is_named_and_works(
    run: Any, home: Home, command: str
) -> None:
    home.lost().rollout(*turn())
    said = run(command, home.tree.root)
    assert "1 answer waits in Codex rollouts" in said.out
    (following,) = (line.strip() for line in said.out.splitlines() if "stateheal heal --recover" in line)
    assert following == f"stateheal heal --recover {quoted(str(home.tree.root))}"
    assert run(*following.replace('"', "").split()[1:]).status == 0
    assert home.tree.record(IDENT)["result"]["rawOutput"] == "The answer."
    assert "waits" not in run(command, home.tree.root).out


def test_several_are_counted(run: Any, home: Home) -> None:
    home.lost().lost("task-2", threadId="thr_2", turnId="turn_2")
    home.rollout(*turn())
    home.rollout(*turn("turn_2"), thread="thr_2")
    assert "2 answers wait in Codex rollouts" in run("audit", home.tree.root).out


def test_none_waits_where_the_turn_has_no_end(run: Any, home: Home) -> None:
    home.lost().rollout(*turn()[:-1])
    assert "heal --recover" not in run("audit", home.tree.root).out


# --- recorded activity and a log's date ------------------------------------------------------------------------------


@pytest.mark.usefixtures("booted_long_ago")
@pytest.mark.parametrize(
    ("recorded", "log", "told"),
    [
        pytest.param(225 * 86400, 44, r"log touched 4\d s ago, last recorded activity 225 d ago", id="a copy's log"),
        pytest.param(60, 5 * 86400, "log touched 5 d ago, last recorded activity 1 min ago", id="a log left behind"),
        pytest.param(7200, 7210, "last sign of life 2 h ago", id="both say the same"),
        pytest.param(7200, None, "last sign of life 2 h ago", id="no log"),
    ],
)
def test_a_log_s_date_is_told_apart_from_recorded_activity(
    run: Any, tree: Tree, recorded: float, log: float | None, told: str
) -> None:
    tree.add(dead("task-a", recorded))
    if log is None:
        (tree.path / "jobs" / "task-a.log").unlink()
    else:
        touched(tree, "task-a", log)
    said = together(run("audit", tree.root).out)
    assert len(re.findall(told, said)) == 1
    assert len(re.findall("last sign of life|last recorded activity", said)) == 1, "not said twice"


def test_what_both_records_say_is_one_finding_and_said_once(run: Any, tree: Tree) -> None:
    tree.add(dead("task-a"))
    said = run("audit", tree.root).out
    assert together(said).count(f"pid {GONE} is gone") == 1 and said.count("task-a") == 1


# --- vanished projects are put together ------------------------------------------------------------------------------


def vanished(folder: Path, count: int) -> Path:
    for number in range(count):
        project = str(folder / f"gone-{number}")
        Tree(folder / "tree", project).add(done(f"task-{number}", workspaceRoot=project))
    return folder / "tree"


def test_many_vanished_projects_are_one_line_and_one_command(run: Any, tmp_path: Path) -> None:
    root = vanished(tmp_path, 40)
    said = run("audit", root)
    assert said.status == 0 and len(said.out.splitlines()) < 8, said.out
    match = re.search(r"40 projects that are gone left (\d+ kB)", said.out)
    assert match is not None and f"  stateheal prune --gone -n {quoted(str(root))}\n" in said.out
    found = run("audit", root, "--format", "json").json["findings"]
    sizes = [f["size"] for f in found if f["rule"] == "gone-workspace"]
    assert len(sizes) == 40 and f"{sum(sizes) // 1000} kB" == match[1], "programs get each, with its size"


def test_few_are_told_one_by_one_and_all_with_v(run: Any, tmp_path: Path) -> None:
    assert run("audit", vanished(tmp_path / "few", 3)).out.count("gone-workspace") >= 3
    assert run("audit", "-v", vanished(tmp_path / "many", 6)).out.count("gone-workspace  notice") == 6


def test_damage_in_one_of_them_is_not_put_together(run: Any, tmp_path: Path) -> None:
    root = vanished(tmp_path, 6)
    project = str(tmp_path / "gone-hurt")
    Tree(root, project).add(dead("task-hurt", workspaceRoot=project))
    said = run("audit", root)
    assert said.status == 1 and "task-hurt" in said.out and "6 projects that are gone" in said.out


def test_other_findings_have_no_size(run: Any, tree: Tree) -> None:
    tree.add(dead("task-a", startedAt=ago(50)))
    found = run("audit", tree.root, "--format", "json").json["findings"]
    assert {f["size"] for f in found if f["rule"] == "dead-pid"} == {None}
