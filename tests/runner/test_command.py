"""``stateheal run``: any command as a tracked job, and a command with records of its own cleaned up behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from stateheal.evidence.hashes import workspace_hash
from tests.support import SIGKILL, entry_of, write_json
from tests.support import done as finished_job

pytestmark = [
    pytest.mark.processes,
    pytest.mark.posix("runs shells and signals groups; test_everywhere.py has the rest"),
]
RUN = (sys.executable, "-m", "stateheal", "run")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as the current directory, and a data directory in the plugin's variable."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("CLAUDE_PLUGIN_DATA", str(tmp_path / "data"))
    return tmp_path / "project"


def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=60, **more)


def state() -> Path:
    (found,) = (Path(os.environ["CLAUDE_PLUGIN_DATA"]) / "state").iterdir()
    return found


def the_job() -> dict[str, Any]:
    """The one job there is; fails where its records differ."""
    (entry,) = json.loads((state() / "state.json").read_text())["jobs"]
    record = json.loads((state() / "jobs" / f"{entry['id']}.json").read_text())
    for key in ("status", "phase", "pid", "errorMessage", "completedAt"):
        assert entry.get(key) == record.get(key)
    return dict(record)


def ending() -> tuple[str, str, str | None]:
    job = the_job()
    assert job["pid"] is None
    return job["status"], job["phase"], job.get("errorMessage")


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return value


def start(*arguments: str, **more: Any) -> subprocess.Popen[str]:
    """Start a run whose command says ``ready`` first, and wait for that."""
    child = subprocess.Popen([*RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --- output and status ---------------------------------------------------------------------------------------------


def test_output_and_status_pass_through_and_are_kept() -> None:
    done = run(
        "--title", "Tests", "--", "sh", "-c", "printf 'out\\n\\377'; echo err >&2; exit 3", errors="surrogateescape"
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n\udcff", "err\n")
    job = the_job()
    assert ending() == ("failed", "failed", "Exited with status 3")
    assert (job["title"], job["kind"], job["jobClass"]) == ("Tests", "task", "task")
    shown = "out\n\ufffd\n[Exited with status 3]\n"  # the plugin's result command prints nothing else
    assert (job["result"]["status"], job["result"]["rawOutput"], job["result"]["stderr"]) == (3, shown, "err\n")
    log = (state() / "jobs" / f"{job['id']}.log").read_bytes()
    assert b"out\n\xff" in log and b"err\n" in log


def test_a_completion() -> None:
    done = run("--", "cat", input="from stdin\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "from stdin\n", "")
    assert ending() == ("completed", "done", None)
    assert the_job()["result"]["rawOutput"] == "from stdin\n"
    assert (the_job()["title"], the_job()["summary"]) == ("cat", "cat")


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [("no-such-command", 127, "command not found"), ("/etc/passwd", 126, "Permission denied"), ("/", 126, "denied")],
)
def test_what_cannot_be_started(command: str, status: int, message: str) -> None:
    done = run("--", command)
    assert done.returncode == status
    assert re.fullmatch(rf"stateheal: {command}: .*{message}\n", done.stderr)
    assert ending()[:2] == ("failed", "failed") and message in (ending()[2] or "")


def test_a_lot_of_output_is_passed_on_whole_and_kept_in_part() -> None:
    done = run("--", sys.executable, "-c", "for n in range(300_000): print(n)")
    assert done.stdout == "".join(f"{n}\n" for n in range(300_000))
    kept = the_job()["result"]["rawOutput"]
    assert kept.startswith("[") and "bytes before this are in the job's log]\n" in kept
    assert kept.endswith("\n299999\n") and len(kept) < 300_000
    (log,) = (state() / "jobs").glob("*.log")
    assert done.stdout in log.read_text()


@pytest.mark.parametrize("count", [70_000, 100_000, 150_000, 190_000])
def test_a_reader_that_is_slower_than_the_command_gets_the_rest_after_its_end(count: int) -> None:
    """What fits into both pipes and between them is still on its way when the command has ended."""
    text = f"import sys; sys.stdout.write('x' * {count - 1} + 'y'); sys.stdout.flush(); open('done', 'w')"
    child = subprocess.Popen([*RUN, "--", sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    until(lambda: Path("done").exists(), "the command's end")
    time.sleep(1)
    out, _ = child.communicate(timeout=30)
    assert child.returncode == 0 and len(out) == count and out.endswith("y")


def test_a_reader_that_goes_away_ends_the_command_as_ever() -> None:
    child = subprocess.Popen([*RUN, "--", "yes"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "y\n"
    child.stdout.close()
    assert child.wait(30) == 128 + signal.SIGPIPE
    assert ending() == ("failed", "failed", "Killed by SIGPIPE")


def test_json_has_stdout_for_itself() -> None:
    done = run("--json", "--", "sh", "-c", "echo hello; exit 2")
    assert done.returncode == 2 and done.stderr == "hello\n"
    said = json.loads(done.stdout)
    assert (said["job"], said["status"], said["exit_status"]) == (the_job()["id"], "failed", 2)


def test_usage() -> None:
    assert run().returncode == 2
    assert run("--timeout", "soon", "--", "true").returncode == 2
    assert run("--kind", "chore", "--", "true").returncode == 2
    assert run("--nonsense", "--", "true").returncode == 2
    assert run("true", "--flag-of-the-command").returncode == 0  # after COMMAND, options are its own


def test_where_nothing_can_be_recorded_nothing_is_started(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    done = run("--", "touch", str(tmp_path / "started"))
    assert done.returncode == 3 and re.fullmatch(r"stateheal: .*data.*\n", done.stderr)
    assert not (tmp_path / "started").exists()


# --- signals and time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])
def test_a_signal_reaches_every_process_of_the_command(name: str) -> None:
    signum = signal.Signals[name]
    script = """
