"""How a job ends, in each companion's own words and fields: by heal, by close, by stop, by recover."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit import ending as handles
from stateheal.diagnosis.change import patched
from stateheal.diagnosis.repairs import closed, ending
from stateheal.diagnosis.word import Word
from stateheal.dialects.table import DIALECTS
from stateheal.engine.api import audit, heal, settings_of
from stateheal.engine.close import choose, close_record
from stateheal.engine.commands import undo
from stateheal.engine.explain import explain
from stateheal.engine.stop import stop_job, targets_of
from stateheal.errors import Refused
from stateheal.evidence.host import start_ticks
from stateheal.formats.times import format_time, parse_time
from stateheal.model.claims import names_pid
from stateheal.model.dialect import Dialect
from stateheal.model.findings import Outcome, Severity
from stateheal.model.layout import status_of
from stateheal.model.records import COMPLETED, FAILED, is_active, is_completed, is_failed, is_finished, is_lost, pid_of
from stateheal.model.request import Closing, Request
from stateheal.runner.close_records import close_jobs
from tests.dialects.forks import FORKS_OF, HEALED
from tests.dialects.layout import FORKS, NOW, Laid, ask, lay_out, sides
from tests.support import NATIVE_HOST, FakeProcesses, files_in, journal_in, world
from tests.workers import WAITS, running, script, wait_for

WORD = Word("orphaned", "Closed on request: by a test", NOW - 60)
STRANGER = ("/usr/bin/some-agent", "-p", "fix the thing")


def table() -> FakeProcesses:
    return FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400))


def job_of(laid: Laid) -> str:
    return next(each.job for each in laid.report(audit).findings if each.job) or ""


def dialect_of(laid: Laid, job: str) -> Dialect:
    (told,) = explain(job, Request((str(laid.data),)), world=world(table())).jobs
    assert told.recognition is not None
    return told.recognition.dialect


def close(laid: Laid, job: str, processes: FakeProcesses) -> Any:
    chosen = choose(job, Request((str(laid.data),), settings=settings_of()), world(processes))
    return close_record(chosen, WORD, "close")


def named_pids(side: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The fields for processes that are not empty, of those that its own code empties."""
    fields = (*dialect.pids, *dialect.clears)
    return {key: side[key] for key in fields if side.get(key) is not None}


# --- the table -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_what_is_written_is_understood(dialect: Dialect) -> None:
    plain = dialect.status[-1]
    assert dialect.active - dialect.waiting and dialect.completed <= dialect.finished
    assert {COMPLETED, FAILED} <= dialect.finished and {COMPLETED, FAILED} & dialect.completed == {COMPLETED}
    assert dialect.record is None or "pid" in dialect.pids, "which jobs are clean is told by that"
    for status in dialect.active:
        side: dict[str, Any] = dict.fromkeys(dialect.status, status)
        side |= dict.fromkeys((*dialect.pids, *dialect.clears), 7)
        assert is_active(side, dialect)
        after = {**side, **closed(side, "orphaned", "Orphaned: x", NOW, dialect)}
        assert is_finished(after, dialect) and is_failed(after, dialect) and is_lost(after, dialect)
        assert after[plain] == FAILED and not named_pids(after, dialect)
        done = {**dict.fromkeys(dialect.status, COMPLETED), **dialect.answered, "completedAt": format_time(NOW)}
        taken = {**side, **ending(done, side, dialect)}
        assert is_completed(taken, dialect) and not named_pids(taken, dialect)
    for status in dialect.completed:
        assert not is_lost({**dict.fromkeys(dialect.status, status), "phase": "orphaned"}, dialect)


def test_a_field_that_outranks_the_others_goes_where_the_end_does_not_have_it() -> None:
    dialect = next(each for each in DIALECTS if len(each.status) > 1)
    first, plain = dialect.status
    target = {first: "RUNNING", plain: "running", "pid": 7}
    patch = ending({plain: "completed"}, target, dialect)
    after = patched(target, patch)
    assert is_completed(after, dialect) and first not in after and after["pid"] is None


