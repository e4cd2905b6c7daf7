"""The hook's short path and the engine never disagree: what is plainly in order is without damage."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stateheal
from stateheal.engine.world import World
from stateheal.evidence.discover import is_workspace
from stateheal.evidence.hashes import hashes_of
from stateheal.evidence.roots import default_roots
from stateheal.hook import check as hookcheck
from stateheal.hook import places
from stateheal.hook.check import NotPlain
from stateheal.hook.settings import settings_path
from stateheal.migrate.commands import root_named
from stateheal.model.findings import Severity
from tests.support import FIELD_DATA, HERE, FakeProcesses, Tree, done, journal_in, lay_out

CASES = sorted(path for path in (HERE / "cases").glob("*/*") if path.name in ("before", "after"))
PROJECTS = ["/home/dev/projects/demo", "/home/dev/projects/somewhere"]


def plainly_in_order(workspace: Path) -> bool:
    try:
        hookcheck.check_workspace(str(workspace.resolve()))
    except (NotPlain, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return True


def damage(paths: list[Path], tmp_path: Path) -> list[stateheal.Finding]:
    world = World(processes=FakeProcesses(), sleep=lambda seconds: None)
    report = stateheal.audit(paths, journal=journal_in(tmp_path), world=world)
    return [finding for finding in report.findings if finding.severity is Severity.DAMAGE]


def workspaces_in(state: Path) -> list[Path]:
    found = [path for path in state.iterdir() if is_workspace(path)]
    assert found, f"{state} holds no workspace: nothing would be compared"
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_case_of_damage(case: Path, tmp_path: Path) -> None:
    told = json.loads((case.parent / "case.json").read_text()).get("touched")
    state = lay_out(case, tmp_path / "plugins/data/codex-openai-codex/state", told)
    for workspace in workspaces_in(state):
        found = damage([workspace], tmp_path)
        assert not (plainly_in_order(workspace) and found), (workspace, found)


def test_the_field_data(tmp_path: Path) -> None:
    shutil.copytree(FIELD_DATA, tmp_path / "copy")
    for workspace in workspaces_in(next((tmp_path / "copy").rglob("state"))):
        assert not (plainly_in_order(workspace) and damage([workspace], tmp_path))


def healthy(tree: Tree, count: int = 5) -> Tree:
    for number in range(count):
        tree.add(done(f"task-mnyhf4j{number}-1mnkv1"))
    return tree


def test_what_the_plugin_leaves_is_plainly_in_order(tmp_path: Path) -> None:
    """Otherwise the short path would be short for nobody."""
    tree = healthy(Tree(tmp_path))
    assert plainly_in_order(tree.path) and damage([tree.path], tmp_path) == []
    for ending in (
        {"status": "failed", "phase": "failed", "errorMessage": "no"},
        {
            "status": "cancelled",
            "phase": "cancelled",
            "errorMessage": "Cancelled by user.",
            "cancelledAt": done("x")["createdAt"],
        },
    ):
        record = done("task-mnyhf4jz-1mnkv1", **ending, result=..., rendered=...)
        assert plainly_in_order(healthy(Tree(tmp_path / ending["status"])).add(record).path)


def test_a_healed_workspace_is_plainly_in_order(tmp_path: Path) -> None:
    """As long as its layout is the one of today's plugin, of course."""
    from tests.support import job

    tree = healthy(Tree(tmp_path)).add(job("task-mnyhf4jy-1mnkv1"))
    assert not plainly_in_order(tree.path)
    stateheal.heal([tree.path], journal=journal_in(tmp_path), world=World(processes=FakeProcesses()))
    assert plainly_in_order(tree.path)


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        1.0,
        4242,
        "",
        "x",
        "running",
        "completed",
        "failed",
        "queued",
        "a/../b",
        [],
        {},
        "4242",
        "2026-11-23T07:00:00.000Z",
        "2026-11-23T07:00:00Z",
        "yesterday",
        "Orphaned: pid 1 no longer alive",
        ["x"],
        {"a": 1},
    ]
)
KEYS = sorted(
    {*done("x"), "updatedAt", "errorMessage", "cancelledAt", "request", "owner", "unknown", "version", "jobs"}
)


