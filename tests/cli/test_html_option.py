"""``audit --html``: where the page goes, what it never overwrites, and what the exit status is."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stateheal import cli
from stateheal.cli.scope import scope_of
from stateheal.engine.api import settings_of
from stateheal.model.request import Request
from stateheal.text import command_line, quoted
from tests.report.test_html import Reader
from tests.support import Tree, done, files_in, job

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree").add(job("task-1", pid=0)).add(done("task-2"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out/page.html"


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path: Path) -> Iterator[None]:
    yield
    assert list(tmp_path.rglob(".stateheal-page-*")) == []


def run(*args: str | Path) -> int:
    return cli.run([str(arg) for arg in args])


def test_a_page_beside_the_report(tree: Tree, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = files_in(tree.root)
    assert run("audit", tree.root) == 1
    plain = capfd.readouterr().out
    assert run("audit", tree.root, "--html", file) == 1
    said = capfd.readouterr()
    assert said.out == plain and said.err == f"stateheal: the page is in {file}\n"
    assert files_in(tree.root) == before
    reader = Reader(file.read_text("utf-8"))
    assert len(reader.of("li", "finding")) == 1 and f"stateheal heal -n {quoted(str(tree.root))}" in reader.text


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_new_page_is_private_and_an_old_one_keeps_its_mode(tree: Tree, file: Path) -> None:
    before = os.umask(0)
    try:
        run("audit", tree.root, "--html", file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.chmod(0o644)
        inode = file.stat().st_ino
        run("audit", tree.root, "--html", file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o644 and file.stat().st_ino != inode
    finally:
        os.umask(before)


def test_an_empty_file_is_taken(tree: Tree, file: Path) -> None:
    file.touch()
    assert run("audit", tree.root, "--html", file) == 1
    assert file.stat().st_size


def test_to_stdout_instead_of_the_report(tree: Tree, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("audit", tree.root, "--html", "-") == 1
    said = capfdbinary.readouterr()
    assert said.out.startswith(b"<!doctype html>") and said.out.endswith(b"</html>\n") and said.err == b""
    assert len(Reader(said.out.decode("utf-8")).of("li", "finding")) == 1


def test_json_beside_a_page(tree: Tree, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("audit", tree.root, "--html", file, "--format", "json") == 1
    assert json.loads(capfd.readouterr().out)["summary"]["findings"] == 1 and file.exists()
    assert run("audit", tree.root, "--html", "-", "--format", "json") == 2
    said = capfd.readouterr()
    assert said.out == "" and "leave --format away" in said.err


def test_exit_statuses_are_those_of_audit(tree: Tree, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("audit", tree.root, "--html", file, "--exit-zero") == 0
    assert run("audit", tree.root, "--html", file, "--ignore", "unsafe-pid") == 0
    assert run("audit", tree.root, "--html", file, "--job", "task-none") == 2
    assert "stateheal heal" not in file.read_text("utf-8"), "a usage error leaves an earlier page as it was"
    (tree.path / "jobs/task-2.json").unlink()
    (tree.path / "jobs/task-2.json").mkdir()
    assert run("audit", tree.root, "--html", file) == 3
    capfd.readouterr()
    assert run("audit", tree.root, "--html", "-") == 3
    said = capfd.readouterr()
    assert "Could not be read" in said.out and said.err.startswith("stateheal: ") and "task-2" in said.err


@pytest.mark.processes
@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_goes_away_takes_no_page_with_it(tree: Tree, file: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "stateheal", "audit", str(tree.root), "--html", str(file)]
    child = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert child.returncode == 141 and child.stderr == f"stateheal: the page is in {file}\n"
    assert Reader(file.read_text("utf-8")).tags


# --- what is refused -----------------------------------------------------------------------------------------------


def refused(tree: Tree, path: str | Path, capfd: pytest.CaptureFixture[str]) -> str:
    """What is said of a page that cannot be written; the report is given all the same."""
    capfd.readouterr()
    assert run("audit", tree.root, "--html", path) == 3
    said = capfd.readouterr()
    assert "1 finding of damage" in said.out
    assert said.err.startswith(f"stateheal: {path}: ") and said.err.count("\n") == 1
    return said.err


def test_what_is_no_page_is_never_overwritten(tree: Tree, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    index = tree.path / "state.json"
    before = index.read_bytes()
    assert "no page of stateheal's" in refused(tree, index, capfd)
    assert index.read_bytes() == before
    file.write_text("<!doctype html>\nmine")
    assert "no page of stateheal's" in refused(tree, file, capfd)
    assert "a directory is there" in refused(tree, file.parent, capfd)
    assert "the name of a directory" in refused(tree, f"{file.parent}{os.sep}new{os.sep}", capfd)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_links_pipes_and_devices_are_refused(tree: Tree, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = file.with_name("target.html")
    run("audit", tree.root, "--html", target)
    before = target.read_bytes()
    file.symlink_to(target)
    assert "a symbolic link is there" in refused(tree, file, capfd)
    assert file.is_symlink() and target.read_bytes() == before
    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    assert "a pipe is there" in refused(tree, pipe, capfd)
    assert "no regular file is there" in refused(tree, "/dev/null", capfd)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_directory_that_is_not_there_or_lets_nobody_write(
    tree: Tree, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "No such file" in refused(tree, file.parent / "none/page.html", capfd)
    if os.name == "posix" and os.geteuid() != 0:
        file.parent.chmod(0o500)
        assert "Permission denied" in refused(tree, file, capfd)
        file.parent.chmod(0o700)


def test_a_page_is_whole_or_not_there(
    tree: Tree, file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run("audit", tree.root, "--html", file)
    before = file.read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused(tree, file, capfd)
    assert file.read_bytes() == before


# --- what to run next ----------------------------------------------------------------------------------------------


def test_the_same_choice_for_the_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert scope_of(Request()) == ("", "", None)
    settings = settings_of(select=["dead-pid", "schema"], ignore=["silent"], grace=90.5, assume_local=True)
    rules, places, _ = scope_of(Request(("a b", "/x"), ".", "task-1", settings), absolute=True)
    assert rules == "--select dead-pid --select schema --ignore silent --grace 90.5s --assume-local"
    given = [os.path.abspath("a b"), os.path.abspath("/x")]
    assert places == command_line(["--cwd", str(tmp_path), "--job", "task-1", *given])


def test_help_tells_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    run("audit", "-h")
    assert "--html FILE" in capfd.readouterr().out