import subprocess, time
child = subprocess.Popen(["sleep", "60"])
print("ready", flush=True); print(child.pid, flush=True)
time.sleep(60)
"""
    child = start("--", sys.executable, "-c", f"import signal; signal.signal(2, signal.SIG_DFL)\n{script}")
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    child.send_signal(signum)
    assert child.wait(30) == 128 + signum
    assert ending() == ("failed", "terminated", f"Terminated by {signum.name}")
    assert gone(grandchild)


def test_the_runner_leads_a_group_that_can_be_cancelled() -> None:
    child = start("--", "sh", "-c", "echo ready; exec sleep 60")
    pid = the_job()["pid"]
    assert pid == child.pid == os.getpgid(pid)
    os.killpg(pid, signal.SIGTERM)  # as the plugin's cancel does
    assert child.wait(30) == 143


def test_who_signals_the_group_it_was_started_in_reaches_it_too() -> None:
    script = f"{shlex.join(RUN)} -- sh -c 'echo ready; exec sleep 60'; echo status $?"
    child = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    runner = the_job()["pid"]
    assert os.getpgid(runner) == runner != child.pid
    os.killpg(child.pid, signal.SIGTERM)
    until(lambda: gone(runner), "the runner's end")
    assert ending() == ("failed", "terminated", "Terminated by SIGTERM")
    child.wait(30)


def test_who_kills_the_group_it_was_started_in_ends_it_too() -> None:
    script = f"{shlex.join(RUN)} -- sh -c 'echo ready; exec sleep 60'; true"
    child = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    os.killpg(child.pid, signal.SIGKILL)
    child.wait(30)
    until(lambda: json.loads((state() / "state.json").read_text())["jobs"][0]["status"] == "failed", "the record")
    assert ending() == ("failed", "terminated", "Terminated by SIGKILL")


def test_a_command_that_ignores_the_signal_is_killed_after_the_grace() -> None:
    child = start("--grace", "300ms", "--", "sh", "-c", 'trap "" TERM INT; echo ready; sleep 60')
    begun = time.monotonic()
    child.terminate()
    assert child.wait(30) == 128 + signal.SIGKILL
    assert time.monotonic() - begun < 10
    assert ending() == ("failed", "terminated", "Terminated by SIGTERM")


def test_a_command_may_take_its_time_to_end() -> None:
    trap = "trap 'sleep 0.3; echo bye; exit 7' TERM"
    child = start("--", "sh", "-c", f"{trap}; echo ready; while :; do sleep 0.05; done")
    child.terminate()
    out, _ = child.communicate(timeout=30)
    assert (child.returncode, out) == (7, "bye\n")
    assert ending() == ("failed", "terminated", "Terminated by SIGTERM")


def test_the_whole_group_is_waited_for() -> None:
    done = run("--", "sh", "-c", "(sleep 0.5; echo late) & echo early")
    assert (done.returncode, done.stdout) == (0, "early\nlate\n")
    assert the_job()["result"]["rawOutput"] == "early\nlate\n"


def test_what_a_shell_has_put_into_the_background_ignores_interrupts_and_ends_all_the_same() -> None:
    child = start("--grace", "300ms", "--", "sh", "-c", "sleep 60 & echo ready; echo $! $$")
    assert child.stdout is not None
    sleeper, shell = map(int, child.stdout.readline().split())
    until(lambda: psutil.Process(sleeper).ppid() != shell, "the shell's end")
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 0
    assert ending() == ("failed", "terminated", "Terminated by SIGINT")
    assert gone(sleeper)


def test_who_leaves_the_group_is_not_waited_for() -> None:
    begun = time.monotonic()
    done = run(
        "--", sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '20'], start_new_session=True)"
    )
    assert done.returncode == 0 and time.monotonic() - begun < 15


def test_a_timeout() -> None:
    done = run("--timeout", "300ms", "--", "sleep", "60")
    assert (done.returncode, done.stderr) == (124, "stateheal: Timed out after 0.3 s\n")
    assert ending() == ("failed", "failed", "Timed out after 0.3 s")


def test_a_timeout_ends_what_the_command_has_left_behind_too() -> None:
    begun = time.monotonic()
    done = run("--timeout", "500ms", "--", "sh", "-c", "sleep 60 & exit 0")
    assert (done.returncode, time.monotonic() - begun < 20) == (124, True)
    assert ending() == ("failed", "failed", "Timed out after 0.5 s")


@pytest.mark.proc("it tells who is a zombie")
def test_a_zombie_that_nobody_reaps_is_not_waited_for() -> None:
    """Its parent has left the group and lives on."""
    script = """
