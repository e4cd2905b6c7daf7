"""What a second hostile tester broke, and what must never break again."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from stateheal.cli import run
from stateheal.engine.api import audit, heal, request_of
from stateheal.export.bundle import find, pack
from tests.support import Tree, done, files_in, job, journal_in, settle, world, write_json


def ascii_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def packed(root: Path) -> tuple[Any, bytes]:
    """What came of an export, and all its names and bytes."""
    out = io.BytesIO()
    exported = pack(find(request_of([root]), world=world()), out, world=world())
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        files = ((member.name.encode(), tar.extractfile(member) if member.isfile() else None) for member in tar)
        return exported, b"".join(name + (file.read() if file else b"") for name, file in files)


@pytest.mark.parametrize(("field", "value"), [("logFile", "/tmp/\ud800/task-1.log"), ("workspaceRoot", "/home/\ud800")])
def test_half_a_surrogate_in_a_path(tmp_path: Path, field: str, value: str) -> None:
    tree = Tree(tmp_path).add(job("task-0")).add(job("task-1"))
    ascii_json(tree.path / "jobs/task-1.json", {**tree.record("task-1"), field: value})
    settle(tree.path)
    report = audit([tmp_path], world=world())
    assert not [each for each in report.errors if "internal error" in each.message]
    assert {"task-0", "task-1"} <= {finding.job for finding in report.findings}


def test_a_rebuilt_index_keeps_ids(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add(done("task-1", logFile="/elsewhere/task-1.log")).add(job("task-2"))
    write_json(tree.path / "jobs/task-1.json", {**tree.record("task-1"), "id": "ask-1"})
    index = tree.path / "state.json"
    index.write_bytes(b"\0" + index.read_bytes())
    settle(tree.path)
    heal([tmp_path], world=world(), journal=journal_in(tmp_path))
    before = files_in(tree.path)
    assert heal([tmp_path], world=world(), journal=journal_in(tmp_path)).run is None
    assert files_in(tree.path) == before
    assert {entry["id"] for entry in tree.read_index()["jobs"]} == {"task-1", "task-2"}


def test_a_text_like_a_job_id_is_private_all_the_same(tmp_path: Path) -> None:
    target = {"branch": "task-payment-refactor", "label": "review-acmecorp-merger"}
    Tree(tmp_path).add(done("task-1", title="job-password-hunter2", result={"target": target}))
    _, data = packed(tmp_path)
    for private in (b"payment-refactor", b"acmecorp", b"hunter2"):
        assert private not in data


@pytest.mark.parametrize("name", ["acme-payroll.log", "ghp_ABCDEF123456.json"])
def test_a_strangers_file_name_is_private(tmp_path: Path, name: str) -> None:
    tree = Tree(tmp_path).add(done("task-1"))
    (tree.path / "jobs" / name).write_text("{}")
    _, data = packed(tmp_path)
    assert name.encode() not in data


def test_bytes_that_are_no_utf8_in_a_logs_brackets(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add(done("task-1"))
    (tree.path / "jobs/task-1.log").write_bytes(b"[2026-11-23T06:00:00.000Z] Turn started (\xff).\n")
    exported, _ = packed(tmp_path)
    assert not exported.report.errors and exported.report.workspaces == 1


@pytest.mark.posix("a name with a line feed")
def test_the_command_to_run_next_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = Tree(tmp_path).add(job("task-1", pid=999999))
    odd = tree.state / "ev\x1b]0;pwned\x07il-0123456789abcdef"
    tree.path.rename(odd)
    run(["audit", str(odd)])
    assert "\x1b" not in capsys.readouterr().out


def test_a_file_from_beyond_the_year_9999_is_packed(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add(done("task-1"))
    try:
        os.utime(tree.path / "jobs/task-1.json", (3e11, 3e11))
    except (OSError, OverflowError):
        pytest.skip("the file system has no such time")
    exported, _ = packed(tmp_path)
    assert not exported.report.errors and exported.report.workspaces == 1


def test_an_interrupted_dry_run_says_that_nothing_was_written(tmp_path: Path) -> None:
    from stateheal.model.report import Report
    from stateheal.model.request import Scope
    from stateheal.report.summary import summary

    report = Report("heal", dry_run=True, workspaces=2, reached=1, interrupted=True)
    said = list(summary(report, "/journal", Scope()))
    assert "Dry run: nothing was written." in said and not [line for line in said if "goes on" in line]


@pytest.mark.processes
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_before_anything_has_begun_is_no_traceback(tmp_path: Path) -> None:
    """At moments spread over the time that importing takes; before our own ``main`` there is only Python."""
    for delay in range(0, 60, 6):
        child = subprocess.Popen(
            [sys.executable, "-m", "stateheal", "audit", str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.02 + delay / 1000)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        assert not re.search(r"stateheal.__main__\.py\", line \d+, in main$", err, re.MULTILINE), err


def test_an_undo_of_many_files_reads_its_archive_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.commit import archive
    from stateheal.engine.commands import undo

    tree = Tree(tmp_path / "tree")
    for number in range(30):
        tree.add(job(f"task-{number}", pid=0))
    before, journal = files_in(tree.path), journal_in(tmp_path)
    heal([tree.root], world=world(), journal=journal)
    opened: list[Any] = []
    real = tarfile.open
    monkeypatch.setattr(archive.tarfile(), "open", lambda *a, **k: opened.append(a) or real(*a, **k))
    assert undo(journal=journal, world=world()).exit_status == 0
    assert files_in(tree.path) == before and len(opened) < 10
