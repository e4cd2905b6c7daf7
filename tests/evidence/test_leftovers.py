"""What stands around a workspace's records (field guide sections 4 and 5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from stateheal.engine.api import audit
from stateheal.evidence.leftovers import read_pid
from stateheal.fs.directory import open_directory
from tests.support import Tree, done, journal_in, world


@pytest.mark.parametrize(
    ("text", "pid"),
    [
        ("4711", 4711),
        ("4711\n", 4711),
        (" 4711\r\n", 4711),
        ('{"pid": 4711, "startedAt": 1}', 4711),
        ("4711\nlinux:98765\n", 4711),
        ("4711 98765", 4711),
        ("pid=4711\n", 4711),
        ("pid: 4711", 4711),
        ("", None),
        ("none", None),
        ("4711.5x", None),
        ("99999999999999999999 x", None),
        ("started 4711", None),
    ],
)
def test_the_pid_that_stands_in_a_file_beside_a_record(tmp_path: Path, text: str, pid: int | None) -> None:
    (tmp_path / "task-1.pid").write_bytes(text.encode())
    with open_directory(tmp_path) as directory:
        assert read_pid(directory, "task-1.pid") == pid


@pytest.mark.parametrize(
    ("log", "place"),
    [
        ("C:\\Users\\u\\state\\demo\\jobs\\task-1.log", "C:\\Users\\u\\state\\demo\\jobs"),
        ("//wsl.localhost/Ubuntu/jobs/task-1.log", "//wsl.localhost/Ubuntu/jobs"),
        ("/before/jobs/task-1.log", "/before/jobs"),
    ],
)
def test_where_a_moved_log_is_recorded_is_told_in_the_spelling_of_its_system(
    tmp_path: Path, log: str, place: str
) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1", logFile=log))
    found = audit([tree.root], world=world(), journal=journal_in(tmp_path)).findings
    (told,) = (each.message for each in found if each.rule == "moved-log")
    assert told == f"the log of 1 job is recorded in {place}, not here"