import os, signal, subprocess, sys, time
pid = os.fork()
if pid == 0:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3): os.dup2(null, fd)
    time.sleep(15)
    os._exit(0)
time.sleep(0.3)
"""
    begun = time.monotonic()
    assert run("--", sys.executable, "-c", script).returncode == 0
    assert time.monotonic() - begun < 12


def test_with_more_descriptors_than_select_knows() -> None:
    script = "import os, sys; [os.dup(0) for _ in range(1100)]; os.execv(sys.argv[1], sys.argv[1:])"
    resource = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)); "
    dup = script.replace("os.dup(0)", "os.set_inheritable(os.dup(0), True)")
    done = subprocess.run(
        [sys.executable, "-c", resource + dup, *RUN, "--", "echo", "hi"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi\n", "")


def test_without_a_standard_output() -> None:
    done = subprocess.run(["sh", "-c", f"{shlex.join(RUN)} -- sh -c 'exit 3' >&-"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "")


def test_a_command_that_crashes() -> None:
    assert run("--", "sh", "-c", "kill -SEGV $$").returncode == 139
    assert ending() == ("failed", "failed", "Killed by SIGSEGV")


def test_forwarded_without_an_end() -> None:
    child = start("--", "sh", "-c", "trap 'echo usr1; exit 4' USR1; echo ready; while :; do sleep 0.05; done")
    child.send_signal(signal.SIGUSR1)
    out, _ = child.communicate(timeout=30)
    assert (child.returncode, out) == (4, "usr1\n")
    assert ending() == ("failed", "failed", "Exited with status 4")


WITHOUT_DEATH_SIGNAL = "import stateheal.runner.process.system as s; s._call = None; import stateheal.cli as c; c.run()"
"""As on macOS: the kernel tells nobody of a parent's end, a guardian waits for it."""


