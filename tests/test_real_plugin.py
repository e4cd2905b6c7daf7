"""stateheal against the real plugin: jobs it really started, really killed, and read back by its own commands.

Needs node, and ``STATEHEAL_TEST_PLUGIN``: a checkout of the plugin's repository, whose tests bring a scripted Codex.
Nothing of it is copied here. Every test has its own home, temp dir, plugin data and project. Signals go only to
processes that the test's own jobs recorded, and only where the command line names the test's own directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

import stateheal
from tests.support import SIGKILL

PLUGIN = Path(os.environ.get("STATEHEAL_TEST_PLUGIN") or "/nonexistent").absolute()
SCRIPTS = PLUGIN / "plugins" / "codex" / "scripts"
COMPANION = SCRIPTS / "codex-companion.mjs"
EVALUATE = ("node", "--input-type=module", "-e")
TIMEOUT = 60.0  # seconds that any one process or wait may take
USABLE = os.environ.get("STATEHEAL_TEST_PLUGIN") and shutil.which("node") and os.name == "posix"
pytestmark = [pytest.mark.processes, pytest.mark.skipif(not USABLE, reason="needs STATEHEAL_TEST_PLUGIN and node")]

HOLDING_CODEX = """#!/bin/sh
here=${0%/*}
[ "$*" = app-server ] || exec "$here/scripted/codex" "$@"
"$here/scripted/codex" app-server | while IFS= read -r line; do
  case $line in *'/completed"'*)
    n=0; until [ -e "$here/go" ] || [ $n -ge 1200 ]; do sleep 0.1; n=$((n + 1)); done ;;
  esac
  printf '%s\\n' "$line"
done
"""
"""The scripted Codex, but no item and no turn completes before the file ``go`` is there (or two minutes are over)."""

INSTALL_CODEX = '(await import(process.argv[1])).installFakeCodex(process.argv[2], "adversarial-clean")'
REPEAT_THE_LAST_JOB = """
const [state, repo, count] = [await import(process.argv[1]), ...process.argv.slice(2)];
const { updatedAt, ...entry } = state.listJobs(repo)[0];
const record = state.readJobFile(state.resolveJobFile(repo, entry.id));
for (let n = 0; n < Number(count); n++) {
  const own = { id: `${entry.id}-${n}`, logFile: state.resolveJobLogFile(repo, `${entry.id}-${n}`) };
  state.writeJobFile(repo, own.id, { ...record, ...own });
  state.upsertJob(repo, { ...entry, ...own });
}
"""
"""More finished jobs in the plugin's own hand, without the wait for each."""

LATE = "--import=data:text/javascript,if(process.argv[2]==='task-worker')await(new%20Promise(f=>setTimeout(f,500)))"
"""On a busy machine a background worker may look for its job file before its parent wrote it, and die of that."""

KINDS = ("task slow", "task --background slow", "review", "adversarial-review")
PLACES = {"HOME": "h", "CLAUDE_CONFIG_DIR": "claude", "CODEX_HOME": "codex", "STATEHEAL_STATE_DIR": "j", "TMPDIR": "t"}


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of ``condition``. Fails naming ``what`` where there is none in time."""
    deadline = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return value


@dataclass
class Bench:
    """One project with its own plugin data, home and Codex; all of it under ``root``."""

    root: Path
    children: list[subprocess.Popen[Any]] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """A repository with something to review, and the scripted Codex behind the one that can hold it back."""
        self.repo, self.bin = self.root / "web.client", self.root / "bin"
        self.env = {name: str(self.root / place) for name, place in PLACES.items()}
        for directory in (self.repo, self.bin / "scripted", *map(Path, self.env.values())):
            directory.mkdir(parents=True)
        self.data = self.root / "claude" / "plugins" / "data" / "codex-openai-codex"
        self.env |= {"CLAUDE_PLUGIN_DATA": str(self.data), "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        # The stateheal that this test imported, also where a changed home hides the user's own packages.
        self.env |= {"PYTHONPATH": str(Path(stateheal.__file__).resolve().parents[1]), "NODE_OPTIONS": LATE}
        self.where: dict[str, Any] = {"cwd": self.repo, "env": self.env}
        self.run("git", "init", "-q", "-b", "main")
        (self.repo / "app.js").write_text("export const value = items[0];\n")
        self.run(*EVALUATE, INSTALL_CODEX, PLUGIN / "tests" / "fake-codex-fixture.mjs", self.bin / "scripted")
        (self.bin / "codex").write_text(HOLDING_CODEX)
        (self.bin / "codex").chmod(0o755)

    def run(self, *command: str | Path, stdin: str = "", status: int = 0) -> str:
        """What a command prints, on stdout and then on stderr. Fails where it does not end with ``status``."""
        done = subprocess.run(command, input=stdin, capture_output=True, encoding="utf8", timeout=TIMEOUT, **self.where)
        assert done.returncode == status, done.stdout + done.stderr
        return str(done.stdout + done.stderr)

    def plugin(self, *command: str, status: int = 0) -> str:
        """One command of the plugin, to its end."""
        return self.run("node", COMPANION, *command, "--cwd", self.repo, status=status)

    def heal(self) -> dict[str, Any]:
        """``stateheal heal`` on the plugin's data directory; its report."""
        return dict(json.loads(self.run(sys.executable, "-m", "stateheal", "heal", self.data, "--format", "json")))

    def read(self, name: str) -> dict[str, Any]:
        """A state file; empty where it is absent or just being written (the plugin writes in place)."""
        with contextlib.suppress(OSError, ValueError):
            for path in self.data.glob(f"state/*/{name}"):
                return dict(json.loads(path.read_bytes()))
        return {}

    def record(self, job: str) -> dict[str, Any]:
        return self.read(f"jobs/{job}.json")

    def entries(self) -> dict[str, dict[str, Any]]:
        return {entry["id"]: entry for entry in self.read("state.json").get("jobs", [])}

    def files(self, pattern: str = "**/*") -> dict[str, tuple[bytes, int, int]]:
        """Every file's bytes, mtime and inode: what was rewritten with the same bytes differs as well."""
        found = [path for path in self.data.glob(f"state/*/{pattern}") if path.is_file()]
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in found}

    def release(self) -> None:
        """Codex finishes what it was held back from, and all that follows."""
        (self.bin / "go").touch()

    def finish(self) -> str:
        """A task that Codex answers, to its end."""
        self.release()
        self.plugin("task", "short work")
        return next(iter(self.entries()))  # the plugin keeps the newest first

    def start(self, kind: str, *runner: str) -> str:
        """A job whose turn has started and that waits for Codex; it writes no more until Codex goes on.

        ``runner``: a command that runs the companion's.
        """
        (self.bin / "go").unlink(missing_ok=True)
        before = set(self.entries())
        command = (*runner, "node", str(COMPANION), *kind.split(), "--cwd", str(self.repo))
        quiet = subprocess.DEVNULL
        self.children.append(subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, **self.where))
        job = str(until(lambda: next(iter(set(self.entries()) - before), None), f"the entry of '{kind}'"))
        # The last thing that a job writes before it waits is its job file; the index stands by then.
        until(lambda: self.record(job).get("turnId"), f"the turn of {job}")
        until(lambda: kind != "review" or self.record(job).get("phase") == "reviewing", f"the reviewer of {job}")
        self.started += [self.record(job), self.read("broker.json")]
        return job

    def lives(self, pid: int) -> bool:
        """Whether a process of this test's own runs. A zombie does not: in a container nobody may come to reap it."""
        for child in self.children:
            child.poll()
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            return process.status() != psutil.STATUS_ZOMBIE and str(self.root) in " ".join(process.cmdline())
        return False

    def kill(self, record: dict[str, Any], signum: int = SIGKILL) -> int:
        """End the process of a job or of the broker, which has no chance to write; its pid."""
        pid = int(record["pid"])
        with contextlib.suppress(ProcessLookupError):
            if self.lives(pid):
                os.kill(pid, signum)
        until(lambda: not self.lives(pid), f"the end of {pid}")
        return pid

    def end_turns(self) -> None:
        """A turn that is left running in the shared broker makes ``--resume-last`` hang (field guide, section 4)."""
        self.kill(self.read("broker.json"))
        self.release()

    def close(self) -> None:
        """Nothing that was started here outlives the test."""
        for record in filter(None, (*self.started, self.read("broker.json"))):
            self.kill(record)
        self.release()
        for child in self.children:
            child.kill()
            child.wait(TIMEOUT)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with contextlib.closing(Bench(tmp_path)) as bench:
        yield bench


