"""The shipped samples: ``healthy/`` is what a heal makes of ``polluted/``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from stateheal.engine.api import audit, heal
from stateheal.formats.times import parse_time
from tests.support import PROJECT, files_in, journal_in, world

SAMPLES = PROJECT / "samples"


def lay_ages(root: Path) -> None:
    """Give every log the age of its last line: git keeps no times, and a log's age is a sign of life."""
    for path in root.rglob("*.log"):
        times = [parse_time(line[1:25]) for line in path.read_text().splitlines() if line.startswith("[")]
        newest = max(filter(None, times))
        os.utime(path, (newest, newest))


@pytest.mark.posix("a dead broker whose endpoint is a socket")
def test_healthy_is_polluted_healed(tmp_path: Path) -> None:
    tree = tmp_path / "polluted"
    shutil.copytree(SAMPLES / "polluted", tree)
    lay_ages(tree)
    report = heal([tree], world=world(), journal=journal_in(tmp_path))
    assert not report.errors and report.remaining == 0
    assert files_in(tree) == files_in(SAMPLES / "healthy")


def test_the_three_orphans_that_this_began_with() -> None:
    report = audit([SAMPLES / "polluted"], world=world())
    found = {f.job: f.pid for f in report.findings if f.workspace.endswith("a2d3d65760f87d26") and f.job}
    assert found == {
        "task-mnyhf4jl-1mnkv1": 14225,
        "task-mnye71qk-5tib84": 12947,
        "task-mnydlu24-x1oney": 12388,
    }


def test_healthy_is_healthy() -> None:
    report = audit([SAMPLES / "healthy"], world=world())
    assert report.exit_status == 0 and report.workspaces == 3
