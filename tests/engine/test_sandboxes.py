"""Real pid namespaces: jobs in a sandbox seen from outside, jobs outside seen from a sandbox, whole containers.

Field guide section 4, "Signs of life that no pid shows". Where such namespaces cannot be made the tests are skipped.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stateheal.formats.times import format_time
from tests.support import PROJECT, Tree, files_in, job

pytestmark = pytest.mark.processes
HEAL = (sys.executable, "-m", "stateheal", "heal")
HOOK = (sys.executable, "-m", "stateheal", "hook")
IDENT = "task-mnyhb0xe-1mnkv1"
"""No other test's: a worker of that name keeps every job of that name alive, whoever looks at the same time."""
WAITS = """import os, sys, time
open(sys.argv[-1] + "~", "w").write(str(os.getpid()))
os.rename(sys.argv[-1] + "~", sys.argv[-1])
time.sleep(600)
"""
UNSHARE = ("unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
BWRAP = (
    *("bwrap", "--new-session", "--die-with-parent", "--bind", "/", "/", "--dev", "/dev"),
    *("--unshare-pid", "--proc", "/proc", "--"),
)
"""As Claude Code's sandbox calls it."""


def works(command: tuple[str, ...]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True, timeout=60).returncode == 0


HIDES = ("--mount", "--map-root-user", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")
SANDBOXES = [
    pytest.param(each, id=each[0], marks=pytest.mark.skipif(not works(each), reason=f"no {each[0]} here"))
    for each in (UNSHARE, BWRAP)
]
BLIND = [
    pytest.param(each, id=name, marks=pytest.mark.skipif(not works(each), reason="no such namespaces here"))
    for name, each in (
        ("a sandbox without /proc", ("unshare", "--pid", "--fork", "--kill-child", *HIDES)),
        ("no /proc", ("unshare", *HIDES)),
    )
]
"""Where nothing can be looked at: a chroot, bwrap without --proc, a container's files entered by nsenter."""
COMPANIONS = {
    "foreground": ["codex-companion.mjs", "task", "fix it"],
    "worker": ["codex-companion.mjs", "task-worker", "--job-id", IDENT],
    "another name": ["grok-bridge.mjs", "run-worker", "--cwd", "/x", "--job-id", IDENT],
    "id alone": ["gemini-companion.mjs", "task-worker", IDENT],
}


def ago(seconds: float) -> str:
    return format_time(time.time() - seconds)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def tree(project: Path, isolated: Path) -> Tree:
    return Tree(isolated / "home/.claude", project=str(project.resolve()))


def record(tree: Tree, pid: Any, **fields: Any) -> None:
    """A job that runs for half a minute, silent for ten seconds."""
    times = {"createdAt": ago(31), "startedAt": ago(30), "updatedAt": ago(10)}
    given = job(IDENT, pid=pid, workspaceRoot=tree.project, logFile=None, **{**times, **fields})
    tree.file(given).index(given)


def launch(project: Path) -> bytes:
    command = "node /p/codex-companion.mjs task second"
    tool = {"tool_name": "Bash", "tool_input": {"command": command}}
    return json.dumps({"session_id": "s", "cwd": str(project), "hook_event_name": "PreToolUse", **tool}).encode()


def heal_everywhere(project: Path, inside: tuple[str, ...] = ()) -> None:
    """A heal, and the hook before a launch."""
    for command, stdin in ((HEAL, b""), (HOOK, launch(project))):
        done = subprocess.run([*inside, *command], input=stdin, capture_output=True, timeout=60, cwd=PROJECT)
        assert done.returncode == 0, done.stderr


def heal_until(done: Callable[[], bool], project: Path) -> None:
    """What was killed takes a moment to be gone, and another test's sandbox may hold the same small pid meanwhile."""
    deadline = time.monotonic() + 40
    while not done():
        assert time.monotonic() < deadline, subprocess.run([*HEAL], capture_output=True, text=True).stdout
        heal_everywhere(project)


@contextmanager
def sandboxed(sandbox: tuple[str, ...], tmp_path: Path, words: list[str], pid: int | None = None) -> Iterator[int]:
    """A program of that name in a sandbox of its own, there with ``pid`` if that is given; its pid there."""
    script, told = tmp_path / words[0], tmp_path / "inner.pid"
    script.write_text(WAITS)
    told.unlink(missing_ok=True)
    choose = "" if pid is None else f"echo {pid - 1} > /proc/sys/kernel/ns_last_pid\n"
    # No word of the job's stands on a command line outside the sandbox.
    (tmp_path / "go.sh").write_text(
        f"{choose}{shlex.join([sys.executable, str(script), *words[1:], str(told)])} &\nwait\n"
    )
    child = subprocess.Popen([*sandbox, "sh", str(tmp_path / "go.sh")], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not told.exists():
            if child.poll() is not None or time.monotonic() > deadline:
                pytest.skip("no pid of one's choice here")
            time.sleep(0.02)
        yield int(told.read_text())
    finally:
        child.kill()
        child.wait()


def nobody() -> int:
    """A pid that nobody has."""
    return next(pid for pid in range(21000, 32000) if not Path(f"/proc/{pid}").exists())


def stranger() -> int:
    """The pid of a process that is no job, and was there long before."""
    return os.getppid()


def kernel_thread() -> int:
    for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        fields = (path / "stat").read_text().rpartition(")")[2].split()
        if int(fields[6]) & 0x00200000 and int(path.name) > 10:
            return int(path.name)
    pytest.skip("no kernel threads to be seen here")


@pytest.mark.parametrize("words", COMPANIONS.values(), ids=COMPANIONS.keys())
@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_job_in_a_sandbox_lives_as_long_as_it_does(
    sandbox: tuple[str, ...], words: list[str], tree: Tree, project: Path, tmp_path: Path
) -> None:
    with sandboxed(sandbox, tmp_path, words) as inner:
        record(tree, inner)
        before = files_in(tree.path)
        heal_everywhere(project)
        assert files_in(tree.path) == before


@pytest.mark.skipif(not works(UNSHARE), reason="no unshare here")
@pytest.mark.parametrize("outside", [nobody, stranger, kernel_thread])
@pytest.mark.parametrize("words", [COMPANIONS["foreground"], COMPANIONS["worker"]], ids=["foreground", "worker"])
def test_whoever_has_its_pid_outside(
    outside: Callable[[], int], words: list[str], tree: Tree, project: Path, tmp_path: Path
) -> None:
    with sandboxed(UNSHARE, tmp_path, words, outside()) as inner:
        record(tree, inner)
        before = files_in(tree.path)
        heal_everywhere(project)
        assert files_in(tree.path) == before
    if outside is nobody:  # a stranger that is older than the job may be another namespace's: unsure for a day
        heal_until(lambda: tree.entry(IDENT)["phase"] == tree.record(IDENT)["phase"] == "orphaned", project)


@pytest.mark.parametrize("sandbox", [*SANDBOXES, *BLIND])
def test_a_job_outside_is_left_alone_from_inside(sandbox: tuple[str, ...], tree: Tree, project: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", "codex-companion.mjs", "task"]
    ) as live:
        try:
            record(tree, live.pid)
            before = files_in(tree.path)
            heal_everywhere(project, sandbox)
            assert files_in(tree.path) == before
        finally:
            live.kill()
    heal_everywhere(project, sandbox)
    assert files_in(tree.path) == before, "dead, but that cannot be known in there"
    heal_until(lambda: tree.entry(IDENT)["phase"] == "orphaned", project)


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_broker_in_a_sandbox_keeps_its_file(
    sandbox: tuple[str, ...], tree: Tree, project: Path, tmp_path: Path
) -> None:
    endpoint = f"unix:{tmp_path}/broker.sock"
    words = ["app-server-broker.mjs", "serve", "--endpoint", endpoint, "--cwd", str(project)]
    with sandboxed(sandbox, tmp_path, words) as inner:
        record(tree, None, status="completed", phase="done", completedAt=ago(10))
        broker = {"endpoint": endpoint, "pidFile": "/x/p", "logFile": "/x/l", "sessionDir": "/x", "pid": inner}
        (tree.path / "broker.json").write_text(json.dumps(broker))
        heal_everywhere(project)
        assert (tree.path / "broker.json").exists()


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_the_records_of_a_command_that_ran_in_a_sandbox(sandbox: tuple[str, ...], tree: Tree, project: Path) -> None:
    """``stateheal run --no-record`` knows that its own command's jobs are its own, wherever it runs."""
    code = (
        "import json, os, pathlib, sys, time; place = pathlib.Path(sys.argv[1])\n"
        "now = time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(time.time() + 1))\n"  # however long the start took
        "for path in (place / 'state.json', *place.glob('jobs/*.json')):\n"
        "    path.write_text(path.read_text().replace('4242', str(os.getpid())).replace('@NOW@', now))\n"
    )
    record(tree, 4242, createdAt="@NOW@", startedAt="@NOW@", updatedAt="@NOW@")
    run = [sys.executable, "-m", "stateheal", "run", "--no-record", "--cwd", str(project), "--"]
    command = [*sandbox, *run, sys.executable, "-c", code, str(tree.path)]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True, cwd=PROJECT)
    assert done.returncode == 0 and "closed" in done.stderr, done.stderr
    assert tree.entry(IDENT)["phase"] == "orphaned"


@pytest.mark.proc("it tells of a container's root")
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs mounts of one's own")
@pytest.mark.parametrize("old", [True, False], ids=["the container is older", "the job is older"])
def test_in_a_container_of_its_own_a_dead_job_is_healed_at_once(old: bool, tree: Tree, tmp_path: Path) -> None:
    """An overlay for a root, and a process 1 that was there before the job: nothing outside can have written it."""
    code = (
        "import subprocess, sys, time; from pathlib import Path; from tests.engine.test_sandboxes import *\n"
        f"time.sleep({2.5 if old else 0}); now = ago({0 if old else 600})\n"
        "tree = Tree(Path(sys.argv[1]), project='/')\n"
        "with subprocess.Popen(['true']) as dead: pass\n"
        "record(tree, dead.pid, createdAt=now, startedAt=now, updatedAt=now)\n"
        "print(subprocess.run(HEAL, capture_output=True).returncode, tree.entry(IDENT)['status'])\n"
    )
    box = tmp_path / "box"
    script = (
        f"mkdir {box} && mount -t tmpfs tmpfs {box} && cd {box} && mkdir u w m &&"
        f" mount -t overlay overlay -o lowerdir=/,upperdir={box}/u,workdir={box}/w {box}/m &&"
        f" mount -t proc proc {box}/m/proc && cd {PROJECT} && exec chroot {box}/m env -C {PROJECT}"
        f" {shlex.join([sys.executable, '-c', code, str(tree.root)])}"
    )
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True)
    if "mount:" in done.stderr:
        pytest.skip(f"no overlay here: {done.stderr.strip()}")
    assert done.stdout.split() == ["0", "failed" if old else "running"], done.stderr
