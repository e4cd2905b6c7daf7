"""The liveness table, row for row (field guide section 4). No-ops first: the cases in which nothing may be done."""

from __future__ import annotations

from typing import Any

import pytest

from stateheal.diagnosis.case import Case, job_command, job_id_in
from stateheal.diagnosis.liveness import LOOKS, ROWS, judge
from stateheal.diagnosis.trace import trace, walk
from stateheal.model.liveness import Identity, Liveness, Owner, ProcessFacts
from stateheal.model.look import Look, Seen
from stateheal.model.records import pid_of
from stateheal.model.request import Closing, Settings
from stateheal.model.traits import Argv
from stateheal.values import replace
from tests.support import NOW, WORKER, host

HOUR, DAY = 3600.0, 86400.0
PID = 4242
ALIVE, DEAD, UNSURE = "alive", "dead", "unsure"
STRANGER = ("/usr/sbin/nginx", "-g", "daemon off;")
REVIEW = ("node", "/x/codex-companion.mjs", "adversarial-review", "--wait")
FOREGROUND = ("node", "/x/codex-companion.mjs", "task", "fix it")
BROKER = ("node", "/x/app-server-broker.mjs", "serve")
MINE = Identity("boot-1", "pid:[1]", 777)


def owner(**fields: Any) -> Owner:
    """A job that began two hours ago and has been silent for one."""
    base = Owner("task-1", "running", PID, NOW - 2 * HOUR - 1, NOW - 2 * HOUR, None, NOW - HOUR, ("/home/dev/demo",))
    return base._replace(**fields)


def process(argv: tuple[str, ...] | None = STRANGER, created: float | None = -2 * HOUR, **fields: Any) -> ProcessFacts:
    """A process that exists; ``created`` is counted from NOW."""
    return ProcessFacts(PID, True, argv=argv, created=None if created is None else NOW + created, **fields)


GONE = ProcessFacts(PID, exists=False, why="no such process")
LATE = -HOUR  # created an hour after the job began
LOCAL = Settings(assume_local=True)
QUEUED: dict[str, Any] = {"status": "queued", "started_at": None, "created_at": NOW - 2 * HOUR}
SILENT: dict[str, Any] = {"last_sign": NOW - 2 * DAY}

LOST: dict[str, Any] = {"pid": None, "kind": "task"}
LOST_REVIEW: dict[str, Any] = {"pid": None, "kind": "review"}
BEGAN = NOW - 2 * HOUR - 2
CHILD: dict[str, Any] = {"others": (("childPid", 4711),)}
JUST_NOW: dict[str, Any] = {"last_sign": NOW - 1, "log_size": 100}
INSIDE = host(initial_namespace=False, own_root=True, init_created=NOW - 9 * HOUR)
SANDBOX = INSIDE._replace(init_created=NOW - 60)
CLOSING = Settings(closing=Closing(frozenset({PID}), NOW - 2 * HOUR - 2, NOW, None))


def seen(*processes: Seen) -> tuple[Any, ...]:
    """What stands behind the row's name where the process table shows something."""
    return host(), Settings(), Look(processes)