def proof(bench: Bench, job: str) -> tuple[Any, ...]:
    """All there is of a job: what the plugin prints for it, its entry, its files down to the inode."""
    return bench.plugin("result", job), bench.entries()[job], bench.files(f"jobs/{job}.*")


def running(bench: Bench) -> list[str]:
    return [job["id"] for job in json.loads(bench.plugin("status", "--json"))["running"]]


def assert_stuck(bench: Bench, job: str) -> None:
    """The damage, so that what comes after the heal means something. By id, ``result`` knows finished jobs only."""
    assert running(bench) == [job]
    assert f'No job found for "{job}"' in bench.plugin("result", job, status=1)
    if bench.entries()[job]["jobClass"] == "task":
        assert f"Task {job} is still running" in bench.plugin("task", "--resume-last", "follow up", status=1)


def assert_let_go(bench: Bench, job: str, pid: int) -> None:
    """What section 3 of the field guide asks of a healed job, read back by the plugin."""
    assert running(bench) == []
    shown = bench.plugin("result", job)
    assert f"\nOrphaned: pid {pid} no longer alive\n" in shown
    assert f"\nResume in Codex: codex resume {bench.record(job)['threadId']}\n" in shown
    assert "No active Codex jobs to cancel" in bench.plugin("cancel", status=1)
    assert f'No job found for "{job}"' in bench.plugin("cancel", job, status=1)


