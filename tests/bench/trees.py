"""Trees of any size, as the plugin writes them, with every kind of damage: what the benchmarks measure.

``python -m tests.bench.trees DIRECTORY [--workspaces 50] [--jobs 50] [--damage 6]``. Same arguments, same tree,
but for times (relative to now) and two pids: one of a process that is gone, one of a process that lives.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stateheal.evidence.hashes import slug, workspace_hash
from stateheal.formats.times import DAY, HOUR, format_time

Record = dict[str, Any]
PROSE = "The three failing tests share one cause: the fixture opens the store before the migration has run. "
ENDING = {"status": "completed", "phase": "done", "pid": None}
ORPHAN = {"status": "running", "phase": "investigating"}


def dead_pid() -> int:
    """The pid of a process that has just ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        return ended.pid


@dataclass
class Workspace:
    """One workspace while it is being made: its two sides of every job, then what damage does to them."""

    path: Path
    project: str
    now: float
    chance: random.Random
    gone: int
    alive: int

    def __post_init__(self) -> None:
        self.config: Any = {"stopReviewGate": False}
        self.entries: list[Any] = []
        self.records: dict[str, Record] = {}
        self.extra: dict[str, bytes] = {}
        self.logs: dict[str, str] = {}

    def fill(self, jobs: int) -> None:
        """So many finished jobs, newest first."""
        for number in range(jobs):
            began = self.now - HOUR * (number + 3)
            ident = f"task-{number:08x}-{self.chance.randrange(36**5):06x}"
            log = str(self.path / "jobs" / f"{ident}.log")
            record = self._record(ident, began, log)
            ended = {"completedAt": format_time(began + 240), "threadId": f"thr_{number}", "turnId": f"turn_{number}"}
            record |= {**ENDING, **ended}
            self.entries.append({**record, "updatedAt": ended["completedAt"]})
            answer = PROSE * self.chance.choice((1, 3, 8, 20))
            self.records[ident] = {**record, "result": {"status": 0, "rawOutput": answer}, "rendered": answer + "\n"}
            self.logs[ident] = f"[{format_time(began)}] Starting Codex Task.\n" * 12

    def _record(self, ident: str, began: float, log: str) -> Record:
        return {
            "id": ident,
            "kind": "task",
            "kindLabel": "rescue",
            "title": "Codex Task",
            "workspaceRoot": self.project,
            "jobClass": "task",
            "summary": "map the failing tests and say which of them have a common cause",
            "write": False,
            "createdAt": format_time(began - 1),
            "sessionId": "ef83482e-cbb5-4e3c-b16a-b8613be08da8",
            "status": "running",
            "startedAt": format_time(began),
            "phase": "running",
            "pid": self.gone,
            "logFile": log,
        }

    def both(self, place: int, **fields: Any) -> None:
        """The job at this place is still running, by both of its records."""
        ident = self.entries[place]["id"]
        for side in (self.entries[place], self.records[ident]):
            for key in ("completedAt", "result", "rendered"):
                side.pop(key, None)
            side.update({**ORPHAN, **fields})

    def write(self) -> None:
        """Everything to disk, two days old: no log and no file is a sign of life."""
        (self.path / "jobs").mkdir(parents=True)
        index = {"version": 1, "config": self.config, "jobs": self.entries}
        files = {"state.json": _bytes(index)}
        files |= {f"jobs/{ident}.json": _bytes(record) for ident, record in self.records.items()}
        files |= {f"jobs/{ident}.log": text.encode() for ident, text in self.logs.items()}
        for name, data in {**files, **self.extra}.items():
            (self.path / name).write_bytes(data)
            os.utime(self.path / name, (self.now - 2 * DAY, self.now - 2 * DAY))


def _bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _torn(workspace: Workspace, place: int) -> None:
    ident = workspace.entries[place]["id"]
    workspace.extra[f"jobs/{ident}.json"] = _bytes(workspace.records[ident])[:-200]


def _broker(workspace: Workspace, place: int) -> None:
    folder = f"/tmp/cxc-{workspace.path.name[-6:]}"
    named = {"endpoint": f"unix:{folder}/broker.sock", "sessionDir": folder, "pid": workspace.gone}
    workspace.extra["broker.json"] = _bytes({**named, "pidFile": None, "logFile": None})