WORKS = seen(Seen(7, (*WORKER, "task-1")))
SERVES = owner(job="the broker", flag=("--endpoint", "unix:/a"))
# (what is told, owner, process, verdict, row[, host][, settings][, look])
TABLE: list[tuple[Any, ...]] = [
    # --- nothing may be done ------------------------------------------------------------------------------------------
    ("process as old as the job", owner(), process(), ALIVE, "exists"),
    ("process created within tolerance after it", owner(), process(created=-2 * HOUR + 59), ALIVE, "exists"),
    ("process a little older than the job", owner(), process(created=-2 * HOUR - 50), ALIVE, "exists"),
    ("nothing can be learnt about it", owner(), process(None, None), ALIVE, "exists"),
    ("permission denied, creation time known and fitting", owner(), process(None), ALIVE, "exists"),
    ("no startedAt: nothing is recycled by time", owner(started_at=None), process(created=-1), ALIVE, "exists"),
    ("no startedAt: nor is it senior", owner(started_at=None), process(created=-9 * DAY), ALIVE, "exists"),
    ("queued, no createdAt", owner(**{**QUEUED, "created_at": None}), process(created=-1), ALIVE, "exists"),
    ("queued, process as old", owner(**QUEUED), process(), ALIVE, "exists"),
    (
        "queued, touched after the process began",
        owner(**QUEUED, updated_at=NOW - HOUR),
        process(created=LATE),
        ALIVE,
        "exists",
    ),
    ("worker of this very job, clocks say no", owner(), process((*WORKER, "task-1"), LATE), ALIVE, "named-in-argv"),
    ("the same with =", owner(), process((*WORKER[:3], "--job-id=task-1"), LATE), ALIVE, "named-in-argv"),
    (
        "the same on another machine's kind of pid",
        owner(pid=99999),
        process((*WORKER, "task-1")),
        ALIVE,
        "named-in-argv",
        host(pid_max=32768),
    ),
    ("pid 1 is the companion of this job", owner(pid=1), process((*WORKER, "task-1"), LATE), ALIVE, "named-in-argv"),
    ("pid 1 is a companion, no job id", owner(pid=1), process(FOREGROUND), ALIVE, "exists"),
    (
        "a fork's ticks match, clocks say no",
        owner(fork_ticks=555),
        process(created=LATE, ticks=555),
        ALIVE,
        "fork-identity",
    ),
    ("our runner: same process", owner(identity=MINE), process(created=LATE, ticks=777), ALIVE, "own-running"),
    ("digits in a string are that number", owner(pid="4242"), process(), ALIVE, "exists"),
    ("a broker that names its endpoint", SERVES, process((*BROKER, "--endpoint", "unix:/a")), ALIVE, "exists"),
    ("the same with =", SERVES, process((*BROKER, "--endpoint=unix:/a")), ALIVE, "exists"),
    ("the same, spelled otherwise", SERVES, process((*BROKER, "--endpoint", "unix://private/a")), ALIVE, "exists"),
    (
        "the same in a process title",
        SERVES,
        process(("node x-broker.mjs serve --endpoint unix:/a", "", "")),
        ALIVE,
        "exists",
    ),
    ("a broker's pid, who has it will not say", SERVES, process(None), ALIVE, "exists"),
    (
        "a broker's pid has another; the broker lives elsewhere",
        SERVES,
        process(),
        ALIVE,
        "works-elsewhere",
        *seen(Seen(7, (*BROKER, "--endpoint", "unix:/a"))),
    ),
    ("late, argv unreadable", owner(), process(None, LATE), UNSURE, "late-unsure"),
    (
        "late, but its own companion's way to be called",
        owner(ways=(Argv(r"grok-bridge.*", ("run", "review", "critique")),)),
        process(("node", "/x/grok-bridge.mjs", "critique", "it"), LATE),
        UNSURE,
        "late-unsure",
    ),
    (
        "late, its own companion's worker is the script itself",
        owner(ways=(Argv(r"job-worker\..?js", (), no_command=True),)),
        process(("node", "/x/job-worker.mjs", "anything"), LATE),
        UNSURE,
        "late-unsure",
    ),
    (
        "late, but some script's",
        owner(),
        process(("node", "/x/grok-agent.mjs", "run", "hi"), LATE),
        UNSURE,
        "late-unsure",
    ),
    (
        "senior, but some script's",
        owner(**SILENT),
        process(("bun", "/x/a.ts", "--worker", "i"), -9 * DAY),
        ALIVE,
        "exists",
    ),
    ("late, but a companion in the foreground", owner(), process(FOREGROUND, LATE), UNSURE, "late-unsure"),
    (
        "late, foreground with another job id",
        owner(),
        process((*FOREGROUND, "--job-id", "task-2"), LATE),
        UNSURE,
        "late-unsure",
    ),
    (
        "a rival that started before the process",
        owner(rivals=(NOW - 1.5 * HOUR,)),
        process(FOREGROUND, LATE),
        UNSURE,
        "late-unsure",
    ),
    (
        "our own runner's process, without ticks and older than its job by days",
        owner(process_created=NOW - 3 * DAY, **SILENT),
        process(created=-3 * DAY),
        ALIVE,
        "own-creation",
    ),
    (
        "another one with its pid, without ticks",
        owner(process_created=NOW - 3 * DAY),
        process(created=LATE),
        DEAD,
        "late-stranger",
    ),
    ("older than the job, still fresh", owner(), process(created=-3 * DAY), UNSURE, "senior-fresh"),
    ("older, silent for a day, argv unreadable", owner(**SILENT), process(None, -3 * DAY), ALIVE, "exists"),
    ("older, silent, but a companion", owner(**SILENT), process(FOREGROUND, -3 * DAY), ALIVE, "exists"),
    ("another host by name", owner(hostname="there"), GONE, UNSURE, "foreign-host"),
    ("another host by name, assumed local", owner(hostname="there"), GONE, UNSURE, "foreign-host", host(), LOCAL),
    (
        "our runner in another namespace",
        owner(identity=MINE._replace(pid_namespace="pid:[2]")),
        GONE,
        UNSURE,
        "own-other-namespace",
    ),
    ("our runner, ticks unreadable", owner(identity=MINE), process(None, ticks=None), UNSURE, "own-unread"),
    ("Windows path here, fresh", owner(paths=("C:\\Users\\x\\demo",)), GONE, UNSURE, "foreign"),
    ("UNC path here, fresh", owner(paths=("\\\\wsl$\\demo",)), GONE, UNSURE, "foreign"),
    ("POSIX path on Windows, fresh", owner(), GONE, UNSURE, "foreign", host(windows=True)),
    ("pid above pid_max, fresh", owner(pid=40000), GONE, UNSURE, "foreign", host(pid_max=32768)),
    ("a pid no kernel gives", owner(pid=1e30), GONE, UNSURE, "foreign", host(pid_max=32768)),
    (
        "container on shared storage, fresh",
        owner(shared_storage=True),
        GONE,
        UNSURE,
        "foreign",
        host(initial_namespace=False),
    ),
    ("no pid, not silent long enough", owner(pid=None, last_sign=NOW - HOUR + 1), None, UNSURE, "no-pid-yet"),
    ("no pid, last sign in the near future", owner(pid=None, last_sign=NOW + HOUR), None, UNSURE, "no-pid-yet"),
    ("no pid, nothing known of any sign", owner(pid=None, last_sign=None), None, UNSURE, "no-pid-yet"),
    (
        "no pid, longer grace",
        owner(pid=None, last_sign=NOW - 2 * HOUR),
        None,
        UNSURE,
        "no-pid-yet",
        host(),
        Settings(grace=3 * HOUR),
    ),
    ("a text that is no number, fresh", owner(pid="abc", last_sign=NOW - 60), None, UNSURE, "no-pid-yet"),
    ("half a pid, fresh", owner(pid=3.5, last_sign=NOW - 60), None, UNSURE, "no-pid-yet"),
    ("pid 1, argv unreadable", owner(pid=1), process(None), UNSURE, "unsafe-unread"),
    # --- signs of life that no pid shows ------------------------------------------------------------------------------
    ("its worker has another pid", owner(), GONE, ALIVE, "works-elsewhere", *seen(Seen(7, (*WORKER, "task-1")))),
    ("a companion has the pid in a sandbox", owner(), GONE, ALIVE, "inner-owner", *seen(Seen(7, FOREGROUND, PID))),
    ("another system's, and its worker is here", owner(paths=("C:\\demo",)), GONE, ALIVE, "works-elsewhere", *WORKS),
    ("a container's files, and its worker is here", owner(elsewhere=True), GONE, ALIVE, "works-elsewhere", *WORKS),
    ("a thread of the kernel, but it works", owner(), process(None, kernel=True), ALIVE, "works-elsewhere", *WORKS),
    ("queued without a pid, but it works", owner(pid=None, last_sign=NOW - 9), None, ALIVE, "works-elsewhere", *WORKS),
    ("a late companion, but another works on it", owner(), process(REVIEW, LATE), ALIVE, "works-elsewhere", *WORKS),
    (
        "a thread of the kernel, and a companion has the pid in a sandbox",
        owner(),
        process(None, kernel=True),
        ALIVE,
        "inner-owner",
        *seen(Seen(7, FOREGROUND, PID)),
    ),
    (
        "another system's pid, and somebody has the same in a sandbox",
        owner(elsewhere=True),
        GONE,
        UNSURE,
        "foreign",
        *seen(Seen(7, FOREGROUND, PID)),
    ),
    (
        "the same, and it may be this very worker",
        owner(),
        GONE,
        ALIVE,
        "inner-owner",
        *seen(Seen(7, ("node", "/x/codex-companion.mjs", "review"), PID, NOW - 2 * HOUR)),
    ),
    (
        "a companion has the pid in a sandbox, and began later",
        owner(),
        GONE,
        ALIVE,
        "inner-owner",
        *seen(Seen(7, FOREGROUND, PID, NOW - HOUR)),
    ),
    (
        "anybody has the pid in a sandbox",
        owner(),
        GONE,
        UNSURE,
        "inner-process",
        *seen(Seen(7, STRANGER, PID, NOW - 2 * HOUR)),
    ),
    (
        "the same, no sign of life is known",
        owner(last_sign=None, created_at=None, started_at=None),
        GONE,
        UNSURE,
        "inner-process",
        *seen(Seen(7, STRANGER, PID, NOW)),
    ),
    ("the same, nothing can be read of it", owner(), GONE, UNSURE, "inner-process", *seen(Seen(7, (), PID))),
    (
        "the same, outside is a stranger",
        owner(),
        process(created=LATE),
        UNSURE,
        "inner-process",
        *seen(Seen(7, (), PID)),
    ),
    ("its child lives in a sandbox", owner(**CHILD), GONE, UNSURE, "inner-process", *seen(Seen(7, (), 4711, 1.0))),
    (
        "its child lives",
        owner(**CHILD),
        GONE,
        UNSURE,
        "other-process",
        *seen(Seen(4711, ("claude", "-p"), created=1.0)),
    ),
    ("its child lives, later than the record", owner(**CHILD), GONE, UNSURE, "other-process", *seen(Seen(4711))),
    (
        "its child began after startedAt, before the record was written",
        owner(**CHILD, written=NOW - 60),
        GONE,
        UNSURE,
        "other-process",
        *seen(Seen(4711, ("claude", "-p"), created=NOW - 90)),
    ),
    (
        "no pid, silent past grace, its child lives",
        owner(**CHILD, pid=None, last_sign=NOW - 2 * HOUR),
        None,
        UNSURE,
        "other-process",
        *seen(Seen(4711, ("opencode", "run"), created=1.0)),
    ),
    ("its log was written a moment ago", owner(**JUST_NOW), GONE, UNSURE, "log-fresh"),
    ("its log grew", owner(**JUST_NOW, grown=80), GONE, UNSURE, "log-grew"),
    ("its log grew, whatever the clocks say", owner(log_size=9, grown=1), GONE, UNSURE, "log-grew"),
    ("nobody could look", owner(), GONE, UNSURE, "no-look", host(), Settings(), Look(trouble="Permission denied")),
    # --- another system's ---------------------------------------------------------------------------------------------
    ("git's path of WSL, on Windows", owner(paths=("//wsl.localhost/U/p",)), GONE, DEAD, "gone", host(windows=True)),
    (
        "a shell's text names it",
        owner(job="task-1aaaaaa-bbbbbb"),
        GONE,
        UNSURE,
        "named-elsewhere",
        *seen(Seen(7, ("sh", "-c", "node /x/codex-companion.mjs task-worker --job-id task-1aaaaaa-bbbbbb"))),
    ),
    (
        "another system's, no time of it can be true",
        owner(paths=("C:\\demo",), last_sign=None),
        GONE,
        UNSURE,
        "foreign",
    ),
    ("a container's files, seen from its host", owner(elsewhere=True), GONE, UNSURE, "foreign"),
    ("in a sandbox", owner(), GONE, UNSURE, "foreign", host(initial_namespace=False)),
    ("in a sandbox that is younger than the job", owner(), GONE, UNSURE, "foreign", SANDBOX),
    (
        "in a container, as old as the job",
        owner(),
        GONE,
        UNSURE,
        "foreign",
        INSIDE._replace(init_created=NOW - 2 * HOUR),
    ),
    # --- a process that no record names -------------------------------------------------------------------------------
    *(
        (f"no pid, {told}", owner(**claimed), None, UNSURE, "unrecorded-process", *seen(each))
        for told, claimed, each in (
            ("a task began just before it", LOST, Seen(7, FOREGROUND, created=BEGAN)),
            ("a review began just before it", LOST_REVIEW, Seen(7, REVIEW, created=BEGAN)),
            ("a slow machine's task", LOST, Seen(7, FOREGROUND, created=BEGAN - 50)),
            ("a task by a clock that was moved", LOST, Seen(7, FOREGROUND, created=BEGAN + 50)),
            ("a task of which nothing more is known", LOST, Seen(7, FOREGROUND)),
            ("the job's kind is unknown", {**LOST, "kind": "critique"}, Seen(7, REVIEW, created=BEGAN)),
            ("and it does not say when it was made", {**LOST, "created_at": None}, Seen(7, FOREGROUND, created=BEGAN)),
            ("a task that waited", {**LOST, "created_at": NOW - 5 * HOUR}, Seen(7, FOREGROUND, created=NOW - 2 * HOUR)),
            ("a worker that does not say whose", LOST, Seen(7, WORKER[:3], created=BEGAN)),
            ("a review's worker", LOST_REVIEW, Seen(7, (*WORKER[:2], "review-worker"), created=BEGAN)),
            (
                "its own companion's way",
                {**LOST, "ways": (Argv(r"grok-bridge.*", ("run",)),)},
                Seen(7, ("node", "/x/grok-bridge.mjs", "run", "x"), created=BEGAN),
            ),
            ("the pid is none", {**LOST, "pid": "worker"}, Seen(7, FOREGROUND, created=BEGAN)),
        )
    ),
    ("it seems late, but the heart beats", owner(beat=NOW), process(created=LATE), UNSURE, "beat-since"),
    ("it is late, and the heart beat before", owner(beat=NOW + LATE), process(created=LATE), DEAD, "late-stranger"),
    ("its log is open for writing", owner(held=True), GONE, UNSURE, "log-grew", *seen()),
    ("its log is open, and it lives", owner(held=True), process(), ALIVE, "exists", *seen()),
    ("on a file system of several machines", owner(shared_kind="nfs4"), GONE, UNSURE, "another-machine", *seen()),
    (
        "on one, another process has its pid here",
        owner(shared_kind="nfs4"),
        process(created=LATE),
        UNSURE,
        "another-machine",
        *seen(),
    ),
    ("on one, it is here", owner(shared_kind="nfs4"), process(), ALIVE, "exists", *seen()),
    ("on one, this host's", owner(shared_kind="nfs4", hostname="here"), GONE, DEAD, "gone", *seen()),
    ("on one, silent for a day", owner(shared_kind="nfs4", last_sign=NOW - DAY), GONE, DEAD, "gone", *seen()),
    ("in a container, the root is the host's", owner(), GONE, UNSURE, "foreign", INSIDE._replace(own_root=False)),
    ("in a container, the state is not its own", owner(shared_storage=True), GONE, UNSURE, "foreign", INSIDE),
    ("in a container, no times at all", owner(created_at=None, started_at=None), GONE, UNSURE, "foreign", INSIDE),
    # --- the kernel's own ---------------------------------------------------------------------------------------------
    ("a thread of the kernel, still fresh", owner(), process(None, kernel=True), UNSURE, "senior-fresh"),
    # --- proven dead --------------------------------------------------------------------------------------------------
    ("gone", owner(), GONE, DEAD, "gone"),
    ("gone, no times at all", owner(created_at=None, started_at=None, last_sign=None), GONE, DEAD, "gone"),
    ("queued and gone", owner(**QUEUED), GONE, DEAD, "gone"),
    ("digits in a string, gone", owner(pid="4242"), GONE, DEAD, "gone"),
    ("a thread's id", owner(), GONE._replace(why="it is a thread of process 17, no process"), DEAD, "gone"),
    ("zombie", owner(), process((), zombie=True), DEAD, "zombie"),
    ("recycled: late and a stranger", owner(), process(created=LATE), DEAD, "late-stranger"),
    ("recycled: just past tolerance", owner(), process(created=-2 * HOUR + 61), DEAD, "late-stranger"),
    ("recycled: a broker is no owner", owner(), process(BROKER, LATE), DEAD, "late-stranger"),
    (
        "recycled: a companion's status is no owner",
        owner(),
        process(("node", "/x/codex-companion.mjs", "status"), LATE),
        DEAD,
        "late-stranger",
    ),
    ("recycled while queued", owner(**QUEUED), process(created=LATE), DEAD, "late-stranger"),
    ("worker of another job", owner(), process((*WORKER, "task-10")), DEAD, "another-job"),
    ("worker of a job with a longer name", owner(job="task-10"), process((*WORKER, "task-1")), DEAD, "another-job"),
    ("a fork's own process, a zombie", owner(fork_ticks=555), process((), zombie=True, ticks=555), DEAD, "zombie"),
    ("a fork's ticks differ", owner(fork_ticks=555), process(ticks=556), DEAD, "fork-identity-differs"),
    ("a rival has it", owner(rivals=(NOW - HOUR + 1,)), process(FOREGROUND, LATE), DEAD, "rival"),
    ("older than the job, silent for a day", owner(**SILENT), process(created=-3 * DAY), DEAD, "senior-silent"),
    (
        "our runner: other boot",
        owner(identity=MINE._replace(boot_id="boot-0")),
        process(ticks=777),
        DEAD,
        "own-other-boot",
    ),
    ("our runner: gone", owner(identity=MINE), GONE, DEAD, "own-gone"),
    ("our runner: zombie", owner(identity=MINE), process((), zombie=True, ticks=777), DEAD, "own-gone"),
    ("our runner: recycled", owner(identity=MINE), process((*WORKER, "task-1"), ticks=778), DEAD, "own-recycled"),
    ("no pid, silent past grace", owner(pid=None, last_sign=NOW - HOUR), None, DEAD, "no-pid"),
    ("a text that is no number, silent", owner(pid="abc", last_sign=NOW - HOUR), None, DEAD, "no-pid"),
    ("a broker's pid, and who has it names no endpoint", SERVES, process(), DEAD, "another-service"),
    ("the same, it names another", SERVES, process((*BROKER, "--endpoint", "unix:/b")), DEAD, "another-service"),
    ("zero", owner(pid=0), None, DEAD, "unsafe"),
    ("negative", owner(pid=-4242), None, DEAD, "unsafe"),
    ("true", owner(pid=True), None, DEAD, "unsafe"),
    ("pid 1 is init", owner(pid=1), process(("/sbin/init",)), DEAD, "unsafe"),
    ("foreign path, silent for a day", owner(paths=("C:\\x",), **SILENT), GONE, DEAD, "gone"),
    ("foreign path, assumed local", owner(paths=("C:\\x",)), GONE, DEAD, "gone", host(), LOCAL),
    ("pid above pid_max, silent for a day", owner(pid=40000, **SILENT), GONE, DEAD, "gone", host(pid_max=32768)),
    # --- a container or sandbox that we are in ------------------------------------------------------------------------
    ("a container that is whole: its own root, older", owner(), GONE, DEAD, "gone", INSIDE),
    ("silent for a day in a sandbox", owner(**SILENT), GONE, DEAD, "gone", host(initial_namespace=False)),
    ("in a sandbox, assumed local", owner(), GONE, DEAD, "gone", host(initial_namespace=False), LOCAL),
    ("a command of our own that has just ended, in a sandbox", owner(), GONE, DEAD, "gone", SANDBOX, CLOSING),
    # --- the kernel's own ---------------------------------------------------------------------------------------------
    ("a thread of the kernel, later", owner(), process(None, LATE, kernel=True), DEAD, "late-stranger"),
    (
        "a thread of the kernel, silent for a day",
        owner(**SILENT, started_at=None),
        process(None, kernel=True),
        DEAD,
        "senior-silent",
    ),
    # --- what looks like a sign of life and is none -------------------------------------------------------------------
    ("another job's worker", owner(), GONE, DEAD, "gone", *seen(Seen(7, (*WORKER, "task-10")))),
    (
        "a status of this job",
        owner(),
        GONE,
        DEAD,
        "gone",
        *seen(Seen(7, ("node", "x-companion.mjs", "status", "task-1"))),
    ),
    ("an explain of this job", owner(), GONE, DEAD, "gone", *seen(Seen(7, ("stateheal", "explain", "task-1")))),
    ("text that mentions it", owner(), GONE, DEAD, "gone", *seen(Seen(7, ("sh", "-c", "x --job-id task-1")))),
    (
        "the stateheal that ran it",
        owner(),
        GONE,
        DEAD,
        "gone",
        *seen(Seen(7, ("/bin/stateheal", "run", "--no-record", "--", *WORKER, "task-1"))),
    ),
    ("a zombie's command line", owner(), GONE, DEAD, "gone", *seen(Seen(7, (*WORKER, "task-1"), zombie=True))),
    ("an inner pid that is another", owner(), GONE, DEAD, "gone", *seen(Seen(7, FOREGROUND, PID + 1))),
    ("an inner worker of another job", owner(), GONE, DEAD, "gone", *seen(Seen(7, (*WORKER, "task-2"), PID))),
    (
        "an inner stranger that came after the last sign",
        owner(),
        GONE,
        DEAD,
        "gone",
        *seen(Seen(7, STRANGER, PID, NOW - HOUR + 10)),
    ),
    ("an inner stranger, silent for a day", owner(**SILENT), GONE, DEAD, "gone", *seen(Seen(7, STRANGER, PID, 1.0))),
    ("a child that is gone", owner(**CHILD), GONE, DEAD, "gone"),
    ("a child that is a zombie", owner(**CHILD), GONE, DEAD, "gone", *seen(Seen(4711, zombie=True))),
    (
        "a child that began after two days of silence, whatever the file's date",
        owner(**CHILD, **SILENT, written=NOW - 60),
        GONE,
        DEAD,
        "gone",
        *seen(Seen(4711, ("/usr/sbin/sshd",), created=NOW - HOUR)),
    ),
    ("a child that is the kernel's", owner(**CHILD), GONE, DEAD, "gone", *seen(Seen(4711, kernel=True))),
    (
        "a child's pid that another got since",
        owner(**CHILD, written=NOW - HOUR),
        GONE,
        DEAD,
        "gone",
        *seen(Seen(4711, STRANGER, created=NOW - 60)),
    ),
    (
        "a child field that says what pid says",
        owner(others=(("workerPid", PID),)),
        process(created=LATE),
        DEAD,
        "late-stranger",
        *seen(Seen(PID, STRANGER, created=NOW - HOUR)),
    ),
    *(
        (f"no pid, {told}", owner(**claimed), None, DEAD, "no-pid", *seen(each))
        for told, claimed, each in (
            ("a task that began before it", LOST, Seen(7, FOREGROUND, created=BEGAN - 90)),
            ("a task that began after it", LOST, Seen(7, FOREGROUND, created=BEGAN + 90)),
            ("a review where it is a task", LOST, Seen(7, REVIEW, created=BEGAN)),
            ("a task where it is a review", LOST_REVIEW, Seen(7, FOREGROUND, created=BEGAN)),
            ("a task that works on another job", LOST, Seen(7, (*FOREGROUND, "--job-id=task-2"), created=BEGAN)),
            ("a companion's status", LOST, Seen(7, ("node", "/x/codex-companion.mjs", "status"), created=BEGAN)),
            ("a task that another job records", {**LOST, "taken": frozenset({7})}, Seen(7, FOREGROUND, created=BEGAN)),
            ("a zombie", LOST, Seen(7, FOREGROUND, created=BEGAN, zombie=True)),
            ("the stateheal that ran it", LOST, Seen(7, ("stateheal", "run", "--", *FOREGROUND), created=BEGAN)),
            ("a broker, which is no job", {"pid": None}, Seen(7, FOREGROUND, created=BEGAN)),
        )
    ),
    (
        "an unsafe pid, and a task began with it",
        owner(kind="task", pid=0),
        None,
        DEAD,
        "unsafe",
        *seen(Seen(7, FOREGROUND, created=BEGAN)),
    ),
    (
        "true for a pid, and a task began with it",
        owner(kind="task", pid=True),
        None,
        DEAD,
        "unsafe",
        *seen(Seen(7, FOREGROUND, created=BEGAN)),
    ),
    (
        "the record names a pid that is gone, and a task began with it",
        owner(kind="task"),
        GONE,
        DEAD,
        "gone",
        *seen(Seen(7, FOREGROUND, created=BEGAN)),
    ),
    ("a fresh log that did not grow", owner(**JUST_NOW, grown=0), GONE, DEAD, "gone"),
    ("a fresh record without a log", owner(**{**JUST_NOW, "log_size": None}), GONE, DEAD, "gone"),
]


