"""``stateheal run`` and the real plugin: it lists, cancels and shows our jobs, and its own are closed behind it.

Needs node and ``STATEHEAL_TEST_PLUGIN``, as ``tests/test_real_plugin.py`` does.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests import test_real_plugin
from tests.test_real_plugin import TIMEOUT, Bench, assert_ends_well, running, until

pytestmark = test_real_plugin.pytestmark
bench = test_real_plugin.bench
RUN = (sys.executable, "-m", "stateheal", "run")


def run_of_ours(bench: Bench, *command: str) -> tuple[subprocess.Popen[Any], str]:
    """A command run as a tracked job, and the job's id once it is recorded."""
    before = set(bench.entries())
    child = subprocess.Popen([*RUN, "--", *command], stdout=subprocess.DEVNULL, **bench.where)
    bench.children.append(child)
    return child, str(until(lambda: next(iter(set(bench.entries()) - before), None), "the entry of our job"))


@pytest.mark.parametrize("kind", ["task slow", "review"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_runner_leaves_a_closed_record(bench: Bench, kind: str, signum: int) -> None:
    """The companion registers no handlers; its record is closed all the same, and the plugin goes on."""
    job = bench.start(kind, *RUN, "--no-record", "--")
    assert running(bench) == [job]
    runner = bench.children[-1]
    runner.send_signal(signum)
    assert runner.wait(TIMEOUT) == 128 + signum
    name = signal.Signals(signum).name
    for side in (bench.record(job), bench.entries()[job]):
        assert (side["status"], side["phase"], side["pid"]) == ("failed", "terminated", None)
        assert side["errorMessage"] == f"Terminated by {name}"
    assert running(bench) == []
    shown = bench.plugin("result", job)
    assert f"\nTerminated by {name}\n" in shown and "codex resume thr_" in shown
    bench.end_turns()
    if kind != "review":
        assert "Resumed" in bench.plugin("task", "--resume-last", "--json", "follow up")


def test_a_background_job_goes_on_behind_the_runner(bench: Bench) -> None:
    """The launching command ends at once; the worker it leaves is alive and stays recorded as running."""
    job = bench.start("task --background slow", *RUN, "--no-record", "--")
    assert bench.children[-1].wait(TIMEOUT) == 0
    assert running(bench) == [job] and bench.entries()[job]["status"] == "running"
    assert_ends_well(bench, job)


def test_a_job_that_ends_by_itself_is_left_as_the_plugin_left_it(bench: Bench) -> None:
    bench.release()
    out = bench.run(
        *RUN, "--no-record", "--", "node", str(test_real_plugin.COMPANION), "task", "short", "--cwd", bench.repo
    )
    (job,) = bench.entries()
    assert bench.entries()[job]["status"] == "completed" and "stateheal" not in out


def test_the_plugin_lists_and_shows_our_jobs(bench: Bench) -> None:
    bench.finish()  # the workspace is the plugin's own making
    child, job = run_of_ours(bench, "sh", "-c", "echo the output; sleep 0.5")
    assert running(bench) == [job]
    assert job in bench.plugin("status")
    assert child.wait(TIMEOUT) == 0
    assert running(bench) == []
    assert bench.plugin("result", job) == "the output\n"
    assert json.loads(bench.plugin("status", job, "--json"))["job"]["status"] == "completed"


def test_the_plugin_cancels_our_jobs(bench: Bench) -> None:
    """Its signal goes to the process group of the recorded pid: the runner leads one, and the record stays its own."""
    bench.finish()
    child, job = run_of_ours(bench, "sleep", "60")
    assert f"Cancelled {job}" in bench.plugin("cancel", job)
    assert child.wait(TIMEOUT) == 143
    for side in (bench.record(job), bench.entries()[job]):
        assert (side["status"], side["pid"], side["errorMessage"]) == ("cancelled", None, "Cancelled by user.")


def test_the_end_of_a_session_takes_our_jobs_along_and_they_stay_away(bench: Bench) -> None:
    bench.finish()
    bench.env["CODEX_COMPANION_SESSION_ID"] = "s-1"
    child, job = run_of_ours(bench, "sleep", "60")
    assert bench.record(job)["sessionId"] == "s-1"
    hook = test_real_plugin.SCRIPTS / "session-lifecycle-hook.mjs"
    event = json.dumps({"cwd": str(bench.repo), "session_id": "s-1", "hook_event_name": "SessionEnd"})
    bench.run("node", hook, "SessionEnd", stdin=event)
    assert child.wait(TIMEOUT) == 143
    assert job not in bench.entries() and not bench.record(job)
