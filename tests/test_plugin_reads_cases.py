"""The real plugin reads what a heal made of every case. Runs only where an installed copy is named.

``STATEHEAL_TEST_PLUGIN`` is a checkout of the plugin; its own code decides here what is running and what a result is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.test_cases import CASES, NAMES, Bench

PLUGIN = os.environ.get("STATEHEAL_TEST_PLUGIN")
NODE = shutil.which("node")
pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not PLUGIN or not NODE, reason="STATEHEAL_TEST_PLUGIN names no installed plugin, or no node"),
]
CODEX_CASES = [name for name in NAMES if "plugin" not in json.loads((CASES / name / "case.json").read_text())]


def companion(data: Path, project: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Ask the plugin's own companion about a workspace; the project directory itself need not exist."""
    script = Path(str(PLUGIN)) / "plugins" / "codex" / "scripts" / "codex-companion.mjs"
    environment = {**os.environ, "CLAUDE_PLUGIN_DATA": str(data)}
    command = [str(NODE), str(script), *words, "--cwd", project, "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def projects_in(bench: Bench) -> dict[str, Path]:
    """The project path of each workspace of a case: they all lie in one directory."""
    return {f"/home/dev/projects/{path.name[:-17]}": path for path in sorted(bench.state.iterdir()) if path.is_dir()}


@pytest.mark.parametrize("name", CODEX_CASES)
def test_the_plugin_reads_every_healed_case_rightly(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path / "tree").lay_out()
    report = bench.heal()
    cured = {finding.job for finding in report.findings if finding.repair and finding.job}
    for project, path in projects_in(bench).items():
        answer = companion(bench.state.parent, project, "status", "--all")
        assert answer.returncode == 0, answer.stderr
        status = json.loads(answer.stdout)
        index = json.loads((path / "state.json").read_text(errors="replace")) if (path / "state.json").exists() else {}
        if not isinstance(index, dict) or index.get("version", 1) != 1 or not isinstance(index.get("jobs", []), list):
            continue
        entries = [entry for entry in index.get("jobs", []) if isinstance(entry, dict)]
        active = {entry["id"] for entry in entries if entry.get("status") in ("queued", "running")}
        assert {job["id"] for job in status["running"]} == active
        assert not active & cured, "nothing that was healed is shown as running"
        for entry in entries:
            if entry["id"] in cured and entry.get("status") in ("completed", "failed", "cancelled"):
                _result_is_shown(bench, project, path, entry)


def _result_is_shown(bench: Bench, project: str, path: Path, entry: dict[str, Any]) -> None:
    """``result`` prints the answer of a completed job and the message of a failed one."""
    answer = companion(bench.state.parent, project, "result", entry["id"])
    assert answer.returncode == 0, answer.stderr
    shown = json.loads(answer.stdout)
    assert shown["job"]["status"] == entry["status"]
    file = path / "jobs" / f"{entry['id']}.json"
    if file.exists():
        assert shown["storedJob"] == json.loads(file.read_text(errors="replace"))
        assert shown["storedJob"]["status"] == entry["status"] or entry["status"] in ("completed", "cancelled")