# Every one is a live job whose pid says nothing, or that it is dead.
SILENT_PIDS = [
    ("gone", owner(), GONE),
    ("no pid, silent past grace", owner(pid=None, last_sign=NOW - HOUR), None),
    ("queued without a pid", owner(**QUEUED, pid=None, last_sign=NOW - 2 * HOUR), None),
    ("a stranger", owner(), process(created=LATE)),
    ("a long-lived stranger", owner(**SILENT), process(created=-3 * DAY)),
    ("a thread of the kernel", owner(), process(None, LATE, kernel=True)),
    ("a zombie", owner(), process((), zombie=True)),
    ("another job's worker", owner(), process((*WORKER, "task-10"))),
    ("a pid that is none", owner(pid=0), None),
    ("init", owner(pid=1), process(("/sbin/init",))),
]
SIGNS = [
    ("its worker", Seen(7, (*WORKER, "task-1"))),
    ("its worker, with =", Seen(7, (*WORKER[:3], "--job-id=task-1"))),
    ("its worker behind a sandbox's own words", Seen(7, ("bwrap", "--unshare-pid", "--", *WORKER, "task-1"))),
    (
        "a companion of another name",
        Seen(7, ("node", "/x/grok-bridge.mjs", "run-worker", "--job-id", "task-1")),
    ),
    (
        "its id behind a worker's subcommand",
        Seen(7, ("node", "/x/gemini-companion.mjs", "task-worker", "task-1")),
    ),
    ("its id behind a worker's script", Seen(7, ("node", "/x/job-worker.mjs", "task-1"))),
    (
        "a worker in a project called stateheal",
        Seen(7, (*WORKER[:3], "--cwd", "/home/me/stateheal", "--job-id", "task-1")),
    ),
]


