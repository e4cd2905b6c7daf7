"""``stateheal stop``: ends what is proven to be a job's own, and nothing else; real processes throughout."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit import ending
from stateheal.engine import stop
from stateheal.errors import Busy, Conflict, JournalError, Refused, WriteError
from stateheal.evidence.host import boot_id, pid_namespace, start_ticks
from stateheal.evidence.processes import SystemProcesses
from stateheal.evidence.schema import violations
from tests.cli.test_jobs import started
from tests.dialects.layout import lay_out
from tests.support import Tree, done, files_in, job
from tests.workers import WAITS, gone_pid, running, script, wait_for, worker

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not ending.HAS_HANDLES, reason="no handles on processes here"),
]
JOB, OTHER = f"task-stop{os.getpid()}", f"task-other{os.getpid()}"
"""Other processes of the tests must not name the same jobs on their command lines."""
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {WAITS}"
NOBODY = 65534
TERMINATED = -signal.SIGTERM if os.name == "posix" else 1
"""The exit status of who was ended: Windows knows no signals."""
LAST = "SIGKILL" if os.name == "posix" else "SIGTERM"
"""What ends who is deaf to SIGTERM: on Windows nobody is."""
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def is_over(process: subprocess.Popen[bytes]) -> bool:
    return wait_for(lambda: process.poll() is not None, 5)


def lives(process: subprocess.Popen[bytes]) -> bool:
    time.sleep(0.2)
    return process.poll() is None


def test_a_job_is_ended_and_its_record_closed_and_undo_restores_the_record(
    run: Any, tmp_path: Path, tree: Tree
) -> None:
    with worker(tmp_path, JOB) as process:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        before = files_in(tree.path)
        said = run("stop", "-n", JOB, tree.root)
        assert said.status == 1 and str(process.pid) in said.out and f"--job-id {JOB}" in said.out
        assert "Dry run: nothing was ended." in said.out and max(map(len, said.out.splitlines())) < 200
        assert lives(process) and files_in(tree.path) == before
        said = run("stop", JOB, tree.root, "--yes")
        assert said.status == 0 and is_over(process) and process.returncode == TERMINATED
        assert "ended after SIGTERM" in said.out
        assert "its record is closed as failed/terminated; 'stateheal undo' restores it\n" in said.out
    for side in (tree.entry(JOB), tree.record(JOB)):
        assert (side["status"], side["phase"], side["pid"]) == ("failed", "terminated", None)
        assert side["errorMessage"] == "Terminated by SIGTERM (stateheal stop)" and side["completedAt"]
    assert "Terminated by SIGTERM" in (tree.path / f"jobs/{JOB}.log").read_text()
    assert "stop" in run("history").out
    assert run("undo").status == 0 and files_in(tree.path) == before
    assert run("heal", tree.root).status == 0


@pytest.mark.parametrize(
    "error",
    [
        Conflict("it keeps changing"),
        Refused("a link"),
        Busy("another"),
        WriteError("full"),
        JournalError("full"),
        OSError("gone"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_who_was_ended_is_told_whatever_keeps_the_record_from_being_closed(
    run: Any, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch, error: Exception, form: str
) -> None:
    def fails(*args: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(stop, "close_record", fails)
    with worker(tmp_path, JOB) as process:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        said = run("stop", JOB, tree.root, "--yes", "--format", form)
        assert is_over(process) and said.status == 3 and str(error) in said.err
        if form == "text":
            assert f"pid {process.pid} ended after SIGTERM" in said.out and "its record is not closed" in said.out
        else:
            assert violations("report", said.json) == ()
            assert said.json["processes"][0]["ended"] and said.json["errors"][0]["message"] == str(error)


@pytest.mark.posix("a link loop")
def test_what_could_not_be_looked_at_is_said(run: Any, tmp_path: Path, tree: Tree) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (tree.root / "plugins/data").mkdir(parents=True)
    (tree.root / "plugins/data/codex-inline").symlink_to(loop)
    with worker(tmp_path, JOB) as process:
        for command in ("stop", "close"):
            said = run(command, JOB, tree.root, "--yes")
            assert said.status == 3 and f"no job '{JOB}'" in said.err and "codex-inline" in said.err
        tree.add(job(JOB, pid=process.pid, **started(60)))
        for command, does in (("close", 3), ("stop", 3)):
            said = run(command, JOB, tree.root, "--yes", "--format", "json")
            assert said.status == does and "codex-inline" in said.err
            assert "codex-inline" in said.json["errors"][0]["path"]
        assert is_over(process)
    assert tree.record(JOB)["phase"] == "terminated"


def test_nobody_is_signalled_without_yes_where_nobody_can_be_asked(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, JOB) as process:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        said = run("stop", JOB, tree.root)
        assert said.status == 2 and "--yes" in said.err and lives(process)


def test_children_that_ignore_sigterm_are_killed_with_the_group(run: Any, tmp_path: Path, tree: Tree) -> None:
    child = script(tmp_path, "child.py", STUBBORN)
    text = (
        f"import subprocess, sys; kids = [subprocess.Popen([sys.executable, {str(child)!r}]) for _ in 'ab']\n"
        f"open({str(tmp_path / 'kids')!r}, 'w').write(' '.join(str(kid.pid) for kid in kids))\n{WAITS}"
    )
    with worker(tmp_path, JOB, text) as process:
        assert wait_for(lambda: (tmp_path / "kids").exists() and len((tmp_path / "kids").read_text().split()) == 2)
        time.sleep(0.5)
        kids = [int(pid) for pid in (tmp_path / "kids").read_text().split()]
        tree.add(job(JOB, pid=process.pid, **started(60)))
        said = run("stop", JOB, tree.root, "--yes", "--grace", "300ms", "--format", "json")
        assert violations("report", said.json) == ()
        (told,) = said.json["processes"]
        assert told["ended"] and told["signal"] == LAST and set(kids) <= set(told["group"])
        assert is_over(process) and wait_for(lambda: not any(map(_is_running, kids)))
    assert tree.record(JOB)["errorMessage"] == f"Terminated by {LAST} (stateheal stop)"


@pytest.mark.posix("Ctrl-C reaches a console's processes")
def test_ctrl_c_during_the_grace_says_how_it_may_stand(tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, JOB, STUBBORN) as process:
        assert process.stdout is not None and process.stdout.readline() == b"deaf\n"
        tree.add(job(JOB, pid=process.pid, **started(60)))
        command = [sys.executable, "-m", "stateheal", "stop", JOB, str(tree.root), "--yes", "--grace", "1m"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as stopping:
            assert stopping.stdout is not None and stopping.stdout.readline()
            time.sleep(1)
            stopping.send_signal(signal.SIGINT)
            _, err = stopping.communicate(timeout=20)
        assert stopping.returncode == 130 and "Traceback" not in err
        assert f"pid {process.pid} may have been ended" in err and f"stateheal explain -q {JOB}" in err
        assert lives(process) and tree.record(JOB)["status"] == "running"


def test_children_that_are_started_while_it_is_ended_are_ended_too(run: Any, tmp_path: Path, tree: Tree) -> None:
    text = (
        "import subprocess, sys, time\n"
        f"with open({str(tmp_path / 'kids')!r}, 'a') as kids:\n"
        "    for _ in range(200):\n"
        f"        kid = subprocess.Popen([sys.executable, '-c', {WAITS!r}])\n"
        "        print(kid.pid, file=kids, flush=True)\n"
        "        time.sleep(0.1)\n"  # or it has started them all, and ended, before a busy machine comes to stop it
    )
    with worker(tmp_path, JOB, text) as process:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        assert wait_for(lambda: (tmp_path / "kids").exists() and (tmp_path / "kids").read_text().count("\n") > 2)
        (told,) = run("stop", JOB, tree.root, "--yes", "--format", "json").json["processes"]
        assert told["ended"] and not told["survivors"] and is_over(process)
        kids = [int(pid) for pid in (tmp_path / "kids").read_text().split()]
        assert not [pid for pid in kids if _is_running(pid)]


def _is_running(pid: int) -> bool:
    facts = SystemProcesses().facts(pid)
    return facts.exists and not facts.zombie


@pytest.mark.posix("SIGSTOP")
def test_a_stopped_process_is_ended_too(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, JOB) as process:
        os.kill(process.pid, signal.SIGSTOP)
        tree.add(job(JOB, pid=process.pid, **started(60)))
        assert "SIGTERM" in run("stop", JOB, tree.root, "--yes").out and is_over(process)


def test_who_shares_a_group_that_is_not_the_jobs_own_is_spared(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, JOB, alone=False) as process, worker(tmp_path, OTHER, alone=False) as other:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        assert run("stop", JOB, tree.root, "--yes").status == 0
        assert is_over(process) and lives(other)


@pytest.mark.parametrize(
    "argv",
    [
        ["codex-companion.mjs", "task-worker", "--job-id", f"{JOB}0"],
        ["codex-companion.mjs", "task"],
        ["codex-companion.mjs", "status", "--job-id", JOB],
        ["tail.py", "--job-id", JOB],
        ["server.py", JOB],
    ],
    ids=["another job", "no worker of one job", "another subcommand", "another program", "only its name"],
)
def test_what_is_not_proven_to_be_its_own_is_left(run: Any, tmp_path: Path, tree: Tree, argv: list[str]) -> None:
    with running(script(tmp_path, argv[0], WAITS), *argv[1:]) as process:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        before = files_in(tree.path)
        said = run("stop", JOB, tree.root, "--yes")
        assert said.status == 1 and "no process here is proven to be its own" in said.err
        assert lives(process) and files_in(tree.path) == before


def test_a_recycled_pid_is_not_hit(run: Any, tmp_path: Path, tree: Tree) -> None:
    with running(script(tmp_path, "innocent.py", WAITS)) as innocent:
        tree.add(job(JOB, pid=innocent.pid, **started(7200)))
        said = run("stop", JOB, tree.root, "--yes")
        assert said.status == 1 and "stateheal heal" in said.err and lives(innocent)


@pytest.mark.proc("boot id and start ticks")
@pytest.mark.parametrize("own", [True, False])
def test_the_recorded_identity_is_a_proof(run: Any, tmp_path: Path, tree: Tree, own: bool) -> None:
    with running(script(tmp_path, "anything.py", WAITS)) as process:
        ticks = (start_ticks(process.pid) or 0) + (0 if own else 1)
        owner = {"tool": "stateheal", "bootId": boot_id(), "pidNamespace": pid_namespace(), "startTicks": ticks}
        tree.add(job(JOB, pid=process.pid, owner=owner, **started(0)))
        said = run("stop", JOB, tree.root, "--yes")
        assert said.status == (0 if own else 1)
        assert is_over(process) if own else lives(process)


def test_a_process_that_ends_between_proof_and_signal(
    run: Any, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    with worker(tmp_path, JOB) as process:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        real = stop.held
        sent: list[int] = []
        monkeypatch.setattr(signal, "pidfd_send_signal", lambda fd, signum, *more: sent.append(signum), raising=False)

        def late(pid: int) -> Any:
            process.kill()
            process.wait()
            return real(pid)

        monkeypatch.setattr(stop, "held", late)
        said = run("stop", JOB, tree.root, "--yes")
        assert said.status == 0 and "had ended by itself" in said.out and sent == []
    assert tree.record(JOB)["status"] == "failed"


def test_a_pid_that_changes_hands_between_proof_and_handle(
    run: Any, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handle is opened on whoever has the pid by then: the second proof fails, and nobody is signalled."""
    with worker(tmp_path, JOB) as process, running(script(tmp_path, "innocent.py", WAITS)) as innocent:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        real = stop._proof
        asked: list[int] = []

        def proof(chosen: Any, view: Any, found: Any, pid: int) -> str | None:
            asked.append(pid)
            first = len(asked) == 1
            return real(chosen, view, found, process.pid if first else innocent.pid)

        monkeypatch.setattr(stop, "_proof", proof)
        said = run("stop", JOB, tree.root, "--yes")
        assert said.status == 1 and "not proven to be the one any more" in said.err
        assert lives(process) and lives(innocent)
    assert tree.record(JOB)["status"] == "running"


