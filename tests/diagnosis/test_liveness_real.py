"""Verdicts on processes that really run, were really killed, really are zombies (field guide section 4)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stateheal.diagnosis.case import Case
from stateheal.diagnosis.liveness import judge
from stateheal.evidence.host import stat_of
from stateheal.evidence.processes import SystemProcesses
from stateheal.model.liveness import Owner, ProcessFacts, Verdict
from stateheal.model.request import Settings

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")]
SLEEP = "import time; print(flush=True); time.sleep(600)"
linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@contextmanager
def running(*argv: str) -> Iterator[int]:
    """A process that sleeps, its argv ours to choose behind the interpreter's own."""
    child = subprocess.Popen([sys.executable, "-c", SLEEP, *argv], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()  # it runs our code now, not the fork of ours
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


JOB = f"task-{os.getpid()}-1"
"""No other test's that runs at the same time: a worker of that name keeps every job of that name alive."""


def verdict_on(pid: Any, job: str = JOB, began: float = 0.0, status: str = "running", **settings: Any) -> Verdict:
    """Judge a job that began so many seconds from now."""
    processes = SystemProcesses()
    facts = processes.facts(pid) if isinstance(pid, int) and pid > 0 else None
    now = time.time()
    started = now + began
    owner = Owner(
        job, status, pid, started, started if status == "running" else None, None, started, ("/home/dev/demo",)
    )
    return judge(Case(owner, facts, processes.host(), Settings(**settings), processes.look))


def until(answer: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    deadline = time.monotonic() + 20
    while not answer():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def test_live() -> None:
    with running() as pid:
        assert verdict_on(pid).state == "alive"
        assert verdict_on(pid, status="queued").state == "alive"


def test_killed() -> None:
    with running() as pid:
        pass
    assert verdict_on(pid).row == "gone"
    assert verdict_on(pid, status="queued").row == "gone"


def test_zombie() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: SystemProcesses().facts(child.pid).zombie)
    verdict = verdict_on(child.pid)
    child.wait()
    assert (verdict.state, verdict.row) == ("dead", "zombie")
    assert verdict_on(child.pid).row == "gone"


ENDS_ITS_FIRST_THREAD = (
    "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start(); "
    "print(flush=True); ctypes.CDLL(None).pthread_exit(None)"
)


@linux_only
def test_a_process_whose_first_thread_has_ended_is_no_zombie() -> None:
    """The kernel calls its first thread one; it works on in the others."""
    child = subprocess.Popen([sys.executable, "-c", ENDS_ITS_FIRST_THREAD])
    try:
        until(lambda: stat_of(child.pid).zombie)
        assert not SystemProcesses().facts(child.pid).zombie
        assert not SystemProcesses().look().by_pid[child.pid].zombie
    finally:
        child.kill()
        until(lambda: SystemProcesses().look().by_pid[child.pid].zombie)
        child.wait()


@linux_only
def test_a_threads_id_is_no_process() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    ident = thread.native_id
    assert ident is not None
    os.kill(ident, 0)  # the trap: it answers
    verdict = verdict_on(ident)
    release.set()
    thread.join()
    assert verdict.row == "gone" and "thread" in verdict.reason


def test_a_live_stranger_under_an_older_record_is_recycled() -> None:
    with running() as pid:
        verdict = verdict_on(pid, began=-7200)
    assert (verdict.state, verdict.row, verdict.rule) == ("dead", "late-stranger", "recycled-pid")


def test_a_record_from_before_boot_whose_pid_lives_is_judged_by_the_process() -> None:
    with running() as pid:
        assert verdict_on(pid, began=-400 * 86400).row == "late-stranger"
    assert "before the last boot" in verdict_on(pid, began=-4000 * 86400).reason


@pytest.mark.parametrize(
    ("named", "state", "row"),
    [
        (JOB, "alive", "named-in-argv"),
        ("task-2", "dead", "another-job"),
        (f"{JOB}0", "dead", "another-job"),
    ],
    ids=["its own", "another", "longer"],
)
def test_a_worker_names_its_job(named: str, state: str, row: str) -> None:
    with running("/plugins/codex-companion.mjs", "task-worker", "--job-id", named) as pid:
        verdict = verdict_on(pid, began=-7200 if named == JOB else 0)
    assert (verdict.state, verdict.row) == (state, row)


def test_a_foreground_companion_under_an_older_record_is_unsure() -> None:
    with running("/plugins/codex-companion.mjs", "task", "fix the flake") as pid:
        assert verdict_on(pid, began=-7200).row == "late-unsure"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to become another user")
def test_another_users_process_is_alive() -> None:
    """The probe runs as nobody and looks at a process of root: kill says EPERM."""
    with running() as pid:
        load = "import os, psutil; from tests.diagnosis.test_liveness_real import verdict_on"
        code = f"{load}; os.setuid(65534); print(verdict_on({pid}).state.value)"
        answer = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd(), timeout=60
        )
    assert answer.stdout.strip() == "alive", answer.stderr


def test_hidden_processes_are_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under hidepid psutil says NoSuchProcess and kill EPERM: that is unknown, never gone."""

    def denied(pid: int, sig: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", denied)
    assert SystemProcesses().facts(2**22 + 7) == ProcessFacts(2**22 + 7, True)
    assert verdict_on(2**22 + 7, began=-7200).state in ("alive", "unsure")


@pytest.mark.parametrize(("pid", "began", "row"), [(None, 0, "no-pid-yet"), (None, -7200, "no-pid")])
def test_no_pid(pid: None, began: float, row: str) -> None:
    assert verdict_on(pid, began=began).row == row


def test_pid_one_is_never_a_job_here() -> None:
    assert verdict_on(1).state in ("dead", "unsure")
    assert verdict_on(1).rule == "unsafe-pid"


def test_a_pid_beyond_any_kernels() -> None:
    assert not SystemProcesses().facts(10**30).exists


def test_start_ticks_tell_processes_apart() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc")
    with running() as pid:
        first = SystemProcesses().facts(pid).ticks
        assert first is not None and first == SystemProcesses().facts(pid).ticks


def _can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    return subprocess.run(probe, capture_output=True, timeout=60).returncode == 0


@linux_only
@pytest.mark.parametrize(("argv", "row"), [([], "unsafe"), (["codex-companion.mjs", "task"], "exists")])
def test_pid_one_of_a_fresh_namespace(argv: list[str], row: str) -> None:
    """A companion can be pid 1 of a container; anything else there is no job."""
    if not _can_unshare():
        pytest.skip("unshare is not permitted here")
    code = (
        "from tests.diagnosis.test_liveness_real import verdict_on as v; print(v(1).row, v(1, assume_local=True).row)"
    )
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code, *argv]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.stdout.split() == ["foreign", row], answer.stderr


def test_a_process_that_ends_while_it_is_looked_at_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.evidence import processes

    child = subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.DEVNULL)
    details = processes._details

    def ending(pid: int) -> ProcessFacts:
        facts = details(pid)
        os.kill(pid, signal.SIGKILL)
        child.wait()
        return facts

    monkeypatch.setattr(processes, "_details", ending)
    assert not SystemProcesses().facts(child.pid).exists