@pytest.mark.parametrize("sign", SIGNS, ids=[sign[0] for sign in SIGNS])
@pytest.mark.parametrize("silent", SILENT_PIDS, ids=[row[0] for row in SILENT_PIDS])
def test_whatever_its_pid_says_who_works_on_it_lives(silent: tuple[Any, ...], sign: tuple[str, Seen]) -> None:
    _, claimed, facts = silent
    assert judge(Case(claimed, facts, host(), Settings(), Look)).state is Liveness.DEAD
    verdict = judge(Case(claimed, facts, host(), Settings(), lambda: Look((sign[1],))))
    assert (verdict.state.value, verdict.row) == ("alive", "works-elsewhere")


def test_the_process_table_is_looked_at_only_where_no_process_is_the_jobs() -> None:
    asked: list[int] = []

    def life() -> Look:
        asked.append(1)
        return Look()

    for row in TABLE:
        asked.clear()
        case = case_of(row)
        verdict = judge(Case(case.owner, case.process, case.host, case.settings, life))
        assert len(asked) <= 1
        by_identity = verdict.row.startswith("own-")  # our own runner's record: that alone decides
        assert asked or by_identity or verdict.state is not Liveness.DEAD
    asked.clear()
    judge(Case(owner(), process(), host(), Settings(), life))
    assert not asked