# --- heal and close ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HEALED)
@pytest.mark.parametrize("way", ["heal", "close"])
def test_no_process_is_named_by_what_has_ended(name: str, way: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    job, before = job_of(laid), files_in(laid.state)
    dialect = dialect_of(laid, job)
    report = laid.report(heal) if way == "heal" else close(laid, job, table())
    assert [each.outcome for each in report.findings if each.job == job and each.repair][:1] == [Outcome.HEALED]
    for side in sides(laid.state, job):
        assert is_finished(side, dialect) and status_of(side, dialect) not in dialect.active
        assert side[dialect.status[-1]] == FAILED and not named_pids(side, dialect), side
        assert side.keys() >= dialect.orphan.keys()
    left = [each.severity for each in laid.report(audit).findings if each.job]
    assert Severity.DAMAGE not in left
    while undo(journal=journal_in(laid.box) if way == "heal" else None).run:
        pass
    assert files_in(laid.state) == before


@pytest.mark.parametrize("name", sorted(FORKS_OF.keys() - set(HEALED)))
def test_what_is_not_written_is_not_closed_either(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    job, before = job_of(laid), files_in(laid.state)
    with pytest.raises(Refused, match="has not been seen"):
        close(laid, job, table())
    assert files_in(laid.state) == before


AGENTS = {"xai-grok-build": "agentPid", "kozaksv-antigravity": "agyPid", "handong66-agy": "childPid"}


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_an_agent_that_lives_on_stays_named(name: str, tmp_path: Path) -> None:
    """Closed on a person's word; whom nothing else names any more would be forgotten."""
    laid, field = lay_out(name, "killed", tmp_path), AGENTS[name]
    job = job_of(laid)
    agent = next(side[field] for side in sides(laid.state, job))
    began = next(each["startedAt"] for each in sides(laid.state, job) if each.get("startedAt"))
    living = table().live(agent, *STRANGER, created=NOW - 86400 + 5)
    assert began and [each.severity for each in report(laid, living, heal).findings if each.job] == [Severity.UNSURE]
    close(laid, job, living)
    assert all(side[field] == agent and side["status"] == FAILED for side in sides(laid.state, job))
    close_to = [(each.rule, each.pid) for each in report(laid, living, audit).findings if each.job == job]
    assert close_to in ([], [("agent-lives", agent)])


def report(laid: Laid, processes: FakeProcesses, do: Any) -> Any:
    return do([laid.data], settings=settings_of(), world=world(processes), journal=journal_in(laid.box))


@pytest.mark.parametrize(("name", "field"), [("xai-grok-build", "bridgePid"), ("CBEPX-cc", "workerPid")])
@pytest.mark.parametrize("value", [0, 1, -4, True, "12"])
def test_an_unsafe_pid_is_found_in_whatever_field_it_stands(name: str, field: str, value: Any, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    (path, *_) = sorted(laid.state.glob("jobs/*.json"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, field: value}, indent=2) + "\n")
    os.utime(path, (NOW - 86400, NOW - 86400))
    (found,) = laid.report(heal).findings
    assert (found.rule, found.outcome, found.repair) == ("unsafe-pid", Outcome.HEALED, f"set {field} to null")
    assert json.loads(path.read_text())[field] is None


@pytest.mark.parametrize("name", HEALED)
def test_the_record_of_a_command_that_was_ended_says_so(name: str, tmp_path: Path) -> None:
    """``stateheal run --no-record -- node …-companion.mjs task``: its own record is closed when it has ended."""
    laid = lay_out(name, "killed", tmp_path)
    job = job_of(laid)
    dialect = dialect_of(laid, job)
    pids = {pid_of(side.get(key)) for side in sides(laid.state, job) for key in dialect.pids} - {None}
    if not pids:
        return  # it names the agent alone, and tells by itself that it is gone
    began = parse_time(next(each["createdAt"] for each in sides(laid.state, job))) or 0.0
    closing = Closing(frozenset(pid for pid in pids if pid), began - 1, began + 60, "Terminated by SIGTERM")
    told = close_jobs(closing, [str(laid.data)], [str(laid.project)], world(table()))
    assert not told.errors and [each.outcome for each in told.findings if each.job == job][:1] == [Outcome.HEALED]
    for side in sides(laid.state, job):
        assert (side["phase"], side["errorMessage"]) == ("terminated", "Terminated by SIGTERM")
        assert is_lost(side, dialect) and not named_pids(side, dialect)
    other = lay_out(name, "killed", tmp_path / "other")
    before = files_in(other.state)
    close_jobs(Closing(frozenset({1}), began - 1, began + 60, None), [str(other.data)], [str(other.project)])
    assert files_in(other.state) == before


# --- stop ----------------------------------------------------------------------------------------------------------

PARENT = """
import subprocess, sys
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
Path(sys.argv[1]).write_text(str(child.pid))
"""
WORKERS = {
    "xai-grok-build": ("grok-bridge.mjs", "run-worker", "--cwd", "{project}", "--job-id", "{job}"),
    "danmsheets-turbo": ("grok-bridge.mjs", "run-worker", "--cwd", "{project}", "--job-id", "{job}"),
    "kozaksv-antigravity": ("antigravity-companion.mjs", "task-worker", "--cwd", "{project}", "--job-id", "{job}"),
    "unlikelyzero-agy": ("agy-companion.mjs", "task-worker", "--cwd", "{project}", "--job-id", "{job}"),
    "sakib-gemini": ("gemini-companion.mjs", "task-worker", "{job}"),
    "tasict-opencode": ("opencode-companion.mjs", "task-worker", "--workspace", "{project}", "--job-id", "{job}"),
    "kim1232aa-opencode": ("opencode-companion.mjs", "task-worker", "--job-id", "{job}", "--workspace", "{project}"),
    "sendbird": ("claude-companion.mjs", "task-worker", "--cwd", "{project}", "--job-id", "{job}"),
    "CBEPX-cc": ("claude-companion.mjs", "task-worker", "--cwd", "{project}", "--job-id", "{job}"),
    "alanjwong": ("codex-companion.mjs", "task-worker", "--cwd", "{project}", "--job-id", "{job}"),
    "lucasmcht": ("codex-companion.mjs", "task-worker", "--cwd", "{project}", "--job-id", "{job}"),
    "patriyang": ("codex-companion.mjs", "task-worker", "--cwd", "{project}", "--job-id", "{job}"),
}
"""How each companion's own code starts its workers."""
AGENT_FIELDS = {"agentPid", "agyPid", "childPid"}


def begin(laid: Laid, job: str, worker: int, agent: int) -> None:
    """The killed job's records, as they would be while these processes work on it."""
    now = format_time(time.time())
    for path in laid.state.rglob("*.json"):
        value = json.loads(path.read_text())
        for side in value["jobs"] if isinstance(value, dict) and "jobs" in value else [value]:
            if isinstance(side, dict) and side.get("id") == job:
                for key in list(side):
                    if names_pid(key) and key != "processGroupId":
                        side[key] = agent if key in AGENT_FIELDS else worker
                    if key.endswith("At") and isinstance(side[key], str):
                        side[key] = now
                    if key in ("pidIdentity", "workerPidIdentity", "pidStart", "pidStartToken", "pidStartTime"):
                        side[key] = None
                    if key == "worker":
                        side[key] = worker_of(side[key], worker)
                    if key == "steering":
                        side[key]["worker"] = worker_of(side[key]["worker"], worker)
        path.write_text(json.dumps(value, indent=2) + "\n")


def worker_of(told: dict[str, Any], pid: int) -> dict[str, Any]:
    return {**told, "pid": pid, "processGroupId": pid, "startKey": f"linux:{start_ticks(pid)}"}


@pytest.mark.processes
@pytest.mark.skipif(not handles.HAS_HANDLES, reason="no handles on processes here")
@pytest.mark.parametrize("name", sorted(WORKERS))
def test_stop_ends_worker_and_agent_and_closes_the_record_in_its_words(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    job = job_of(laid)
    dialect = dialect_of(laid, job)
    program, *words = (word.format(project=laid.project, job=job) for word in WORKERS[name])
    text = script(tmp_path, program, f"import sys; sys.argv = ['', {str(tmp_path / 'agent')!r}]{PARENT}{WAITS}")
    with running(text, *words, cwd=laid.project) as process:
        assert wait_for((tmp_path / "agent").exists)
        assert wait_for((tmp_path / "agent").read_text)
        agent = int((tmp_path / "agent").read_text())
        begin(laid, job, process.pid, agent)
        chosen = choose(job, Request((str(laid.data),), settings=settings_of()))
        view, found = chosen.look()
        targets = targets_of(chosen, view, found)
        names_agent = any(side.keys() & AGENT_FIELDS and side.get("agentPid", agent) for side in sides(laid.state, job))
        assert [each.pid for each in targets] == [*([agent] if names_agent else []), process.pid], targets
        stopped, done, note = stop_job(chosen, targets, 5.0)
        assert all(each.ended and not each.refusal for each in stopped) and wait_for(lambda: process.poll() is not None)
        assert done is not None and done.healed == 1, (done and done.errors, note)
        if not names_agent:
            with suppress(OSError):  # on Windows it has ended with the worker that started it
                os.kill(agent, 9)
    for side in sides(laid.state, job):
        assert side[dialect.status[-1]] == FAILED and is_finished(side, dialect) and not named_pids(side, dialect), side
    if FORKS and FORKS_OF[name].checkout and (Path(FORKS) / FORKS_OF[name].checkout).exists():
        in_json = [] if "opencode" in name else ["--json"]
        listed = ask(name, laid, FORKS_OF[name].words[0], *in_json)
        assert listed.returncode == 0, listed
        assert not json.loads(listed.stdout)["running"] if in_json else "running" not in listed.stdout, listed


@pytest.mark.processes
@pytest.mark.skipif(not handles.HAS_HANDLES, reason="no handles on processes here")
@pytest.mark.parametrize("name", ["CBEPX-codex", "bbingz-kimi"])
def test_stop_of_what_is_only_audited_ends_the_process_and_says_what_it_left(name: str, tmp_path: Path) -> None:
    fork, laid = FORKS_OF[name], lay_out(name, "killed", tmp_path)
    job = job_of(laid)
    words = [{"ID": job, ".": str(laid.project)}.get(word, word) for word in fork.worker]
    with running(script(tmp_path, Path(fork.script).name, WAITS), *words, cwd=laid.project) as process:
        begin(laid, job, process.pid, process.pid)
        before = files_in(laid.state)
        chosen = choose(job, Request((str(laid.data),), settings=settings_of()))
        targets = targets_of(chosen, *chosen.look())
        assert [each.pid for each in targets] == [process.pid]
        (stopped,), done, note = stop_job(chosen, targets, 5.0)
        assert stopped.ended and not stopped.ended.survivors and wait_for(lambda: process.poll() is not None)
    assert done is not None and done.exit_status and note == "its record is not closed"
    assert "has not been seen" in done.errors[0].message, done.errors
    assert files_in(laid.state) == before


@pytest.mark.processes
@pytest.mark.skipif(not handles.HAS_HANDLES, reason="no handles on processes here")
def test_an_agent_that_another_process_has_started_is_not_ended(tmp_path: Path) -> None:
    laid = lay_out("xai-grok-build", "killed", tmp_path)
    job = job_of(laid)
    words = (word.format(project=laid.project, job=job) for word in WORKERS["xai-grok-build"][1:])
    with (
        running(script(tmp_path, "other.py", WAITS)) as other,
        running(script(tmp_path, "grok-bridge.mjs", WAITS), *words, cwd=laid.project) as process,
    ):
        begin(laid, job, process.pid, other.pid)
        chosen = choose(job, Request((str(laid.data),), settings=settings_of()))
        targets = targets_of(chosen, *chosen.look())
        assert [each.pid for each in targets] == [process.pid]
        stop_job(chosen, targets, 5.0)
        assert other.poll() is None
        assert all(side["agentPid"] == other.pid and side["bridgePid"] is None for side in sides(laid.state, job))
