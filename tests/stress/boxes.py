"""What ``every_call`` runs commands on: a home, a journal and a temp directory in one box, and a case per command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from stateheal import cli
from stateheal.__main__ import main as main_of_stateheal
from stateheal.evidence import roots
from stateheal.evidence.processes import SystemProcesses
from stateheal.formats.times import format_time
from stateheal.fs.own_names import TEMP_PREFIX
from stateheal.model.liveness import ProcessFacts
from tests.support import Tree, at, done, entry_of, files_in, job, settle, write_json
from tests.workers import worker

DEAD = 4242
"""The pid of every dead process here."""
assert cli, "imported once, for every command"
THREAD = "019d8b1c-3a7e-7d40-b8a1-9e2f4c6d8e11"
_LOOK = SystemProcesses().look()
"""One for all: how many processes there are must not change which call is the n-th."""
STOPPED = f"task-stop{os.getpid()}"
"""Other processes of this machine must not name the same job on their command lines."""
OUTPUTS = "out"
"""The directory in a box that answers and archives are written to."""
WHOLE = "{box.claude}"
"""Never this machine's own temp roots."""
HEAL = ("heal", WHOLE)


class Case(NamedTuple):
    """A command, what it is run on, and whether its end is the same each time."""

    name: str
    arguments: tuple[str, ...]
    build: Callable[[Box], None]
    finish: tuple[tuple[str, ...], ...] | None = None
    """The commands that end its work; where none are given, the same command again, then a heal."""
    stdin: str = ""
    same_end: bool = True
    undone: bool = True
    """Whether repeated undo leads back to the beginning."""
    beside: Callable[[Box], AbstractContextManager[Any]] = nullcontext
    """What runs beside the command; made anew for each run."""

    @property
    def finishing(self) -> tuple[tuple[str, ...], ...]:
        """The commands that end its work: after them nothing may tell that it was disturbed."""
        return (self.arguments, HEAL) if self.finish is None else self.finish


class Said(NamedTuple):
    """How a command ended, and all that it said."""

    status: int
    text: str


