"""Trees that each companion wrote itself, whole, killed, torn, locked: nothing found; healed, or left and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stateheal.engine.api import audit, heal, settings_of
from stateheal.engine.commands import undo
from stateheal.engine.explain import explain
from stateheal.model.findings import Outcome, Severity
from stateheal.model.request import Request
from stateheal.report.explanation import explanation_lines
from tests.dialects.forks import FORKS_OF
from tests.dialects.layout import NOW, TREES, WRITTEN, files_of, lay_out, sides, tear
from tests.support import NATIVE_HOST, FakeProcesses, files_in, journal_in, world

UNREAD = TREES.parent / "unread"
INDEXED = [
    path.parent.parent.name
    for path in sorted(TREES.glob("*/healthy/state.json"))
    if "jobs" in json.loads(path.read_bytes())
]


@pytest.mark.parametrize("created", [WRITTEN - 40 * 86400, WRITTEN - 1, WRITTEN + 3600], ids=["old", "then", "late"])
@pytest.mark.parametrize("name", sorted(set(FORKS_OF) - {"sky-zhang01-glm"}))  # whose records name no process
def test_its_own_worker_is_never_called_dead(name: str, created: float, tmp_path: Path) -> None:
    fork, laid = FORKS_OF[name], lay_out(name, "killed", tmp_path)
    if created > WRITTEN and "ID" not in fork.worker:
        return  # another task's, then: it is not proven to be this one's, and may have its pid
    job = next(each.job or "" for each in laid.report(audit).findings if each.job)
    before = sides(laid.state, job)
    (pid, *_) = [side[key] for side in before for key in ("workerPid", "pid", "childPid") if side.get(key)]
    argv = [job if each == "ID" else each for each in fork.worker]
    script = f"/plugins/{Path(fork.script).name}"
    table = FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 90 * 86400))
    table.live(pid, "/usr/bin/node", script, *argv, created=created)
    report = heal([laid.data], settings=settings_of(), world=world(table), journal=journal_in(tmp_path))
    assert not [each for each in report.findings if each.job and each.severity is Severity.DAMAGE], report.findings
    assert sides(laid.state, job) == before


def test_every_tree_is_told_of() -> None:
    assert {path.name for path in TREES.iterdir()} == FORKS_OF.keys()


@pytest.mark.parametrize("name", sorted(FORKS_OF))
def test_of_a_healthy_tree_nothing_is_found(name: str, tmp_path: Path) -> None:
    report = lay_out(name, "healthy", tmp_path).report(audit)
    assert not report.errors and report.jobs and not report.findings, report.findings


@pytest.mark.parametrize("name", sorted(FORKS_OF))
def test_a_killed_job_is_found_and_closed_or_left(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    before = files_in(laid.state)
    seen = [each for each in laid.report(audit).findings if each.job]
    assert [each.severity for each in seen] == [Severity.DAMAGE], seen
    report = laid.report(heal)
    assert not report.errors
    if not FORKS_OF[name].heals:
        assert files_in(laid.state) == before and report.healed == 0 and "has not been seen" in seen[0].evidence
        return
    assert all(each.outcome is Outcome.HEALED for each in report.findings if each.repair) and report.healed
    for side in sides(laid.state, seen[0].job or ""):
        assert (side["status"], side["phase"], side.get("pid")) == ("failed", "orphaned", None)
        assert side["errorMessage"].startswith("Orphaned: ")
    assert laid.report(heal).run is None, "a second heal wrote something"
    undo(journal=journal_in(laid.box))
    assert files_in(laid.state) == before


@pytest.mark.parametrize("name", INDEXED)
def test_a_torn_index_is_rebuilt_or_left_and_named(name: str, tmp_path: Path) -> None:
    fork, laid = FORKS_OF[name], lay_out(name, "healthy", tmp_path)
    index = laid.state / "state.json"
    tear(index)
    before = files_in(laid.state)
    report = laid.report(heal)
    torn = [each for each in report.findings if each.rule == "torn-index"]
    if fork.heals and fork.rebuilds:
        assert [each.outcome for each in torn] == [Outcome.HEALED]
        assert json.loads(index.read_bytes())["jobs"]
    else:
        assert files_in(laid.state) == before
        assert all(each.repair is None for each in report.findings) and report.findings


@pytest.mark.parametrize("name", sorted(name for name in FORKS_OF if files_of(TREES / name / "healthy")))
def test_a_torn_job_file_is_rebuilt_or_left_and_named(name: str, tmp_path: Path) -> None:
    fork, laid = FORKS_OF[name], lay_out(name, "healthy", tmp_path)
    torn = files_of(laid.state)
    for path in torn:
        tear(path)
    before = files_in(laid.state)
    report = laid.report(heal)
    found = [each.outcome for each in report.findings]
    if not fork.records:
        assert found == [] and files_in(laid.state) == before, "an answer is no record, and is nobody's to mend"
    elif not fork.heals:
        assert found == [Outcome.FOUND] * len(torn) and files_in(laid.state) == before
    else:
        assert found == [Outcome.HEALED] * len(torn)
        assert all(json.loads(path.read_bytes())["status"] in ("completed", "FINISHED") for path in torn)
        assert laid.report(heal).run is None, "a second heal wrote something"
        undo(journal=journal_in(laid.box))
        assert files_in(laid.state) == before


@pytest.mark.parametrize(("name", "said"), [("xai-grok-build", "grok-build"), ("lucasmcht", "codex (lucasmcht")])
def test_explain_says_whose_tree_it_is_and_why(name: str, said: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    job = next(each.job for each in laid.report(audit).findings if each.job) or ""
    (told,) = explain(job, Request((str(laid.data),)), world=world()).jobs
    lines = [str(line) for line in explanation_lines(told)]
    assert any(line.startswith(f"  kept by {said}") and ": its " in line for line in lines), lines


def test_a_job_whose_answer_its_companion_has_yet_to_fetch_is_no_damage(tmp_path: Path) -> None:
    laid = lay_out("bbingz-qwen", "ended", tmp_path)
    before = files_in(laid.state)
    for do in (audit, heal):
        report = laid.report(do)
        (found,) = report.findings
        assert (found.severity, found.repair, report.exit_status) == (Severity.UNSURE, None, 0)
        assert "may still find its answer" in found.evidence and files_in(laid.state) == before


@pytest.mark.parametrize("name", sorted(path.name for path in UNREAD.iterdir()))
def test_what_a_companion_keeps_in_another_way_is_named_and_left(name: str, tmp_path: Path) -> None:
    """Each was written by that companion's own code: ``unread/NAME`` is what it left in ``plugins/data``."""
    data = tmp_path / "plugins/data"
    shutil.copytree(UNREAD / name, data)
    before = files_in(data)
    for do in (audit, heal):
        report = do([data], world=world(), journal=journal_in(tmp_path))
        assert {(each.rule, each.severity) for each in report.findings} == {("unread-state", Severity.NOTICE)}
        assert report.exit_status == 0 and files_in(data) == before
