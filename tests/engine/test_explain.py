"""``explain``: the facts about one job, and what could not be read on the way to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.engine import workspace
from stateheal.engine.explain import explain
from stateheal.errors import UsageError
from stateheal.model.request import Request
from tests.support import Tree, job, world


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree").add(job("task-1"))


@pytest.fixture
def other(tree: Tree) -> Tree:
    """A second workspace under the same root."""
    return Tree(tree.root, "/home/dev/projects/other").add(job("task-2"))


def asked(job_id: str, tree: Tree) -> Any:
    return explain(job_id, Request((str(tree.root),)), world=world())


def test_a_job_and_a_beginning(tree: Tree, other: Tree) -> None:
    assert [each.job for each in asked("task-1", tree).jobs] == ["task-1"]
    assert sorted(each.job for each in asked("task", tree).jobs) == ["task-1", "task-2"]
    assert asked("task", tree).errors == ()
    with pytest.raises(UsageError, match="no job 'task-3'"):
        asked("task-3", tree)


@pytest.mark.parametrize("ident", ["task-1", "task-3"])
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), RecursionError("deep")])
def test_a_workspace_that_cannot_be_looked_into_is_told(
    tree: Tree, other: Tree, monkeypatch: pytest.MonkeyPatch, ident: str, error: Exception
) -> None:
    """Whether the job is elsewhere, or may be just there."""
    real = workspace.open_directory

    def refused(path: Path) -> Any:
        if path == other.path:
            raise error
        return real(path)

    monkeypatch.setattr(workspace, "open_directory", refused)
    told = asked(ident, tree)
    assert [each.job for each in told.jobs] == [each for each in ("task-1",) if each == ident]
    (problem,) = told.errors
    assert problem.path == str(other.path) and str(error.args[-1]) in problem.message


def test_what_the_discovery_could_not_list_is_told(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.engine import explain as module
    from stateheal.evidence.discover import discover
    from stateheal.model.problems import Problem

    trouble = Problem("/somewhere", "cannot be listed: Permission denied")

    def troubled(*args: Any) -> Any:
        found = discover(*args)
        return found._replace(errors=(*found.errors, trouble))

    monkeypatch.setattr(module, "discover", troubled)
    assert asked("task-1", tree).errors == (trouble,)


def test_a_file_that_cannot_be_read_is_told(tree: Tree, other: Tree) -> None:
    (other.path / "state.json").unlink()
    (other.path / "state.json").mkdir()
    told = asked("task-1", tree)
    assert len(told.jobs) == 1 and [each.path for each in told.errors] == [str(other.path / "state.json")]
