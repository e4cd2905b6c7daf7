"""Settings from the environment: the sensible reading, or one clear line and exit 2. Never an internal error."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stateheal.cli import run
from stateheal.commit.location import journal_path
from stateheal.errors import UsageError
from stateheal.evidence.snapshot import max_bytes
from tests.support import Tree, done, job


@pytest.fixture(autouse=True)
def _fresh() -> None:
    max_bytes.cache_clear()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2"))


COMMANDS = (["audit"], ["heal", "-n"], ["recover", "-n"], ["jobs"], ["heal"])


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize("size", ["abc", "0", "-1", "1e6", "9" * 5000])
def test_a_limit_that_is_no_size(
    words: list[str], size: str, tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATEHEAL_MAX_BYTES", size)
    assert run([*words, str(tree.root)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("stateheal: STATEHEAL_MAX_BYTES: '") and "is not a size" in err


@pytest.mark.parametrize(("size", "status"), [("64M", 1), ("", 1), (" ", 1), ("64 MiB", 1), ("1K", 3), ("100", 3)])
def test_the_limit(
    size: str, status: int, tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATEHEAL_MAX_BYTES", size)
    assert run(["audit", str(tree.root)]) == status
    assert ("STATEHEAL_MAX_BYTES moves the limit" in capsys.readouterr().err) is (status == 3)


@pytest.mark.parametrize("columns", ["0", "-1", "abc", "", "1", "40", "99999999", "1e3", "\u0663", "100" * 2000])
@pytest.mark.parametrize("words", [["audit"], ["heal", "-n"], ["history"], ["rules"], ["doctor"], ["jobs"]])
def test_columns(
    columns: str, words: list[str], tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anything but a width is as if it were not set."""
    paths = [str(tree.root)] if words[0] in ("audit", "heal", "jobs") else []
    monkeypatch.delenv("COLUMNS", raising=False)
    status, plain = run([*words, *paths]), capsys.readouterr()
    monkeypatch.setenv("COLUMNS", columns)
    assert run([*words, *paths]) == status
    out, err = capsys.readouterr()
    assert "internal error" not in err and out
    if columns not in ("1", "40"):
        assert out.count("\n") == plain.out.count("\n"), "broken into the same lines (ages may have moved on)"


@pytest.mark.parametrize("given", ["rel/dir", ".", "~nobody-here/x", "x" * 300])
@pytest.mark.parametrize("words", [*COMMANDS, ["history"], ["undo"], ["doctor"]])
def test_a_journal_that_the_working_directory_would_decide(
    given: str,
    words: list[str],
    tree: Tree,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STATEHEAL_STATE_DIR", given)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    paths = [str(tree.root)] if words[0] not in ("history", "undo", "doctor") else []
    assert run([*words, *paths]) == 2
    assert "must be an absolute path" in capsys.readouterr().err
    assert not os.listdir(tmp_path / "here")


@pytest.mark.posix("XDG variables: Windows itself says where its users' files are")
def test_where_the_journal_is(isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(os.environ["HOME"])
    monkeypatch.setenv("STATEHEAL_STATE_DIR", "~/elsewhere")
    assert journal_path() == home / "elsewhere"
    monkeypatch.setenv("STATEHEAL_STATE_DIR", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert journal_path() == tmp_path / "xdg/stateheal"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # to be ignored, says its specification
    if sys.platform == "linux":
        assert journal_path() == home / ".local/state/stateheal"
    monkeypatch.setattr("stateheal.commit.location.user_dir", lambda kind: "relative/stateheal")
    with pytest.raises(UsageError, match="XDG_STATE_HOME is 'relative/stateheal'"):
        journal_path()


@pytest.mark.parametrize("words", [["history"], ["heal"], ["undo"], ["audit"], ["heal", "-n"]])
def test_a_journal_that_is_a_file(
    words: list[str], tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("STATEHEAL_STATE_DIR", str(tmp_path / "file"))
    status = run([*words, *([] if words[0] in ("history", "undo") else [str(tree.root)])])
    assert status == (1 if words in (["audit"], ["heal", "-n"]) else 3)
    assert "internal" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["CODEX_HOME", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_PLUGIN_CACHE_DIR", "CLAUDE_PLUGIN_DATA"]
)
@pytest.mark.parametrize("given", ["", "rel", "FILE", "MISSING", "~/x", "~nobody-here/x", "/" + "y" * 5000, "\udcff"])
def test_roots_that_are_none(
    name: str,
    given: str,
    tmp_path: Path,
    isolated: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, {"FILE": str(tmp_path / "file"), "MISSING": str(tmp_path / "no/where")}.get(given, given))
    for words in (["audit"], ["recover", "-n"], ["jobs"], ["doctor"]):
        assert run([*words, "--format", "json"]) in (0, 1, 3)
        out, err = capsys.readouterr()
        assert json.loads(out) and "internal error" not in err and "cannot be written" not in err


# --- streams -------------------------------------------------------------------------------------------------------

SHELL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a shell and /dev/full")
WORDS = (
    *(["audit"], ["audit", "--format", "json"], ["jobs"], ["explain", "task-1"], ["result", "task-2"], ["history"]),
    *(["stop", "task-2", "--yes"], ["export", "-o", "-"], ["hook", "status"], ["migrate", "-n", "--from", "x"]),
    *(["run", "--json", "--", "echo", "hi"], ["run", "-v", "--", "echo", "hi"], ["audit", "--html", "-"], ["rules"]),
)


def through_a_shell(words: list[str], tree: Tree, streams: str) -> subprocess.CompletedProcess[str]:
    paths = [str(tree.root)] if words[0] in ("audit", "jobs", "explain", "result", "stop", "export") else []
    command = shlex.join([sys.executable, "-m", "stateheal", *words, *paths])
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} {streams}"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        cwd=tree.root,
    )


@SHELL
@pytest.mark.processes
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
@pytest.mark.parametrize("streams", [">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full", "2>&-", ">&- 2>&-"])
def test_streams_that_take_nothing(words: list[str], streams: str, tree: Tree) -> None:
    done = through_a_shell(words, tree, streams)
    assert done.returncode in (0, 1, 2, 3), (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr


@SHELL
@pytest.mark.processes
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_reader_of_errors_that_has_gone(words: list[str], tree: Tree) -> None:
    quiet = through_a_shell(words, tree, ">/dev/null 2>&1")
    gone = through_a_shell(words, tree, "2>&1 >/dev/null | true")
    assert gone.returncode in (quiet.returncode, 141), (quiet, gone)


@SHELL
@pytest.mark.processes
@pytest.mark.parametrize("words", [["result", "task-2"], ["export", "-o", "-"], ["audit", "--html", "-"]], ids=" ".join)
def test_what_was_asked_for_on_a_closed_stdout_is_said_to_be_missing(words: list[str], tree: Tree) -> None:
    done = through_a_shell(words, tree, ">&-")
    assert done.returncode == 3 and "cannot be written: Bad file descriptor" in done.stderr


@SHELL
@pytest.mark.processes
def test_no_file_of_ours_gets_the_number_of_a_closed_stream(tree: Tree) -> None:
    """A command's errors went into whatever had that number: its own log, and from there again."""
    done = through_a_shell(["run", "--json", "--", "sh", "-c", "echo out; echo err >&2"], tree, "2>&-")
    record = json.loads(done.stdout)
    assert record["exit_status"] == done.returncode and record["status"] in ("completed", "failed")
    log = Path(record["workspace"], "jobs", f"{record['job']}.log").read_text().partition("Final output")[0]
    assert log.count("\nout\n") == 1 and log.count("\nerr\n") == 1, log
