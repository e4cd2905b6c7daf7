"""``stateheal run`` in a terminal: interactive programs, Ctrl-C, Ctrl-Z, window sizes. The terminal is a real one."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if os.name == "posix":
    import fcntl
    import pty
    import termios

pytestmark = [
    pytest.mark.processes,
    pytest.mark.posix("pseudo-terminals and stops are what it is about"),
    pytest.mark.skipif(not shutil.which("bash"), reason="needs bash"),
]
RUN = f"{sys.executable} -m stateheal run"
PATIENCE = 30.0
SLEEPER = f"{sys.executable} -c 'import time; print(\"here\", flush=True); time.sleep(60)'"


class Terminal:
    """An interactive bash in a pseudo-terminal of its own, typed into and read."""

    def __init__(self, where: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(where)
            os.environ["PS1"] = "ready> "
            os.execvp("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
        self.resize(30, 100)
        self.seen = ""
        self.expect("ready> ")

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, text: str) -> str:
        """Read until a text appears; what came before it. Fails where it does not appear in time."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"waited in vain for {text!r}; seen: {self.seen!r}"
            self.seen += os.read(self.fd, 4096).decode("utf-8", "replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def do(self, line: str) -> str:
        """Type a command for bash and read what it prints, to the next prompt."""
        self.type(line + "\n")
        self.expect("\r\n")
        return self.expect("ready> ")

    def status(self) -> int:
        return int(self.do("echo $?").strip())

    def settings(self) -> str:
        return self.do("stty -a")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("CLAUDE_PLUGIN_DATA", str(tmp_path / "data"))
    made = Terminal(tmp_path)
    yield made
    made.close()


def jobs(tmp_path: Path) -> list[dict[str, object]]:
    """Every job's file, oldest first."""
    found = [json.loads(path.read_text()) for path in tmp_path.glob("data/state/*/jobs/*.json")]
    return sorted(found, key=lambda job: str(job["createdAt"]))


ASK = """
import os
print([os.isatty(n) for n in range(3)], os.get_terminal_size().columns)
print("answer:", input("question? "))
"""


def test_a_program_that_asks(terminal: Terminal, tmp_path: Path) -> None:
    before = terminal.settings()
    (tmp_path / "ask.py").write_text(ASK)
    terminal.type(f"{RUN} -- {sys.executable} ask.py\n")
    assert "[True, True, True] 100" in terminal.expect("question? ")
    terminal.type("forty-two\n")
    terminal.expect("answer: forty-two")
    terminal.expect("ready> ")
    assert terminal.status() == 0
    assert terminal.settings() == before
    (job,) = jobs(tmp_path)
    assert job["status"] == "completed" and "answer: forty-two" in str(job["result"])
    (log,) = tmp_path.glob("data/state/*/jobs/*.log")
    assert "answer: forty-two" in log.read_text()


@pytest.mark.parametrize("mode", ["", "--no-record "])
def test_control_c(terminal: Terminal, tmp_path: Path, mode: str) -> None:
    before = terminal.settings()
    # No sh -c 'echo here; sleep 60': dash itself loses an interrupt between the two, in one of some twenty times.
    terminal.type(f"{RUN} {mode}-- {SLEEPER}\n")
    terminal.expect("here\r\n")
    terminal.type("\x03")
    terminal.expect("ready> ")
    assert terminal.status() == 130
    assert terminal.settings() == before
    if not mode:
        assert [(job["phase"], job["errorMessage"]) for job in jobs(tmp_path)] == [
            ("terminated", "Terminated by SIGINT")
        ]


@pytest.mark.parametrize("mode", ["", "--no-record "])
def test_control_z_and_back(terminal: Terminal, tmp_path: Path, mode: str) -> None:
    before = terminal.settings()
    terminal.type(f"{RUN} {mode}-- sh -c 'echo here; read line; echo got $line'\n")
    terminal.expect("here\r\n")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect("ready> ")
    assert terminal.settings() == before
    assert [job["status"] for job in jobs(tmp_path)] == ([] if mode else ["running"])
    terminal.type("fg\n")
    terminal.expect("stateheal run")
    terminal.type("on it goes\n")
    terminal.expect("got on it goes")
    terminal.expect("ready> ")
    assert terminal.status() == 0
    assert terminal.settings() == before


def test_in_the_background_and_back(terminal: Terminal) -> None:
    terminal.type(f"{RUN} -- sh -c 'echo here; sleep 1; echo sl\\ept; read line; echo got $line'\n")
    terminal.expect("here\r\n")
    time.sleep(0.3)  # a dash that is about to vfork waits for a child that is stopped already, and never stops itself
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect("ready> ")
    terminal.type("bg\n")
    terminal.expect("slept")
    terminal.type("echo the shell reads; fg\n")
    terminal.expect("the shell reads\r\n")
    terminal.expect("stateheal run")
    time.sleep(0.5)  # bash has said which job; the terminal is the job's a moment later
    terminal.type("a line\n")
    terminal.expect("got a line")


def test_started_in_the_background(terminal: Terminal, tmp_path: Path) -> None:
    terminal.do(f"{RUN} -- sh -c 'sleep 0.5; echo from behind' & ")
    terminal.expect("from behind")
    terminal.do("wait; echo")
    assert [job["status"] for job in jobs(tmp_path)] == ["completed"]


def test_the_window_is_resized(terminal: Terminal) -> None:
    terminal.type(f"{RUN} -- bash -c 'trap \"stty size\" WINCH; echo here; while :; do sleep 0.05; done'\n")
    terminal.expect("here\r\n")
    terminal.resize(40, 90)
    terminal.expect("40 90")
    terminal.type("\x03")


def test_in_a_script_between_other_commands(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "script.sh").write_text(
        f"echo first\n{RUN} -- sh -c 'read line; echo got $line'\necho next; read next; echo $next\n"
    )
    terminal.type("sh script.sh\n")
    terminal.expect("first\r\n")
    time.sleep(0.5)
    terminal.type("for the command\n")
    terminal.expect("got for the command")
    terminal.expect("next\r\n")
    terminal.type("for the script\n")
    terminal.expect("for the script\r\n")
    terminal.expect("ready> ")
    terminal.type("sh script.sh\n")
    terminal.expect("first\r\n")
    until_running = time.monotonic() + PATIENCE
    while not any(job["status"] == "running" for job in jobs(tmp_path)):
        assert time.monotonic() < until_running
        time.sleep(0.02)
    time.sleep(0.3)
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.type("fg\n")
    terminal.expect("sh script.sh")
    time.sleep(0.3)
    terminal.type("resumed\n")
    terminal.expect("got resumed")


def test_in_a_pipeline_the_keyboard_stays_with_whom_it_belongs_to(terminal: Terminal) -> None:
    pager = "python3 -c 'import sys; sys.stdin.read(); print(open(\"/dev/tty\").readline())'"
    terminal.type(f"{RUN} -- echo page | {pager}\n")
    time.sleep(1)
    terminal.type("a key for the pager\n")
    terminal.expect("a key for the pager\r\n")
    terminal.expect("a key for the pager\r\n")
    terminal.expect("ready> ")
    terminal.type(f"echo input | {RUN} -- {SLEEPER}\n")
    terminal.expect("here\r\n")
    terminal.type("\x03")
    terminal.expect("ready> ")
    assert terminal.status() == 130


def test_whoever_needs_the_keyboard_in_a_pipeline_gets_it(terminal: Terminal) -> None:
    terminal.type(f"{RUN} -- sh -c 'echo asking >&2; read line; echo got $line' | cat\n")
    terminal.expect("asking")
    terminal.type("a word\n")
    terminal.expect("got a word")
    terminal.expect("ready> ")
    assert terminal.status() == 0


@pytest.mark.parametrize("scripted", [False, True])
def test_a_terminal_that_goes_away_while_the_job_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: bool
) -> None:
    """Nobody is left to continue it: it ends, and says so."""
    monkeypatch.setenv("CLAUDE_PLUGIN_DATA", str(tmp_path / "data"))
    line = f"{RUN} -- sh -c 'echo here; read line'"
    (tmp_path / "script.sh").write_text(f"{line}\necho after\n")
    terminal = Terminal(tmp_path)
    terminal.type("sh script.sh\n" if scripted else f"{line}\n")
    terminal.expect("here\r\n")
    time.sleep(0.2)
    terminal.type("\x1a")
    terminal.expect("Stopped")
    assert [job["status"] for job in jobs(tmp_path)] == ["running"]
    terminal.close()
    deadline = time.monotonic() + PATIENCE
    while jobs(tmp_path)[0]["status"] == "running":
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)
    assert jobs(tmp_path)[0]["errorMessage"] == "Terminated by SIGHUP"


