"""What every command tells of other companions' trees: their files' names and their words come from the dialect."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from stateheal.engine.api import audit, heal, request_of, settings_of
from stateheal.engine.choose import run_to_undo
from stateheal.engine.close import choose
from stateheal.engine.explain import explain
from stateheal.engine.jobs import list_jobs
from stateheal.engine.result import answers
from stateheal.engine.stop import why_none
from stateheal.engine.workspace import Auditor
from stateheal.evidence.discover import discover
from stateheal.export.bundle import find, pack
from stateheal.model.findings import Outcome
from stateheal.model.records import pid_of
from stateheal.model.request import Request
from stateheal.report.explanation import explanation_json, explanation_lines
from stateheal.report.page_data import spans_of
from stateheal.text import quoted
from tests.dialects.forks import FORKS_OF
from tests.dialects.layout import NOW, WRITTEN, lay_out
from tests.export.test_export import archive_of, members_of, unpack
from tests.support import NATIVE_HOST, FakeProcesses, files_in, journal_in, world

ANSWERED = sorted(FORKS_OF)


@pytest.mark.parametrize("name", ANSWERED)
def test_the_answer_of_a_completed_job_is_found(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    told, problems = answers(None, Request((str(laid.data),)), world=world())
    assert told and not problems
    kept = [each for each in told if each.text or ("gemini" not in name and "kimi" not in name)]
    assert kept, "those two print the answer of a job in the foreground, and keep none"
    for each in kept:
        assert each.status == "completed" or name == "alanjwong", each
        assert each.text and ("the thing" in each.text or "requested task" in each.text or "retry helper" in each.text)
        assert Path(each.where).is_file() and each.source in ("job file", "index entry")


def test_an_answer_is_found_in_the_log_of_a_job_that_has_a_directory(tmp_path: Path) -> None:
    laid = lay_out("unlikelyzero-agy", "healthy", tmp_path)
    (record,) = laid.state.glob("jobs/*/job.json")
    record.unlink()
    ((told,), _) = answers(record.parent.name, Request((str(laid.data),)), world=world())
    assert (told.text, told.source) == ("Handled the requested task.\n", "log") and told.where.endswith("log.log")


@pytest.mark.parametrize(("name", "key"), [("CBEPX-cc", "workerPid"), ("openai", "pid")])
def test_a_finding_tells_the_pid_that_its_companion_records(name: str, key: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    texts = [path.read_text() for path in laid.state.glob("jobs/*.json")]
    (finding,) = (each for each in laid.report(audit).findings if each.job)
    assert finding.pid is not None and any(f'"{key}": {finding.pid}' in text for text in texts)


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


@pytest.mark.parametrize("name", sorted(FORKS_OF))
@pytest.mark.parametrize("case", ["healthy", "killed"])
def test_jobs_explain_and_the_page_tell_the_state_that_counts(name: str, case: str, tmp_path: Path) -> None:
    """Whatever an audit takes for active they show as active, with its process; and nothing else."""
    laid = lay_out(name, case, tmp_path)
    table = world(FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400)))
    rows = list_jobs(Request((str(laid.data),)), world=table).rows
    assert [row.active for row in rows] == [case == "killed"] * len(rows) or name == "sakib-gemini"
    for row in rows:
        (told,) = explain(row.job, Request((str(laid.data),)), world=table).jobs
        assert told.recognition is not None
        dialect = told.recognition.dialect
        said = explanation_json(told)
        assert said["status"] == row.status and (row.status in dialect.active) == row.active
        spans = spans_of(
            Auditor(discover([laid.data]), settings_of(), table, journal_in(tmp_path)).audit(row.place, None).evidence,
            (),
        )
        (span,) = (each for each in spans if each.job == row.job)
        assert span.status == row.status and (span.kind in ("queued", "running")) == row.active
        if row.active:
            assert (row.pid is not None) == any(
                pid_of((told.entry or told.record or {}).get(key)) for key in dialect.pids
            )


@pytest.mark.parametrize("status", ["running", "queued"])
def test_a_field_that_outranks_status_is_shown(status: str, tmp_path: Path) -> None:
    laid = lay_out("alanjwong", "healthy", tmp_path)
    for path in (laid.state / "state.json", *laid.state.glob("jobs/*.json")):
        path.write_text(path.read_text().replace('"status": "completed"', f'"status": "{status}"'))
        os.utime(path, (WRITTEN, WRITTEN))
    (row,) = list_jobs(Request((str(laid.data),)), world=world()).rows
    (told,) = explain(row.job, Request((str(laid.data),)), world=world()).jobs
    assert (row.status, row.active) == ("FINISHED", False)
    lines = [str(line) for line in explanation_lines(told)]
    assert "FINISHED" in lines[0] and any("runStatus" in line and "FINISHED" in line for line in lines), lines


@pytest.mark.parametrize("name", sorted(FORKS_OF))
@pytest.mark.parametrize("case", ["healthy", "killed"])
def test_an_export_packs_every_record_log_and_broker_file(name: str, case: str, tmp_path: Path) -> None:
    laid = lay_out(name, case, tmp_path)
    table = world(FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400)))
    data = archive_of(laid.data, outside=table)
    own = [each for each, held in files_in(laid.state).items() if held and ("jobs/" in each or "broker" in each)]
    wanted = {each for each in own if each.endswith((".json", ".log")) and "broker-sessions" not in each}
    packed = {each.partition("/state/")[2].partition("/")[2] for each, held in members_of(data).items() if held}
    assert wanted <= packed, (wanted, packed)
    for private in (b"the thing", b"requested task", str(laid.project).encode(), b"retry helper"):
        assert not any(private in held for held in members_of(data).values() if held), private
    copy = unpack(data, tmp_path.resolve() / "copy")
    seen, there = laid.report(audit), audit([copy], world=table, journal=journal_in(tmp_path))
    rules = [
        sorted(
            (each.rule, each.job or "") for each in report.findings if each.rule != "moved-log"
        )  # unpacked elsewhere
        for report in (seen, there)
    ]
    assert rules[0] == rules[1], (rules, [each.message for each in there.findings])


def test_of_jobs_that_have_directories_one_alone_is_packed(tmp_path: Path) -> None:
    laid = lay_out("unlikelyzero-agy", "healthy", tmp_path)
    (folder,) = (laid.state / "jobs").iterdir()
    shutil.copytree(folder, folder.with_name("task-mwycsf8k-other1"))
    out = io.BytesIO()
    pack(find(request_of([laid.data], job=folder.name), world=world()), out, world=world())
    names = [name for name in members_of(out.getvalue()) if "/jobs/" in name]
    assert sorted(name.rpartition("/")[2] for name in names) == ["job.json", "log.log", folder.name], names


RESUMED = {
    "openai": "codex resume thr_1",
    "sakib-gemini": "gemini --resume sess-fake-1",
    "xai-grok-build": "grok -r ",
    "danmsheets-turbo": "grok -r ",
    "sendbird": "claude --resume ",
    "kozaksv-antigravity": "agy --conversation ",
    "tasict-opencode": None,
    "unlikelyzero-agy": None,
}


@pytest.mark.parametrize("name", sorted(RESUMED))
def test_how_to_go_on_is_told_in_the_words_of_what_the_companion_drives(name: str, tmp_path: Path) -> None:
    laid, wanted = lay_out(name, "healthy", tmp_path), RESUMED[name]
    rows = list_jobs(Request((str(laid.data),)), world=world()).rows
    told, _ = answers(None, Request((str(laid.data),)), world=world())
    lines = [
        str(line)
        for row in rows
        for each in explain(row.job, Request((str(laid.data),)), world=world()).jobs
        for line in explanation_lines(each)
    ]
    threads = any('"threadId": "' in path.read_text() for path in laid.state.rglob("*.json"))
    said = {each.resume for each in (*rows, *told)} | {line.partition("go on with it: ")[2] or None for line in lines}
    assert all(each is None or (wanted and each.startswith(wanted)) for each in said), said
    assert (said != {None}) == bool(wanted and threads), said


@pytest.mark.parametrize(("name", "key"), [("xai-grok-build", "grok"), ("kozaksv-antigravity", "antigravity")])
def test_a_reviews_answer_is_found_and_kept_where_its_companion_puts_it(name: str, key: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    (path, *_) = sorted(laid.state.glob("jobs/*.json"))
    record = json.loads(path.read_text())
    held = {"review": "Review", key: {"status": 0, "stdout": "All is well."}}
    path.write_text(json.dumps({**record, "result": held, "rendered": None}, indent=2) + "\n")
    (told, *_), _ = answers(record["id"], Request((str(laid.data),)), world=world())
    assert (told.text, told.source) == ("All is well.", "job file")


def test_a_gate_review_of_any_companion_is_known_by_its_title(tmp_path: Path) -> None:
    laid = lay_out("unlikelyzero-agy", "healthy", tmp_path)
    for path in laid.state.rglob("*.json"):
        path.write_text(path.read_text().replace('"agy Task"', '"agy Stop Gate Review"'))
    (found,) = laid.report(audit).findings
    assert found.rule == "gate-lost" and found.evidence.endswith(": /agy:setup --enable-review-gate")


@pytest.mark.parametrize(
    ("name", "temp"), [("xai-grok-build", "grok-cc-runs"), ("tasict-opencode", "opencode-companion")]
)
def test_state_of_any_companion_in_two_roots_is_told(name: str, temp: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    other = tmp_path / "t" / temp / laid.state.name
    shutil.copytree(laid.state, other)
    foreign = tmp_path / "box" / "plugins/data/codex-openai-codex/state" / laid.state.name
    shutil.copytree(laid.state, foreign)
    given = [laid.data, other.parent, tmp_path / "box/plugins/data"]
    report = audit(given, world=world(), journal=journal_in(tmp_path))
    split = {each.root: each.evidence for each in report.findings if each.rule == "split-root"}
    assert set(split) == {str(laid.state.parent), str(other.parent)}, split
    moves = f"stateheal migrate --from {quoted(str(other.parent))} --to {quoted(str(laid.state.parent))}"
    assert all((moves in each) == (name == "xai-grok-build") for each in split.values()), split


@pytest.mark.parametrize("name", sorted(FORKS_OF))
@pytest.mark.parametrize("changed", [False, True], ids=["as it is", "of an unknown version"])
def test_no_command_is_named_that_would_leave_the_record_as_it_is(name: str, changed: bool, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    index = laid.state / "state.json"
    if changed and not index.exists():
        pytest.skip("it keeps no index")
    if changed:
        index.write_text(json.dumps({**json.loads(index.read_bytes()), "version": 77}), "utf-8")
    table = world(FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400)))
    request = Request((str(laid.data),))
    for row in list_jobs(request, world=table).rows:
        (told,) = explain(row.job, request, world=table).jobs
        helps = "\n".join(map(str, explanation_lines(told, brief=True)))
        why = why_none(*choose(row.job, request, table).look())
        closed = [each for each in laid.report(heal, dry_run=True).findings if each.job == row.job and each.repair]
        for said in (helps, why):
            named = re.search(r"to close [^:]*: stateheal|'stateheal heal' closes it", said)
            assert (named is not None) is (row.needs in ("heal", "close")), said
        assert row.needs != "heal" or closed