def test_a_job_that_is_recorded_as_cancelled_and_lives_on(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, JOB) as process:
        tree.add(done(JOB, status="cancelled", phase="cancelled", workspaceRoot=str(tmp_path)))
        before = files_in(tree.path)
        said = run("stop", JOB, tree.root, "--yes")
        assert said.status == 0 and is_over(process) and "its record says cancelled" in said.out
    assert files_in(tree.path) == before
    assert "no process works on it" in run("stop", JOB, tree.root, "--yes").err


def test_a_queued_job_without_pid_is_found_by_its_command_line(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, JOB) as process:
        times = {"createdAt": started(60)["createdAt"], "startedAt": ...}
        tree.add(job(JOB, status="queued", pid=None, workspaceRoot=str(tmp_path), **times))
        assert run("stop", JOB, tree.root, "--yes").status == 0 and is_over(process)
    assert tree.entry(JOB)["status"] == "failed"


def test_a_worker_of_another_project_with_the_same_id_is_left(run: Any, tmp_path: Path, tree: Tree) -> None:
    with worker(tmp_path, JOB) as process:
        tree.add(job(JOB, pid=gone_pid(), workspaceRoot="/home/dev/projects/other", **started(60)))
        assert run("stop", JOB, tree.root, "--yes").status == 1 and lives(process)


