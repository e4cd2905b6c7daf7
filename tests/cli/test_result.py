"""``stateheal result``: the answer from the job file, the rollout or the log, and a reason where there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from stateheal.evidence.schema import violations
from tests.engine.test_recover import THREAD, Home, turn
from tests.support import Tree, at, done, files_in, job
from tests.workers import gone_pid, worker

LOG = "[2026-11-23T06:00:00.000Z] Starting Codex Task.\n"
SAID = "\n[2026-11-23T06:00:05.000Z] Assistant message\nfirst line\n\nthird line\n[2026-11-23T06:00:06.000Z] Working.\n"
FINAL = "\n[2026-11-23T06:00:07.000Z] Final output\nthe final word\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path)
    monkeypatch.setenv("CODEX_HOME", str(made.codex))
    return made


def test_from_the_job_file_and_stdout_is_the_answer_alone(run: Any, home: Home) -> None:
    home.tree.add(done("task-1", result={"rawOutput": "line 1\nline 2"}, rendered="shorter"))
    before = files_in(home.tree.root)
    said = run("result", "task-1", home.tree.root)
    assert (said.status, said.out) == (0, "line 1\nline 2\n")
    assert "task-1 (completed), from the job file: " in said.err and os.path.join("jobs", "task-1.json") in said.err
    assert files_in(home.tree.root) == before


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"result": {"rawOutput": "{}", "result": {"verdict": "ok"}}, "rendered": "# Review"}, "# Review\n"),
        ({"result": {"codex": {"stdout": "native"}}, "rendered": "# Review"}, "native\n"),
        ({"result": {"rawOutput": ""}, "rendered": "only rendered\n\n"}, "only rendered\n"),
        ({"result": None, "rendered": "r"}, "r\n"),
    ],
)
def test_what_is_shown_of_a_job_file_is_what_the_plugin_shows(
    run: Any, home: Home, fields: dict[str, Any], shown: str
) -> None:
    home.tree.add(done("task-1", **fields))
    assert run("result", "task-1", home.tree.root).out == shown


def test_from_the_rollout_where_the_worker_died(run: Any, home: Home) -> None:
    home.lost().rollout(*turn(answer="From the rollout."))
    home.tree.log("task-mnyhf4jy-1mnkv1", LOG + SAID)
    said = run("result", "task-mnyhf4jy", home.tree.root)
    assert (said.status, said.out) == (0, "From the rollout.\n")
    assert "from the rollout: " in said.err and f"codex resume {THREAD}" in said.err


@pytest.mark.parametrize(
    ("log", "shown", "note"),
    [
        (LOG + SAID, "first line\n\nthird line\n", "its end was not recorded: perhaps not all"),
        (LOG + SAID + FINAL + SAID, "the final word\n", ""),
        (LOG + SAID.replace("Assistant message", "Review output"), "first line\n\nthird line\n", ""),
    ],
)
def test_from_the_log_where_nothing_else_has_it(run: Any, home: Home, log: str, shown: str, note: str) -> None:
    home.lost()
    home.tree.log("task-mnyhf4jy-1mnkv1", log)
    said = run("result", "task-mnyhf4jy-1mnkv1", home.tree.root)
    assert (said.status, said.out) == (0, shown)
    assert "from the log: " in said.err and note in said.err and ("perhaps" in said.err) is bool(note)


@pytest.mark.processes
def test_what_a_live_job_said_last_is_said_to_be_no_end(run: Any, home: Home, tmp_path: Path) -> None:
    with worker(tmp_path, "task-live") as process:
        home.tree.add(job("task-live", pid=process.pid))
        said = run("result", "task-live", home.tree.root)
        assert said.status == 1 and "has not ended yet" in said.err and said.out == ""
        home.tree.log("task-live", LOG + SAID)
        said = run("result", "task-live", home.tree.root)
        assert said.status == 0 and "it still runs, so this may not be the end" in said.err


def test_a_job_that_the_index_does_not_know_has_its_answer_too(run: Any, home: Home) -> None:
    home.tree.index(*[done(f"task-{n}") for n in range(50)]).file(done("task-outside"))
    assert run("result", "task-outside", home.tree.root).out == "answer of task-outside\n"
    home.tree.log("task-logonly", LOG + FINAL)
    assert run("result", "task-logonly", home.tree.root).out == "the final word\n"


@pytest.mark.parametrize("torn", ["state.json", "jobs/task-1.json"])
def test_from_torn_files(run: Any, home: Home, torn: str) -> None:
    home.tree.add(done("task-1", result={"rawOutput": "saved"}, z="x" * 100))
    path = home.tree.path / torn
    path.write_bytes(path.read_bytes()[:-60])
    os.utime(path, (1, 1))
    assert run("result", "task-1", home.tree.root).out == "saved\n"


def test_the_reason_where_there_is_none(run: Any, home: Home) -> None:
    home.lost()
    said = run("result", "task-mnyhf4jy-1mnkv1", home.tree.root)
    assert said.status == 1 and said.out == ""
    for word in ("there is no answer, because", "no result", "no rollout of its thread", "Orphaned: pid 4242"):
        assert word in said.err, word
    assert run("result", "task-mnyhf4jy-1mnkv1", home.tree.root, "--exit-zero").status == 0


def test_usage(run: Any, home: Home) -> None:
    home.tree.add(done("task-1")).add(done("task-12"))
    assert run("result", "task-1", home.tree.root).out == "answer of task-1\n", "a whole id is no beginning"
    said = run("result", "task", home.tree.root)
    assert said.status == 2 and "task-1, task-12" in said.err
    for args in ([], ["--all"], ["task-nobody"]):
        assert run("result", *args, *([home.tree.root] if args else [])).status == 2


def test_all_answers_into_a_directory(run: Any, home: Home, tmp_path: Path) -> None:
    home.lost().rollout(*turn(answer="From the rollout."))
    home.tree.add(done("task-1", result={"rawOutput": "\x1b[31mraw"})).add(job("task-2", pid=gone_pid()))
    home.tree.add(job("task-3", pid=gone_pid()))
    out = tmp_path / "out"
    for _ in range(2):
        said = run("result", "--all", "-o", out, home.tree.root)
        assert said.status == 0 and "2 answers saved, 2 jobs without." in said.out and "\x1b" not in said.out
        assert said.out.count("none, because") == 1 and "task-2, task-3" in said.out, "each reason once"
    texts = {path.name.rsplit("-", 1)[-1]: path.read_text() for path in out.iterdir()}
    assert len(texts) == 2 and any("From the rollout." in text for text in texts.values())
    assert any("\x1b[31mraw" in text for text in texts.values()), "a saved answer is what it was"
    said = run("result", "task-1", "-o", out, home.tree.root)
    assert said.status == 0 and said.out == "" and "wrote" in said.err


def test_an_answer_on_the_screen_is_escaped(run: Any, home: Home) -> None:
    home.tree.add(done("task-1", result={"rawOutput": "a\tb\r\n\x1b[2J\u202e❤\ufe0f"}))
    assert run("result", "task-1", home.tree.root).out == "a\tb\n\\x1b[2J\\u202e❤\ufe0f\n"


def test_json(run: Any, home: Home) -> None:
    home.lost(title="Codex Task").rollout(*turn())
    home.tree.add(job("task-2", pid=gone_pid(), threadId="t", createdAt=at(-10)))
    whole = run("result", "--all", home.tree.root, "--format", "json").json
    assert violations("report", whole) == ()
    assert whole["summary"]["jobs"] == 2 and whole["summary"]["workspaces"] == 1
    found = {each["job"]: each for each in whole["answers"]}
    assert (
        found["task-mnyhf4jy-1mnkv1"]["source"] == "rollout" and found["task-mnyhf4jy-1mnkv1"]["text"] == "The answer."
    )
    assert found["task-2"]["text"] is None and found["task-2"]["note"] and found["task-2"]["resume"] == "codex resume t"
    *lines, last = map(json.loads, run("result", "--all", home.tree.root, "--format", "ndjson").out.splitlines())
    assert len(lines) == 2 and last["answers"] == [] and last["command"] == "result"


@pytest.mark.parametrize(("kind", "goes_on"), [("task", True), ("review", False)])
def test_only_a_tasks_conversation_goes_on(run: Any, tmp_path: Path, kind: str, goes_on: bool) -> None:
    tree = Tree(tmp_path / "tree").add(job("job-1", jobClass=kind, kind=kind, status="failed", threadId="thr_9"))
    assert ("codex resume thr_9" in run("result", "job-1", tree.root).err) is goes_on
    told = run("result", "job-1", tree.root, "--format", "json").json["answers"]
    assert [each["resume"] for each in told] == ["codex resume thr_9" if goes_on else None]


def test_of_two_trees_that_know_the_job_the_whole_answer_is_shown_and_the_other_is_named(
    run: Any, home: Home, tmp_path: Path
) -> None:
    """Field guide section 8: one of them may have seen the beginning alone."""
    lost = Tree(tmp_path / "first").add(job("task-1", status="failed", phase="orphaned", pid=None, result=None))
    lost.log("task-1", LOG + SAID)
    whole = Tree(tmp_path / "second").add(done("task-1", result={"rawOutput": "The whole answer."}))
    third = Tree(tmp_path / "third").add(done("task-1", result={"rawOutput": "Another answer."}))
    for paths in ((lost.root, whole.root, third.root), (whole.root, lost.root, third.root)):
        said = run("result", "task-1", *paths)
        assert (said.status, said.out) == (0, "The whole answer.\n")
        assert f"another answer of it, from the job file: {third.path / 'jobs/task-1.json'}" in said.err
        assert f"another answer of it, from the log: {lost.path / 'jobs/task-1.log'}" in said.err


def test_the_same_answer_in_two_trees_is_one(run: Any, home: Home, tmp_path: Path) -> None:
    trees = [Tree(tmp_path / name).add(done("task-1", result={"rawOutput": "Same."})) for name in ("one", "two")]
    assert "another" not in run("result", "task-1", *(tree.root for tree in trees)).err


def test_a_log_that_cannot_be_read_is_not_said_to_be_empty(run: Any, home: Home) -> None:
    home.tree.add(job("task-1", status="failed", phase="orphaned", pid=None, result=None))
    log = home.tree.path / "jobs/task-1.log"
    with log.open("r+b") as file:
        file.truncate(1 << 33)
    said = run("result", "task-1", home.tree.root)
    assert said.status == 1 and "holds no message" not in said.err and "its log is not read: " in said.err
    log.unlink()
    assert "its log holds no message" in run("result", "task-1", home.tree.root).err
