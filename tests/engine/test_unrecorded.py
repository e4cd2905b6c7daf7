"""A foreground job whose record names no process is left alone while that process lives (field guide section 4)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stateheal.formats.times import format_time
from tests.support import PROJECT, Tree, files_in, job

pytestmark = pytest.mark.processes
SLEEP = "import time; print(flush=True); time.sleep(600)"
HEAL = (sys.executable, "-m", "stateheal", "heal", "--grace", "1s")


def heal() -> None:
    done = subprocess.run(HEAL, capture_output=True, timeout=60, cwd=PROJECT)
    assert done.returncode in (0, 1), done.stderr


@pytest.mark.parametrize(
    ("kind", "command"), [("review", "review"), ("review", "adversarial-review"), ("task", "task")]
)
def test_it_is_left_alone_while_it_lives_and_closed_then(
    kind: str, command: str, tmp_path: Path, isolated: Path
) -> None:
    (tmp_path / "project").mkdir()
    tree = Tree(isolated / "home/.claude", project=str((tmp_path / "project").resolve()))
    words = [sys.executable, "-c", SLEEP, "/plugins/codex-companion.mjs", command, "--wait"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as live:
        try:
            assert live.stdout is not None
            live.stdout.readline()
            now = format_time(time.time())
            times = {"createdAt": now, "startedAt": now, "updatedAt": now}
            record = job("job-1", pid=None, jobClass=kind, workspaceRoot=tree.project, logFile=None, **times)
            tree.file(record).index(record)
            time.sleep(1.5)  # silent past the grace
            before = files_in(tree.path)
            heal()
            assert files_in(tree.path) == before
        finally:
            live.kill()
    deadline = time.monotonic() + 100  # another test's companion, begun in the same minute, may be taken for it
    while tree.entry("job-1")["phase"] != "orphaned" and time.monotonic() < deadline:
        heal()
    assert tree.entry("job-1")["phase"] == tree.record("job-1")["phase"] == "orphaned"


def test_its_file_does_not_take_the_indexs_end_over_while_it_lives(tmp_path: Path, isolated: Path) -> None:
    """Run again under its id, or ended in the index by somebody else: the file is its own word."""
    tree = Tree(isolated / "home/.claude", project=str(tmp_path.resolve()))
    words = [sys.executable, "-c", SLEEP, "/plugins/codex-companion.mjs", "task", "--wait"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as live:
        try:
            assert live.stdout is not None
            live.stdout.readline()
            now = format_time(time.time())
            times = {"createdAt": now, "startedAt": now, "updatedAt": now}
            record = job("job-1", pid=None, workspaceRoot=tree.project, logFile=None, **times)
            tree.file(record).index({**record, "status": "failed", "phase": "failed", "completedAt": now})
            for path in (tree.path / "state.json", tree.path / "jobs" / "job-1.json"):
                os.utime(path, (time.time() - 120,) * 2)
            before = files_in(tree.path)
            heal()
            assert files_in(tree.path) == before
        finally:
            live.kill()