def assert_ends_well(bench: Bench, job: str) -> None:
    """Let go on by Codex, the job completes. (``status --wait`` would trip over files half written.)"""
    bench.release()
    until(lambda: bench.entries().get(job, {}).get("completedAt"), f"the ending of {job}")
    assert running(bench) == [] and bench.entries()[job]["status"] == "completed"
    assert "Orphaned" not in bench.plugin("result", job)


@pytest.mark.parametrize("signum", [SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_job_is_let_go(bench: Bench, kind: str, signum: int) -> None:
    """Stuck before; after one heal every command of the plugin goes on, and a second heal has nothing to write."""
    finished, job = bench.finish(), bench.start(kind)
    resumable = job if kind.startswith("task") else finished
    pid = bench.kill(bench.record(job), signum)
    kept = proof(bench, finished)
    assert_stuck(bench, job)
    healed = [(found["rule"], found["job"], found["pid"]) for found in bench.heal()["findings"] if found["repair"]]
    assert healed == [("dead-pid", job, pid)]
    assert_let_go(bench, job, pid)
    assert proof(bench, finished) == kept
    files = bench.files()
    assert bench.heal()["run"] is None and bench.files() == files
    bench.end_turns()
    answer = json.loads(bench.plugin("task", "--resume-last", "--json", "follow up"))
    assert answer["threadId"] == bench.record(resumable)["threadId"] and "Resumed" in answer["rawOutput"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_running_job_is_not_touched(bench: Bench, kind: str) -> None:
    """Not one byte of the workspace changes, broker.json included, and the job ends as if nothing had been."""
    job = bench.start(kind)
    before = bench.files()
    assert job not in [finding["job"] for finding in bench.heal()["findings"]]
    assert bench.files() == before and running(bench) == [job]
    assert_ends_well(bench, job)


def test_a_running_job_beside_a_dead_one(bench: Bench) -> None:
    """The index is rewritten under a live job: its own files and entry stay, and its ending is not lost."""
    bench.kill(bench.record(bench.start("task slow")))
    bench.end_turns()
    live = bench.start("task --background slow")
    entry, files = bench.entries()[live], bench.files(f"jobs/{live}.*")
    bench.heal()
    assert (bench.entries()[live], bench.files(f"jobs/{live}.*"), running(bench)) == (entry, files, [live])
    assert_ends_well(bench, live)


def test_later_tasks_lose_no_result(bench: Bench) -> None:
    """With a full index the plugin prunes by ``updatedAt``: two new tasks must push out the two orphans only."""
    orphans = {bench.start("task slow"), bench.start("task --background slow")}
    for job in orphans:
        bench.kill(bench.record(job))
    bench.end_turns()
    first = bench.finish()
    bench.run(*EVALUATE, REPEAT_THE_LAST_JOB, SCRIPTS / "lib" / "state.mjs", bench.repo, "47")
    kept, before = bench.files(f"jobs/{first}*"), set(bench.entries())
    bench.heal()
    assert len(before) == 50 and orphans < before and running(bench) == []
    new = {bench.finish(), bench.finish()}
    assert set(bench.entries()) == (before - orphans) | new
    assert bench.files(f"jobs/{first}*") == kept


def test_the_stop_hook_reads_a_healed_workspace(bench: Bench) -> None:
    """The review gate stays on, lets the session end, and no longer warns of a job that nobody can stop."""
    bench.plugin("setup", "--enable-review-gate")
    job = bench.start("task --background slow")
    bench.kill(bench.record(job), signal.SIGTERM)
    assert f"Job {job} is still running" in bench.plugin("result", status=1)
    bench.end_turns()
    hook, event = SCRIPTS / "stop-review-gate-hook.mjs", json.dumps({"cwd": str(bench.repo)})
    assert f"Codex task {job} is still running" in bench.run("node", hook, stdin=event)
    bench.heal()
    assert bench.run("node", hook, stdin=event) == ""
    assert [entry["title"] for entry in bench.entries().values()].count("Codex Stop Gate Review") == 2
