"""``stateheal close``: on a person's word, for what heal leaves as unsure; never a job that lives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.engine import close
from stateheal.evidence.schema import violations
from stateheal.text import quoted
from tests.cli.test_jobs import started
from tests.cli.test_stop import lives, on_terminal
from tests.support import Tree, done, entry_of, files_in, job
from tests.workers import gone_pid, worker


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A job that another machine recorded: nobody here can tell."""
    return Tree(tmp_path / "tree").add(job("task-far", owner={"hostname": "elsewhere"}, **started(60)))


def test_an_unsure_job_is_closed_on_the_users_word(run: Any, tree: Tree) -> None:
    before, updated = files_in(tree.path), tree.entry("task-far")["updatedAt"]
    assert run("heal", tree.root).status == 0 and files_in(tree.path) == before
    said = run("close", "-n", "task-far", tree.root)
    assert said.status == 1 and '+  "status": "failed",' in said.out and files_in(tree.path) == before
    *_, following = said.out.splitlines()
    assert following == f"  stateheal close task-far {quoted(str(tree.root))}"
    said = run(*following.replace(chr(34), "").split()[1:], "--yes")
    assert said.status == 0
    facts, closing = said.out.index("rows of the table"), said.out.index("failed/orphaned")
    assert facts < closing, "every fact is shown first"
    for side in (tree.entry("task-far"), tree.record("task-far")):
        assert (side["status"], side["phase"], side["pid"]) == ("failed", "orphaned", None)
        assert side["errorMessage"].startswith("Closed on request: the record belongs to another host")
    assert tree.entry("task-far")["updatedAt"] == updated
    assert "Closed on request" in (tree.path / "jobs/task-far.log").read_text()
    assert run("audit", tree.root).status == 0
    assert "close" in run("history").out
    assert run("undo").status == 0 and files_in(tree.path) == before


@pytest.mark.parametrize(
    ("fields", "finishing"),
    [
        ({"owner": {"hostname": "elsewhere"}}, ("close", "--yes", "task-far")),
        ({"pid": None}, ("close", "--yes", "--grace", "1d", "task-far")),
        ({"pid": None}, ("heal",)),
    ],
)
def test_a_closing_that_was_ended_between_the_two_records_is_finished(
    run: Any, tmp_path: Path, fields: dict[str, Any], finishing: tuple[str, ...]
) -> None:
    """By the same command; by a heal at once where no process is recorded: nobody else will write the other record."""
    tree = Tree(tmp_path / "tree").add(job("task-far", **fields, **started(60)))
    index = (tree.path / "state.json").read_bytes()
    assert run("close", "--yes", "--grace", "1d", "task-far", tree.root).status == 0
    closed = files_in(tree.path)
    (tree.path / "state.json").write_bytes(index)
    assert run(*finishing, tree.root).status == 0
    assert files_in(tree.path) == closed, "and no line is written twice"


@pytest.mark.processes
def test_it_asks(run: Any, tree: Tree) -> None:
    before = files_in(tree.path)
    said = run("close", "task-far", tree.root)
    assert said.status == 2 and "--yes" in said.err and files_in(tree.path) == before


@pytest.mark.posix("a pseudo-terminal")
@pytest.mark.processes
def test_on_a_terminal_it_asks(run: Any, tree: Tree) -> None:
    before = files_in(tree.path)
    screen, status = on_terminal(b"n\n", "close", "task-far", str(tree.root))
    assert "elsewhere" in screen and "[y/N]" in screen and status == 1 and files_in(tree.path) == before
    assert on_terminal(b"y\n", "close", "task-far", str(tree.root))[1] == 0
    assert tree.entry("task-far")["status"] == "failed"


@pytest.mark.processes
def test_a_job_that_lives_is_refused_and_stop_is_named(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, "task-close-live") as process:
        tree.add(job("task-close-live", pid=process.pid, **started(60)))
        before = files_in(tree.path)
        for options in (["--yes"], ["-n"]):
            said = run("close", "task-close-live", tree.root, *options)
            assert said.status == 1 and "it lives" in said.err and "stateheal stop task-close-live" in said.err
        assert files_in(tree.path) == before and lives(process)


@pytest.mark.processes
def test_a_job_that_comes_to_life_before_the_write_is_refused(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is taken again directly before each write."""
    with worker(tmp_path, "task-close-1") as process:
        tree = Tree(tmp_path / "tree").add(job("task-close-1", pid=process.pid, **started(60)))
        before = files_in(tree.path)
        answers = iter([None, None])
        real = close.why_alive
        monkeypatch.setattr(close, "why_alive", lambda view, found: next(answers, real(view, found)))
        said = run("close", "task-close-1", tree.root, "--yes")
        assert said.status == 3 and "it lives" in said.err
        assert files_in(tree.path) == before


def test_a_dead_job_is_closed_too_and_a_closed_one_is_not(run: Any, tree: Tree) -> None:
    tree.add(job("task-dead", pid=gone_pid(), **started(60))).add(done("task-done"))
    assert run("close", "task-dead", tree.root, "--yes").status == 0
    said = run("close", "task-done", tree.root, "--yes")
    assert said.status == 1 and "closed already" in said.err


def test_what_heal_can_bring_together_is_left_to_heal(run: Any, tree: Tree) -> None:
    record = done("task-half")
    tree.file(record).index(entry_of(job("task-half", owner={"hostname": "elsewhere"}, **started(60))))
    said = run("close", "task-half", tree.root, "--yes")
    assert said.status == 1 and "stateheal heal" in said.err


def test_nothing_of_an_unknown_version_is_touched(run: Any, tree: Tree) -> None:
    tree.index(tree.entry("task-far"), version=2)
    said = run("close", "task-far", tree.root, "--yes")
    assert said.status == 1 and "its version is unknown" in said.err


def test_one_id_in_two_places_must_be_told_apart(run: Any, tree: Tree) -> None:
    other = Tree(tree.root, "/home/dev/projects/other").add(job("task-far", owner={"hostname": "x"}, **started(60)))
    said = run("close", "task-far", tree.root, "--yes")
    assert said.status == 2 and str(other.path) in said.err
    assert run("close", "task-far", other.path, "--yes").status == 0
    assert tree.entry("task-far")["status"] == "running" and other.entry("task-far")["status"] == "failed"


def test_json(run: Any, tree: Tree) -> None:
    whole = run("close", "task-far", tree.root, "--yes", "--format", "json").json
    assert violations("report", whole) == () and whole["command"] == "close" and whole["run"]
    (finding,) = whole["findings"]
    assert finding["outcome"] == "healed" and finding["job"] == "task-far"
