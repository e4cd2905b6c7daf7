"""Starting a command in a process group of its own, and hearing of its stops and its end.

Directly, where the command shares the runner's terminal or has none. Through a monitor, where it gets a pseudo-terminal
as its own: the monitor leads that terminal's session, since the kernel stops (Ctrl-Z) no process group whose parent is
in another session.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import termios
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise

from stateheal.runner.process.order import NOT_FOUND, CannotStart
from stateheal.runner.process.system import die_with_parent, group_states
from stateheal.values import NamedTuple, dataclass, field


class Wiring(NamedTuple):
    """What a command gets as its input and outputs; ``terminal`` makes the input its controlling terminal."""

    stdin: int
    stdout: int
    stderr: int
    terminal: bool = False


class Event(NamedTuple):
    """The command, or another child, stopped (``stopped_by``); or the command ended (``status``, from ``waitpid``)."""

    pid: int
    stopped_by: int | None = None
    status: int | None = None


@dataclass
class Command:
    """A running command; its pid is the id of its process group."""

    pid: int
    monitor: int | None = None
    reports: int | None = None
    """Where the monitor reports to."""
    backlog: bytes = b""
    """Reports that came together with the first."""
    ended: set[int] = field(default_factory=set)
    """Pids of descendants that have ended as this process's children."""

    def news(self) -> Iterator[Event]:
        """What has happened since the last call. Reaps every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if not os.WIFSTOPPED(status):
                self.ended.add(pid)
            if pid == self.pid or os.WIFSTOPPED(status):
                yield _event(pid, status)
        yield from self._reported()

    def _reported(self) -> Iterator[Event]:
        if self.reports is None:
            return
        data = b""
        with suppress(BlockingIOError):
            data = os.read(self.reports, 4096) or b"%d " % signal.SIGKILL  # the monitor itself was killed
        data, self.backlog = self.backlog + data, b""
        for status in map(int, data.split()):
            event = _event(self.pid, status)
            if event.status is not None and self.reports is not None:
                self.ended.add(self.pid)
                os.close(self.reports)
                self.reports = None
            yield event

    def close(self) -> None:
        """Let go of the monitor."""
        if self.monitor is not None:
            with suppress(OSError):
                os.kill(self.monitor, signal.SIGKILL)
                os.waitpid(self.monitor, 0)

    def lives(self) -> bool:
        """Whether anybody of the group still runs. A zombie that nobody reaps does not."""
        if not self.signal(0):
            return False
        states = group_states(self.pid)
        return states is None or any(state != "Z" for state in states)

    def signal(self, signum: int) -> bool:
        """Signal the whole group. Returns whether there was anybody."""
        try:
            os.killpg(self.pid, signum)
        except ProcessLookupError:
            return False
        except PermissionError:
            # macOS says so of a group of zombies, Linux of one that is somebody else's by now.
            return os.uname().sysname != "Darwin"
        return True


def _event(pid: int, status: int) -> Event:
    return Event(pid, stopped_by=os.WSTOPSIG(status)) if os.WIFSTOPPED(status) else Event(pid, status=status)


def start(argv: Sequence[str], wiring: Wiring, cwd: str | None, env: Mapping[str, str]) -> Command:
    """Start a command. Raises ``CannotStart``."""
    if wiring.terminal:
        return _start_monitored(argv, wiring, cwd, env)
    return Command(_spawn(argv, wiring, cwd, env))


def _spawn(argv: Sequence[str], wiring: Wiring, cwd: str | None, env: Mapping[str, str]) -> int:
    """Signals are blocked over the fork, so that none reaches the child before it is itself."""
    parent = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def settle() -> None:
        os.setpgid(0, 0)
        if wiring.terminal:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(wiring.stdin, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        die_with_parent(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        child = subprocess.Popen(
            list(argv),
            stdin=wiring.stdin or None,  # its own is inherited, open or not
            stdout=None if wiring.stdout == 1 else wiring.stdout,
            stderr=None if wiring.stderr == 2 else wiring.stderr,
            cwd=cwd,
            env=dict(env),
            preexec_fn=settle,
        )
    except OSError as error:
        raise CannotStart(argv[0] if error.filename in (None, argv[0]) else error.filename, error.errno or 0) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    child.returncode = 0  # it is waited for here, not by Popen
    return child.pid


def _start_monitored(argv: Sequence[str], wiring: Wiring, cwd: str | None, env: Mapping[str, str]) -> Command:
    reports, reporting = os.pipe()
    parent = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    monitor = os.fork()
    if monitor == 0:
        _monitor(parent, reporting, wiring, lambda: _spawn(argv, wiring, cwd, env), mask)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(reporting)
    first = b""
    while b"\n" not in first and (data := os.read(reports, 4096)):
        first += data
    line, _, backlog = first.partition(b"\n")
    said = json.loads(line or b'{"errno": 0, "name": "the monitor"}')
    if "errno" in said:
        os.waitpid(monitor, 0)
        os.close(reports)
        raise CannotStart(said["name"], said["errno"])
    os.set_blocking(reports, False)
    return Command(said["pid"], monitor, reports, backlog)


def _monitor(parent: int, reporting: int, wiring: Wiring, spawn: Callable[[], int], mask: Iterable[int]) -> None:
    """The monitor's whole life: lead the session, start the command, report on it, wait to be ended."""
    try:
        die_with_parent(parent)
        _keep_only({reporting, wiring.stdin, wiring.stdout, wiring.stderr})
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
            if signal.getsignal(signum) is not signal.SIG_IGN:  # what is ignored would be so in the command too
                signal.signal(signum, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.setsid()
        fcntl.ioctl(wiring.stdin, termios.TIOCSCTTY, 0)
        try:
            pid = spawn()
        except CannotStart as error:
            number = errno.ENOENT if error.status == NOT_FOUND else errno.EACCES
            os.write(reporting, json.dumps({"errno": number, "name": error.name}).encode() + b"\n")
            return
        os.write(reporting, json.dumps({"pid": pid}).encode() + b"\n")
        status = 0x7F
        while os.WIFSTOPPED(status) or status == 0x7F:
            _, status = os.waitpid(pid, os.WUNTRACED)
            os.write(reporting, b"%d\n" % status)
        while True:  # the end of a session's leader hangs up on what still runs in the background
            signal.pause()
    finally:
        os._exit(0)


def _keep_only(wanted: set[int]) -> None:
    """Close what the monitor has no use for: a pipe is not at its end as long as anybody holds it open."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in {0, 1, 2} - wanted:
        os.dup2(null, fd)
    edges = sorted({2, *wanted})
    for low, high in pairwise([*edges, 1024]):
        os.closerange(low + 1, high)
