"""What was healed, read back by the companion's own code, where STATEHEAL_TEST_FORKS names its checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from stateheal.engine.api import heal
from stateheal.model.findings import Outcome
from tests.dialects.forks import FORKS_OF, HEALED
from tests.dialects.layout import FORKS, Laid, ask, files_of, lay_out, node_for, sides, tear
from tests.support import files_in

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not FORKS, reason="needs STATEHEAL_TEST_FORKS: a directory of checkouts, <owner>+<name>"),
]


def laid_for(name: str, case: str, box: Path) -> Laid:
    """Its tree, for its own code to read; skipped where its checkout or a node that it takes is not there."""
    fork = FORKS_OF[name]
    script = Path(FORKS) / fork.checkout / fork.script
    if not script.is_file() or node_for(fork) is None or not shutil.which("git"):
        pytest.skip(f"needs {script}, node {fork.node} or newer and git")
    laid = lay_out(name, case, box)
    subprocess.run(["git", "init", "-q", "-b", "main", str(laid.project)], check=True)
    return laid


@pytest.mark.parametrize("name", HEALED)
def test_its_own_companion_reads_a_healed_job_back(name: str, tmp_path: Path) -> None:
    fork, laid = FORKS_OF[name], laid_for(name, "killed", tmp_path / "b")
    job = next(each.job for each in laid.report(heal).findings if each.job and each.outcome is Outcome.HEALED)
    healed = files_in(laid.state)
    status, result, cancel = fork.words
    listed, told, answer, ended = (
        ask(name, laid, status),
        ask(name, laid, status, job),
        ask(name, laid, result, job),
        ask(name, laid, cancel, job),
    )
    assert listed.returncode == told.returncode == 0, (listed, told)
    assert "| running |" not in listed.stdout.lower() and "`running`" not in listed.stdout
    assert (answer.returncode == 0 and "Orphaned: " in answer.stdout) is fork.says_why, answer
    assert "cancelled" not in ended.stdout.lower() or fork.cancels_all, ended
    if fork.cancels_all:
        return
    if fork.variable == "CODEX_HOME":  # reading a result is noted in the record, as of any finished job
        (record,) = sides(laid.state, job)
        assert record["status"] == "failed" and record["errorMessage"].startswith("Orphaned: ")
    else:
        assert files_in(laid.state) == healed


@pytest.mark.parametrize(("name", "checkout"), [(name, each) for name in HEALED for each in FORKS_OF[name].kin])
def test_its_kin_reads_a_healed_job_back(name: str, checkout: str, tmp_path: Path) -> None:
    laid = laid_for(name, "killed", tmp_path / "b")
    if not (Path(FORKS) / checkout).is_dir():
        pytest.skip(f"needs {checkout}")
    job = next(each.job or "" for each in laid.report(heal).findings if each.job)
    healed = files_in(laid.state)
    listed, answer = ask(name, laid, "status", checkout=checkout), ask(name, laid, "result", job, checkout=checkout)
    assert listed.returncode == answer.returncode == 0 and "| running |" not in listed.stdout, (listed, answer)
    assert "Orphaned: " in answer.stdout and files_in(laid.state) == healed


@pytest.mark.parametrize(
    ("name", "torn"),
    [(name, "index") for name in HEALED if FORKS_OF[name].records and FORKS_OF[name].rebuilds]
    + [(name, "job") for name in HEALED if FORKS_OF[name].records],
)
def test_its_own_companion_reads_what_was_mended(name: str, torn: str, tmp_path: Path) -> None:
    fork, laid = FORKS_OF[name], laid_for(name, "healthy", tmp_path / "b")
    for path in [laid.state / "state.json"] if torn == "index" else files_of(laid.state):
        tear(path)
    assert laid.report(heal).healed
    job = json.loads(files_of(laid.state)[0].read_bytes())["id"]
    listed, answer = ask(name, laid, fork.words[0]), ask(name, laid, fork.words[1], job)
    assert listed.returncode == answer.returncode == 0, (listed, answer)
    assert job in listed.stdout and ("requested task" in answer.stdout or "the thing" in answer.stdout), answer


def test_what_was_left_for_its_companion_to_fetch_is_fetched(tmp_path: Path) -> None:
    laid = laid_for("bbingz-qwen", "ended", tmp_path / "b")
    (found,) = laid.report(heal).findings
    answer = ask("bbingz-qwen", laid, "result", found.job or "")
    assert answer.returncode == 0 and "Handled the requested task." in answer.stdout, answer