def test_who_is_unsure_for_good_is_told_what_would_settle_it() -> None:
    for row in TABLE:
        verdict = judge(case_of(row))
        passing = {"no-pid-yet", "log-grew", "log-fresh"}
        assert bool(verdict.settles) == (verdict.state is Liveness.UNSURE and verdict.row not in passing), row[0]
        assert not verdict.settles or "stateheal close {job}" in verdict.settles


def case_of(row: tuple[Any, ...]) -> Case:
    _, claimed, facts, _, _, *rest = row
    machine, settings, look = [*rest, *[host(), Settings(), Look()][len(rest) :]]
    return Case(claimed, facts, machine, settings, lambda: look)


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_the_table(row: tuple[Any, ...]) -> None:
    verdict = judge(case_of(row))
    assert (verdict.state.value, verdict.row) == (row[3], row[4]), verdict.reason
    assert verdict.reason, "the user is always told why"
    assert bool(verdict.message) == (verdict.state is Liveness.DEAD)


def test_every_row_of_the_table_decides_at_least_once() -> None:
    assert {judge(case_of(row)).row for row in TABLE} == {row.name for row in ROWS}


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_the_rows_that_ask_the_look_stand_together(row: tuple[Any, ...]) -> None:
    """The others say the same without it: so once it was taken they are not asked again, and it comes out the same."""
    case = case_of(row)
    looked = replace(case, look=case.life())
    for each in (*ROWS[: LOOKS.start], *ROWS[LOOKS.stop :]):
        assert each.test(case) == each.test(looked), each.name
    decided, reason = trace(case)[-1]
    assert (
        decided.state is not Liveness.DEAD
        or (decided.name, reason) == [(row.name, reason) for row, reason in walk(ROWS, looked)][-1]
    )


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_the_trace_tells_how_the_verdict_came_about(row: tuple[Any, ...]) -> None:
    (decided, reason), verdict = trace(case_of(row))[-1], judge(case_of(row))
    assert (decided.name, decided.state, decided.rule, reason) == (
        verdict.row,
        verdict.state,
        verdict.rule,
        verdict.reason,
    )


