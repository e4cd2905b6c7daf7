"""Records closed behind a command: whatever could not be read of them is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.model.request import Closing
from stateheal.runner import close_records
from stateheal.runner.close_records import close_jobs
from tests.support import NOW, Tree, job, world


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One job of the command's, whose process is gone."""
    project = tmp_path / "project"
    project.mkdir()
    return Tree(tmp_path / "tree", str(project.resolve())).add(job("task-1", workspaceRoot=str(project.resolve())))


def close(tree: Tree) -> Any:
    closing = Closing(frozenset({4242}), NOW - 10_000, NOW, None)
    return close_jobs(closing, [str(tree.state)], [tree.project], world())


def told(tree: Tree) -> dict[str, str]:
    report = close(tree)
    assert report.exit_status == 3
    return {each.path: each.message for each in report.errors}


def test_what_can_be_read_is_closed_without_a_word(tree: Tree) -> None:
    report = close(tree)
    assert report.errors == () and report.healed == 1 and tree.record("task-1")["status"] == "failed"


def test_a_workspace_that_cannot_be_opened_is_told(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(close_records, "open_directory", refused)
    assert told(tree) == {str(tree.path): "cannot be opened: Permission denied"}


def test_a_jobs_directory_that_is_none_is_told(tree: Tree) -> None:
    for path in (tree.path / "jobs").iterdir():
        path.unlink()
    (tree.path / "jobs").rmdir()
    (tree.path / "jobs").write_text("")
    assert "a directory" in told(tree)[str(tree.path / "jobs")]


@pytest.mark.parametrize("name", ["state.json", "jobs/task-2.json"])
def test_a_file_that_cannot_be_read_is_told_and_the_rest_is_closed(tree: Tree, name: str) -> None:
    path = tree.path / name
    path.unlink(missing_ok=True)
    path.mkdir()
    assert "cannot be read" in told(tree)[str(path)]
    if name != "state.json":
        assert tree.record("task-1")["status"] == "failed"


def test_a_workspace_without_job_files_is_no_trouble(tree: Tree) -> None:
    for path in (tree.path / "jobs").iterdir():
        path.unlink()
    (tree.path / "jobs").rmdir()
    assert close(tree).errors == ()
