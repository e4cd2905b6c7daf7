"""Every system call that changes a file, made to fail or to be the last, in every command that writes.

``strace`` counts the calls of one undisturbed run; then the command runs once for each of them and each error (and once
killed there), and what is left is looked at:

* nothing but one-line messages was said;
* each record is its old self or its new self, each log its old self, or that and the beginning of one line;
* the next run of the command, and a heal, come to their end as if nothing had been, and leave nothing lying about;
* repeated undo returns every byte.

By hand, for all commands; the suite runs a few positions:

    python -m tests.stress.every_call
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from stateheal import cli
from stateheal.__main__ import main as main_of_stateheal
from stateheal.commit.journal import Journal
from stateheal.engine.commands import undo
from stateheal.evidence import roots
from stateheal.evidence.processes import SystemProcesses
from stateheal.fs.directory import TEMP_PREFIX
from stateheal.model.liveness import ProcessFacts
from tests.support import Tree, at, done, entry_of, files_in, job, settle, write_json

CALLS = (
    *("openat", "write", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "fsync"),
    *("fdatasync", "ftruncate", "fchmod", "fchmodat", "fchown", "utimensat", "mkdir", "mkdirat", "rmdir"),
    *("setxattr", "fsetxattr", "fremovexattr", "sendfile", "copy_file_range"),
)
FAULTS = ("EIO", "ENOSPC", "EACCES", "KILL")
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)")
_WRITING = re.compile(r"O_CREAT|O_WRONLY|O_RDWR")
_TO_A_FILE = re.compile(r"\d+</(?!dev/)")
"""As ``strace -y`` shows a descriptor: pipes and sockets are no files."""
DEAD = 4242
"""The pid of every dead process here."""
assert cli, "imported once, for every command"
THREAD = "019d8b1c-3a7e-7d40-b8a1-9e2f4c6d8e11"


class Point(NamedTuple):
    """One call of one run: its name, and the how-manieth of that name it is."""

    call: str
    number: int


class Case(NamedTuple):
    """A command, what it is run on, and whether its end is the same each time."""

    name: str
    arguments: tuple[str, ...]
    build: Callable[[Box], None]
    repeat: tuple[str, ...] | None = None
    """What finishes its work; the same command where none is given."""
    stdin: str = ""
    same_end: bool = True


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
            SystemProcesses.facts = _gone(DEAD, SystemProcesses.facts)  # type: ignore[method-assign]
            if stops:
                os.kill(os.getpid(), signal.SIGSTOP)
            status = int(main_of_stateheal() or 0)
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
        return files_in(self.claude)


# --- what commands are run on --------------------------------------------------------------------------------------


def _lay_out(box: Box) -> None:
    (box.home / "project").mkdir(parents=True)
    (box.path / "tmp").mkdir()


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
    assert box.command("heal", WHOLE).status in (0, 1)


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


def empty(box: Box) -> None:
    """A project, and no state yet."""
    _lay_out(box)
    box.tree.state.mkdir(parents=True)


HOOK = '{{"hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": "{box.home}/project", "tool_input": '
HOOK += '{{"command": "node /x/scripts/codex-companion.mjs task go"}}}}'
WHOLE = "{box.claude}"
"""Never this machine's own temp roots."""
MIGRATE = ("migrate", "--from", "codex-inline", "--to", "codex-openai-codex", "--archive")
CASES = (
    Case("heal", ("heal", WHOLE), with_damage),
    Case("undo", ("undo",), healed),
    Case("hook", ("hook",), with_damage, repeat=("heal", WHOLE), stdin=HOOK),
    Case("recover", ("recover", WHOLE), recoverable),
    Case("migrate", MIGRATE, two_roots),
    Case("run", ("run", "--data-dir", "{box.tree.state.parent}", "--", "true"), empty, same_end=False),
    Case("export", ("export", "-o", "{box.path}/export.tar.gz", WHOLE), with_damage, same_end=False),
)


def _gone(pid: int, real: Callable[[SystemProcesses, int], ProcessFacts]) -> Callable[..., ProcessFacts]:
    """A process table in which one pid is nobody's: on a busy machine none stays unused for as long as this takes."""

    def facts(self: SystemProcesses, asked: int) -> ProcessFacts:
        return ProcessFacts(pid, exists=False, why="no such process") if asked == pid else real(self, asked)

    return facts


# --- one point -----------------------------------------------------------------------------------------------------


def points_of(case: Case, pristine: Box, work: Path) -> list[Point]:
    """Every call of an undisturbed run that changes a file, told from its trace."""
    box = copy_of(pristine, work)
    log = work.with_suffix(".trace")
    tracing = ("strace", "-y", "-o", str(log), "-e", "trace=" + ",".join(CALLS))
    box.command(*case.arguments, stdin=case.stdin, tracing=tracing)
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        call, rest = match.groups()
        counts[call] += 1
        if not (call == "openat" and not _WRITING.search(rest)) and not (
            call == "write" and not _TO_A_FILE.match(rest)
        ):
            found.append(Point(call, counts[call]))
    return found


