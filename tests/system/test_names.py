"""The workspace's lock, on every system: one holder, whatever journal they have, gone with its process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from stateheal.commit.lock import hold, is_held_by_another, let_go, workspace_lock
from stateheal.errors import Busy
from stateheal.fs.directory import open_directory

HOLDER = """
import sys, time
from pathlib import Path
from stateheal.commit.lock import workspace_lock
from stateheal.fs.directory import open_directory
with open_directory(Path(sys.argv[1])) as directory, workspace_lock(directory, 5):
    print(1, flush=True)
    time.sleep(60)
"""


@pytest.mark.processes
def test_another_process_is_waited_for_and_its_end_frees_it(tmp_path: Path) -> None:
    (workspace := tmp_path / "Work").mkdir()
    command = [sys.executable, "-c", HOLDER, str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder, open_directory(workspace) as directory:
        assert holder.stdout is not None and holder.stdout.readline()
        with pytest.raises(Busy), workspace_lock(directory, 0.1):
            pass
        assert is_held_by_another(workspace)
        holder.kill()
        holder.wait()
        begun = time.monotonic()
        with workspace_lock(directory, 5):
            assert time.monotonic() - begun < 5
    assert not list(workspace.iterdir()), "it leaves no file behind"


def test_it_is_one_lock_within_a_process_too(tmp_path: Path) -> None:
    with open_directory(tmp_path) as one, open_directory(tmp_path) as other:
        with workspace_lock(one), pytest.raises(Busy), workspace_lock(other, 0.05):
            pass
        with workspace_lock(other, 0.05):
            pass


def test_a_directory_is_held_until_it_is_let_go(tmp_path: Path) -> None:
    held = hold(tmp_path)
    assert held is not None and is_held_by_another(tmp_path)
    let_go(held)
    assert not is_held_by_another(tmp_path)


@pytest.mark.windows("paths there differ in case and separators")
def test_any_spelling_of_a_path_is_the_same_lock(tmp_path: Path) -> None:
    held = hold(tmp_path)
    assert held is not None and hold(Path(str(tmp_path).upper())) is None
    let_go(held)
