"""Where state is looked for, what is named and not read, and whose a root in the temp directory is (section 11)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stateheal.engine.api import audit
from stateheal.engine.doctor import examine
from stateheal.evidence.discover import discover, discover_in
from stateheal.evidence.hashes import hashes_of, slug, workspace_hash
from stateheal.evidence.roots import default_roots, is_in_sandbox, looked_at, user
from stateheal.hook.places import roots as roots_of_the_hook
from tests.support import FakeProcesses, Tree, done, job, journal_in, world, write_json

PROJECT = "/home/dev/projects/demo"
NAME = f"{slug(PROJECT)}-{workspace_hash(PROJECT)}"


def state_in(root: Path, name: str = NAME) -> Path:
    """A state directory with one index in it."""
    write_json(root / name / "state.json", {"version": 1, "config": {}, "jobs": []})
    return root / name


@pytest.mark.parametrize(
    "place",
    [
        "tmp/codex-companion",
        "tmp/codex-companion-{uid}",
        "tmp/codex-companion-{uid}/state",
        "tmp/codex-companion-{uid}/0123456789ab",
        "tmp/claude-{uid}/codex-companion",
        "tmp/claude-{uid}/gemini-companion",
        "tmp/claude/codex-companion",
        "claude-code-tmp/codex-companion",
        "claude-code-tmp/claude-{uid}/codex-companion",
        "claude-tmp/opencode-companion",
        "tmp/grok-cc-runs",
        "tmp/agy-companion",
        "xdg-state/antigravity-companion",
        "home/.codex/plugins/data/cc/state",
        "agy-data/state",
        "agy-data/kimi/state",
        "home/.claude/plugins/data/kimi-kimi-plugin/kimi/state",
        "tmp/cxc-{uid}/state",
        "run/cxc-{uid}/state",
    ],
)
def test_every_companions_places_are_looked_into(isolated: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGY_COMPANION_DATA_DIR", str(isolated / "agy-data"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(isolated / "run"))
    monkeypatch.setenv("CLAUDE_CODE_TMPDIR", str(isolated / "claude-code-tmp"))
    monkeypatch.setenv("CLAUDE_TMPDIR", str(isolated / "claude-tmp"))
    made = state_in(isolated / place.format(uid=user()))
    assert [found.directory for found in discover(None).places] == [made.resolve()]
    assert not discover(None).unread
    assert str(made.parent) in map(os.path.normpath, roots_of_the_hook(os.environ))


@pytest.mark.parametrize("given", ["", "plugins/data", "plugins/data/kimi-x", "plugins/data/kimi-x/kimi/state"])
def test_a_state_directory_deeper_down_is_reached_by_every_path(given: str, tmp_path: Path) -> None:
    made = state_in(tmp_path / "plugins/data/kimi-x/kimi/state")
    assert [found.directory for found in discover([tmp_path / given]).places] == [made.resolve()]


def test_from_inside_a_sandbox_the_temp_directory_outside_is_seen_too(
    isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = state_in(isolated / "tmp/codex-companion")
    monkeypatch.setenv("TMPDIR", str(isolated / f"tmp/claude-{user()}"))
    assert made.resolve() in [found.directory for found in discover(None).places]


@pytest.mark.parametrize(
    ("place", "is_one"),
    [("tmp/claude-{uid}/x", True), ("tmp/claude/x", True), ("tmp/x", False), ("home/claude/.claude/x", False)],
)
def test_what_only_sandboxed_commands_fall_back_to(isolated: Path, place: str, is_one: bool) -> None:
    assert is_in_sandbox((isolated / place.format(uid=user())).resolve()) is is_one


def test_what_is_looked_at_is_told_and_what_of_it_is_there(isolated: Path) -> None:
    state_in(isolated / "tmp/codex-companion")
    there = {str(each.path): each.there for each in looked_at()}
    assert there[str(isolated / "home/.claude/plugins/data")] is False
    assert there[str(isolated / "tmp/codex-companion")] is True


@pytest.mark.posix("the hash of a path of its own")
def test_of_several_directories_the_same_is_found_and_nothing_told_of_where_there_was_none(isolated: Path) -> None:
    state_in(isolated / "tmp/codex-companion")
    state_in(isolated / "tmp/codex-companion", "odd-01234567")
    one = discover(None, PROJECT)
    assert len(one.places) == 1 and one.looked
    assert discover_in(None, [PROJECT, PROJECT]) == one._replace(looked=())


def test_what_is_of_no_known_shape_is_named(isolated: Path) -> None:
    data = isolated / "home/.claude/plugins/data"
    own = Tree(isolated / "home/.claude").add(done("task-1"))
    strange = [
        state_in(data / "btli/state", "demo-01234567"),
        state_in(data / "keeps", "inside"),
        state_in(data / "deeper/sub/state", "demo-0123456789abcdef").parent,
    ]
    (data / "plain/jobs").mkdir(parents=True)
    report = audit(None, world=world(), journal=journal_in(isolated))
    told = {each.path: each for each in report.findings if each.rule == "unread-state"}
    assert set(told) == {str(each) for each in (*strange, data / "plain")}
    assert all(f"does not read: {path}" in each.message for path, each in told.items())
    assert report.workspaces == 1 and report.exit_status == 0 and str(own.path) not in told
    assert discover(None, str(isolated)).unread == ()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners are POSIX's")
@pytest.mark.parametrize(("mode", "named"), [(0o700, False), (0o755, False), (0o775, True), (0o777, True)])
def test_a_temp_root_that_others_may_write_to_is_named(isolated: Path, mode: int, named: bool) -> None:
    root = isolated / "tmp/codex-companion"
    state_in(root)
    root.chmod(mode)
    report = audit(None, world=world(), journal=journal_in(isolated))
    assert [each.path for each in report.findings if each.rule == "planted-root"] == [str(root)] * named
    assert report.exit_status == 0 and report.workspaces == 1
    said = [each for each in examine(journal_in(isolated), FakeProcesses()) if "anybody can put" in each.detail]
    assert len(said) == named


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_temp_root_of_somebody_else_is_named_and_not_read(isolated: Path) -> None:
    root = isolated / f"tmp/claude-{user()}/gemini-companion"
    state_in(root)
    os.chown(root, 12345, 12345)
    report = audit(None, world=world(), journal=journal_in(isolated))
    (found,) = report.findings
    assert found.rule == "planted-root" and "belongs to user 12345" in found.message and report.workspaces == 0
    assert default_roots() == []


def test_a_hash_of_twelve_digits_and_one_of_a_git_directory_are_found(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    data = tmp_path / "config/plugins/data"
    wanted = {
        state_in(data / "gemini-x/state", f"project-{workspace_hash(str(project))[:12]}"),
        state_in(data / "turbo-build-plugin-x/state", f"project-{workspace_hash(str(project / '.git'))}"),
        state_in(data / "opencode-x/state", workspace_hash(str(project))),
    }
    assert {place.directory for place in discover([tmp_path / "config"], str(project)).places} == wanted
    linked, own = tmp_path / "linked", project / ".git/worktrees/linked"
    linked.mkdir()
    own.mkdir(parents=True)
    (linked / ".git").write_text(f"gitdir: {own}\n")
    (own / "commondir").write_text("../..\n")
    assert workspace_hash(str(project / ".git")) in hashes_of(str(linked), {})


def test_an_empty_machine_says_where_it_looked(isolated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from stateheal.cli import run

    assert run(["audit"]) == 0
    out = capsys.readouterr().out
    assert "No plugin state found" in out and f"not there  {isolated / 'home/.claude/plugins/data'}" in out
    assert "in temp directories ('stateheal doctor' lists them)" in out and max(map(len, out.splitlines())) < 200
    assert run(["doctor"]) == 0
    assert "codex-companion" in capsys.readouterr().out
    assert run(["doctor", "-q"]) == 0
    assert all(line.startswith(("limited", " ")) for line in capsys.readouterr().out.splitlines())
    assert run(["heal", "-q"]) == 0
    assert capsys.readouterr().out == "No plugin state found.\n"
    Tree(isolated / "home/.claude").add(job("task-1", pid=None, status="completed", phase="done"))
    run(["audit", "-v"])
    assert f"there      {isolated / 'home/.claude/plugins/data'}" in capsys.readouterr().out
