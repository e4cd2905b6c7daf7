"""The hook, as a process, on files that a death amid the plugin's in-place write has cut off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hook.test_protocol import DEAD, HOOK, ORPHAN, call, event
from tests.support import PROJECT, Tree, done, job

FINISHED = "task-mnyhf4j1-1mnkv1"
VERSIONS = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
INTERPRETERS = [Path(sys.executable), *(p for n in range(10, 15) for p in sorted(VERSIONS.glob(f"3.{n}.*/bin/python")))]
CUTS = [1, 2, 3, 20, 100, 300, 500, 700, 1100, -1500, -700, -300, -20, -3, -2]
"""Bytes that are left of a file; below zero: that many are missing."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt":  # Wine is slow, and every call a process
        monkeypatch.setenv("STATEHEAL_HOOK_TIMEOUT", "600")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def tree(project: Path, isolated: Path) -> Tree:
    """A finished job and an orphan."""
    tree = Tree(isolated / "home/.claude", project=str(project.resolve())).add(done(FINISHED))
    return tree.add(job(ORPHAN, pid=DEAD, threadId="thr_42"))


def cut(path: Path, left: int) -> None:
    """As if the write had ended there, a while ago."""
    path.write_bytes(path.read_bytes()[:left])
    os.utime(path, (time.time() - 600, time.time() - 600))


def answered(project: Path, *arguments: str) -> str:
    """What the hook tells the user. On a busy machine its deadline may pass first: then it says nothing, and is called
    again as the next launch would."""
    for _ in range(8):
        said = call(event(project), *arguments)
        if said is not None:
            return str(said["systemMessage"])
    raise AssertionError("it never said anything")


@pytest.mark.processes
@pytest.mark.parametrize("left", CUTS)
def test_a_cut_index_is_healed(tree: Tree, project: Path, left: int) -> None:
    cut(tree.path / "state.json", left)
    said = answered(project, "-v")
    assert "repaired" in said and "by itself" not in said
    assert tree.entry(ORPHAN)["phase"] == "orphaned" and tree.entry(FINISHED)["status"] == "completed"


@pytest.mark.processes
@pytest.mark.parametrize("left", [1, 30, 200, 400, -200, -2])
def test_a_torn_job_file_keeps_nothing_from_the_job_beside_it(tree: Tree, project: Path, left: int) -> None:
    cut(tree.path / "jobs" / f"{FINISHED}.json", left)
    answered(project)
    assert tree.entry(ORPHAN)["phase"] == "orphaned" and tree.record(ORPHAN)["status"] == "failed"
    assert tree.record(FINISHED)["status"] == "completed"


@pytest.mark.processes
@pytest.mark.parametrize("python", INTERPRETERS, ids=lambda path: path.parent.parent.name)
def test_on_every_interpreter_a_cut_file_is_not_plain_and_no_error(python: Path, tree: Tree, project: Path) -> None:
    """The short path alone, which needs nothing installed: what it cannot read is the engine's to look at."""
    code = "import os, sys; from stateheal.hook.check import in_order; print(in_order(sys.argv[1], os.environ))"
    environ = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    tree.index(*(entry for entry in tree.read_index()["jobs"] if entry["id"] == FINISHED))
    for path in tree.path.glob(f"jobs/{ORPHAN}.*"):
        path.unlink()
    answers = []
    for name in ("state.json", f"jobs/{FINISHED}.json"):
        path = tree.path / name
        whole = path.read_bytes()
        for left in (len(whole), *(left for left in CUTS if abs(left) < len(whole))):
            path.write_bytes(whole[:left])
            run = subprocess.run(
                [python, "-c", code, str(project)], env=environ, capture_output=True, text=True, timeout=60
            )
            assert run.returncode == 0, run.stderr
            answers.append((name, run.stdout.strip() == "True", left == len(whole)))
        path.write_bytes(whole)
    assert len(answers) > 16 and all(plain is whole for _, plain, whole in answers), answers


@pytest.mark.processes
def test_what_could_not_be_written_is_said_with_its_cause(tree: Tree, project: Path, isolated: Path) -> None:
    (isolated / "journal").write_text("not a directory")
    said = answered(project)
    assert "by itself" not in said and "journal" in said and "directory" in said


READ_ONLY = "mount --bind {0} {0} && mount -o remount,ro,bind {0} && exec {1}"


@pytest.mark.processes
def test_a_read_only_mount_is_named(tree: Tree, project: Path) -> None:
    script = READ_ONLY.format(tree.path, " ".join(HOOK))
    command = ["unshare", "--mount", "sh", "-c", script]
    try:
        probe = subprocess.run(
            ["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"], capture_output=True, timeout=60
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if probe.returncode != 0:
        pytest.skip("no mounts of one's own here")
    stdin = json.dumps(event(project)).encode()
    for _ in range(8):  # its deadline may pass first
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, cwd=PROJECT)
        assert done.returncode == 0
        if done.stdout:
            break
    said = json.loads(done.stdout)["systemMessage"]
    assert "Read-only file system" in said and "by itself" not in said and "dead-pid" in said