def _doubled(workspace: Workspace, place: int) -> None:
    workspace.entries.append({**workspace.entries[place], "updatedAt": workspace.entries[place]["createdAt"]})


def _conflict(workspace: Workspace, place: int) -> None:
    lost = {"status": "failed", "phase": "orphaned", "errorMessage": "Orphaned: pid 1234 no longer alive"}
    workspace.entries[place].update(lost)


def _stub(workspace: Workspace, place: int) -> None:
    kept = ("id", "phase", "updatedAt")
    workspace.entries[place] = {key: workspace.entries[place][key] for key in kept}


def _file_behind(workspace: Workspace, place: int) -> None:
    workspace.records[workspace.entries[place]["id"]].update({**ORPHAN, "pid": workspace.gone})


DAMAGE: dict[str, Callable[[Workspace, int], Any]] = {
    "dead-pid": lambda w, n: w.both(n, pid=w.gone),
    "recycled-pid": lambda w, n: w.both(n, pid=w.alive),
    "missing-pid": lambda w, n: w.both(n, pid=None),
    "unsafe-pid": lambda w, n: w.both(n, pid=0),
    "index-behind": lambda w, n: w.entries[n].update({**ORPHAN, "pid": w.gone}),
    "file-behind": _file_behind,
    "ending-conflict": _conflict,
    "torn-job": _torn,
    "unindexed": lambda w, n: w.entries.pop(n),
    "missing-file": lambda w, n: (w.both(n, pid=w.gone), w.records.pop(w.entries[n]["id"])),
    "stub-entry": _stub,
    "null-entry": lambda w, n: w.entries.append(None),
    "duplicate-id": _doubled,
    "unsafe-path": lambda w, n: w.entries[n].update(logFile="/etc/hosts"),
    "stale-broker": _broker,
    "leftover-temp": lambda w, n: w.extra.update({f"jobs/{w.entries[n]['id']}.json.tmp": b"{}"}),
    "wrong-shape": lambda w, n: w.config.update(stopReviewGate="false"),
    "schema": lambda w, n: w.entries[n].update(title=["a", "list"]),
    "gate-lost": lambda w, n: w.entries[n].update(title="Codex Stop Gate Review"),
}
"""What is done to a workspace, and to the job at a place of its index."""
PER_WORKSPACE, MANY = 6, 18
"""Damaged jobs of a workspace."""
TORN_INDEX_EVERY, GONE_PROJECT_EVERY = 10, 20


def make_tree(root: Path, workspaces: int = 50, jobs: int = 50, *, damage: int = PER_WORKSPACE, alive: int = 0) -> Path:
    """A config directory below ``root``; ``damage``: how many jobs of each workspace are damaged, none for sound ones.

    ``alive`` is the pid that recycled records name. Returns its path.
    """
    chance, now, gone = random.Random(workspaces * 1000 + jobs), time.time(), dead_pid()
    state = root / "config/plugins/data/codex-openai-codex/state"
    kinds = list(DAMAGE)
    for number in range(workspaces):
        project = (root / "projects" / f"project-{number:05}").resolve()
        if not damage or number % GONE_PROJECT_EVERY != GONE_PROJECT_EVERY - 1:
            project.mkdir(parents=True)
        path = state.resolve() / f"{slug(str(project))}-{workspace_hash(str(project))}"
        workspace = Workspace(path, str(project), now, chance, gone, alive or os.getpid())
        workspace.fill(jobs)
        for step in range(damage if jobs > 10 else 0):
            kind = kinds[(number * damage + step) % len(kinds)]
            DAMAGE[kind](workspace, step)
        if damage and number % TORN_INDEX_EVERY == TORN_INDEX_EVERY - 1:
            torn = _bytes({"version": 1, "config": workspace.config, "jobs": workspace.entries})
            workspace.extra["state.json"] = torn[: len(torn) * 2 // 3]
        workspace.write()
    return root / "config"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--workspaces", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--damage", type=int, default=PER_WORKSPACE, help="damaged jobs in each workspace; 18 is a lot")
    given = parser.parse_args()
    print(make_tree(given.directory, given.workspaces, given.jobs, damage=given.damage, alive=os.getppid()))


if __name__ == "__main__":
    main()
