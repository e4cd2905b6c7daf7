"""What the hook costs, as ratios within one run, to an empty Python and an empty node: medians of interleaved runs.

Processor time is told beside the clock's: it says the same on a machine that has other things to do, the least of many
runs above all.

``python -m tests.bench.hook [--runs 30] [--stateheal PATH]``; measured is what ``stateheal hook install`` has started
(beside a script that pip before 25.2 wrote, the interpreter), or the console script at PATH. Run it in an environment
where the wheel is installed. node is optional.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stateheal.evidence.hashes import slug, workspace_hash
from stateheal.hook.program import own_program

TIME = "2026-04-14T09:0{}:37.305Z"
LAUNCH = "node /plugins/codex/scripts/codex-companion.mjs task go"
TARGETS = {"unrelated command": 1.4, "clean workspace, 50 jobs": 1.7, "three orphans healed": 5.0}
"""Times an empty Python."""


def make_workspace(home: Path, project: Path, orphans: int) -> None:
    """50 finished jobs, and so many more that name a process which is gone, as the plugin writes them."""
    project.mkdir(parents=True)
    real = str(project.resolve())
    place = home / ".claude/plugins/data/codex-openai-codex/state" / f"{slug(real)}-{workspace_hash(real)}"
    (place / "jobs").mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pid = ended.pid
    entries: list[dict[str, Any]] = []
    for number in range(50):
        active = number < orphans
        record = {
            "id": f"task-mnyhf4j{number // 10}-1mnkv{number % 10}",
            "kind": "task",
            "kindLabel": "rescue",
            "title": "Codex Task",
            "workspaceRoot": real,
            "jobClass": "task",
            "summary": "map the failing tests and say which of them have a common cause",
            "write": False,
            "createdAt": TIME.format(0),
            "sessionId": "ef83482e-cbb5-4e3c-b16a-b8613be08da8",
            "status": "running" if active else "completed",
            "startedAt": TIME.format(1),
            "phase": "running" if active else "done",
            "pid": pid if active else None,
            "threadId": "019d8b1c-3a7e-7d40-b8a1-9e2f4c6d8e11",
            "turnId": "019d8b1c-4101-7b5e-8f21-77aa01c2de12",
        }
        record["logFile"] = str(place.resolve() / "jobs" / f"{record['id']}.log")
        if not active:
            record |= {"completedAt": TIME.format(2)}
        entries.append({**record, "updatedAt": TIME.format(2)})
        if not active:
            record |= {"result": {"rawOutput": "An answer of some length. " * 40}, "rendered": "An answer. " * 40}
        (place / "jobs" / f"{record['id']}.json").write_text(json.dumps(record, indent=2) + "\n")
        (place / "jobs" / f"{record['id']}.log").write_text(f"[{TIME.format(0)}] Starting Codex Task.\n" * 30)
    index = {"version": 1, "config": {"stopReviewGate": False}, "jobs": entries}
    (place / "state.json").write_text(json.dumps(index, indent=2) + "\n")
    # A minute ago: a log that moved just now is looked at twice, a file that was written just now watched for longer.
    for path in place.rglob("*"):
        os.utime(path, (time.time() - 60,) * 2)


def once(command: list[str], home: Path, stdin: bytes) -> tuple[float, float, bytes]:
    """Seconds by the clock, seconds of processor time, and what it said."""
    environ = {name: value for name, value in os.environ.items() if name != "NODE_EXTRA_CA_CERTS"}
    environ |= {"HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / ".claude"), "TMPDIR": str(home)}
    environ |= {"STATEHEAL_STATE_DIR": str(home / "journal"), "STATEHEAL_HOOK_TIMEOUT": "600"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules, as an installed program has them
    environ.pop("CLAUDE_PLUGIN_DATA", None)
    used, begun = _of_children(), time.perf_counter()
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, env=environ)
    return time.perf_counter() - begun, _of_children() - used, done.stdout


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(runs: int, program: list[str]) -> dict[str, list[tuple[float, float]]]:
    """Seconds of every run, by what was run; each round runs each once."""
    times: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "clean"
        make_workspace(clean, clean / "project", 0)
        for number in range(runs):
            damaged = Path(folder) / f"damaged-{number}"
            make_workspace(damaged, damaged / "project", 3)
            rounds: list[tuple[str, list[str], Path, str, bool]] = [
                ("python -c pass", [sys.executable, "-c", "pass"], clean, "ls", False),
                ("unrelated command", program, clean, "ls -la", False),
                ("clean workspace, 50 jobs", program, clean, LAUNCH, False),
                ("three orphans healed", program, damaged, LAUNCH, True),
            ]
            if shutil.which("node"):
                rounds.append(("node -e 0", ["node", "-e", "0"], clean, "ls", False))
            for name, command, home, launched, speaks in rounds:
                event = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": str(home / "project")}
                stdin = json.dumps({**event, "tool_input": {"command": launched}}).encode()
                *seconds, said = once(command, home, stdin)
                assert bool(said) == speaks, (name, said)
                times.setdefault(name, []).append((seconds[0], seconds[1]))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--stateheal")
    given = parser.parse_args()
    program = [given.stateheal, "hook"] if given.stateheal else list(own_program().words)
    print(" ".join(program))
    times = measure(given.runs, program)
    medians = {
        name: [statistics.median(each) for each in zip(*seconds, strict=True)] for name, seconds in times.items()
    }
    least = {name: min(used for _, used in seconds) for name, seconds in times.items()}
    python, node = medians["python -c pass"], medians.get("node -e 0")
    head = f"{'':26}{'ms':>7}{'x python':>10}{'x node':>8}{'cpu ms':>9}{'x python':>10}{'least':>9}{'x python':>10}"
    print(f"{head}   goal (x python)")
    for name, (passed, used) in medians.items():
        goal = TARGETS.get(name)
        shown = f"   <= {goal}" if goal else ""
        by_node = f"{passed / node[0]:8.2f}" if node else f"{'-':>8}"
        by_python = f"{used * 1000:9.1f}{used / python[1]:10.2f}"
        by_least = f"{least[name] * 1000:9.1f}{least[name] / least['python -c pass']:10.2f}"
        print(f"{name:26}{passed * 1000:7.1f}{passed / python[0]:10.2f}{by_node}{by_python}{by_least}{shown}")


if __name__ == "__main__":
    main()