@pytest.mark.posix("a request to end: Windows has but an end for what shares no console with us")
def test_a_worker_that_writes_its_own_end_has_the_last_word(run: Any, tmp_path: Path, tree: Tree) -> None:
    path = tree.path / f"jobs/{JOB}.json"
    text = (
        "import signal, sys, json\ndef bye(*a):\n"
        f"    r = json.load(open({str(path)!r})); r.update(status='completed', phase='done', pid=None)\n"
        f"    json.dump(r, open({str(path)!r}, 'w'), indent=2); sys.exit(0)\n"
        f"signal.signal(signal.SIGTERM, bye); print('set', flush=True)\n{WAITS}"
    )
    with worker(tmp_path, JOB, text) as process:
        assert process.stdout is not None and process.stdout.readline() == b"set\n"
        tree.add(job(JOB, pid=process.pid, **started(60)))
        assert run("stop", JOB, tree.root, "--yes").status == 0 and is_over(process)
    assert tree.record(JOB)["status"] == tree.entry(JOB)["status"] == "completed"


@as_root
def test_another_users_process_with_the_right_words_is_not_the_jobs(run: Any, tmp_path: Path, tree: Tree) -> None:
    """Anybody may write a job's id into a command line."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        program = Path(folder) / "codex-companion.mjs"
        program.write_text("sleep 300\n")
        argv = ["/bin/sh", str(program), "task-worker", "--job-id", JOB]
        with subprocess.Popen(argv, user=NOBODY, start_new_session=True) as process:
            try:
                tree.add(job(JOB, pid=process.pid, **started(60)))
                assert run("stop", JOB, tree.root, "--yes").status == 1 and lives(process)
            finally:
                os.killpg(process.pid, signal.SIGKILL)


@as_root
def test_a_process_that_may_not_be_signalled_is_refused(tmp_path: Path) -> None:
    """As another user, whose record it is by its owner, over a process of root's."""
    code = (
        "import os, sys\nfrom stateheal.commit.ending import end, held\nfrom stateheal.errors import Refused\n"
        f"os.setuid({NOBODY})\nwith held(int(sys.argv[1])) as handle:\n"
        "    try:\n        end(handle, tuple, 1)\n    except Refused as error:\n        print(error)\n"
    )
    with worker(tmp_path, JOB) as process:
        said = subprocess.run([sys.executable, "-c", code, str(process.pid)], capture_output=True, text=True)
        assert "belongs to another user" in said.stdout and said.stderr == "" and lives(process)


