"""The samples for GitHub Actions and pre-commit: what they say is run, by bash and by pre-commit itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from stateheal.evidence.hashes import slug, workspace_hash
from stateheal.formats.times import format_time
from tests.packages import Packages, skip_without_registry, tool
from tests.support import PROJECT, Tree, job

SAMPLE = PROJECT / "samples" / "ci"
WORKFLOW = yaml.safe_load((SAMPLE / "codex-task.yml").read_text())
(JOB,) = WORKFLOW["jobs"].values()
STEPS: list[dict[str, Any]] = JOB["steps"]
PROGRAMS = Path(sys.executable).parent

# --- GitHub Actions: its structure ---------------------------------------------------------------------------------


def expressions(value: Any) -> Iterator[str]:
    """Every ``${{ … }}`` in a part of the workflow."""
    yield from re.findall(r"\$\{\{\s*(.*?)\s*\}\}", json.dumps(value))


def test_the_workflow_has_the_keys_that_github_reads() -> None:
    triggers = WORKFLOW[True]  # YAML 1.1 reads "on" as true; GitHub does not
    assert triggers["workflow_dispatch"]["inputs"].keys() == {"prompt"}
    assert WORKFLOW.keys() == {"name", True, "permissions", "defaults", "jobs"}
    assert JOB.keys() == {"runs-on", "timeout-minutes", "steps"}
    for step in STEPS:
        assert step.keys() <= {"name", "if", "uses", "with", "run", "env"} and ("uses" in step) != ("run" in step)
        assert step.get("if", "always()") == "always()"
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
    assert WORKFLOW["permissions"] == {"contents": "read"} and WORKFLOW["defaults"] == {"run": {"shell": "bash"}}


def test_what_comes_from_outside_reaches_a_script_by_its_environment_only() -> None:
    for step in STEPS:
        assert "run" not in step or not list(expressions(step["run"])), step["run"]
    assert set(expressions(STEPS)) == {
        "vars.STATEHEAL_SOURCE",
        "secrets.OPENAI_API_KEY",
        "inputs.prompt",
        "runner.temp",
    }


def test_what_cleans_up_is_run_whatever_has_happened() -> None:
    task = next(number for number, step in enumerate(STEPS) if step.get("name") == "Run the task")
    assert [step.get("if") for step in STEPS[task + 1 :]] == ["always()"] * 3
    assert not any("if" in step for step in STEPS[: task + 1])
    (limit,) = re.findall(r"--timeout (\d+)m", STEPS[task]["run"])
    assert int(limit) < JOB["timeout-minutes"]


@pytest.mark.processes
def test_the_workflow_is_valid_by_the_published_schema() -> None:
    checker = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    subprocess.run([*checker, str(SAMPLE / "codex-task.yml")], check=True, timeout=60)


# --- GitHub Actions: its scripts -----------------------------------------------------------------------------------

COMPANION = """
import json, os, signal, sys, time
from stateheal.formats.times import format_time
from tests.support import done, entry_of, job, write_json
from pathlib import Path
assert sys.argv[1].endswith("codex-companion.mjs") and sys.argv[2] == "task", sys.argv
state = Path(os.environ["CLAUDE_PLUGIN_DATA"]) / "state" / os.environ["TEST_WORKSPACE"]
print("::error::an order to the runner")
print("prompt:", *sys.argv[3:], flush=True)
now = format_time(time.time())
running = job("task-1", pid=os.getpid(), createdAt=now, startedAt=now)
made = done("task-1") if os.environ["TEST_TASK"] == "done" else running
write_json(state / "jobs/task-1.json", made)
write_json(state / "state.json", {"version": 1, "config": {}, "jobs": [entry_of(made)]})
if os.environ["TEST_TASK"] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""Stands in for node and the plugin: records a job, and ends as it is told."""
PROGRAM = """
import os
from pathlib import Path
from stateheal.__main__ import main
from stateheal.evidence import roots
roots.SYSTEM_TEMP = Path(os.environ["RUNNER_TEMP"]) / "tmp"
main()
"""
"""stateheal, as on a machine whose /tmp holds nothing of other companions' tests."""