def test_elsewhere_a_guardian_ends_the_whole_group_of_a_killed_runner() -> None:
    script = "sleep 60 & echo ready; echo $! $$; wait"
    command = [sys.executable, "-c", WITHOUT_DEATH_SIGNAL, "run", "--", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        pids = [int(pid) for pid in child.stdout.readline().split()]
        child.kill()
        child.wait(30)
        until(lambda: all(gone(pid) for pid in pids), "the group's end")


def test_elsewhere_a_guardian_goes_with_the_command_and_changes_nothing() -> None:
    begun = time.monotonic()
    command = [sys.executable, "-c", WITHOUT_DEATH_SIGNAL, "run", "--", "sh", "-c", "echo out; exit 3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout == "out\n" and time.monotonic() - begun < 10
    assert ending() == ("failed", "failed", "Exited with status 3")


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
def test_a_killed_runner_takes_the_command_with_it_and_the_next_heal_closes_the_record() -> None:
    child = start("--", "sh", "-c", "echo ready; echo $$; exec sleep 60")
    assert child.stdout is not None
    command = int(child.stdout.readline())
    child.kill()
    child.wait(30)
    until(lambda: gone(command), "the command's end")
    assert the_job()["status"] == "running"
    healed = subprocess.run(
        [sys.executable, "-m", "stateheal", "heal", os.environ["CLAUDE_PLUGIN_DATA"]], capture_output=True, text=True
    )
    assert healed.returncode == 0, healed.stdout
    assert ending()[:2] == ("failed", "orphaned")


def test_a_cancelled_job_stays_cancelled() -> None:
    child = start("--", "sh", "-c", "echo ready; exec sleep 60")
    job = the_job()
    cancelled = {"status": "cancelled", "phase": "cancelled", "pid": None, "errorMessage": "Cancelled by user."}
    for path, change in (
        (state() / "jobs" / f"{job['id']}.json", lambda record: {**record, **cancelled}),
        (state() / "state.json", lambda index: {**index, "jobs": [{**index["jobs"][0], **cancelled}]}),
    ):
        path.write_text(json.dumps(change(json.loads(path.read_text())), indent=2) + "\n")
    child.terminate()
    assert child.wait(30) == 143
    assert ending() == ("cancelled", "cancelled", "Cancelled by user.")


# --- --no-record ---------------------------------------------------------------------------------------------------

KEEPER = """
import json, os, sys, time
from pathlib import Path
place, ident, *rest = sys.argv[1:]
record = {"id": ident, "kind": "task", "kindLabel": "rescue", "title": "Codex Task", "workspaceRoot": os.getcwd(),
          "jobClass": "task", "summary": "s", "write": False, "status": "running", "phase": "starting",
          "pid": os.getpid(), "logFile": None}
now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
record |= {"createdAt": now, "startedAt": now}
place = Path(place)
(place / "jobs").mkdir(parents=True, exist_ok=True)
(place / "jobs" / f"{ident}.json").write_text(json.dumps(record, indent=2) + "\\n")
index = {"version": 1, "config": {"stopReviewGate": False}, "jobs": []}
if (place / "state.json").exists(): index = json.loads((place / "state.json").read_text())
index["jobs"].insert(0, {**record, "updatedAt": now})
(place / "state.json").write_text(json.dumps(index, indent=2) + "\\n")
print("ready", flush=True)
time.sleep(float(rest[0]) if rest else 0)
"""
"""A program that keeps a record as the plugin does, and like the plugin closes it on no signal."""


@pytest.fixture
def keeper(project: Path, tmp_path: Path) -> tuple[str, ...]:
    """The command that keeps a record in this workspace; arguments: id, seconds to live."""
    place = tmp_path / "data" / "state" / f"project-{workspace_hash(str(project.resolve()))}"
    return (sys.executable, "-c", KEEPER, str(place))


def of(ident: str) -> tuple[str, str, str | None]:
    record = json.loads((state() / "jobs" / f"{ident}.json").read_text())
    entry = next(each for each in json.loads((state() / "state.json").read_text())["jobs"] if each["id"] == ident)
    assert [entry.get(key) for key in ("status", "phase", "pid")] == [record.get(k) for k in ("status", "phase", "pid")]
    return record["status"], record["phase"], record.get("errorMessage")


def test_a_signal_closes_the_record_that_the_command_left(keeper: tuple[str, ...]) -> None:
    child = start("--no-record", "-v", "--", *keeper, "task-1", "60")
    pid = json.loads((state() / "jobs" / "task-1.json").read_text())["pid"]
    child.terminate()
    _, err = child.communicate(timeout=30)
    assert child.returncode == 143 and "closed task-1" in err
    assert of("task-1") == ("failed", "terminated", "Terminated by SIGTERM")
    assert gone(pid)
    undone = subprocess.run([sys.executable, "-m", "stateheal", "undo"], capture_output=True, text=True)
    assert undone.returncode == 0 and of("task-1")[:2] == ("running", "starting")  # a heal like any other


def test_a_command_that_just_ends_leaves_an_orphan(keeper: tuple[str, ...]) -> None:
    done = run("--no-record", "--", *keeper, "task-1")
    assert (done.returncode, done.stdout) == (0, "ready\n")
    assert of("task-1")[:2] == ("failed", "orphaned") and "no longer alive" in (of("task-1")[2] or "")


def test_killed_from_elsewhere(keeper: tuple[str, ...]) -> None:
    child = start("--no-record", "--", *keeper, "task-1", "60")
    os.kill(json.loads((state() / "jobs" / "task-1.json").read_text())["pid"], signal.SIGKILL)
    assert child.wait(30) == 137
    assert of("task-1") == ("failed", "terminated", "Terminated by SIGKILL")


@pytest.mark.parametrize("left", [0, 30, 400, -3])
@pytest.mark.parametrize("signum", [signal.SIGTERM, SIGKILL])
def test_an_index_that_it_was_writing_as_it_died_is_healed_and_its_job_closed(
    keeper: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, signum: int
) -> None:
    """Cut off anywhere; beside it a finished job, which stays."""
    monkeypatch.setenv("CLAUDE_PLUGIN_DATA", str(tmp_path / "codex-inline"))
    finished = {**finished_job("task-mnyhf4j1-1mnkv1"), "logFile": None}
    script = KEEPER + textwrap.dedent(f"""
        path = place / "state.json"
        path.write_bytes(path.read_bytes()[:{left or None}] if {left} else b"")
        print("torn", flush=True)
        os.kill(os.getpid(), {int(signum)})
    """)
    place = tmp_path / "codex-inline" / "state" / Path(keeper[-1]).name
    write_json(place / "jobs" / "task-mnyhf4j1-1mnkv1.json", finished)
    write_json(place / "state.json", {"version": 1, "config": {"stopReviewGate": False}, "jobs": [entry_of(finished)]})
    ended = run("--no-record", "--", keeper[0], "-c", script, str(place), "task-mnyhf4j2-1mnkv1")
    assert ended.returncode == 128 + signum
    assert of("task-mnyhf4j2-1mnkv1")[:2] == ("failed", "terminated")
    assert of("task-mnyhf4j1-1mnkv1")[:2] == ("completed", "done")
    assert "repaired: state.json" in ended.stderr and "closed task-mnyhf4j2-1mnkv1" in ended.stderr


def test_its_own_torn_job_file_is_closed_too(keeper: tuple[str, ...]) -> None:
    script = KEEPER + textwrap.dedent("""
        path = place / "jobs" / f"{ident}.json"
        path.write_bytes(path.read_bytes()[:200])
        os.kill(os.getpid(), 15)
    """)
    ended = run("--no-record", "--", *keeper[:2], script, *keeper[3:], "task-mnyhf4j2-1mnkv1")
    assert ended.returncode == 143
    assert of("task-mnyhf4j2-1mnkv1")[:2] == ("failed", "terminated")


def test_what_runs_on_in_the_background_is_left_alone_and_the_rest_is_closed(keeper: tuple[str, ...]) -> None:
    """A worker that lives on, a worker that ended, and a record of somebody else that is just as dead."""
    script = textwrap.dedent("""
        import subprocess, sys
        keeper = sys.argv[1:]
        def start(ident, seconds):
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            child = subprocess.Popen([*keeper, ident, seconds], start_new_session=True, **pipes)
            child.stdout.readline()
            return child
        lives, ends = start("task-lives", "60"), start("task-ends", "0.8")
        ends.wait()
        print(lives.pid, flush=True)
    """)
    other = subprocess.run([*keeper, "task-other"], capture_output=True, text=True)
    assert other.stdout == "ready\n"
    done = run("--no-record", "--", sys.executable, "-c", script, *keeper)
    assert done.returncode == 0
    worker = psutil.Process(int(done.stdout))
    try:
        assert worker.is_running()
        assert of("task-lives")[:2] == ("running", "starting")
        assert of("task-other")[:2] == ("running", "starting")
        assert of("task-ends")[:2] == ("failed", "orphaned")
    finally:
        worker.kill()


def test_nothing_to_close_and_not_even_a_workspace() -> None:
    done = run("--no-record", "--", "sh", "-c", "echo out; exit 4")
    assert (done.returncode, done.stdout, done.stderr) == (4, "out\n", "")
    assert not Path(os.environ["CLAUDE_PLUGIN_DATA"]).exists()


def test_a_data_dir_that_is_none_does_not_change_the_status(tmp_path: Path) -> None:
    done = run("--no-record", "--data-dir", str(tmp_path / "nowhere"), "--", "sh", "-c", "exit 4")
    assert done.returncode == 4 and "not looked at" in done.stderr


def test_the_commands_own_cwd_names_the_workspace_too(keeper: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    done = run("--no-record", "--", *keeper, "task-1", "0", "--cwd", "../project", cwd=tmp_path / "else")
    assert done.returncode == 0
    assert of("task-1")[:2] == ("failed", "orphaned")


def test_a_timeout_without_a_record_of_our_own(keeper: tuple[str, ...]) -> None:
    done = run("--no-record", "--timeout", "1s", "--", *keeper, "task-1", "60")
    assert done.returncode == 124 and done.stderr.startswith("stateheal: Timed out after 1 s\n")
    assert of("task-1") == ("failed", "terminated", "Terminated by SIGTERM")
