"""Roots, workspaces and PATH arguments (field guide section 1)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from stateheal.errors import UsageError
from stateheal.evidence import discover as discovering
from stateheal.evidence.discover import discover
from stateheal.evidence.hashes import hashes_of, slug, workspace_hash
from stateheal.evidence.roots import default_roots
from tests.support import FIELD_DATA, Tree, job

SUPERBEM = "superbem-501f613d1e339a21"


def names(*paths: str | Path, cwd: str | None = None) -> list[str]:
    return [place.name for place in discover(list(paths), cwd).places]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/dev/projects/web.client", "web.client"),
        ("/home/dev/my project (2)", "my-project-2"),
        ("/home/dev/--weird--", "weird"),
        ("/home/dev/café", "caf"),
        ("/home/dev/日本", "workspace"),
        ("/", "workspace"),
    ],
)
def test_slug(path: str, expected: str) -> None:
    assert slug(path) == expected


def test_slug_and_hash_are_those_of_the_field_data() -> None:
    for project in ("superbem", "api-gateway", "data_lake", "web.client"):
        path = f"/home/dev/projects/{project}"
        found = list(FIELD_DATA.rglob(f"{slug(path)}-{workspace_hash(path)}"))
        assert len(found) == 1, path


@pytest.mark.parametrize(
    "below",
    ["", "plugins/data", "plugins/data/codex-openai-codex", "plugins/data/codex-openai-codex/state"],
)
def test_a_path_may_be_any_level(below: str) -> None:
    assert names(FIELD_DATA / below) == [
        "api-gateway-e8a24994d25ffb82",
        "data_lake-ee66ff0a045be6c9",
        SUPERBEM,
        "web.client-3debdeee204e5c76",
    ]


def test_a_path_may_be_one_workspace_or_a_file_of_it() -> None:
    workspace = FIELD_DATA / "plugins/data/codex-openai-codex/state" / SUPERBEM
    assert names(workspace) == names(workspace / "state.json") == [SUPERBEM]
    (narrowed,) = discover([workspace / "jobs" / "task-mwrjhgk5-qm2rbn.json"]).places
    assert narrowed.jobs == {"task-mwrjhgk5-qm2rbn"}
    assert discover([workspace / "jobs" / "task-mwrjhgk5-qm2rbn.log"]).places == (narrowed,)
    assert names(workspace / "jobs") == [SUPERBEM]
    both = discover([workspace / "jobs" / f"{name}.json" for name in ("task-mwrjhgk5-qm2rbn", "task-mwrjhdub-i8yxmu")])
    assert both.places[0].jobs == {"task-mwrjhgk5-qm2rbn", "task-mwrjhdub-i8yxmu"}
    assert discover([workspace / "jobs" / "task-mwrjhgk5-qm2rbn.json", workspace]).places[0].jobs is None


@pytest.mark.links("a root named through a link")
def test_a_workspace_named_twice_is_looked_at_once(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(FIELD_DATA)
    assert len(names(FIELD_DATA, FIELD_DATA / "plugins/data", link)) == 4


@pytest.mark.parametrize("wrong", ["nowhere", "file.json", "directory"])
def test_a_wrong_path_is_a_usage_error_that_names_it(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file.json").write_text("{}")
    (tmp_path / "directory").mkdir()
    with pytest.raises(UsageError, match=wrong):
        discover([tmp_path / wrong])


def test_a_config_directory_in_which_nothing_was_written_yet_is_fine(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    assert names(tmp_path / ".claude") == []
    assert discover([]).places == ()


def test_what_is_no_workspace_is_not_listed(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add(job("task-1"))
    (tree.state / "no-hash").mkdir()
    (tree.state / "no-hash" / "state.json").write_text("{}")
    (tree.state / "empty-0123456789abcdef").mkdir()
    (tree.state / "link-0123456789abcdef").symlink_to(tree.path)
    (tree.state / "file-0123456789abcdef").write_text("")
    (tree.state / "jobs-only-0123456789abcdef" / "jobs").mkdir(parents=True)
    assert names(tree.state) == sorted([tree.path.name, "jobs-only-0123456789abcdef"])


def test_default_roots_are_those_that_exist(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_roots() == []
    config = Tree(isolated / "home/.claude").add(job("task-1"))
    (Path(tempfile.gettempdir()) / "codex-companion").mkdir()
    monkeypatch.setenv("CLAUDE_PLUGIN_DATA", str(config.state.parent))
    monkeypatch.setenv("CLAUDE_CODE_PLUGIN_CACHE_DIR", str(isolated / "cache"))
    other = isolated / "cache/data/codex-inline/state"
    other.mkdir(parents=True)
    found = {(str(root.path), root.plugin) for root in default_roots()}
    assert found == {
        (str(config.state.resolve()), "codex-openai-codex"),
        (str(other.resolve()), "codex-inline"),
        (str(Path(tempfile.gettempdir()).resolve() / "codex-companion"), "codex-companion"),
    }


def test_without_a_config_variable_the_home_directory_counts(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    Tree(isolated / "home/.claude").add(job("task-1"))
    assert [root.plugin for root in default_roots()] == ["codex-openai-codex"]


@pytest.mark.posix("owners by number")
def test_roots_of_other_users_are_left_out(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Tree(isolated / "home/.claude").add(job("task-1"))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert default_roots() == []


@pytest.mark.links("a checkout behind a link")
def test_cwd_finds_the_workspace_from_anywhere_below_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "src" / "deep").mkdir(parents=True)
    tree = Tree(tmp_path / "config", str(project.resolve())).add(job("task-1"))
    Tree(tmp_path / "config", "/home/dev/other").add(job("task-2"))
    (tmp_path / "link").symlink_to(project / "src")
    for cwd in (project, project / "src" / "deep", tmp_path / "link"):
        assert names(tree.root, cwd=str(cwd)) == [tree.path.name]
    assert names(tree.root, cwd=str(tmp_path)) == []


def test_cwd_honours_git_work_tree(tmp_path: Path) -> None:
    wanted = hashes_of(str(tmp_path), {"GIT_WORK_TREE": "elsewhere"})
    assert workspace_hash(str((tmp_path / "elsewhere").resolve())) in wanted


def test_no_process_is_ever_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "posix_spawn", refuse, raising=False)
    monkeypatch.setattr(os, "fork", refuse, raising=False)
    assert len(discover([FIELD_DATA], str(FIELD_DATA)).roots) == 1


def test_a_root_that_cannot_be_listed_is_an_error_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path / "a").add(job("task-1"))
    other = Tree(tmp_path / "b").add(job("task-2"))
    listing = discovering.is_workspace

    def failing(path: Path) -> bool:
        if path == tree.path.resolve():
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(discovering, "is_workspace", failing)
    found = discover([tree.state, other.state])
    assert [place.name for place in found.places] == [other.path.name]
    assert "Permission denied" in found.errors[0].message
