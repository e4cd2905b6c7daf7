"""Command lines that name a job: whose may be the work on it, and whose only asks about it."""

from __future__ import annotations

import pytest

from stateheal.diagnosis.case import Case
from stateheal.diagnosis.liveness import judge
from stateheal.diagnosis.naming import names, who_names
from stateheal.model.liveness import Liveness, Owner, ProcessFacts
from stateheal.model.look import Look, Seen
from stateheal.model.request import Settings
from tests.support import NOW, host

JOB = "task-mnyhf4jl-1mnkv1"
SCRIPT = "/home/dev/.claude/plugins/cache/openai-codex/codex/1.0.5/scripts/codex-companion.mjs"
WORKS = [
    ("node", SCRIPT, "_run-worker", "--cwd", "/x", "--job", JOB, "--auth-mode", "api"),
    ("node", SCRIPT, "task-worker", "--jobId", JOB),
    ("node", SCRIPT, "task-worker", "--JOB-ID", JOB),
    ("node", SCRIPT, "task-worker", "--job-id", f"'{JOB}'"),
    ("node", SCRIPT, "task-worker", f"--id={JOB}"),
    ("node", "/x/delegate.mjs", "--worker", JOB, "--write"),
    ("node", "/x/job-worker.mjs", f"/state/demo-0123456789abcdef/jobs/{JOB}.json"),
    ("node", SCRIPT, "task-worker", f"--job-file=/state/demo/jobs/{JOB}.json"),
    ("docker", "exec", "c1", "sh", "-c", f"node {SCRIPT} task-worker --cwd /x --job-id {JOB}"),
    ("ssh", "host", f"node {SCRIPT} task-worker --job-id '{JOB}'; echo done"),
    ("sh", "-c", f"node {SCRIPT} task-worker --job-id={JOB}"),
    ("sh", "-c", f"node {SCRIPT} task-worker --job-file /state/jobs/{JOB}.json"),
    ("sh", "-c", f"node /x/gemini-companion.mjs task-worker {JOB}"),
    ("sh", "-c", f"node {SCRIPT} task-worker --job-id {JOB}; stateheal heal"),
    ("python3", "-m", "codex_companion", JOB),
    ("bash", "-c", f"node worker.mjs {JOB} > /tmp/o 2>&1"),
    ("wsl.exe", "-e", "bash", "-lc", f"cd /x && JOB={JOB} node worker.mjs"),
    ("node", "--eval", f"import('./worker.mjs').then(m => m.run('{JOB}'))"),
]
ASKS = [
    ("tail", "-f", f"/state/demo/jobs/{JOB}.log"),
    ("/usr/bin/less", f"/state/demo/jobs/{JOB}.json"),
    ("grep", "-r", JOB, "."),
    ("watch", "-n1", "cat", f"/state/jobs/{JOB}.json"),
    ("rsync", f"/state/jobs/{JOB}.log", "host:"),
    ("node", SCRIPT, "task", "--resume", JOB),
    ("node", SCRIPT, "task-worker", "--job-id", "task-other", "--parent", JOB),
    ("node", SCRIPT, "status", "--job-id", JOB, "--wait"),
    ("node", SCRIPT, "status", JOB),
    ("node", SCRIPT, "result", JOB, "--json"),
    ("stateheal", "explain", JOB),
    ("python3", "/usr/local/bin/stateheal", "jobs", "--job", JOB),
    ("sh", "-c", f"stateheal heal --job {JOB}"),
    ("sh", "-c", f"node {SCRIPT} status {JOB}"),
    ("sh", "-c", f"node worker.mjs {JOB}-b"),
    ("claude", "-p", f"why is {JOB} still running?"),
    ("node", SCRIPT, "task-worker", "--job-id", JOB + "0"),
    ("node", SCRIPT, "task-worker", "--job-id", JOB + "-b"),
    ("sh", "-c", f"node {SCRIPT} task-worker --job-id {JOB}-b"),
    ("node", SCRIPT, "task-worker", "--job-id", "x" + JOB),
    (),
]


SHORT = "job-1"
SHORT_WORKS = [
    ("docker", "exec", "c1", "sh", "-c", f"node {SCRIPT} task-worker --cwd /x --job-id {SHORT}"),
    ("ssh", "host", f"node {SCRIPT} task-worker --job-id='{SHORT}'; echo done"),
    ("sh", "-c", f"node /x/gemini-companion.mjs task-worker {SHORT}"),
]
SHORT_ASKS = [
    ("sh", "-c", f"node {SCRIPT} task-worker --job-id {SHORT}2"),
    ("sh", "-c", f"echo {SHORT}"),
    ("sh", "-c", f"run --job-id {SHORT}"),
    ("make", SHORT),
    ("sh", "-c", f"stateheal heal --job {SHORT}"),
]


@pytest.mark.parametrize("argv", SHORT_WORKS, ids=range(len(SHORT_WORKS)))
def test_a_short_id_is_known_behind_a_workers_command(argv: tuple[str, ...]) -> None:
    assert names(Seen(7, argv), "--job-id", SHORT)
    assert who_names(Look((Seen(7, argv),)), "--job-id", SHORT)


@pytest.mark.parametrize("argv", SHORT_ASKS, ids=range(len(SHORT_ASKS)))
def test_a_short_id_alone_may_be_any_word(argv: tuple[str, ...]) -> None:
    assert not names(Seen(7, argv), "--job-id", SHORT)


@pytest.mark.parametrize("argv", WORKS, ids=range(len(WORKS)))
def test_who_names_it_may_work_on_it(argv: tuple[str, ...]) -> None:
    assert names(Seen(7, argv), "--job-id", JOB)
    assert not names(Seen(7, argv, zombie=True), "--job-id", JOB)


@pytest.mark.parametrize("argv", ASKS, ids=range(len(ASKS)))
def test_who_only_asks_does_not(argv: tuple[str, ...]) -> None:
    assert not names(Seen(7, argv), "--job-id", JOB)


def test_a_short_name_is_found_by_chance() -> None:
    assert not names(Seen(7, ("make", "-j", "12")), "--job-id", "12")


def test_a_broker_is_named_by_its_endpoint() -> None:
    endpoint = "unix:/tmp/cxc-8fd4ew/broker.sock"
    serving = ("docker", "exec", "c1", "sh", "-c", f"node /x/app-server-broker.mjs serve --endpoint {endpoint}")
    assert names(Seen(7, serving), "--endpoint", endpoint)
    assert not names(Seen(7, ("sh", "-c", f"ls {endpoint}")), "--endpoint", endpoint)


@pytest.mark.parametrize("argv", [WORKS[0], WORKS[8]])
def test_a_job_that_is_named_elsewhere_is_not_dead(argv: tuple[str, ...]) -> None:
    claimed = Owner(JOB, "running", 4242, NOW - 9000, NOW - 9000, None, NOW - 8000)
    gone = ProcessFacts(4242, exists=False, why="no such process")
    assert judge(Case(claimed, gone, host(), Settings(), Look)).state is Liveness.DEAD
    verdict = judge(Case(claimed, gone, host(), Settings(), lambda: Look((Seen(7, argv),))))
    assert (verdict.state, verdict.row) == (Liveness.UNSURE, "named-elsewhere")
    assert verdict.reason == f"process 7 has {JOB} in its command line" and "stateheal close {job}" in verdict.settles
