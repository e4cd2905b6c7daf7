"""``stateheal migrate`` and companions other than Codex's: what it cannot move rightly is refused, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from stateheal.engine.api import audit
from stateheal.migrate.commands import Moves, Options, Pair, migrate
from stateheal.model.findings import Severity
from stateheal.model.report import Report
from tests.dialects.forks import FORKS_OF
from tests.dialects.layout import Laid, lay_out
from tests.support import Tree, done, files_in, journal_in, world

MOVED = {name for name, fork in FORKS_OF.items() if fork.moves}


def to(laid: Laid, target: Path, **options: bool) -> Report:
    moves = Moves((Pair(laid.state, target),))
    moved: Report = laid.report(
        lambda paths, **more: migrate(moves, Options(**options), more["journal"], more["world"])
    )
    return moved


def other_root(laid: Laid, name: str, plugin: str | None = None) -> Path:
    """A place for the same workspace where another installation of the same plugin would have it."""
    return laid.box.resolve() / "other/plugins/data" / (plugin or FORKS_OF[name].plugin) / "state" / laid.state.name


@pytest.mark.parametrize("name", sorted(FORKS_OF))
def test_a_tree_is_moved_whole_or_not_at_all(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    target, before = other_root(laid, name), files_in(laid.box)
    report = to(laid, target)
    (moved,) = report.moved
    if name not in MOVED:
        assert moved.refusal and not moved.written and report.exit_status == 1 and report.run is None
        assert files_in(laid.box) == before
        return
    assert moved.written and moved.refusal is None, moved
    there = {path.name for path in (target / "jobs").iterdir()}
    told = {Path(each.path).name for each in report.errors}
    assert {path.name for path in (laid.state / "jobs").iterdir()} == there | told and not there & told
    seen = audit([target], world=world(), journal=journal_in(tmp_path))
    assert seen.jobs == len(moved.jobs) and not seen.errors and not seen.count(Severity.DAMAGE), seen.findings


@pytest.mark.parametrize("name", sorted(set(FORKS_OF) - MOVED))
def test_nor_is_anything_moved_into_one(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    source = Tree(tmp_path / "from", plugin=FORKS_OF[name].plugin).add(done("task-1"))
    before = files_in(laid.box)
    report = migrate(Moves((Pair(source.path, laid.state),)), Options(), journal_in(tmp_path), world())
    assert report.moved[0].refusal and report.exit_status == 1 and files_in(laid.box) == before


@pytest.mark.parametrize("name", sorted(set(FORKS_OF) - MOVED))
def test_nor_is_one_brought_up_to_date(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    before = files_in(laid.box)
    assert to(laid, laid.state, upgrade=True).moved[0].refusal and files_in(laid.box) == before


@pytest.mark.parametrize(("name", "plugin"), [("xai-grok-build", "glm-x"), ("openai", "opencode-x")])
def test_what_another_companion_would_be_taken_to_keep_stays(name: str, plugin: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    before = files_in(laid.box)
    report = to(laid, other_root(laid, name, plugin))
    if report.moved[0].refusal is None:
        assert not audit([other_root(laid, name, plugin)], world=world(), journal=journal_in(tmp_path)).findings
    else:
        assert files_in(laid.box) == before


def test_two_companions_trees_are_not_mixed(tmp_path: Path) -> None:
    laid = lay_out("xai-grok-build", "healthy", tmp_path)
    target = Tree(tmp_path / "to").add(done("task-1"))
    report = migrate(Moves((Pair(laid.state, target.path),)), Options(), journal_in(tmp_path), world())
    refusal = report.moved[0].refusal or ""
    assert "codex keeps it, and grok-build keeps" in refusal


def test_a_source_of_which_something_is_left_is_not_archived(tmp_path: Path) -> None:
    laid = lay_out("danmsheets-turbo", "healthy", tmp_path)
    report = to(laid, other_root(laid, "danmsheets-turbo"), archive=True)
    assert report.moved[0].written and not report.moved[0].archives and laid.state.is_dir()
    assert [Path(each.path).name for each in report.errors] == ["run-mwycsg74-2l2rjm.worker.err"]
