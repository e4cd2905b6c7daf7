"""The project's own workflows, issue template and pre-commit hook: well-formed, and they say what the project is."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packages import tool
from tests.reference import commands
from tests.support import PROJECT

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
(HOOK,) = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text())
FORM = yaml.safe_load((PROJECT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text())


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_passes_nothing_into_a_script(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("permissions", {"id-token": "write"}) == {"id-token": "write"} and "timeout-minutes" in job
    for step in steps(path):
        assert "${{" not in step.get("run", "")
        assert ("uses" in step) != ("run" in step)


@pytest.mark.processes
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_valid_by_the_published_schema(path: Path) -> None:
    checker = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    subprocess.run([*checker, str(path)], check=True, timeout=60)


def test_every_system_and_every_python_is_tested() -> None:
    matrix = yaml.safe_load((PROJECT / ".github/workflows/test.yml").read_text())["jobs"]["suite"]["strategy"]["matrix"]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    (lowest,) = re.findall(r'^requires-python = ">=3\.(\d+)"', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert matrix["python"] == [f"3.{minor}" for minor in range(int(lowest), 15)]


def test_a_failure_is_a_failure_and_its_report_is_kept() -> None:
    """The first run on macOS and Windows tells the truth."""
    assert not [path for path in WORKFLOWS if "continue-on-error" in path.read_text()]
    job = yaml.safe_load((PROJECT / ".github/workflows/test.yml").read_text())["jobs"]["suite"]
    assert job["strategy"]["fail-fast"] is False
    (told,) = (step["with"]["path"] for step in job["steps"] if step.get("if") == "always()")
    assert any(f"--junitxml={told}" in step.get("run", "") for step in job["steps"])


def test_the_hook_for_other_projects_is_the_sample_s() -> None:
    (repo,) = yaml.safe_load((PROJECT / "samples/ci/pre-commit-config.yaml").read_text())["repos"]
    (sample,) = repo["hooks"]
    for key in ("id", "name", "entry", "pass_filenames", "always_run"):
        assert HOOK[key] == sample[key]


@pytest.mark.processes
def test_the_hook_is_what_pre_commit_takes() -> None:
    subprocess.run(
        [tool("pre-commit"), "validate-manifest", str(PROJECT / ".pre-commit-hooks.yaml")], check=True, timeout=120
    )


def test_the_issue_form_asks_for_what_helps() -> None:
    asked = {field["id"]: field for field in FORM["body"] if "id" in field}
    assert "stateheal export" in asked["export"]["attributes"]["description"]
    named = re.findall(r"stateheal ([a-z]+)", json.dumps(FORM))
    assert named and {*named} <= {*commands(), "has"}