def copy_of(pristine: Box, work: Path) -> Box:
    """The box as it was built, in another place of the same name: records name their logs by path."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(pristine.path, work, symlinks=True)
    return Box(work)


class Ends(NamedTuple):
    """What the files are before a command and after it."""

    old: Mapping[str, bytes]
    new: Mapping[str, bytes]
    first: Mapping[str, bytes]
    """Before everything: what repeated undo leads back to."""


def ends_of(case: Case, pristine: Box, work: Path) -> Ends:
    """Told by an undisturbed run."""
    box = copy_of(pristine, work)
    old = box.files()
    box.command(*case.arguments, stdin=case.stdin)
    new = box.files()
    undo_all(box)
    return Ends(old, new, box.files())


def undo_all(box: Box) -> None:
    """Repeated undo, to the very beginning, in this process."""
    journal = Journal(box.journal)
    while True:
        report = undo(journal=journal)
        if report.run is None:
            return
        assert report.exit_status == 0, [each.refusal for each in report.restored] + [str(e) for e in report.errors]


def one_point(case: Case, pristine: Box, work: Path, ends: Ends, point: Point, fault: str) -> None:
    """Fail, or die, there; raises ``AssertionError`` where a promise was broken."""
    box = copy_of(pristine, work)
    how = "signal=KILL" if fault == "KILL" else f"error={fault}"
    tracing = ("strace", "-o", "/dev/null", "-e", f"trace={point.call}")
    tracing += ("-e", f"inject={point.call}:{how}:when={point.number}")
    said = box.command(*case.arguments, stdin=case.stdin, tracing=tracing)
    assert "Traceback" not in said.text and "internal error" not in said.text, said.text
    now = box.files()
    if case.same_end:
        check_old_or_new(now, ends)
    else:
        check_readable(now)
    again = box.command(*(case.repeat or case.arguments)) if case.same_end else box.command("heal", WHOLE)
    assert again.status in (0, 1, 2), f"the next run: {again.text}"
    if case.same_end:
        box.command("heal", WHOLE)  # what a recovery began it ends, and what a move left it removes
        finished = box.files()
        ours = [name for name in finished if TEMP_PREFIX in name]
        assert not ours, f"left lying about: {ours}"
        differ = [name for name in finished.keys() | ends.new.keys() if not _alike(name, finished, ends.new)]
        assert not differ, f"the next run ends otherwise: {differ}; {again.text}"
        undo_all(box)
        now = box.files()
        differ = [name for name in now.keys() | ends.first.keys() if now.get(name) != ends.first.get(name)]
        assert not differ, f"undo does not return {differ}"


def _alike(name: str, one: Mapping[str, bytes], other: Mapping[str, bytes]) -> bool:
    """Equal; of logs, the same number of lines: they tell the time."""
    if name.endswith(".log"):
        return one.get(name, b"").count(b"\n") == other.get(name, b"").count(b"\n")
    return one.get(name) == other.get(name)


def check_old_or_new(now: Mapping[str, bytes], ends: Ends) -> None:
    """Each file by itself."""
    for name in ends.old.keys() | ends.new.keys() | now.keys():
        if TEMP_PREFIX in name:
            continue
        if name.endswith(".log") and name in now:
            assert any(now[name].startswith(end[name]) for end in ends if name in end), f"{name} was cut"
            continue
        assert now.get(name) in (ends.old.get(name), ends.new.get(name)), f"{name} is neither old nor new"


def check_readable(now: Mapping[str, bytes]) -> None:
    """Whatever stands there is whole."""
    for name, data in now.items():
        if name.endswith(".json") and TEMP_PREFIX not in name:
            json.loads(data)


def every_point(
    case: Case, folder: Path, chosen: slice, faults: tuple[str, ...] = FAULTS
) -> Iterator[tuple[Point, str, str]]:
    """Each point with each fault, and what is bad about what came of it; an empty text for nothing."""
    place = folder / case.name
    place.mkdir(parents=True)
    pristine = Box(place / "box")
    case.build(pristine)
    kept = place / "kept"
    shutil.copytree(pristine.path, kept, symlinks=True)
    # Records name paths: the copy that is worked on must stand where the box was built.
    shutil.rmtree(pristine.path)
    origin, work = Box(kept), place / "box"
    ends = ends_of(case, origin, work)
    for point in points_of(case, origin, work)[chosen]:
        for fault in faults:
            try:
                one_point(case, origin, work, ends, point, fault)
            except AssertionError as error:
                yield point, fault, str(error)
            else:
                yield point, fault, ""


def main() -> None:
    """All of it, and a table of how many there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="commands; all by default")
    parser.add_argument("--step", type=int, default=1, help="every N-th call only")
    parser.add_argument("--faults", default=",".join(FAULTS))
    given = parser.parse_args()
    bad = 0
    for case in CASES:
        if given.cases and case.name not in given.cases:
            continue
        begun, counts = time.monotonic(), Counter[str]()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["STATEHEAL_STATE_DIR"] = folder
            for point, fault, why in every_point(
                case, Path(folder), slice(None, None, given.step), tuple(given.faults.split(","))
            ):
                counts[point.call] += 1
                if why:
                    bad += 1
                    print(f"BAD {case.name} {point.call} {point.number} {fault}: {why[:600]}", flush=True)
        told = ", ".join(f"{call} {number}" for call, number in sorted(counts.items()))
        print(f"{case.name}: {sum(counts.values())} faults ({told}) in {time.monotonic() - begun:.0f} s", flush=True)
    print(f"bad states: {bad}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
