"""What the real plugin says after a migration and after a recovery.

Needs node and ``STATEHEAL_TEST_PLUGIN``, as ``tests/test_real_plugin.py`` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import test_real_plugin
from tests.support import SIGKILL
from tests.test_real_plugin import Bench, running, until

pytestmark = test_real_plugin.pytestmark
bench = test_real_plugin.bench
STATEHEAL = (sys.executable, "-m", "stateheal")


@contextlib.contextmanager
def without_plugin_data(bench: Bench) -> Iterator[None]:
    """As in the session that installs the plugin: the shell does not see the variable, and the temp root is used."""
    data = bench.env.pop("CLAUDE_PLUGIN_DATA")
    try:
        yield
    finally:
        bench.env["CLAUDE_PLUGIN_DATA"] = data


def gate(bench: Bench) -> bool:
    return bool(json.loads(bench.plugin("setup", "--json"))["reviewGateEnabled"])


def finished(bench: Bench) -> set[str]:
    status = json.loads(bench.plugin("status", "--all", "--json"))
    return {job["id"] for job in (status["latestFinished"], *status["recent"]) if job}


def end_broker(root: Path) -> None:
    for path in root.glob("*/broker.json"):
        pid = json.loads(path.read_text())["pid"]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, SIGKILL)
        until(lambda pid=pid: not test_real_plugin.psutil.pid_exists(pid) or _zombie(pid), "the broker's end")


def _zombie(pid: int) -> bool:
    with contextlib.suppress(test_real_plugin.psutil.NoSuchProcess):
        return bool(test_real_plugin.psutil.Process(pid).status() == test_real_plugin.psutil.STATUS_ZOMBIE)
    return True


def test_two_roots_become_one_that_the_plugin_reads(bench: Bench) -> None:
    """The gate set in one root and read from the other, a job in each: together after the migration."""
    own = bench.finish()
    temp = Path(bench.env["TMPDIR"]) / "codex-companion"
    with without_plugin_data(bench):
        bench.plugin("setup", "--enable-review-gate")
        bench.plugin("task", "more work")
        assert gate(bench) is True
        (other,) = finished(bench)
        answer = bench.plugin("result", other)
    assert gate(bench) is False and finished(bench) == {own}
    assert f'No job found for "{other}"' in bench.plugin("result", other, status=1)
    migrate = [*STATEHEAL, "migrate", "--from", "temp", "--to", str(bench.data), "--cwd", str(bench.repo)]
    assert "broker" in bench.run(*migrate, status=1)  # as long as one answers
    end_broker(temp)
    end_broker(bench.data / "state")
    assert "--gate on or --gate off" in bench.run(*migrate, status=1)
    bench.run(*migrate, "--gate", "on", "--archive")
    assert not list(temp.iterdir())
    assert gate(bench) is True and finished(bench) == {own, other}
    assert bench.plugin("result", other) == answer and bench.plugin("result", own)
    new = bench.finish()
    assert finished(bench) == {own, other, new} and running(bench) == []


def test_a_recovered_answer_is_printed_by_the_plugin(bench: Bench) -> None:
    job = bench.start("task slow")
    record: dict[str, Any] = bench.record(job)
    bench.kill(record)
    bench.heal()
    shown = bench.plugin("result", job)
    assert "Orphaned: pid" in shown
    rollout = (
        Path(bench.env["CODEX_HOME"]) / f"sessions/2026/11/22/rollout-2026-11-22T08-00-00-{record['threadId']}.jsonl"
    )
    rollout.parent.mkdir(parents=True)
    end = {
        "type": "task_complete",
        "turn_id": record["turnId"],
        "last_agent_message": "All three tests fail for one reason.",
    }
    rollout.write_text(json.dumps({"timestamp": record["startedAt"], "type": "event_msg", "payload": end}) + "\n")
    bench.run(*STATEHEAL, "recover", str(bench.data))
    shown = bench.plugin("result", job)
    assert shown.startswith("All three tests fail for one reason.\n")
    assert f"codex resume {record['threadId']}" in shown and "Orphaned" not in shown
    assert running(bench) == [] and finished(bench) == {job}
    assert json.loads(bench.plugin("status", job, "--json"))["job"]["status"] == "completed"
