"""What is made durable, and in which order: the originals, then all new files of a workspace in one go."""

from __future__ import annotations

import os
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import heal
from tests.support import Tree, done, job, journal_in, world

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc to tell what is flushed")


class Watch:
    """Notes what is written, flushed and renamed."""

    def __init__(self, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.journal = str(journal)
        self.events: list[tuple[str, str]] = []
        self.real_sync, self.real_replace, self.real_write = os.fsync, os.replace, os.write
        monkeypatch.setattr(os, "fsync", self.flush)
        monkeypatch.setattr(os, "replace", self.replace)
        monkeypatch.setattr(os, "write", self.write)

    def note(self, what: str, path: object) -> None:
        suffix = Path(str(path)).suffix
        kind = {".tmp": "new file", ".log": "log", "": "directory"}.get(suffix, suffix)
        self.events.append((what, f"the journal's {kind}" if str(path).startswith(self.journal) else kind))

    def flush(self, fd: int) -> None:
        self.note("flushed", path_of(fd))
        self.real_sync(fd)

    def replace(self, old: object, new: object, **more: Any) -> None:
        self.note("put in place", old)
        self.real_replace(old, new, **more)  # type: ignore[call-overload]

    def write(self, fd: int, data: bytes) -> int:
        self.note("written", path_of(fd))
        return self.real_write(fd, data)


def path_of(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


@pytest.mark.proc("to tell which file a descriptor is of")
def test_a_workspace_is_flushed_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All new files written, then flushed, then put in place, then the two directories. Lines of logs may be lost."""
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2")).add(job("task-3", pid=4243))
    journal = journal_in(tmp_path)
    watch = Watch(journal.path, monkeypatch)
    assert heal([tree.root], world=world(), journal=journal).healed == 2
    assert [(len(list(same)), *event) for event, same in groupby(watch.events)] == [
        (1, "flushed", "the journal's directory"),
        (1, "written", "the journal's new file"),
        (1, "flushed", "the journal's new file"),
        (1, "put in place", "the journal's new file"),
        (1, "flushed", "the journal's directory"),
        (3, "written", "new file"),
        (3, "flushed", "new file"),
        (3, "put in place", "new file"),
        (2, "flushed", "directory"),
        (2, "written", "log"),
        (1, "written", "the journal's new file"),
        (1, "put in place", "the journal's new file"),
    ]