class Box:
    """A home, a journal and a temp directory; copied whole for each point."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home = path / "home"
        self.claude = self.home / ".claude"
        self.journal = path / "journal"
        self.tree = Tree(self.claude, str(self.home / "project"))

    def environ(self) -> dict[str, str]:
        names = {"HOME": self.home, "CLAUDE_CONFIG_DIR": self.claude, "STATEHEAL_STATE_DIR": self.journal}
        more = {"TMPDIR": self.path / "tmp", "CODEX_HOME": self.home / ".codex"}
        plain = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_COLOR": "1"}
        return {**plain, **{key: str(value) for key, value in {**names, **more}.items()}}

    def command(self, *arguments: str, stdin: str = "", tracing: tuple[str, ...] = ()) -> Said:
        """Run it in a fork of this process, which has everything imported; ``tracing`` attaches to it first."""
        given, out = self.path.with_suffix(".in"), self.path.with_suffix(".out")
        given.write_text(stdin.format(box=self))
        child = os.fork()
        if child == 0:
            self._become(given, out, [each.format(box=self) for each in arguments], stops=bool(tracing))
        tracer = None
        if tracing:
            os.waitpid(child, os.WUNTRACED)
            tracer = subprocess.Popen([*tracing, "-p", str(child)], stderr=subprocess.PIPE, text=True)
            assert tracer.stderr is not None and "attached" in tracer.stderr.readline()
            os.kill(child, signal.SIGCONT)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if tracer is not None:
            tracer.communicate(timeout=60)
        return Said(status, out.read_text(errors="replace"))

    def _become(self, given: Path, out: Path, arguments: list[str], stops: bool) -> NoReturn:
        try:
            environ = self.environ()
            os.environ.clear()
            os.environ.update(environ)
            os.chdir(self.home)
            os.dup2(os.open(given, os.O_RDONLY), 0)
            writing = os.open(out, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            sys.argv = ["stateheal", *arguments]
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode) for fd, mode in ((0, "r"), (1, "w"), (2, "w")))
            tempfile.tempdir = None
            roots.SYSTEM_TEMP = self.path / "tmp"
            SystemProcesses.look = lambda self: _LOOK  # type: ignore[method-assign]
            SystemProcesses.facts = _gone(DEAD, SystemProcesses.facts)  # type: ignore[method-assign]
            if stops:
                os.kill(os.getpid(), signal.SIGSTOP)
            main_of_stateheal()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
            status = 70
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    def files(self) -> dict[str, bytes]:
        """What belongs to the user: the state, and what was written for them to read."""
        outputs = files_in(self.path / OUTPUTS).items()
        return {**files_in(self.claude), **{f"{OUTPUTS}/{name}": data for name, data in outputs}}

    @property
    def hook_log(self) -> str:
        """What the hook has noted: it answers in a few words of its own."""
        path = self.journal / "hook.log"
        return path.read_text("utf-8") if path.exists() else ""

    def let_time_pass(self) -> None:
        """For what is left of the writing of a file: it is removed once nobody can be writing it."""
        left = (path for path in self.claude.rglob("*") if TEMP_PREFIX in path.name)
        for path in (*(self.path / OUTPUTS).iterdir(), *left):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 2 * 3600))


# --- what commands are run on --------------------------------------------------------------------------------------


def _lay_out(box: Box) -> None:
    (box.home / "project").mkdir(parents=True)
    (box.path / "tmp").mkdir()
    (box.path / OUTPUTS).mkdir()


def with_damage(box: Box) -> None:
    """Dead jobs on both sides, one without entry, a stale broker."""
    _lay_out(box)
    pid = DEAD
    tree = box.tree.add(job("task-call-1", pid=pid)).add(done("task-call-2"))
    record = done("task-call-3")
    tree.file(record).index(*tree.read_index()["jobs"], entry_of(record, status="running", pid=pid))
    tree.file(job("task-call-lost", pid=pid)).log("task-call-lost")
    write_json(tree.path / "broker.json", {"endpoint": "unix:/nonexistent/b.sock", "pid": pid})
    settle(box.claude)


def healed(box: Box) -> None:
    """The same after a heal."""
    with_damage(box)
    assert box.command(*HEAL).status in (0, 1)


def recoverable(box: Box) -> None:
    """A job that a heal closed, and the rollout with its answer."""
    _lay_out(box)
    closed = {"status": "failed", "phase": "orphaned", "pid": None, "completedAt": at(-7100)}
    turns = {"threadId": THREAD, "turnId": "turn_1", "errorMessage": "Orphaned: pid 4242 no longer alive"}
    box.tree.add(job("task-call-1", **{**closed, **turns}))
    rollout = box.home / f".codex/sessions/2026/11/23/rollout-2026-11-23T05-00-00-{THREAD}.jsonl"
    rollout.parent.mkdir(parents=True)
    told = (
        {"type": "task_started", "turn_id": "turn_1"},
        {"type": "user_message", "message": "map the failing tests"},
        {"type": "task_complete", "turn_id": "turn_1", "last_agent_message": "The answer."},
    )
    lines = ({"timestamp": at(-7190), "type": "event_msg", "payload": each} for each in told)
    rollout.write_text("".join(json.dumps(line) + "\n" for line in lines))
    settle(box.claude)


def two_roots(box: Box) -> None:
    """The same workspace under two plugins."""
    _lay_out(box)
    Tree(box.claude, box.tree.project, "codex-inline").add(done("task-call-1")).add(done("task-call-2"))
    box.tree.add(done("task-call-3"))
    settle(box.claude)


def of_a_gone_project(box: Box) -> None:
    """Finished jobs, their project's directory removed."""
    _lay_out(box)
    for ident in ("task-call-1", "task-call-2"):
        box.tree.add(done(ident, workspaceRoot=box.tree.project)).log(ident)
    settle(box.claude)
    (box.home / "project").rmdir()


