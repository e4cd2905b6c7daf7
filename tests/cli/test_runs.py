"""``stateheal history`` and ``stateheal undo``: what is told, what is forgotten, what comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from stateheal.evidence.schema import violations
from tests.support import Tree, done, files_in, job, native

with subprocess.Popen([sys.executable, "-c", ""]) as _ended:
    DEAD = _ended.pid
"""A pid that was somebody's, just now."""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree").add(job("task-1", pid=DEAD)).add(done("task-2"))


@pytest.fixture
def other(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree", project=native("/home/dev/projects/other")).add(job("task-9", pid=DEAD))


def ids(run: Any) -> list[str]:
    """Every run of the history, newest first."""
    return [each["run"] for each in run("history", "--format", "json").json["runs"]]


# --- one run -------------------------------------------------------------------------------------------------------


def test_one_run_is_told_with_its_originals(run: Any, tree: Tree) -> None:
    before = files_in(tree.path)
    run("heal", tree.root)
    said = run("history", "1", columns=300)
    assert said.status == 0 and "task-1.json  rewritten" in said.out and "task-1.log   a line added" in said.out
    archive = next(line.partition("originals: ")[2] for line in said.out.splitlines() if "originals: " in line)
    with tarfile.open(archive) as tar:
        file = tar.extractfile("state.json")
        assert file is not None and file.read() == before["state.json"]
    told = run("history", "1", "--format", "json").json
    assert violations("report", told) == ()
    ((changed,),) = [each["changed"] for each in told["runs"]]
    assert changed["originals"] == archive and changed["path"] == str(tree.path) and not changed["undone"]
    assert {each["name"]: each["action"] for each in changed["files"]} == {
        "jobs/task-1.json": "replace",
        "state.json": "replace",
        "jobs/task-1.log": "append",
    }
    run("undo")
    assert "undone" in run("history", "1").out
    assert run("history", "7").status == 2


def test_undo_by_number_by_beginning_and_with_nothing_left(run: Any, tree: Tree) -> None:
    before = files_in(tree.path)
    run("heal", tree.root)
    (first,) = ids(run)
    assert run("undo", "1").status == 0 and files_in(tree.path) == before
    assert "was undone already" in run("undo", first[:9]).out
    for words in ([], ["-n"], ["--cwd", "/nowhere"], ["--job", "task-1"]):
        said = run("undo", *words)
        of = f" of {words[1]}" if words[1:] else ""
        assert (said.status, said.out, said.err) == (0, f"There is nothing to undo{of}.\n", "")
    told = run("undo", "--format", "json").json
    assert told["run"] is None and told["restored"] == [] and violations("report", told) == ()


def test_a_dry_run_shows_and_writes_nothing(run: Any, tree: Tree) -> None:
    before = files_in(tree.root)
    run("heal", tree.root)
    healed, runs = files_in(tree.root), ids(run)
    said = run("undo", "-n", columns=200)
    assert said.status == 0 and "3 files would be put back" in said.out and "Dry run: nothing was written." in said.out
    assert '-      "phase": "orphaned",' in said.out and '+      "status": "running",' in said.out
    assert files_in(tree.root) == healed and ids(run) == runs
    told = run("undo", "-n", "--format", "json").json
    assert told["dry_run"] and told["restored"][0]["files"] == 3 and violations("report", told) == ()
    assert run("undo").status == 0 and files_in(tree.root) == before


def test_narrowed_to_a_directory_or_a_job(run: Any, tree: Tree, other: Tree) -> None:
    before = files_in(tree.path), files_in(other.path)
    run("heal", tree.root)
    assert run("undo", "--cwd", other.project).status == 0
    assert files_in(other.path) == before[1] and files_in(tree.path) != before[0]
    assert "partly undone" in run("history").out
    assert run("undo", "--job", "task-9").out == "There is nothing to undo of task-9.\n"
    assert run("undo", "1", "--job", "task-7").status == 2
    assert "several jobs begin with 'task'" in run("undo", "--job", "task").err
    assert run("undo", "--job", "task-1").status == 0 and files_in(tree.path) == before[0]


def test_the_beginning_of_a_job_will_do_whatever_is_left_of_it(run: Any, tmp_path: Path) -> None:
    home = str(tmp_path / "gone")
    made = Tree(tmp_path / "tree", home).add(done("task-mnyhf4jl-1mnkv1", workspaceRoot=home))
    before = files_in(made.path)
    assert run("prune", "--gone", made.root).status == 0 and not made.path.exists()
    assert run("undo", "--job", "task-mny").status == 0 and files_in(made.path) == before
    assert run("undo", "--job", "task-mny").out == "There is nothing to undo of task-mny.\n"


def test_a_job_that_was_changed_in_the_index_alone(run: Any, tree: Tree) -> None:
    (tree.path / "jobs/task-1.json").unlink()
    (tree.path / "jobs/task-1.log").unlink()
    before = files_in(tree.path)
    run("heal", tree.root)
    assert "nothing to undo" in run("undo", "--job", "task-2").out
    assert run("undo", "--job", "task-1").status == 0 and files_in(tree.path) == before


def test_of_what_has_changed_since_the_way_on_is_told(run: Any, tree: Tree) -> None:
    run("heal", tree.root)
    index = tree.path / "state.json"
    index.write_bytes(index.read_bytes().replace(b"orphaned", b"orphanes"))
    changed = files_in(tree.path)
    for words in (["undo", "-n"], ["undo"]):
        said = run(*words, columns=400)
        assert said.status == 1 and "left alone, state.json has changed since that run" in said.out
        assert "changed since that run: state.json\n" in said.out and "tar xf " in said.out
    told = run("undo", "--format", "json").json
    (refused,) = told["refused"]
    assert refused["differing"] == ["state.json"] and tarfile.is_tarfile(refused["originals"][0])
    assert violations("report", told) == () and files_in(tree.path) == changed


# --- forgetting ----------------------------------------------------------------------------------------------------


@pytest.fixture
def three(run: Any, tree: Tree) -> list[str]:
    """Three runs, the newest first."""
    for number in range(3):
        tree.add(job(f"task-new-{number}", pid=DEAD))
        assert run("heal", tree.root).status == 0
    return ids(run)


def test_all_but_the_latest(run: Any, three: list[str]) -> None:
    said = run("history", "--keep-last", "1", "-n")
    assert "2 runs would be forgotten." in said.out and three[1] in said.out and three[0] not in said.out
    assert ids(run) == three
    assert run("history", "--keep-last", "1").out == "2 runs forgotten.\n"
    assert ids(run) == three[:1]
    assert run("history", "--keep-last", "1").out == "0 runs forgotten.\n"


def test_one_by_number_and_none_that_is_not_there(run: Any, three: list[str]) -> None:
    assert run("history", "--forget", "2", "--forget", three[2][:9]).out == "2 runs forgotten.\n"
    assert ids(run) == three[:1]
    assert run("history", "--forget", "2").status == 2
    assert run("history", "--forget", "../..").status == 2


def test_all_of_them_and_no_id_again(run: Any, tree: Tree, three: list[str]) -> None:
    said = run("history", "--purge", "-n", "--format", "json").json
    assert said["dry_run"] and [each["run"] for each in said["runs"]] == three
    assert run("history", "--purge").out == "3 runs forgotten.\n" and ids(run) == []
    tree.add(job("task-later", pid=DEAD))
    run("heal", tree.root)
    assert ids(run)[0].startswith("0004-")


def test_a_damaged_run_can_be_forgotten(run: Any, three: list[str], isolated: Path) -> None:
    (isolated / "journal/runs" / three[1] / "0001.tar").write_bytes(b"x")
    assert run("history").status == 3
    said = run("history", "--forget", three[1])
    assert said.out == "0 runs and 1 undo or damaged run forgotten.\n"
    assert run("history").status == 0


@pytest.mark.parametrize(
    "words",
    [
        ["1", "--purge"],
        ["--purge", "--keep-last", "1"],
        ["--forget", "1", "--keep-last", "1"],
        ["-n"],
        ["--yes"],
        ["1", "-n"],
        ["--keep-last", "-1"],
    ],
)
def test_usage(run: Any, words: list[str]) -> None:
    assert run("history", *words).status == 2


@pytest.mark.processes
@pytest.mark.posix("a pseudo-terminal")
@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 3), (b"\n", 3), (b"y\n", 0)])
def test_on_a_terminal_it_says_what_goes_and_asks(run: Any, three: list[str], answer: bytes, left: int) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "stateheal", "history", "--purge"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        os.write(ours, answer)
        out, err = child.communicate(timeout=300)
    os.close(ours)
    os.close(theirs)
    assert b"Forget 3 runs?" in err and all(each.encode() in out for each in three)
    assert child.returncode == (0 if left == 0 else 130) and len(ids(run)) == left


def test_a_command_from_the_journal_is_shown_escaped(run: Any, three: list[str], isolated: Path) -> None:
    """The journal is input, too."""
    path = isolated / "journal/runs" / three[0] / "0001.tar"
    data = path.read_bytes()
    odd = data.replace(b'"command": "heal",\n', b'"command":"\\u001b",', 1)
    assert len(odd) == len(data)
    path.write_bytes(odd)
    said = run("history")
    assert said.status == 0 and "\\x1b" in said.out and "\x1b" not in said.out