def _namespaces() -> bool:
    return subprocess.run(["unshare", "-rpf", "--mount-proc", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(sys.platform != "linux" or not _namespaces(), reason="no pid namespaces here")
class TestNamespaces:
    def test_a_job_in_an_inner_namespace_is_ended_by_its_outer_pid(self, run: Any, tmp_path: Path, tree: Tree) -> None:
        path = script(tmp_path, "codex-companion.mjs", WAITS)
        command = ["unshare", "-pf", "--kill-child", sys.executable, str(path), "task-worker", "--job-id", JOB]
        outer = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, cwd=tmp_path)
        try:
            assert outer.stdout is not None and outer.stdout.readline() == b"ready\n"
            tree.add(job(JOB, pid=1, workspaceRoot=str(tmp_path), **started(60)))
            said = run("stop", JOB, tree.root, "--yes", "--grace", "300ms")
            assert said.status == 0 and is_over(outer), said
        finally:
            outer.kill()
            outer.wait()
            outer.stdout.close()

    def test_from_within_a_namespace_what_is_outside_cannot_be_hit(
        self, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with worker(tmp_path, JOB) as process:
            tree.add(job(JOB, pid=process.pid, **started(60)))
            command = ["unshare", "-rpf", "--mount-proc", sys.executable, "-m", "stateheal", "stop", JOB, "--yes"]
            said = subprocess.run([*command, str(tree.root)], capture_output=True, text=True)
            assert said.returncode == 1 and "no process here is proven" in said.stderr and lives(process)
        assert tree.record(JOB)["status"] == "running"


@pytest.mark.posix("a pseudo-terminal")
@pytest.mark.parametrize(("keys", "ended"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_on_a_terminal_it_asks(tmp_path: Path, tree: Tree, keys: bytes, ended: bool) -> None:
    with worker(tmp_path, JOB) as process:
        tree.add(job(JOB, pid=process.pid, **started(60)))
        screen, status = on_terminal(keys, "stop", JOB, str(tree.root))
        assert "End it? [y/N]" in screen and str(process.pid) in screen
        assert status == (0 if ended else 1)
        assert is_over(process) if ended else lives(process)


def on_terminal(keys: bytes, *args: str) -> tuple[str, int]:
    """What a command shows on a terminal of 80 columns where these keys are struck, and its status."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "stateheal", *args], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    os.write(ours, keys)
    shown = b""
    try:
        while data := os.read(ours, 4096):
            shown += data
    except OSError:
        pass
    os.close(ours)
    return shown.decode(), process.wait()


def test_usage(run: Any, tree: Tree) -> None:
    tree.add(job(JOB, pid=gone_pid())).add(job(OTHER, pid=gone_pid()))
    for args in ([], [JOB, "--broker", "x"], ["task-9", tree.root], ["task", tree.root], ["--broker", "/nowhere"]):
        said = run("stop", *args)
        assert said.status == 2 and said.out == "", args
    said = run("stop", JOB, tree.root, "--yes")
    assert said.status == 1 and "'stateheal heal' closes it" in said.err


# --- brokers -------------------------------------------------------------------------------------------------------

SERVES = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); "
    "s.bind(sys.argv[sys.argv.index('--endpoint') + 1][5:]); s.listen(); print('up', flush=True); " + WAITS
    if os.name == "posix"
    else "import sys; from multiprocessing.connection import Listener; "
    "s = Listener(sys.argv[sys.argv.index('--endpoint') + 1][5:], 'AF_PIPE'); print('up', flush=True); " + WAITS
)


def endpoint_in(folder: Path, name: str) -> str:
    return f"unix:{folder}/{name}.sock" if os.name == "posix" else f"pipe:\\\\.\\pipe\\{folder.name}-{name}"


def broker_in(tree: Tree, folder: Path, **more: Any) -> Any:
    endpoint = endpoint_in(folder, "b")
    return endpoint, running(script(folder, "app-server-broker.mjs", SERVES), "serve", "--endpoint", endpoint, **more)


def test_a_broker_is_ended_and_its_file_removed(run: Any, tmp_path: Path, tree: Tree) -> None:
    tree.add(done(JOB))
    endpoint, starting = broker_in(tree, tmp_path)
    with starting as process:
        assert process.stdout.readline().split() == [b"up"]
        path = tree.path / "broker.json"
        path.write_text(json.dumps({"endpoint": endpoint, "pid": process.pid}))
        before = files_in(tree.path)
        said = run("stop", "--broker", tree.path, "-n")
        assert said.status == 1 and str(process.pid) in said.out and lives(process)
        said = run("stop", "--broker", tree.path, "--yes")
        assert said.status == 0 and is_over(process) and not path.exists(), said
        assert "its broker.json is removed; 'stateheal undo' restores it\n" in said.out
        assert run("undo").status == 0 and files_in(tree.path) == before


def test_a_broker_that_a_live_job_may_work_through_is_left(run: Any, tmp_path: Path, tree: Tree) -> None:
    endpoint, starting = broker_in(tree, tmp_path)
    with starting as process, worker(tmp_path, JOB) as working:
        tree.add(job(JOB, pid=working.pid, **started(60)))
        (tree.path / "broker.json").write_text(json.dumps({"endpoint": endpoint, "pid": process.pid}))
        said = run("stop", "--broker", tree.path, "--yes")
        assert said.status == 1 and f"{JOB} lives" in said.err and lives(process) and lives(working)


def test_a_recycled_brokers_pid_is_not_hit(run: Any, tmp_path: Path, tree: Tree) -> None:
    tree.add(done(JOB))
    with running(script(tmp_path, "innocent.py", WAITS)) as innocent:
        (tree.path / "broker.json").write_text(
            json.dumps({"endpoint": endpoint_in(tmp_path, "none"), "pid": innocent.pid})
        )
        said = run("stop", "--broker", tree.path, "--yes")
        assert said.status == 1 and "no process is proven" in said.err and lives(innocent)


def test_the_broker_of_a_companion_that_names_its_file_otherwise_is_ended_as_a_notice_says(
    run: Any, tmp_path: Path
) -> None:
    """What a finding names as the command to type works, whatever the companion calls its broker's file."""
    laid = lay_out("sakib-gemini", "healthy", tmp_path)
    laid.project.rmdir()
    endpoint = endpoint_in(tmp_path, "b")
    path = laid.state / "broker-session.json"
    with running(script(tmp_path, "acp-broker.mjs", SERVES), "serve", "--endpoint", endpoint) as process:
        assert process.stdout is not None and process.stdout.readline().split() == [b"up"]
        path.write_text(json.dumps({"endpoint": endpoint, "pid": process.pid}))
        told = run("audit", laid.data, "--format", "json").json["findings"]
        (notice,) = [each for each in told if each["rule"] == "leaked-broker"]
        assert notice["path"] == str(path)
        command = notice["evidence"].partition("to end it: ")[2]
        words = [word.strip('"') for word in shlex.split(command, posix=os.name == "posix")]
        assert words[:3] == ["stateheal", "stop", "--broker"]
        said = run(*words[1:], "--yes")
        assert said.status == 0 and is_over(process) and not path.exists(), said