@given(data=st.data())
def test_made_up_damage(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A healthy workspace with one to three fields changed, dropped or added, anywhere: plain order means no damage."""
    tmp_path = tmp_path_factory.mktemp("made")
    tree = Tree(tmp_path)
    records = [done("task-mnyhf4j1-1mnkv1"), done("task-mnyhf4j2-1mnkv1")]
    for record in records:
        tree.add(record)
    for _ in range(data.draw(st.integers(1, 3))):
        files = [tree.path / "state.json", *sorted((tree.path / "jobs").glob("*.json"))]
        path = data.draw(st.sampled_from(files))
        value = json.loads(path.read_text())
        target = value
        if (
            path.name == "state.json"
            and isinstance(value, dict)
            and isinstance(value.get("jobs"), list)
            and value["jobs"]
        ):
            places = [value, value.get("config"), *value["jobs"]]
            target = data.draw(st.sampled_from([place for place in places if isinstance(place, dict)] or [value]))
        if not isinstance(target, dict):
            continue
        key = data.draw(st.sampled_from(KEYS))
        if data.draw(st.booleans()):
            target[key] = data.draw(JUNK)
        else:
            target.pop(key, None)
        path.write_text(json.dumps(value, indent=2) + "\n")
    if plainly_in_order(tree.path):
        assert damage([tree.path], tmp_path) == []


@given(data=st.data())
def test_bytes_changed(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("bytes")
    tree = healthy(Tree(tmp_path), 1)
    path = data.draw(st.sampled_from([tree.path / "state.json", next((tree.path / "jobs").glob("*.json"))]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, 10_000)) % (len(content) + 1)  # its length is the directory's affair
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from(
                [b"", b"\0", b"{", b"}", b'"', b",", b"NaN", b"\xef\xbb\xbf", b"\xff", b"1", b" ", b"null", b"\xc3\xa9"]
            )
        )
    path.write_bytes(content)
    if plainly_in_order(tree.path):
        assert damage([tree.path], tmp_path) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: (tree.path / "jobs" / "stray.json").write_text("{}"),
        lambda tree: (tree.path / "jobs" / "x.tmp").write_text(""),
        lambda tree: (tree.path / ".stateheal-0001-20261122T000000Z-state.json.tmp").write_text(""),
        lambda tree: (tree.path / "broker.json").write_text('{"pid": 4242, "endpoint": "unix:/nowhere"}'),
        lambda tree: (tree.path / "broker.json").write_text(json.dumps({"pid": os.getpid(), "endpoint": ""})),
        lambda tree: (tree.path / "broker.json").write_text(json.dumps({"pid": os.getpid(), "endpoint": "pytest"})),
        pytest.param(
            lambda tree: (tree.path / "jobs").rename(tree.path.parent / "j") or (tree.path / "jobs").symlink_to("../j"),
            marks=pytest.mark.links("a link is what it is about"),
        ),
        lambda tree: next((tree.path / "jobs").glob("*.json")).unlink(),
        lambda tree: (tree.path / "state.json").unlink(),
        pytest.param(
            lambda tree: (
                next((tree.path / "jobs").glob("*.log")).unlink()
                or os.mkfifo(tree.path / "jobs" / "task-mnyhf4j0-1mnkv1.log")
            ),
            marks=pytest.mark.posix("FIFOs"),
        ),
        pytest.param(
            lambda tree: (
                os.rename(tree.path / "state.json", tree.path / "s") or os.symlink("s", tree.path / "state.json")
            ),
            marks=pytest.mark.links("a link is what it is about"),
        ),
        lambda tree: (tree.path / "state.json").write_bytes((tree.path / "state.json").read_bytes()[:-20]),
        lambda tree: tree.index(*tree.read_index()["jobs"], tree.read_index()["jobs"][0]),
    ],
)
def test_what_is_not_plain(spoil: Any, tmp_path: Path) -> None:
    tree = healthy(Tree(tmp_path), 1)
    assert plainly_in_order(tree.path)
    spoil(tree)
    assert not plainly_in_order(tree.path)


# --- the same roots and hashes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cwd", ["/", "/home/dev/projects/demo", "/nowhere/at all/", "/a/./b/../c", "/tmp", "/x\udcff/y", " /odd ", "/a/b "]
)
def test_the_same_hashes(cwd: str, tmp_path: Path) -> None:
    for environ in ({}, {"GIT_WORK_TREE": "/elsewhere"}, {"GIT_WORK_TREE": "sub"}):
        assert places.hashes(cwd, environ) == hashes_of(cwd, environ)


def test_the_same_hashes_through_links(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for cwd in (tmp_path / "link", tmp_path / "link" / "deep", tmp_path / "real"):
        assert places.hashes(str(cwd), {}) == hashes_of(str(cwd), {})


def test_no_root_is_missed(tmp_path: Path, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_PLUGIN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CLAUDE_PLUGIN_DATA", str(tmp_path / "named"))
    for state in (
        isolated / "home/.claude/plugins/data/codex-inline/state",
        tmp_path / "cache/data/codex-openai-codex/state",
        tmp_path / "named/state",
        isolated / "tmp/codex-companion",
    ):
        state.mkdir(parents=True)
    found = {os.path.realpath(root) for root in places.roots(os.environ) if os.path.isdir(root)}
    assert {str(root.path) for root in default_roots()} <= found
    assert len(default_roots()) == 4


def test_a_home_in_the_config_variable_is_the_same_to_everybody(
    isolated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A shell that quotes it, or a file of settings, hands ``~/x`` on as it stands."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "~/x")
    monkeypatch.chdir(tmp_path)
    state = isolated / "home/x/plugins/data/codex-inline/state"
    state.mkdir(parents=True)
    real = os.path.realpath(state)
    assert real in {os.path.realpath(root) for root in places.roots(os.environ)}
    assert [str(root.path) for root in default_roots()] == [real]
    assert os.path.realpath(root_named("codex-inline", os.environ)) == real
    assert settings_path("user") == isolated / "home/x/settings.json"


def test_the_short_path_reads_json_as_the_engine_does() -> None:
    for text in (b"{}", b' {"a": [1, 2.5, "x", null, true]} \r\n', '{"\\ud800": "é"}'.encode(), b'{"a": "\xff"}'):
        assert hookcheck.parse(text) == json.loads(text.decode("utf-8", "replace"))
    for text in (
        b"",
        b" ",
        b"{",
        b"{} {}",
        b"{}x",
        b"NaN",
        b'{"a": Infinity}',
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'"\n"',
        b"{'a': 1}",
    ):
        with pytest.raises((NotPlain, ValueError)):
            hookcheck.parse(text)