@dataclass
class Runner:
    """Runs the steps of the workflow as GitHub's runner does, in a directory of its own."""

    path: Path
    values: dict[str, str] = field(default_factory=dict)
    log: str = ""
    failed: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.path / "temp" / "codex"

    @property
    def summary(self) -> str:
        return (self.path / "summary").read_text()

    def report(self, name: str) -> Any:
        return json.loads((self.path / "temp" / "report" / f"{name}.json").read_text())

    def stand_in(self, name: str, script: str) -> None:
        path = self.path / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def prepare(self, task: str) -> None:
        for name in ("bin", "temp", "work"):
            (self.path / name).mkdir()
        for name in ("env", "summary"):
            (self.path / name).touch()
        (self.path / "companion.py").write_text(COMPANION)
        for name in ("pipx", "npm", "codex"):
            self.stand_in(name, f'echo {name} "$@"; [ {name} != codex ] || cat')
        self.stand_in("node", f'exec {sys.executable} {self.path}/companion.py "$@"')
        self.stand_in("stateheal", f'exec {sys.executable} {self.path}/program.py "$@"')
        (self.path / "program.py").write_text(PROGRAM)
        work = str((self.path / "work").resolve())
        self.values |= {"TEST_TASK": task, "TEST_WORKSPACE": f"{slug(work)}-{workspace_hash(work)}"}

    def step(self, step: dict[str, Any]) -> int:
        """One step: its script in a file, its variables in the environment, as the runner's documentation says."""
        known = {"runner.temp": str(self.path / "temp"), **self.values}
        env = {
            **os.environ,
            "PATH": os.pathsep.join([str(self.path / "bin"), str(PROGRAMS), os.environ["PATH"]]),
            "PYTHONPATH": str(PROJECT),
            "RUNNER_TEMP": known["runner.temp"],
            "GITHUB_ENV": str(self.path / "env"),
            "GITHUB_STEP_SUMMARY": str(self.path / "summary"),
            **{name: self.values[name] for name in ("TEST_TASK", "TEST_WORKSPACE")},
            **dict(line.split("=", 1) for line in (self.path / "env").read_text().splitlines()),
            **{
                name: re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda found: known.get(found[1], ""), value)
                for name, value in step.get("env", {}).items()
            },
        }
        (self.path / "script.sh").write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(self.path / "script.sh")],
            cwd=self.path / "work",
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        self.log += done.stdout
        return done.returncode

    def run(self) -> Runner:
        for step in STEPS:
            if "run" in step and (not self.failed or step.get("if") == "always()") and self.step(step):
                self.failed.append(step["name"])
        return self


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    made = Runner(tmp_path / "runner")
    made.path.mkdir()
    made.values = {
        "vars.STATEHEAL_SOURCE": "https://example.org/stateheal.whl",
        "secrets.OPENAI_API_KEY": "the key",
        "inputs.prompt": 'map "the tests" $(touch owned); touch owned #`touch owned`',
    }
    return made


needs_bash = pytest.mark.skipif(os.name != "posix" or not shutil.which("bash"), reason="needs bash")


@pytest.mark.processes
@needs_bash
def test_a_task_that_ends_well(runner: Runner) -> None:
    runner.prepare("done")
    assert runner.run().failed == []
    assert "pipx install https://example.org/stateheal.whl" in runner.log
    assert "codex login --with-api-key\nthe key" in runner.log
    assert "prompt: " + runner.values["inputs.prompt"] in runner.log
    assert not list(runner.path.rglob("owned"))
    assert runner.report("audit")["summary"] == runner.report("heal")["summary"]
    assert runner.report("audit")["summary"]["jobs"] == 1 and runner.report("heal")["run"] is None
    assert "::warning::" not in runner.log


@pytest.mark.proc("a stateheal of its own judges nobody on a Linux whose /proc is empty")
@pytest.mark.processes
@needs_bash
def test_a_task_that_is_killed_leaves_nothing_open(runner: Runner) -> None:
    runner.prepare("killed")
    assert runner.run().failed == ["Run the task"]
    assert "stateheal: closed task-1: running, but pid" in runner.log
    assert runner.report("audit")["summary"]["remaining"] == 0 and runner.report("heal")["run"] is None
    record = json.loads(next(runner.data.rglob("task-1.json")).read_text())
    assert record["status"] == "failed" and record["pid"] is None


@pytest.mark.processes
@needs_bash
def test_what_the_task_prints_is_no_order_to_the_runner(runner: Runner) -> None:
    runner.prepare("killed")
    runner.run()
    token = re.search(r"::stop-commands::([0-9a-f]{32})\n", runner.log)
    assert token
    before, inside = runner.log.split(token[0])
    assert "::error::" not in before and "::error::" in inside.split(f"::{token[1]}::\n")[0]


@pytest.mark.proc("a stateheal of its own judges nobody on a Linux whose /proc is empty")
@pytest.mark.processes
@needs_bash
def test_damage_is_a_warning_and_is_healed(runner: Runner) -> None:
    runner.prepare("done")
    shutil.copytree(PROJECT / "samples/polluted/plugins/data/codex-openai-codex", runner.data)
    evil = "```\n# Heading <script>alert(1)</script>"
    Tree(runner.path / "temp", "/home/dev/evil").add(job("task-evil", status=evil))
    shutil.move(str(next((runner.path / "temp/plugins").rglob("evil-*"))), runner.data / "state")
    assert runner.run().failed == []
    assert runner.log.count("::warning::stateheal found damage") == 1
    assert runner.report("audit")["summary"]["remaining"] == 12
    assert runner.report("heal")["summary"]["healed"] == 12 and runner.report("heal")["summary"]["remaining"] == 0
    head, empty, *lines = runner.summary.splitlines()
    assert (head, empty) == ("### stateheal audit", "") and "task-mnyhf4jl-1mnkv1" in runner.summary
    assert all(line.startswith("    ") for line in lines) and any("<script>" in line for line in lines)