SLOW = """
import sys, time
from stateheal.cli import run
from stateheal.runner.process import supervisor
def slow(real):
    def after(*arguments):
        found = real(*arguments)
        time.sleep(0.5)
        return found
    return after
if sys.argv[1] == "giving":
    supervisor.watch_over = slow(supervisor.watch_over)
else:
    supervisor.Supervisor._take_back = slow(supervisor.Supervisor._take_back)
sys.exit(run(["run", "--no-record", "--", *sys.argv[2:]]))
"""
"""A runner that is held up on a busy machine: before it gives its command the terminal, or after it took that back."""


def test_a_command_that_reads_before_it_has_the_terminal_is_not_stopped(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    terminal.type(f"{sys.executable} slow.py giving sh -c 'read line; echo got $line'; echo it is over\n")
    terminal.expect("over\r\n")
    time.sleep(1.5)
    terminal.type("on it goes\n")
    assert "Stopped" not in terminal.expect("got on it goes")


def test_control_z_pressed_twice_stops_once(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    terminal.type(f"{sys.executable} slow.py taking sh -c 'echo here; read line; echo got $line'\n")
    terminal.expect("here\r\n")
    terminal.type("\x1a")
    time.sleep(0.25)
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect("ready> ")
    terminal.type("fg\n")
    terminal.expect("slow.py")
    time.sleep(1.0)
    terminal.type("on it goes\n")
    assert "Stopped" not in terminal.expect("got on it goes")