def renamed(box: Box) -> None:
    """Finished jobs of a project whose directory has another name by now."""
    of_a_gone_project(box)
    (box.home / "renamed").mkdir()


def unsure(box: Box) -> None:
    """A job without a pid that was heard of ten minutes ago."""
    _lay_out(box)
    recently = format_time(time.time() - 600)
    box.tree.add(job("task-call-1", pid=None, createdAt=recently, startedAt=recently))
    settle(box.claude)


def queued(box: Box) -> None:
    """A job that waits for its worker, which no record names."""
    _lay_out(box)
    waiting = job(STOPPED, status="queued", phase="queued", pid=None, workspaceRoot=box.tree.project)
    box.tree.add(waiting).log(STOPPED)
    settle(box.claude)


@contextmanager
def its_worker(box: Box) -> Iterator[None]:
    """Lives while the command runs; a record that says that its job is over is true."""
    with worker(box.home / "project", STOPPED) as process:
        yield
        if box.tree.record(STOPPED)["status"] != "queued":
            assert process.poll() is not None, "its record is closed, and its process lives"


def empty(box: Box) -> None:
    """A project, and no state yet."""
    _lay_out(box)
    box.tree.state.mkdir(parents=True)


HOOK = '{{"hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": "{box.home}/project", "tool_input": '
HOOK += '{{"command": "node /x/scripts/codex-companion.mjs task go"}}}}'
RECOVER = ("recover", "--export", f"{{box.path}}/{OUTPUTS}", WHOLE)
RESULT = ("result", "--all", "-o", f"{{box.path}}/{OUTPUTS}", WHOLE)
"""What a recovery that was killed has not exported, this does: the same text under the same name."""
MIGRATE = ("migrate", "--from", "codex-inline", "--to", "codex-openai-codex", "--archive")

CLOSE = ("close", STOPPED, "--yes", "--grace", "1d", WHOLE)
STOP = ("stop", STOPPED, "--yes", WHOLE)


def _export(name: str) -> tuple[str, ...]:
    """None is ever overwritten."""
    return ("export", "-o", f"{{box.path}}/{OUTPUTS}/{name}.tar.gz", WHOLE)


CASES = (
    Case("heal", HEAL, with_damage),
    Case("undo", ("undo",), healed, finish=(("undo",),)),
    Case("hook", ("hook",), with_damage, finish=(HEAL,), stdin=HOOK),
    Case("recover", RECOVER, recoverable, finish=(RECOVER, HEAL, RESULT)),
    Case("migrate", MIGRATE, two_roots),
    Case("migrate-workspace", ("migrate", "--workspace", "{box.home}/project", "{box.home}/renamed"), renamed),
    Case(
        "run",
        ("run", "--data-dir", "{box.tree.state.parent}", "--", "true"),
        empty,
        finish=(HEAL,),
        same_end=False,
        undone=False,
    ),
    Case("export", _export("one"), with_damage, finish=(_export("other"), HEAL)),
    Case("result", RESULT, with_damage),
    Case("prune", ("prune", "--gone", WHOLE), of_a_gone_project),
    Case("prune-older", ("prune", "--older-than", "10m", WHOLE), of_a_gone_project),
    Case("close", ("close", "task-call-1", "--yes", "--grace", "1d", WHOLE), unsure),
    Case("stop", STOP, queued, finish=(STOP, CLOSE, HEAL), same_end=False, beside=its_worker),
    Case("purge", ("history", "--purge", "--yes"), healed),
    Case("forget", ("history", "--forget", "1", "--yes"), healed),
    Case("install", ("hook", "install"), with_damage),
)


def _gone(pid: int, real: Callable[[SystemProcesses, int], ProcessFacts]) -> Callable[..., ProcessFacts]:
    """A process table in which one pid is nobody's: on a busy machine none stays unused for as long as this takes."""

    def facts(self: SystemProcesses, asked: int) -> ProcessFacts:
        return ProcessFacts(pid, exists=False, why="no such process") if asked == pid else real(self, asked)

    return facts