def test_the_trace_ends_with_the_row_that_decided() -> None:
    steps = list(trace(case_of(TABLE[0])))
    assert [reason for _, reason in steps[:-1]] == [None] * (len(ROWS) - 1)
    assert steps[-1][1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "Orphaned: pid 4242 no longer alive"),
        ({"pid": 0}, "Orphaned: recorded pid 0 is not a job's process"),
        ({"pid": None}, "Orphaned: no pid recorded, silent since 2026-11-23T07:00:00.000Z"),
    ],
)
def test_messages_are_those_of_the_field_guide(changed: dict[str, Any], message: str) -> None:
    facts = None if changed else GONE
    assert judge(Case(owner(**changed), facts, host(), Settings(), Look)).message == message


def test_recycled_message() -> None:
    verdict = judge(Case(owner(), process(created=LATE), host(), Settings(), Look))
    assert verdict.message == "Orphaned: pid 4242 now belongs to another process"
    assert verdict.rule == "recycled-pid"


def test_before_boot_is_the_reason_where_the_last_sign_is_older_than_boot() -> None:
    verdict = judge(Case(owner(), GONE, host(boot_time=NOW - 60), Settings(), Look))
    assert "before the last boot" in verdict.reason
    assert verdict.message == "Orphaned: pid 4242 no longer alive"


