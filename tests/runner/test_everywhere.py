"""``stateheal run`` with commands that are Python's own, so that it holds on every system; what Windows has alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stateheal.evidence.processes import SystemProcesses
from stateheal.runner.process.find import find_program
from stateheal.runner.process.order import CannotStart, Order

pytestmark = pytest.mark.processes
RUN = (sys.executable, "-m", "stateheal", "run")
TREE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("CLAUDE_PLUGIN_DATA", str(tmp_path / "data"))
    return tmp_path / "project"


def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    more = {"stdin": subprocess.DEVNULL, **more}
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=60, **more)


def record() -> dict[str, Any]:
    (workspace,) = (Path(os.environ["CLAUDE_PLUGIN_DATA"]) / "state").iterdir()
    (entry,) = json.loads((workspace / "state.json").read_bytes())["jobs"]
    found = json.loads((workspace / "jobs" / f"{entry['id']}.json").read_bytes())
    assert {key: entry.get(key) for key in ("status", "pid")} == {key: found.get(key) for key in ("status", "pid")}
    return dict(found)


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def gone(pid: int) -> bool:
    facts = SystemProcesses().facts(pid)
    return not facts.exists or facts.zombie


@pytest.mark.parametrize("status", [0, 3])
def test_output_and_status_are_passed_on_and_kept(status: int) -> None:
    program = f"import sys; print('out'); print('err', file=sys.stderr); sys.exit({status})"
    done = run("--title", "T", "--", sys.executable, "-c", program)
    assert (done.returncode, done.stdout.splitlines(), done.stderr.splitlines()) == (status, ["out"], ["err"])
    found = record()
    assert found["status"] == ("failed" if status else "completed") and found["pid"] is None
    assert "out" in found["result"]["rawOutput"] and "err" in found["result"]["stderr"]
    assert b"out" in Path(found["logFile"]).read_bytes()


def test_much_output_arrives_whole() -> None:
    done = run("--", sys.executable, "-c", "import sys; sys.stdout.write('x' * 3_000_000); sys.stdout.flush()")
    assert done.returncode == 0 and len(done.stdout) == 3_000_000


def test_what_is_typed_reaches_the_command() -> None:
    done = run("--", sys.executable, "-c", "print(input()[::-1])", stdin=None, input="abc\n")
    assert (done.returncode, done.stdout.strip()) == (0, "cba")


def test_a_command_that_is_not_there() -> None:
    done = run("--", "no-such-command-anywhere")
    assert done.returncode == 127 and "command not found" in done.stderr
    assert record()["status"] == "failed"


def test_a_time_limit_ends_the_whole_tree() -> None:
    done = run("--timeout", "2s", "--grace", "1s", "--", sys.executable, "-c", TREE)
    assert done.returncode not in (0, 1, 2, 3)
    assert record()["errorMessage"] == "Timed out after 2 s"
    assert until(lambda: gone(int(done.stdout)))


def test_without_a_record_streams_are_the_commands_own() -> None:
    done = run("--no-record", "--", sys.executable, "-c", "print('plain')")
    assert (done.returncode, done.stdout.strip()) == (0, "plain")


# --- Windows -------------------------------------------------------------------------------------------------------


def started(*command: str, **more: Any) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*RUN, *more.pop("options", ()), "--", *command], **pipes, **more)


@pytest.mark.windows("a job object ends with whoever holds it")
def test_the_tree_ends_with_a_killed_runner() -> None:
    with started(sys.executable, "-c", TREE) as runner:
        assert runner.stdout is not None
        grandchild = int(runner.stdout.readline())
        runner.kill()
        runner.wait()
        assert until(lambda: gone(grandchild))
    from stateheal import heal

    assert record()["status"] == "running"
    assert heal().healed >= 1 and record()["phase"] == "orphaned"


def supervised(program: str, after: float, grace: float) -> tuple[Any, bytes]:
    """Run a program, and have Ctrl-C pressed once it has printed something."""
    from stateheal.runner.process.windows import Supervisor

    heard: list[bytes] = []
    order = Order([sys.executable, "-u", "-c", program], grace=grace)

    def press() -> None:
        until(lambda: heard)
        time.sleep(after)
        signal.raise_signal(signal.SIGINT)

    with Supervisor(order) as supervisor:
        supervisor.keep = lambda name, data: heard.append(data)
        threading.Thread(target=press, daemon=True).start()
        return supervisor.run(), b"".join(heard)


@pytest.mark.windows("console events")
def test_ctrl_c_lets_the_command_end_in_its_own_way() -> None:
    program = "import signal, sys, time\ndef on(s, f): print('ending'); sys.exit(9)\n"
    program += "for n in (signal.SIGINT, signal.SIGBREAK): signal.signal(n, on)\nprint('up')\n"
    ended, said = supervised(program + "for n in range(200): time.sleep(.1)", 0.2, 10)
    assert (ended.status, ended.killed_by, ended.asked_by) == (9, None, signal.SIGINT) and b"ending" in said


@pytest.mark.windows("console events")
def test_a_command_that_will_not_end_is_terminated_after_the_grace() -> None:
    program = "import signal, time\nfor n in (signal.SIGINT, signal.SIGBREAK): signal.signal(n, signal.SIG_IGN)\n"
    begun = time.monotonic()
    ended, _ = supervised(program + "print('up')\nfor n in range(600): time.sleep(.1)", 0.2, 1)
    assert (ended.status, ended.killed_by) == (128 + signal.SIGINT, signal.SIGINT)
    assert 1 <= time.monotonic() - begun < 20


@pytest.mark.windows("a job object keeps what outlives the command")
def test_what_the_command_leaves_in_the_background_goes_on() -> None:
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(30)']"
    pipes = "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
    done = run("--", sys.executable, "-c", f"import subprocess, sys; print(subprocess.Popen({sleeper}, {pipes}).pid)")
    assert done.returncode == 0 and not gone(int(done.stdout))
    from stateheal.system.process_handle import open_process

    handle = open_process(int(done.stdout))
    assert handle is not None
    with handle:
        handle.send(signal.SIGTERM)


# --- finding a program as Windows does, without its traps ----------------------------------------------------------


def test_a_program_is_found_by_its_extension_and_never_in_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool.cmd").write_text("")
    (tmp_path / "project" / "planted.exe").write_text("")
    env = {"PATH": str(tmp_path / "bin"), "PATHEXT": ".EXE;.CMD"}
    assert find_program(["tool", "a b"], None, env) == str(tmp_path / "bin" / "tool.cmd")
    with pytest.raises(CannotStart) as caught:
        find_program(["planted"], None, env)
    assert caught.value.status == 127
    assert find_program(["./planted"], str(tmp_path / "project"), env).endswith("planted.exe")


@pytest.mark.parametrize("word", ["a & calc", '"', "%PATH%", "x\ny", "^", "a|b"])
def test_a_batch_file_gets_no_words_that_it_would_take_for_commands(tmp_path: Path, word: str) -> None:
    (tmp_path / "npm.cmd").write_text("")
    with pytest.raises(CannotStart, match="batch file") as caught:
        find_program(["npm", "run", word], None, {"PATH": str(tmp_path), "PATHEXT": ".CMD"})
    assert caught.value.status == 126
