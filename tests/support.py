"""Builders that several tests share: workspaces on disk, a process table that says what it is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings

from stateheal.commit.journal import Journal
from stateheal.engine.world import World
from stateheal.evidence.hashes import slug, workspace_hash
from stateheal.evidence.processes import SystemProcesses
from stateheal.formats.times import format_time, parse_time
from stateheal.model.liveness import HostFacts, ProcessFacts
from stateheal.model.look import Look, Seen

HERE = Path(__file__).parent
PROJECT = HERE.parent
FIELD_DATA = HERE / "field-data"
SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Windows has none; os.kill ends a process there with whatever number it is given."""
NOW = parse_time("2026-11-23T08:00:00.000Z") or 0.0
HOST = HostFacts(now=NOW, hostname="here", boot_time=NOW - 30 * 86400, boot_id="boot-1", pid_namespace="pid:[1]")
NATIVE_HOST = HOST._replace(windows=os.name == "nt")
DRIVE = "C:" if os.name == "nt" else ""
"""On Windows a path without a drive is another system's."""


def native(path: str) -> str:
    """A path of Linux as one that this system could have."""
    return f"{DRIVE}{path}".replace("/", os.sep)


WORKER = ("node", "/plugins/codex/scripts/codex-companion.mjs", "task-worker", "--job-id")


def examples(usual: int) -> int:
    """How many examples a test makes up: so many in the whole suite, fewer in its fast part, any number if told."""
    told = os.environ.get("STATEHEAL_FUZZ_EXAMPLES")
    return int(told) if told else usual * settings.default.max_examples // 100


class Still(SystemProcesses):
    """This machine at one moment: a repair's line for a log says when it was written."""

    moment = time.time()

    def host(self) -> HostFacts:
        return super().host()._replace(now=self.moment)


@dataclass
class FakeProcesses:
    """A process table from a dictionary; a pid that is not in it is gone."""

    table: dict[int, ProcessFacts] = field(default_factory=dict)
    facts_of_host: HostFacts = NATIVE_HOST
    asked: list[int] = field(default_factory=list)
    elsewhere: list[Seen] = field(default_factory=list)
    """Processes that a look at the whole table shows beside those."""
    looks: int = 0

    def look(self) -> Look:
        self.looks += 1
        known = (
            Seen(p.pid, p.argv or (), None, p.created, p.kernel, p.zombie) for p in self.table.values() if p.exists
        )
        return Look((*known, *self.elsewhere))

    def facts(self, pid: int) -> ProcessFacts:
        self.asked.append(pid)
        return self.table.get(pid, ProcessFacts(pid, exists=False, why="no such process"))

    def host(self) -> HostFacts:
        return self.facts_of_host

    def live(self, pid: int, *argv: str, created: float | None = None, **more: Any) -> FakeProcesses:
        """Add a process."""
        self.table[pid] = ProcessFacts(pid, True, argv=argv or None, created=created, **more)
        return self


def at(offset: float) -> str:
    """A time in the plugin's spelling, ``offset`` seconds from NOW."""
    return format_time(NOW + offset)


def job(ident: str, **fields: Any) -> dict[str, Any]:
    """A job record as the plugin writes it, running for two hours unless told otherwise. ``...`` leaves a field out."""
    record = {
        "id": ident,
        "kind": "task",
        "kindLabel": "rescue",
        "title": "Codex Task",
        "workspaceRoot": f"{DRIVE}/home/dev/projects/somewhere",
        "jobClass": "task",
        "summary": "map the failing tests",
        "write": False,
        "createdAt": at(-7201),
        "sessionId": "s-1",
        "status": "running",
        "startedAt": at(-7200),
        "phase": "starting",
        "pid": 4242,
        "logFile": f"{DRIVE}/state/demo/jobs/{ident}.log",
    }
    return {key: value for key, value in {**record, **fields}.items() if value is not ...}


def done(ident: str, **fields: Any) -> dict[str, Any]:
    """A completed job file."""
    ending = {"status": "completed", "phase": "done", "pid": None, "threadId": "thr_1", "turnId": "turn_1"}
    result = {"completedAt": at(-3600), "result": {"rawOutput": f"answer of {ident}"}, "rendered": "answer\n"}
    return job(ident, **{**ending, **result, **fields})