@pytest.mark.processes
@needs_bash
def test_what_cannot_be_read_fails_the_job_and_is_shown(runner: Runner) -> None:
    runner.prepare("done")
    (runner.data / "state" / "odd-0123456789abcdef" / "state.json").mkdir(parents=True)
    assert runner.run().failed == ["Audit", "Heal"]
    assert "cannot be read: it is a directory" in runner.summary
    assert len(runner.report("audit")["errors"]) == 1


@pytest.mark.processes
@needs_bash
def test_without_a_source_it_says_what_to_set(runner: Runner) -> None:
    runner.prepare("done")
    runner.values["vars.STATEHEAL_SOURCE"] = ""
    assert runner.run().failed[0] == "Install"
    assert "set the variable STATEHEAL_SOURCE in the settings of the repository" in runner.log


# --- pre-commit ----------------------------------------------------------------------------------------------------


@dataclass
class Repository:
    """A git repository with a pre-commit configuration, and the state of its project."""

    path: Path
    tree: Tree
    env: dict[str, str]

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.path, env=self.env, capture_output=True, text=True, timeout=300)

    def commit(self) -> subprocess.CompletedProcess[str]:
        return self.call("git", "commit", "--allow-empty", "-m", "a change")


@pytest.fixture
def repository(tmp_path: Path, isolated: Path) -> Repository:
    pre_commit = tool("pre-commit")
    path = (tmp_path / "project").resolve()
    path.mkdir()
    identity = {f"GIT_{who}_{what}": "dev@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {
        **os.environ,
        **identity,
        "PATH": os.pathsep.join([str(PROGRAMS), os.environ["PATH"]]),
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    made = Repository(path, Tree(isolated / "home/.claude", str(path)), env)
    shutil.copy(SAMPLE / "pre-commit-config.yaml", path / ".pre-commit-config.yaml")
    for command in (
        ["git", "init", "-q"],
        ["git", "add", "."],
        [pre_commit, "validate-config"],
        [pre_commit, "install"],
    ):
        done = made.call(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_the_form_that_installs_stateheal_is_the_same_hook() -> None:
    (hook,) = yaml.safe_load((SAMPLE / "pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    (other,) = yaml.safe_load(installing_form())["repos"][0]["hooks"]
    assert other.pop("additional_dependencies") == ["/path/to/stateheal"]
    assert other == {**hook, "language": "python"}


def installing_form() -> str:
    (found,) = re.findall(r"```yaml\n(.*?)```", (SAMPLE / "README.md").read_text(), re.DOTALL)
    return textwrap.dedent(found)


@pytest.mark.processes
def test_damage_stops_a_commit_until_it_is_healed(repository: Repository) -> None:
    assert repository.commit().returncode == 0, "no state at all"
    now = format_time(time.time())
    repository.tree.add(job("task-live", pid=os.getpid(), createdAt=now, startedAt=now))
    assert repository.commit().returncode == 0, "a job that runs"
    repository.tree.add(job("task-bad", pid=0))
    Tree(repository.tree.root, "/home/dev/elsewhere").add(job("task-other", pid=0))
    stopped = repository.commit()
    assert stopped.returncode == 1
    said = stopped.stdout + stopped.stderr
    assert "task-bad" in said and "exit code: 1" in said and "heal --cwd ." in said and "task-other" not in said
    assert repository.call("stateheal", "heal", "--cwd", ".").returncode == 0
    assert repository.commit().returncode == 0


@pytest.mark.processes
def test_what_cannot_be_read_stops_a_commit_and_is_said(repository: Repository) -> None:
    (repository.tree.path / "state.json").mkdir(parents=True)
    stopped = repository.commit()
    assert stopped.returncode == 1 and "exit code: 3" in stopped.stdout + stopped.stderr
    assert "it is a directory" in stopped.stdout + stopped.stderr


@pytest.mark.processes
def test_pre_commit_installs_stateheal_itself(repository: Repository, packages: Packages) -> None:
    repository.env["PATH"] = os.environ["PATH"]  # not the one under test
    text = installing_form().replace("/path/to/stateheal", str(packages.wheel))
    (repository.path / ".pre-commit-config.yaml").write_text(text)
    repository.call("git", "add", ".")
    repository.tree.add(job("task-bad", pid=0))
    stopped = repository.commit()
    skip_without_registry(stopped)
    said = stopped.stdout + stopped.stderr
    assert stopped.returncode == 1 and "task-bad" in said and "exit code: 1" in said
