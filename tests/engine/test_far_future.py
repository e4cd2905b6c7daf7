"""A file dated beyond the year 9999: a time like any other that cannot be true, and no trouble for its neighbours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stateheal.cli import run
from stateheal.engine import sequence
from tests.support import Tree, files_in, job

FAR = 400_000_000_000
"""Seconds: the year 14645."""


def keeps_it(directory: str | Path) -> bool:
    with TemporaryDirectory(dir=directory) as folder:
        os.utime(folder, (FAR, FAR))
        return os.stat(folder).st_mtime == FAR


@pytest.fixture
def far_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory whose file system keeps such a time: ext4 has none beyond 2446."""
    monkeypatch.setattr(sequence, "ON_ITS_WAY", 0.01)  # such a file counts as just written; nobody writes it here
    for place in (tmp_path, Path("/dev/shm")):
        if place.is_dir() and os.access(place, os.W_OK) and keeps_it(place):
            with TemporaryDirectory(dir=place) as folder:
                yield Path(folder)
            return
    pytest.skip("no file system here keeps a time of the year 14645")


COMMANDS = [
    *(("audit",), ("audit", "--format", "json"), ("heal", "-n", "--format", "json"), ("jobs", "--format", "json")),
    *(("jobs", "--all"), ("heal", "-n"), ("audit", "--html", "-")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("file", ["task-1.log", "task-1.json"])
def test_no_command_stumbles_over_it(
    far_root: Path, file: str, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    tree = Tree(far_root).add(job("task-1", createdAt=..., startedAt=...), updatedAt=...)
    tree.add(job("task-2", pid=2**22 + 4242))
    os.utime(tree.path / "jobs" / file, (FAR, FAR))
    assert run([*command, str(far_root)]) in (0, 1)
    said = capfd.readouterr()
    assert "task-2" in said.out and "internal error" not in said.err
    if "json" in command:
        told = json.loads(said.out)
        signs = [each["last_sign"] for each in told.get("jobs", told["findings"]) if each["job"] == "task-1"]
        assert signs and not any((sign or "")[:4] == "9999" for sign in signs)


def test_its_job_is_explained_and_stays_unsure(far_root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tree = Tree(far_root).add(job("task-1", createdAt=..., startedAt=..., pid=None), updatedAt=...)
    for name in ("jobs/task-1.json", "jobs/task-1.log", "state.json"):
        os.utime(tree.path / name, (FAR, FAR))
    assert run(["explain", "task-1", str(far_root), "--format", "json"]) == 0
    (told,) = json.loads(capfd.readouterr().out)["jobs"]
    assert told["verdict"] == "unsure" and told["last_sign"] is None
    assert run(["explain", "task-1", str(far_root)]) == 0
    assert "last sign of life: none" in capfd.readouterr().out


def test_it_is_healed_and_undone_all_the_same(far_root: Path) -> None:
    tree = Tree(far_root).add(job("task-1", pid=2**22 + 4242))
    for name in ("jobs/task-1.json", "jobs/task-1.log", "state.json"):
        os.utime(tree.path / name, (FAR, FAR))
    before = files_in(tree.root)
    assert run(["heal", str(far_root)]) == 0
    assert tree.entry("task-1")["phase"] == "orphaned"
    assert run(["undo"]) == 0
    assert files_in(tree.root) == before