def test_boot_time_never_outranks_a_process_that_exists() -> None:
    assert judge(Case(owner(), process(), host(boot_time=NOW), Settings(), Look)).state is Liveness.ALIVE


@pytest.mark.parametrize(
    ("value", "pid"),
    [
        *((5, 5), (5.0, 5), ("5", 5), ("005", 5), (True, None), (None, None), (5.5, None), ("-5", None), ("5 ", None)),
        *(("\u0665", None), ([5], None), ({}, None), (1e30, int(1e30)), (float("inf"), None), ("9" * 30, None)),
    ],
)
def test_what_a_pid_is(value: Any, pid: int | None) -> None:
    assert pid_of(value) == pid


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (FOREGROUND, "task"),
        (("node", "C:\\p\\codex-companion.mjs", "review"), "review"),
        (("node", "/x/claude-companion.mjs", "--clean", "adversarial-review"), "adversarial-review"),
        ((*WORKER, "x"), "task-worker"),
        (("node", "/x/companion", "review-worker"), "review-worker"),
        (("node", "/companion/server.js", "task"), None),
        (("node", "/x/codex-companion.mjs", "result", "task"), None),
        (("node", "/x/codex-companion.mjs", "cancel", "task-1"), None),
        (("node", "/x/codex-companion.mjs"), None),
        (("sh", "-c", "node codex-companion.mjs task"), None),
        (BROKER, None),
        ((), None),
    ],
)
def test_who_is_an_owner(argv: tuple[str, ...], command: str | None) -> None:
    assert job_command(argv) == command


