"""A hold on one process: real processes, and a kqueue that says what it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from stateheal.system import process_handle
from stateheal.system.process_handle import Watched, exists, open_process
from tests.support import SIGKILL


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.mark.processes
@pytest.mark.windows("handles of processes")
def test_on_windows(child: subprocess.Popen[bytes]) -> None:
    holds_and_ends(child)


@pytest.mark.processes
@pytest.mark.posix("a pidfd or a kqueue")
def test_elsewhere(child: subprocess.Popen[bytes]) -> None:
    holds_and_ends(child)
    assert child.returncode == -SIGKILL


def holds_and_ends(child: subprocess.Popen[bytes]) -> None:
    handle = open_process(child.pid)
    assert handle is not None and handle.pid == child.pid
    with handle:
        assert handle.lives and not handle.wait(0.05)
        assert handle.send(SIGKILL)
        assert handle.wait(10) and not handle.lives
        child.wait()
        assert not handle.send(SIGKILL) and not handle.send(signal.SIGTERM), "nobody is there to be signalled any more"
        assert handle.reaped == (os.name == "posix"), "Windows gives its pid to nobody as long as it is held"


@pytest.mark.processes
def test_nobody_is_there(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    assert not [pid for pid in (0, -1, child.pid, 2**31, 2**32 - 4, 2**40) if open_process(pid) is not None]


@pytest.mark.processes
@pytest.mark.posix("a request to end, which Windows has for consoles only")
def test_asked_it_may_end_in_its_own_way() -> None:
    program = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print(1, flush=True)\n"
        "while True: time.sleep(0.05)"  # one long sleep would be begun behind a signal that came just before it
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline()
        handle = open_process(child.pid)
        assert handle is not None and handle.send(signal.SIGTERM) and handle.wait(10)
        handle.close()
        assert child.wait(10) == 7


@pytest.mark.parametrize(("error", "there"), [(PermissionError(13, "Access is denied"), True), (None, False)])
def test_a_process_that_must_not_be_opened_is_there(
    monkeypatch: pytest.MonkeyPatch, error: OSError | None, there: bool
) -> None:
    def denied(pid: int) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(process_handle, "open_process", denied)
    assert exists(4712) is there


@pytest.mark.processes
def test_what_psutil_is_denied_is_unknown_and_no_mismatch(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS denies other users' command lines, Windows those of higher privileges."""
    import psutil

    from stateheal.evidence import host, processes
    from stateheal.evidence.processes import SystemProcesses

    monkeypatch.setattr(processes, "stat_of", lambda pid: host.Stat())  # on Linux: where /proc does not tell

    def denied(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "cmdline", denied)
    facts = SystemProcesses().facts(child.pid)
    assert facts.exists and facts.argv is None and facts.created is not None
    monkeypatch.setattr(psutil.Process, "create_time", denied)
    assert SystemProcesses().facts(child.pid)[:2] == (child.pid, True)


@pytest.mark.processes
@pytest.mark.windows("it ignores the low two bits of a pid")
def test_a_neighbouring_pid_is_nobody(child: subprocess.Popen[bytes]) -> None:
    assert exists(child.pid) and exists(os.getpid())
    assert not [offset for offset in (1, 2, 3) if exists(child.pid + offset) or open_process(child.pid + offset)]


@pytest.mark.processes
@pytest.mark.windows("an ended process stays there as long as somebody has a handle on it")
def test_ended_is_gone_whoever_holds_it(child: subprocess.Popen[bytes]) -> None:
    handle = open_process(child.pid)
    assert handle is not None
    child.kill()
    child.wait()
    with handle:
        assert not exists(child.pid)


@pytest.mark.processes
@pytest.mark.windows("creation times")
def test_created(child: subprocess.Popen[bytes]) -> None:
    import psutil

    handle = open_process(child.pid)
    assert handle is not None
    with handle:
        assert getattr(handle, "created") == pytest.approx(psutil.Process(child.pid).create_time(), abs=0.002)  # noqa: B009


# --- macOS: the kernel is replaced -------------------------------------------------------------------------------


class FakeQueue:
    """A kqueue that reports an exit when it is told to."""

    def __init__(self) -> None:
        self.watched: list[Any] = []
        self.ended = False
        self.closed = False

    def control(self, changes: Any, most: int, wait: float) -> list[str]:
        if changes:
            self.watched += changes
        return ["exit"] if most and self.ended else []

    def close(self) -> None:
        self.closed = True


def kernel(queue: Any) -> Any:
    constants = {"KQ_FILTER_PROC": -5, "KQ_EV_ADD": 1, "KQ_EV_ONESHOT": 0x10, "KQ_NOTE_EXIT": 0x80000000}
    return SimpleNamespace(kqueue=lambda: queue, kevent=lambda pid, **how: (pid, how), **constants)


def test_on_macos_the_queue_is_asked_directly_before_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, signum: sent.append((pid, signum)))
    queue = FakeQueue()
    with Watched(4711, kernel(queue)) as handle:
        assert queue.watched == [(4711, {"filter": -5, "flags": 0x11, "fflags": 0x80000000})]
        assert handle.lives and handle.send(signal.SIGTERM)
        queue.ended = True
        assert not handle.send(SIGKILL) and not handle.lives
        queue.ended = False
        assert not handle.send(signal.SIGTERM), "once ended it stays so, whoever has its pid now"
    assert sent == [(4711, signal.SIGTERM)] and queue.closed


def test_on_macos_a_pid_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FakeQueue()

    def nobody(*_: object) -> None:
        raise ProcessLookupError

    queue.control = nobody  # type: ignore[method-assign,assignment]
    monkeypatch.setattr(process_handle, "_open", lambda pid: Watched(pid, kernel(queue)))
    assert open_process(4711) is None and queue.closed


@pytest.mark.posix("Windows has handles always")
def test_without_any_hold_nothing_is_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(process_handle, "select", SimpleNamespace())
    with pytest.raises(OSError, match="not implemented"):
        open_process(os.getpid())
