"""Who belongs to a process that is to be ended, on Windows, which knows no groups (field guide section 12)."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from stateheal.evidence.groups import descendants_of, members_of
from stateheal.system.process_handle import open_process


@pytest.mark.parametrize(
    ("held", "parents", "born", "found"),
    [
        pytest.param({10: 100.0}, {10: 1, 11: 10, 12: 11}, {11: 100.0, 12: 101.0}, {11, 12}, id="children of children"),
        pytest.param({10: 100.0}, {11: 10, 12: 11}, {11: 150.0, 12: 151.0}, {11, 12}, id="its own row is gone"),
        pytest.param({10: 100.0}, {11: 10}, {11: 99.0}, set(), id="the child of who had the number before"),
        pytest.param({10: 100.0}, {11: 10, 12: 11}, {11: 150.0, 12: 140.0}, {11}, id="the same further down"),
        pytest.param({10: 100.0}, {11: 10}, {}, set(), id="gone by the time it is asked for"),
        pytest.param({10: 100.0, 11: 101.0}, {12: 11, 11: 10}, {12: 102.0}, {12}, id="of each that is held"),
        pytest.param({10: 100.0}, {10: 12, 12: 10}, {12: 100.0}, {12}, id="a circle of numbers"),
        pytest.param({10: 100.0}, {0: 0, 4: 0, 20: 4}, {20: 200.0}, set(), id="strangers"),
        pytest.param({}, {11: 10}, {11: 100.0}, set(), id="nobody is held"),
    ],
)
def test_descendants_by_the_parents_numbers(
    held: dict[int, float], parents: dict[int, int], born: dict[int, float], found: set[int]
) -> None:
    assert descendants_of(held, parents, born.get) == found


@pytest.mark.processes
@pytest.mark.windows("parents' numbers that are kept")
def test_the_child_of_a_process_that_has_ended_belongs_to_it_still() -> None:
    child = "import sys, time; print('on', flush=True); time.sleep(60)"
    parent = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        handle = open_process(process.pid)
        assert handle is not None and handle.created is not None
        with handle:
            kid = int(process.stdout.readline())
            process.stdin.write(b"\n")
            process.stdin.close()
            assert handle.wait(20)
            assert kid in members_of(process.pid, {handle.pid: handle.created})
            with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
                assert other.pid not in members_of(process.pid, {handle.pid: handle.created})
                other.kill()
        os.kill(kid, 15)
        deadline = time.monotonic() + 20
        while open_process(kid) is not None:
            assert time.monotonic() < deadline