def entry_of(record: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """The index entry that belongs to a job file."""
    entry = {key: value for key, value in record.items() if key not in ("result", "rendered", "cancelledAt")}
    entry.setdefault("updatedAt", record.get("completedAt") or record.get("startedAt") or record.get("createdAt"))
    return {key: value for key, value in {**entry, **fields}.items() if value is not ...}


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8", newline="\n")


@dataclass
class Tree:
    """One workspace on disk, under a ``state`` directory of a codex plugin."""

    root: Path
    project: str = "/home/dev/projects/demo"
    plugin: str = "codex-openai-codex"

    @property
    def state(self) -> Path:
        return self.root / "plugins" / "data" / self.plugin / "state"

    @property
    def path(self) -> Path:
        return self.state / f"{slug(self.project)}-{workspace_hash(self.project)}"

    def index(self, *entries: Any, **top: Any) -> Tree:
        """Write state.json."""
        write_json(
            self.path / "state.json",
            {"version": 1, "config": {"stopReviewGate": False}, "jobs": list(entries), **top},
        )
        return self

    def file(self, record: dict[str, Any], stem: str | None = None) -> Tree:
        """Write a job file."""
        write_json(self.path / "jobs" / f"{stem or record['id']}.json", record)
        return self

    def log(self, ident: str, text: str = "[2026-11-23T06:00:00.000Z] Starting Codex Task.\n") -> Tree:
        """Write a log that was last touched two hours before NOW."""
        path = self.path / "jobs" / f"{ident}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (NOW - 7200, NOW - 7200))
        return self

    def add(self, record: dict[str, Any], **entry: Any) -> Tree:
        """Write a job file, its log, and its entry behind those already in the index."""
        if str(record.get("logFile", "")).startswith(f"{DRIVE}/state/demo/"):
            record = {**record, "logFile": str(self.path.resolve() / "jobs" / f"{record['id']}.log")}
        path = self.path / "state.json"
        entries = json.loads(path.read_text())["jobs"] if path.exists() else []
        return self.file(record).log(record["id"]).index(*entries, entry_of(record, **entry))

    def read_index(self) -> dict[str, Any]:
        return json.loads((self.path / "state.json").read_text())

    def entry(self, ident: str) -> dict[str, Any]:
        return next(entry for entry in self.read_index()["jobs"] if entry and entry.get("id") == ident)

    def record(self, ident: str) -> dict[str, Any]:
        return json.loads((self.path / "jobs" / f"{ident}.json").read_text())


def has_mode(path: Path, mode: int) -> bool:
    """Whether a file has these permissions; Windows has the read-only attribute alone, and is not asked."""
    return os.name == "nt" or path.stat().st_mode & 0o7777 == mode


def in_json(path: Path | str) -> str:
    """A path as a JSON text spells it."""
    return json.dumps(str(path), ensure_ascii=False)[1:-1]


def lay_out(tree: Path, state: Path, touched: Mapping[str, str] | None = None) -> Path:
    """Copy a case's tree to a ``state`` directory, as a real one: ``@JOBS@`` stands for a workspace's jobs directory.

    git keeps no times: everything was last touched a day before NOW unless ``touched`` says otherwise, by path.
    """
    shutil.copytree(tree, state, symlinks=True)
    for path in state.rglob("*.json"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(path.read_bytes().replace(b"@JOBS@/", jobs_of(path, state)))
    for path in state.rglob("*"):
        moment = parse_time((touched or {}).get(path.relative_to(state).as_posix())) or NOW - 86400
        os.utime(path, (moment, moment), follow_symlinks=os.utime not in os.supports_follow_symlinks)
    return state


def jobs_of(path: Path, state: Path) -> bytes:
    """The real path of the jobs directory of the workspace that a file lies in, a separator behind it, as JSON text."""
    jobs = state.resolve() / path.relative_to(state).parts[0] / "jobs"
    return in_json(f"{jobs}{os.sep}").encode("utf-8", "surrogateescape")


def settle(root: Path) -> None:
    """Date all files back to two hours before NOW, which stands still while the clock of the disk runs."""
    for path in root.rglob("*"):
        os.utime(path, (NOW - 7200, NOW - 7200))


def files_in(root: Path) -> dict[str, bytes]:
    """Every file below a directory, by relative path."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def stats_in(root: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, mode and mtime of everything below a directory: what a writer could not leave alone."""
    return {
        path.relative_to(root).as_posix(): (info.st_ino, info.st_mode, info.st_mtime_ns)
        for path in sorted(root.rglob("*"))
        for info in [path.lstat()]
    }


def world(processes: FakeProcesses | None = None, **more: Any) -> World:
    """A made-up process table, and waits of a fiftieth: nobody else writes here but what a test itself lets write."""
    return World(**{"processes": processes or FakeProcesses(), "sleep": lambda each: time.sleep(each / 50), **more})


def journal_in(path: Path) -> Journal:
    return Journal(path / "the-journal")


def host(**fields: Any) -> HostFacts:
    return HOST._replace(**fields)


def survivors(entries: list[Any], insertions: int = 2) -> set[str]:
    """Ids that the plugin's pruning keeps after so many further tasks: the 50 newest by ``updatedAt``.

    ``localeCompare`` orders ISO times as code points do; the sort is stable, new entries go first (section 2).
    """
    kept = [entry for entry in entries if isinstance(entry, dict)]
    for number in range(insertions):
        kept = [{"id": f"new-{number}", "updatedAt": "2027-01-01T00:00:00.000Z"}, *kept]
        kept = sorted(kept, key=lambda entry: str(entry.get("updatedAt") or ""), reverse=True)[:50]
    return {str(entry.get("id")) for entry in kept}
