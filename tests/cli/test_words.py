"""Words as people type them and as they are told: wrong ones, beginnings, one line where one was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from stateheal import cli
from stateheal.cli.options import job_ids
from stateheal.cli.words import _MEANT, plainly
from tests.reference import commands
from tests.support import Tree, done, job


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "tree").add(job("task-aa1", pid=0)).add(job("task-ab2", pid=0)).add(done("review-c3"))
    return made.add(job("task-odd", status="crashed"))


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    status = cli.run([str(word) for word in words])
    return (status, *capsys.readouterr())


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *(
            ("repair", "heal"),
            ("fix", "heal"),
            ("clean", "heal"),
            ("check", "audit"),
            ("scan", "audit"),
            ("Audit", "audit"),
        ),
        *(("version", "--version"), ("revert", "undo"), ("install", "hook install"), ("ls", "jobs"), ("haul", "heal")),
        *(("log", "history"), ("diff", "heal -n"), ("audti", "audit"), ("restor", "undo"), ("cansel", "stop")),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_guess(
    capsys: pytest.CaptureFixture[str], word: str, meant: str
) -> None:
    status, out, err = run(capsys, word)
    assert (status, out) == (2, "") and f"there is no command {word!r}; did you mean {meant!r}?" in err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--heal"], "stateheal heal"),
        (["--fix"], "stateheal heal"),
        (["hook", "--install"], "stateheal hook install"),
        (["hook", "--verbos"], "--verbose"),
        (["--status"], "stateheal jobs"),
        (["--verison"], "--version"),
    ],
)
def test_a_command_written_as_an_option_is_answered_with_the_command(
    capsys: pytest.CaptureFixture[str], words: list[str], meant: str
) -> None:
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "") and f"id you mean {meant!r}?" in err


def test_an_option_before_its_command_is_answered_with_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--format", "json", "audit")
    assert (status, out) == (2, "") and "'stateheal COMMAND --format'" in err


@pytest.mark.parametrize("words", [["jobs", "--job", ""], ["explain", ""], ["result", ""], ["stop", ""], ["close", ""]])
def test_an_id_that_is_empty_is_none(capsys: pytest.CaptureFixture[str], tree: Tree, words: list[str]) -> None:
    """What a shell makes of a variable that is not set must not stand for whatever job is the only one."""
    status, out, err = run(capsys, *words, tree.root)
    assert (status, out) == (2, "") and "it is empty" in err


def test_every_guess_is_a_command_or_will_not_be_made() -> None:
    assert not {word for words in _MEANT.values() for word in words} & commands().keys()


# --- jobs by the beginning of their id -------------------------------------------------------------------------------


def test_a_beginning_will_do_where_one_job_has_it(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "audit", "--job", "task-aa", tree.root)
    assert status == 1 and "task-aa1" in out and "task-ab2" not in out
    assert run(capsys, "heal", "--job", "task-ab", tree.root)[0] == 0
    assert (tree.entry("task-ab2")["status"], tree.entry("task-aa1")["status"]) == ("failed", "running")


def test_a_beginning_of_several_is_refused_and_they_are_named(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "heal", "--job", "task-a", tree.root)
    assert (status, out) == (2, "") and err == "stateheal: several jobs begin with 'task-a': task-aa1, task-ab2\n"
    status, _, err = run(capsys, "heal", "--job", "task-aa2", tree.root)
    assert status == 2 and "no job 'task-aa2' in 1 workspace; did you mean task-a" in err


def test_a_whole_id_is_no_beginning(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.add(job("task-aa1-b", pid=0))
    assert run(capsys, "heal", "--job", "task-aa1", tree.root)[0] == 0
    assert tree.entry("task-aa1-b")["status"] == "running"


def test_a_shell_offers_jobs_with_what_they_are(tree: Tree) -> None:
    context = click.Context(click.Command("audit"))
    context.params = {"paths": (str(tree.root),)}
    offered = job_ids(context, click.Option(["--job"]), "task-a")
    assert {(each.value, each.help) for each in offered} == {
        ("task-aa1", "Codex Task: map the failing tests"),
        ("task-ab2", "Codex Task: map the failing tests"),
    }


# --- what is told ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["audit"], ["heal", "-n"], ["heal"], ["recover"]])
def test_quiet_is_one_line(tree: Tree, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    _, out, _ = run(capsys, *command, "-q", tree.root)
    assert out.count("\n") == 1 and out.startswith("1 workspace, 4 jobs: ")


def test_damage_and_notices_are_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Tree(tmp_path / "tree")
    for number in range(8):
        made.add(job(f"task-{number}", pid=0)).add(job(f"odd-{number}", status="crashed"))
    out = " ".join(run(capsys, "audit", made.root)[1].split())
    assert "Damage: 8 unsafe-pid. Notices: 8 schema" in out and "By rule" not in out


def test_a_recovery_says_each_reason_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Tree(tmp_path / "tree")
    for number in range(5):
        made.add(job(f"task-{number}", pid=0, threadId="thr_1", turnId=f"turn_{number}"))
    _, out, _ = run(capsys, "recover", made.root)
    assert "not recoverable" not in out and out.count("no answer") == 1
    assert all(f"task-{number}" in out for number in range(5))


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_linked_workspace_is_named(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = tmp_path / "elsewhere" / tree.path.name
    moved.parent.mkdir()
    tree.path.rename(moved)
    tree.path.symlink_to(moved)
    status, out, _ = run(capsys, "audit", tree.root)
    assert status == 0 and "is a link, and links are not followed" in " ".join(out.split())
    assert run(capsys, "audit", moved)[0] == 1, "named itself it is looked at"


def test_signs_of_our_own_are_told_in_ascii_where_there_is_nothing_else() -> None:
    assert plainly(UnicodeEncodeError("ascii", "→ … é", 0, 5, "")) == ("-> ... \\xe9", 5)


def test_an_export_that_finds_nothing_says_so(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "export", "--cwd", tmp_path, tree.root)
    assert (status, out) == (2, "") and "nothing to pack: there is no workspace in" in err
    assert not list(tmp_path.glob("*.tar.gz"))


def test_two_exports_in_one_second(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *_: "stateheal-export-20261127T000000Z")
    for _ in range(3):
        assert run(capsys, "export", tree.root)[0] == 0
    names = {path.name for path in tmp_path.glob("*.tar.gz")}
    assert names == {f"stateheal-export-20261127T000000Z{number}.tar.gz" for number in ("", "-2", "-3")}


@pytest.mark.parametrize(
    ("target", "says"),
    [("codex-opnai-codex", "did you mean codex-openai-codex?"), ("zzz", "the plugins there: codex-openai-codex")],
)
def test_a_plugin_that_is_not_there(isolated: Path, capsys: pytest.CaptureFixture[str], target: str, says: str) -> None:
    Tree(isolated / "home/.claude").add(done("task-1"))
    status, _, err = run(capsys, "migrate", "--from", target, "--to", "temp")
    assert status == 2 and says in err and "there are codex" not in err


def test_a_target_whose_parents_are_missing(isolated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Tree(isolated / "home/.claude").add(done("task-1"))
    status, _, err = run(capsys, "migrate", "--from", "codex-openai-codex", "--to", tmp_path / "no/such/state")
    assert status == 2 and f"there is no {tmp_path / 'no'}" in err
    assert not (tmp_path / "no").exists()


@pytest.mark.processes
def test_completion_of_runs_leaves_out_what_is_undone(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    def offered() -> list[str]:
        env: dict[str, Any] = {
            "_STATEHEAL_COMPLETE": "bash_complete",
            "COMP_WORDS": "stateheal undo ",
            "COMP_CWORD": "2",
        }
        command = [sys.executable, "-c", "import sys; sys.argv[0] = 'stateheal'; from stateheal.cli import run; run()"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env})
        return done.stdout.split()

    run(capsys, "heal", tree.root)
    assert len(offered()) == 1
    run(capsys, "undo")
    assert offered() == []
