"""What is told of a process's beginning: by the clock that its ticks are counted on."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from stateheal.evidence import host
from stateheal.evidence.life import Known, look_at_proc
from stateheal.evidence.processes import SystemProcesses
from stateheal.model.look import Seen


@pytest.mark.processes
@pytest.mark.proc("start ticks")
@pytest.mark.parametrize("moved", [0.0, 3 * 86400.0, -3600.0])
def test_a_boot_time_that_proc_stat_makes_up_moves_nobody(moved: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """lxcfs shows a container's own start as ``btime``, and psutil counts from that."""
    real = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: real + moved)
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: real + moved)
    monkeypatch.setattr(psutil._pslinux, "BOOT_TIME", real + moved, raising=False)
    before = time.time()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        table = SystemProcesses()
        facts, seen = table.facts(child.pid), table.look().by_pid[child.pid]
        child.communicate(b"\n")
    for created in (facts.created, seen.created):
        assert created is not None and before - 2 < created < time.time() + 1


@pytest.mark.proc("btime")
def test_the_boot_is_when_the_system_says() -> None:
    boot = host.boot_time()
    assert boot is not None and abs(boot - psutil.boot_time()) < 2 and boot < psutil.Process(os.getpid()).create_time()


@pytest.mark.processes
@pytest.mark.proc("command lines")
@pytest.mark.parametrize("room", [1 << 16, 1000, 7])
def test_a_long_command_line_is_seen_whole(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than what is read at once: the job's id may stand at its end."""
    monkeypatch.setattr(host, "_ROOM", room)
    words = [f"{number:0{99}}" for number in range(2000)] + ["--job-id", "task-mnyhf4j1-1mnkv1"]
    with subprocess.Popen([sys.executable, "-c", "input()", *words], stdin=subprocess.PIPE) as child:
        seen = SystemProcesses().look().by_pid[child.pid]
        child.communicate(b"\n")
    assert seen.argv[3:] == tuple(words)


@pytest.mark.processes
@pytest.mark.proc("the process table")
def test_a_second_look_shows_what_a_first_one_would() -> None:
    """What a look takes from an earlier one of the same run is what cannot have changed."""
    table = SystemProcesses()
    table.look()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        again, anew = table.look().by_pid, SystemProcesses().look().by_pid
        child.communicate(b"\n")
    assert again[child.pid].argv[1:] == ("-c", "input()") and child.pid not in table.look().by_pid
    lasting = again.keys() & anew.keys()
    assert lasting and [again[pid]._replace(created=None) for pid in lasting] == [
        anew[pid]._replace(created=None) for pid in lasting
    ]


@pytest.mark.processes
@pytest.mark.proc("the process table")
def test_whoever_has_the_pid_of_a_kernel_thread_that_ended_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        known = Known()
        known.kernel[child.pid] = os.lstat(f"/proc/{os.getpid()}").st_ino, Seen(child.pid, kernel=True)
        seen = look_at_proc(None, known).by_pid[child.pid]
        child.communicate(b"\n")
    assert seen.argv[1:] == ("-c", "input()") and not seen.kernel


@pytest.mark.processes
@pytest.mark.proc("the process table")
def test_no_two_processes_have_the_same_inode() -> None:
    """Not even one after the other: by it a thread of the kernel is known to be the same."""
    inodes = []
    for _ in range(50):
        with subprocess.Popen(["/bin/sh", "-c", "read x"], stdin=subprocess.PIPE) as child:
            inodes.append(os.lstat(f"/proc/{child.pid}").st_ino)
            assert os.lstat(f"/proc/{child.pid}").st_ino == inodes[-1]
            child.communicate(b"\n")
    assert len(set(inodes)) == len(inodes)
