"""What every command tells of other companions' trees: their files' names and their words come from the dialect."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from stateheal.engine.api import audit, heal
from stateheal.engine.choose import run_to_undo
from stateheal.engine.result import answers
from stateheal.model.findings import Outcome
from stateheal.model.request import Request
from tests.dialects.test_trees import FORKS_OF, lay_out
from tests.support import files_in, journal_in, world

ANSWERED = sorted(FORKS_OF)


@pytest.mark.parametrize("name", ANSWERED)
def test_the_answer_of_a_completed_job_is_found(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    told, problems = answers(None, Request((str(laid.data),)), world=world())
    assert told and not problems
    for each in told:
        assert each.status == "completed" or name == "alanjwong", each
        assert each.text and ("the thing" in each.text or "requested task" in each.text or "retry helper" in each.text)
        assert Path(each.where).is_file() and each.source in ("job file", "index entry")


def test_an_answer_is_found_in_the_log_of_a_job_that_has_a_directory(tmp_path: Path) -> None:
    laid = lay_out("unlikelyzero-agy", "healthy", tmp_path)
    (record,) = laid.state.glob("jobs/*/job.json")
    record.unlink()
    ((told,), _) = answers(record.parent.name, Request((str(laid.data),)), world=world())
    assert (told.text, told.source) == ("Handled the requested task.\n", "log") and told.where.endswith("log.log")


def test_what_is_added_to_the_index_is_copied_wherever_its_files_stand(tmp_path: Path) -> None:
    laid = lay_out("unlikelyzero-agy", "healthy", tmp_path)
    index = laid.state / "state.json"
    index.write_text('{"version": 1, "config": {}, "jobs": []}\n')
    originals = files_in(laid.state)
    report = laid.report(heal)
    assert [each.outcome for each in report.findings if each.rule == "unindexed"] == [Outcome.HEALED]
    kept = {name for name in originals if name.startswith("jobs/") and name.endswith((".json", ".log"))}
    with tarfile.open(journal_in(tmp_path).runs_path / str(report.run) / "0001.tar") as tar:
        for name in kept:
            member = tar.extractfile(f"kept/{name}")
            assert member is not None and member.read() == originals[name]
    assert len(kept) == 2


def test_a_repair_of_a_job_in_a_directory_is_found_by_its_id(tmp_path: Path) -> None:
    laid = lay_out("unlikelyzero-agy", "killed", tmp_path)
    job = next(each.job for each in laid.report(audit).findings if each.job) or ""
    report = laid.report(heal)
    for ident in (job, job[:-3]):
        run = run_to_undo(journal_in(tmp_path), None, job=ident)
        assert run is not None and run.id == report.run
    assert run_to_undo(journal_in(tmp_path), None, job="task-other") is None