def test_job_ids_are_compared_whole() -> None:
    assert job_id_in(("a", "--job-id", "task-1")) == "task-1"
    assert job_id_in(("a", "--job-id=task-10")) == "task-10"
    assert job_id_in(("a", "--job-id")) is None
    assert job_id_in(("a", "--job-idx=task-1")) is None


@pytest.mark.parametrize(
    "path",
    [
        *("C:\\Users\\x\\demo", "C:/Users/x/demo", "d:\\demo", "\\\\server\\share\\demo", "\\\\?\\C:\\demo"),
        *("//wsl.localhost/Ubuntu-22.04/home/u/demo", "//wsl$/Ubuntu/home/u/demo", "//server/share/demo"),
        *("\\\\wsl.localhost\\Ubuntu\\home\\u", "\\\\wsl$\\Ubuntu\\home"),
    ],
)
def test_windows_paths_in_every_spelling(path: str) -> None:
    for paths in ((path,), ("/mnt/c/Users/x/demo", path)):
        assert judge(Case(owner(paths=paths), GONE, host(), Settings(), Look)).row == "foreign"
        assert judge(Case(owner(paths=(path,)), GONE, host(windows=True), Settings(), Look)).row == "gone"


@pytest.mark.parametrize("path", ["/home/u/demo", "/mnt/c/Users/x/demo", "/"])
def test_posix_paths(path: str) -> None:
    assert judge(Case(owner(paths=(path,)), GONE, host(), Settings(), Look)).row == "gone"
    assert judge(Case(owner(paths=(path,)), GONE, host(windows=True), Settings(), Look)).row == "foreign"
