"""``stateheal doctor`` and ``stateheal completion``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stateheal.engine.doctor import examine
from stateheal.evidence.schema import violations
from tests.support import FakeProcesses, Tree, done, files_in, host, journal_in, stats_in


def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "stateheal", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, env={**os.environ, **more})


@pytest.mark.processes
def test_what_is_tried_and_nothing_of_a_workspace_changes(isolated: Path) -> None:
    tree = Tree(isolated / "home/.claude").add(done("task-1"))
    before = files_in(tree.root), stats_in(tree.root)
    said = json.loads(command("doctor", "--format", "json").stdout)
    assert violations("report", said) == ()
    names = [each["name"] for each in said["promises"]]
    expected = "platform paths pid-namespace process-identity process-table journal hook configuration root"
    assert list(dict.fromkeys(names)) == expected.split()  # the machine's own /tmp may hold a root, too
    assert any(each["detail"].startswith(str(tree.state)) for each in said["promises"] if each["name"] == "root")
    assert (files_in(tree.root), stats_in(tree.root)) == before


def test_what_is_limited_is_said(tmp_path: Path, isolated: Path) -> None:
    found = {each.name: each for each in examine(journal_in(tmp_path), FakeProcesses())}
    assert found["pid-namespace"].kept and found["journal"].kept and "no plugin" in found["root"].detail
    inside = FakeProcesses(facts_of_host=host(initial_namespace=False, boot_id=None))
    found = {each.name: each for each in examine(journal_in(tmp_path), inside)}
    assert not found["pid-namespace"].kept and not found["process-identity"].kept
    (tmp_path / "file").write_text("")
    found = {each.name: each for each in examine(journal_in(tmp_path / "file"), FakeProcesses())}
    assert not found["journal"].kept and "nothing can be repaired" in found["journal"].detail


@pytest.mark.parametrize(
    ("platform", "tested", "table"),
    [("linux", True, "can be seen"), ("win32", False, "may not be seen"), ("darwin", False, "may not be seen")],
)
def test_no_more_is_claimed_than_is_so(tmp_path: Path, platform: str, tested: bool, table: str) -> None:
    live = FakeProcesses().live(os.getpid(), "python")
    found = {each.name: each for each in examine(journal_in(tmp_path), live, platform)}
    assert found["platform"].kept == tested and found["platform"].detail.startswith(platform)
    assert table in found["process-table"].detail and found["process-table"].kept == tested


@pytest.mark.processes
@pytest.mark.leases("it is what it is about")
def test_a_file_of_ours_can_be_leased(isolated: Path) -> None:
    tree = Tree(isolated / "home/.claude").add(done("task-1"))
    said = json.loads(command("doctor", "--format", "json").stdout)["promises"]
    (kept,) = [each["kept"] for each in said if each["detail"].startswith(f"{tree.state}: ")]
    assert kept is True


@pytest.mark.processes
def test_the_text_fits_the_window(isolated: Path) -> None:
    Tree(isolated / "home/.claude").add(done("task-1"))
    out = command("doctor", COLUMNS="80").stdout
    assert all(len(line) <= 80 or "/" in line or "\\" in line for line in out.splitlines()), out


@pytest.mark.processes
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    done_ = command("completion", shell)
    assert done_.returncode == 0 and "_STATEHEAL_COMPLETE" in done_.stdout


@pytest.mark.processes
def test_completion_completes() -> None:
    done_ = command(_STATEHEAL_COMPLETE="bash_complete", COMP_WORDS="stateheal mi", COMP_CWORD="1")
    assert done_.stdout.split(",")[-1].strip() == "migrate", done_.stdout + done_.stderr
