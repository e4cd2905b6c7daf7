"""Whoever has a job's log open for writing is still at work, however long ago it wrote (field guide section 4)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stateheal
from stateheal.formats.times import format_time
from tests.support import Tree, files_in, job

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")]
SLEEP = "import time; time.sleep(600)"


@pytest.mark.parametrize(("mode", "left"), [("a", True), ("r", False)], ids=["it writes", "it reads"])
@pytest.mark.parametrize("recorded", ["dead", "none"])
def test_an_agent_whose_worker_is_gone_and_that_thinks_is_left(
    mode: str, left: bool, recorded: str, tmp_path: Path
) -> None:
    """Its output goes to the log that it was started with; its pid stands nowhere."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    then = format_time(time.time() - 7200)
    tree = Tree(tmp_path / "tree")
    pid = gone.pid if recorded == "dead" else None
    tree.add(job("task-1", pid=pid, createdAt=then, startedAt=then, updatedAt=then))
    log = tree.path / "jobs" / "task-1.log"
    with log.open(mode) as stream:
        agent = subprocess.Popen([sys.executable, "-c", SLEEP], stdin=subprocess.DEVNULL, stdout=stream)
    try:
        os.utime(log, (time.time() - 7200,) * 2)
        before = files_in(tree.path)
        report = stateheal.heal([tree.root])
        assert (files_in(tree.path) == before) is left
        assert any("open for writing" in each.message for each in report.findings) is left
    finally:
        agent.kill()
        agent.wait()
    assert stateheal.heal([tree.root]).healed == int(left)
    assert tree.entry("task-1")["phase"] == "orphaned"
