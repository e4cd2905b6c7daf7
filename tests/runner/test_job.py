"""``tracked_job``: the plugin's records, and an end for each of them."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stateheal
from stateheal.evidence.hashes import hashes_of, slug, workspace_hash
from stateheal.model.claims import identity_of
from stateheal.model.records import is_companion_id
from stateheal.runner.place import workplace
from tests.support import PROJECT, files_in


@pytest.fixture
def where(tmp_path: Path) -> dict[str, Any]:
    """A project without git and a data directory."""
    project = tmp_path / "my project"
    project.mkdir()
    return {"cwd": project, "data_dir": tmp_path / "data"}


def state(where: dict[str, Any]) -> Path:
    (found,) = (where["data_dir"] / "state").iterdir()
    return Path(found)


def index(where: dict[str, Any]) -> dict[str, Any]:
    return json.loads((state(where) / "state.json").read_text())


def record(where: dict[str, Any], job: stateheal.TrackedJob) -> dict[str, Any]:
    return json.loads((state(where) / "jobs" / f"{job.id}.json").read_text())


def both(where: dict[str, Any], job: stateheal.TrackedJob) -> tuple[dict[str, Any], dict[str, Any]]:
    return record(where, job), next(entry for entry in index(where)["jobs"] if entry["id"] == job.id)


RUNNING_KEYS = [
    *("id", "kind", "kindLabel", "title", "workspaceRoot", "jobClass", "summary", "write", "createdAt", "sessionId"),
    *("status", "startedAt", "phase", "pid", "logFile"),
]


@pytest.mark.proc("boot id, namespace and ticks")
def test_a_running_job_is_recorded_as_the_plugin_records_it(where: dict[str, Any]) -> None:
    with stateheal.tracked_job("Title", summary="  two\n words ", session_id="s-1", **where) as job:
        file, entry = both(where, job)
        log = job.log_path.read_text()
    assert list(file) == [*RUNNING_KEYS, "owner"]
    assert list(entry) == ["createdAt", "updatedAt", *[k for k in RUNNING_KEYS if k != "createdAt"], "owner"]
    assert {k: v for k, v in entry.items() if k != "updatedAt"} == file
    assert is_companion_id(file["id"]) and file["id"].startswith("task-")
    assert (file["status"], file["phase"], file["pid"]) == ("running", "starting", os.getpid())
    assert (file["kind"], file["kindLabel"], file["summary"], file["write"]) == ("task", "rescue", "two words", False)
    assert file["workspaceRoot"] == str(where["cwd"]) and file["logFile"] == str(job.log_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", file["createdAt"])
    assert state(where).name == f"my-project-{workspace_hash(str(where['cwd'].resolve()))}"
    assert re.fullmatch(r"\[[^]]+Z\] Starting Title\.\n", log)
    if sys.platform == "linux":
        assert identity_of(file) is not None


@pytest.mark.parametrize(
    ("kind", "job_class", "prefix", "label"),
    [
        ("task", "task", "task", "rescue"),
        ("review", "review", "review", "review"),
        ("adversarial-review", "review", "review", "adversarial-review"),
    ],
)
def test_kinds_as_the_plugin_labels_them(
    where: dict[str, Any], kind: str, job_class: str, prefix: str, label: str
) -> None:
    with stateheal.tracked_job(kind=kind, job_class=job_class, **where) as job:
        assert record(where, job)["kindLabel"] == label
        assert job.id.startswith(prefix + "-")


def test_the_files_are_laid_out_as_the_plugin_lays_them_out(where: dict[str, Any]) -> None:
    with stateheal.tracked_job("Ünïcode \u2028", **where) as job:
        job.progress("running", thread_id="thr_1")
    for path in (state(where) / "state.json", state(where) / "jobs" / f"{job.id}.json"):
        assert path.read_text() == json.dumps(json.loads(path.read_text()), indent=2, ensure_ascii=False) + "\n"


def test_progress_goes_into_both_records_and_the_log(where: dict[str, Any]) -> None:
    with stateheal.tracked_job(**where) as job:
        before = index(where)["jobs"][0]["updatedAt"]
        time.sleep(0.005)
        job.progress("running", "Turn started (turn_1).", thread_id="thr_1", turn_id="turn_1")
        job.log("a line")
        file, entry = both(where, job)
        again = files_in(state(where))
        job.progress("running", thread_id="thr_1")  # nothing new: nothing is written
        assert files_in(state(where)) == again
    for side in (file, entry):
        assert (side["phase"], side["threadId"], side["turnId"]) == ("running", "thr_1", "turn_1")
    assert entry["updatedAt"] > before and "updatedAt" not in file
    assert "] Turn started (turn_1).\n" in job.log_path.read_text() and "] a line\n" in job.log_path.read_text()


def test_a_completion_with_its_result(where: dict[str, Any]) -> None:
    with stateheal.tracked_job(**where) as job:
        job.complete("the answer", summary="answered")
        job.progress("late")  # after the end nothing changes any more
    file, entry = both(where, job)
    assert job.status == "completed" and job.problems == []
    for side in (file, entry):
        assert (side["status"], side["phase"], side["pid"]) == ("completed", "done", None) and side["completedAt"]
    assert file["result"] == {"status": 0, "rawOutput": "the answer"} and file["rendered"] == "the answer"
    assert entry["summary"] == "answered" and "result" not in entry and "rendered" not in entry
    assert entry["updatedAt"] == entry["completedAt"]
    assert job.log_path.read_text().endswith("] Final output\nthe answer\n")


class Boom(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Boom("it broke"), ("failed", "failed", "it broke")),
        (Boom(), ("failed", "failed", "Boom")),
        (SystemExit(0), ("completed", "done", None)),
        (SystemExit(None), ("completed", "done", None)),
        (SystemExit(3), ("failed", "failed", "Exited with status 3")),
        (SystemExit("no input"), ("failed", "failed", "no input")),
        (KeyboardInterrupt(), ("failed", "terminated", "Terminated by SIGINT")),
        (asyncio.CancelledError(), ("failed", "failed", "CancelledError")),
    ],
)
def test_every_way_out_of_the_block(where: dict[str, Any], error: BaseException, expected: tuple[Any, ...]) -> None:
    with pytest.raises(type(error)) as caught, stateheal.tracked_job(**where) as job:
        raise error
    assert caught.value is error
    for side in both(where, job):
        assert (side["status"], side["phase"], side.get("errorMessage")) == expected and side["pid"] is None


def test_a_block_without_a_word_is_a_completion(where: dict[str, Any]) -> None:
    with stateheal.tracked_job(**where) as job:
        pass
    assert record(where, job)["status"] == "completed"


def test_what_fails_after_the_completion_does_not_take_the_result_away(where: dict[str, Any]) -> None:
    with pytest.raises(Boom), stateheal.tracked_job(**where) as job:
        job.complete("kept")
        raise Boom
    assert record(where, job)["result"]["rawOutput"] == "kept"


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


@pytest.mark.parametrize(
    ("result", "written"),
    [
        ({"a": (1, float("inf"), float("nan"))}, {"a": [1, None, None]}),
        ({(1, 2): {3}}, {"(1, 2)": [3]}),
        (Odd(), "<odd>"),
        ([b"x", 10**5000], ["b'x'", None]),
        ({"a": {"b": Odd()}}, {"a": {"b": "<odd>"}}),
    ],
)
def test_any_result_can_be_written_down(where: dict[str, Any], result: Any, written: Any) -> None:
    """Whatever it is: it must never be the reason that a job stays open."""
    with stateheal.tracked_job(**where) as job:
        job.complete(result)
    assert record(where, job)["result"] == written and record(where, job)["status"] == "completed"
    assert stateheal.audit([where["data_dir"]]).findings == ()


def test_a_result_without_a_bottom_and_messages_that_are_none(where: dict[str, Any]) -> None:
    deep: list[Any] = []
    for _ in range(30_000):
        deep = [deep]
    with stateheal.tracked_job(**where) as job:
        job.complete(deep, summary=5)  # type: ignore[arg-type]
    assert record(where, job)["status"] == "completed" and both(where, job)[1]["summary"] == "5"
    with stateheal.tracked_job(**where) as job:
        job.fail(ValueError("x"))  # type: ignore[arg-type]
    assert record(where, job)["errorMessage"] == "x"


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def test_an_exception_that_cannot_be_told(where: dict[str, Any]) -> None:
    with pytest.raises(Mute), stateheal.tracked_job(**where) as job:
        raise Mute
    assert record(where, job)["errorMessage"] == "Mute"


def test_entered_in_one_context_and_left_in_another(where: dict[str, Any]) -> None:
    tracked = stateheal.tracked_job(**where)
    job = contextvars.copy_context().run(tracked.__enter__)
    tracked.__exit__(None, None, None)
    assert record(where, job)["status"] == "completed"


@pytest.mark.parametrize("wrong", ["state", "config"])
def test_a_directory_of_another_kind_is_no_data_dir(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "config" / "plugins" / "data").mkdir(parents=True)
    with pytest.raises(stateheal.UsageError, match="plugin's data dir"):
        stateheal.tracked_job(data_dir=tmp_path / wrong).__enter__()


def test_the_decorator_makes_a_job_of_every_call(where: dict[str, Any]) -> None:
    @stateheal.tracked_job("Decorated", **where)
    def work(depth: int) -> str:
        job = stateheal.current_job()
        assert job is not None
        seen.append(job)
        if depth:
            work(depth - 1)
        assert stateheal.current_job() is job
        return f"depth {depth}"

    seen: list[stateheal.TrackedJob] = []
    assert work(2) == "depth 2" and work.__name__ == "work"
    assert len({job.id for job in seen}) == 3
    assert [record(where, job)["result"]["rawOutput"] for job in seen] == ["depth 2", "depth 1", "depth 0"]
    assert stateheal.current_job() is None


def test_the_decorator_on_a_coroutine(where: dict[str, Any]) -> None:
    @stateheal.tracked_job(**where)
    async def work() -> dict[str, int]:
        await asyncio.sleep(0)
        job = stateheal.current_job()
        assert job is not None
        seen.append(job)
        return {"n": 1}

    seen: list[stateheal.TrackedJob] = []
    assert asyncio.run(work()) == {"n": 1}
    assert record(where, seen[0])["result"] == {"n": 1}


def test_a_generator_cannot_be_one_call(where: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="generator"):

        @stateheal.tracked_job(**where)
        def work() -> Any:
            yield 1


def test_one_tracked_job_is_one_block_at_a_time(where: dict[str, Any]) -> None:
    tracked = stateheal.tracked_job(**where)
    with tracked as first, pytest.raises(RuntimeError, match="active"), tracked:
        pass
    with tracked as second:
        pass
    assert first.id != second.id and record(where, first)["status"] == "completed"


# --- beside others -------------------------------------------------------------------------------------------------


def cancel(where: dict[str, Any], job: stateheal.TrackedJob) -> None:
    """What the plugin's ``cancel`` writes, in its order."""
    ending = {"status": "cancelled", "phase": "cancelled", "pid": None, "errorMessage": "Cancelled by user."}
    path = state(where) / "jobs" / f"{job.id}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **ending}, indent=2) + "\n")
    whole = index(where)
    whole["jobs"] = [{**each, **ending} if each["id"] == job.id else each for each in whole["jobs"]]
    (state(where) / "state.json").write_text(json.dumps(whole, indent=2) + "\n")


def remove(where: dict[str, Any], job: stateheal.TrackedJob) -> None:
    """What the end of a session does to its jobs."""
    whole = index(where)
    whole["jobs"] = []
    (state(where) / "state.json").write_text(json.dumps(whole, indent=2) + "\n")
    (state(where) / "jobs" / f"{job.id}.json").unlink()
    job.log_path.unlink()


@pytest.mark.parametrize("change", [cancel, remove])
@pytest.mark.parametrize("end", ["complete", "fail", "progress", "terminate"])
def test_what_others_have_closed_or_removed_is_not_brought_back(
    where: dict[str, Any], change: Callable[..., None], end: str
) -> None:
    with stateheal.tracked_job(**where) as job:
        change(where, job)
        before = files_in(state(where))
        {
            "complete": lambda: job.complete("late"),
            "fail": lambda: job.fail("late"),
            "progress": lambda: job.progress("late"),
            "terminate": lambda: job.terminate(signal.SIGTERM),
        }[end]()
    assert files_in(state(where)) == before
    assert job.status == "closed" and job.problems == []


def test_the_51st_entry_is_written_and_nobody_is_pruned(where: dict[str, Any]) -> None:
    for _ in range(51):
        with stateheal.tracked_job(**where):
            pass
    assert len(index(where)["jobs"]) == 51
    assert len(list((state(where) / "jobs").glob("*.json"))) == 51


def test_everything_else_in_the_index_stays_as_it_is(where: dict[str, Any]) -> None:
    with stateheal.tracked_job(**where):
        pass
    path = state(where) / "state.json"
    start = '{"version": 1.0, "extra": [1e3,"\\u00e9"],\n "config":{"stopReviewGate":true, "x":1},'
    path.write_text(start + '  "jobs":[null, {"id":"a"}]}')
    with stateheal.tracked_job(**where) as job:
        job.progress("running")
    text = path.read_text()
    assert text.startswith(start)
    assert [entry and entry["id"] for entry in json.loads(text)["jobs"]] == [job.id, None, "a"]


def test_a_damaged_index_keeps_its_bytes_and_the_job_is_tracked_in_its_file(
    where: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stateheal.runner.store._ON_ITS_WAY", 0.02)  # nobody is about to make it whole
    with stateheal.tracked_job(**where):
        pass
    torn = (state(where) / "state.json").read_bytes()[:-40]
    (state(where) / "state.json").write_bytes(torn)
    with stateheal.tracked_job(**where) as job:
        pass
    assert (state(where) / "state.json").read_bytes() == torn
    assert record(where, job)["status"] == "completed"
    assert any("cannot be read" in each for each in job.problems)


def test_a_full_disk_does_not_stop_the_work(where: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.commit import swap

    def full(fd: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with stateheal.tracked_job(**where) as job:
        before = files_in(state(where))
        monkeypatch.setattr(swap, "write_all", full)
        monkeypatch.setattr("stateheal.runner.store.write_all", full)
        job.progress("running", "message")
        job.log("text")
        job.complete("lost")
    assert any("No space left" in each for each in job.problems)
    assert files_in(state(where)) == before
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # and the handlers are back


def test_where_nothing_can_be_recorded_the_block_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(stateheal.StatehealError, match="data"), stateheal.tracked_job(data_dir=tmp_path / "data"):
        raise AssertionError
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.links("a link is what it is about")
def test_a_link_in_the_place_of_the_workspace_is_not_written_through(where: dict[str, Any], tmp_path: Path) -> None:
    with stateheal.tracked_job(**where):
        pass
    place = state(where)
    elsewhere = place.rename(tmp_path / "elsewhere")
    place.symlink_to(elsewhere)
    before = files_in(elsewhere)
    with pytest.raises(stateheal.StatehealError, match="not a directory"), stateheal.tracked_job(**where):
        raise AssertionError
    assert files_in(elsewhere) == before


# --- where the state goes ------------------------------------------------------------------------------------------


@pytest.mark.links("a checkout behind a link")
def test_the_plugins_own_choice_of_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "web.client"
    inner = repository / "src" / "deep"
    inner.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (tmp_path / "link").symlink_to(repository)
    for cwd in (repository, inner, tmp_path / "link", tmp_path / "link" / "src"):
        place = workplace(cwd, tmp_path / "data")
        assert place.directory.name == f"web.client-{workspace_hash(str(repository.resolve()))}"
        assert place.root == str(repository.resolve())
        assert place.directory.name[-16:] in hashes_of(str(cwd), os.environ)  # where an audit looks for it
    monkeypatch.setenv("CLAUDE_PLUGIN_DATA", str(tmp_path / "named"))
    assert workplace(repository).directory.parent == tmp_path / "named" / "state"
    monkeypatch.delenv("CLAUDE_PLUGIN_DATA")
    assert workplace(repository).directory.parent == Path(os.environ["TMPDIR"]) / "codex-companion"


def test_without_git_the_directory_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a b").mkdir()
    place = workplace(tmp_path / "a b", tmp_path / "data")
    assert place.root == str(tmp_path / "a b")
    assert place.directory.name == f"{slug('a b')}-{workspace_hash(str((tmp_path / 'a b').resolve()))}"


# --- signals -------------------------------------------------------------------------------------------------------

PRELUDE = """
import asyncio, os, signal, sys, threading, time, stateheal
where = {"cwd": sys.argv[1], "data_dir": sys.argv[2]}
def me(signum): os.kill(os.getpid(), signum)
"""


def program(where: dict[str, Any], text: str, *before: str) -> subprocess.CompletedProcess[str]:
    """Run a program that tracks jobs, in an interpreter of its own."""
    command = [*before, sys.executable, "-c", PRELUDE + text, str(where["cwd"]), str(where["data_dir"])]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def endings(where: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Newest job first; fails where file and entry differ."""
    found = []
    for entry in index(where)["jobs"]:
        file = json.loads((state(where) / "jobs" / f"{entry['id']}.json").read_text())
        ends = [(side["status"], side["phase"], side.get("errorMessage")) for side in (entry, file)]
        assert ends[0] == ends[1] and entry["pid"] is None and file["pid"] is None
        found.append(ends[0])
    return found


def terminated(name: str) -> tuple[str, str, str]:
    return ("failed", "terminated", f"Terminated by {name}")


@pytest.mark.posix("a process signals itself; there, that is TerminateProcess")
@pytest.mark.processes
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_closes_the_job_and_ends_the_process(where: dict[str, Any], name: str) -> None:
    signum = signal.Signals[name]
    done = program(
        where,
        f"""
try:
    with stateheal.tracked_job(**where) as job:
        me({signum.value})
        print("not reached")
finally:
    print("cleaned up")
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signum, "cleaned up\n", "")
    assert endings(where) == [terminated(signum.name)]
    (log,) = state(where).glob("jobs/*.log")
    assert log.read_text().endswith(f"] Terminated by {signum.name}\n")


@pytest.mark.posix("a process signals itself")
@pytest.mark.processes
def test_nested_jobs_and_a_job_in_a_thread_all_end(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
def work():
    with stateheal.tracked_job("thread", **where): time.sleep(60)
with stateheal.tracked_job("outer", **where):
    with stateheal.tracked_job("inner", **where):
        threading.Thread(target=work, daemon=True).start()
        while True:
            time.sleep(0.3)
            me(signal.SIGTERM)
""",
    )
    assert (done.returncode, done.stderr) == (143, "")
    assert endings(where) == [terminated("SIGTERM")] * 3


@pytest.mark.posix("a process signals itself")
@pytest.mark.processes
def test_the_handler_before_is_called_after_the_flush_and_comes_back_with_the_last_job(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
import json, glob
def mine(signum, frame):
    ends = sorted(json.load(open(p))["phase"] for p in glob.glob(sys.argv[2] + "/state/*/jobs/*.json"))
    print("mine", signum, ends, flush=True)
signal.signal(signal.SIGTERM, mine)
with stateheal.tracked_job(**where):
    with stateheal.tracked_job(**where): assert signal.getsignal(signal.SIGTERM) is not mine
    assert signal.getsignal(signal.SIGTERM) is not mine
assert signal.getsignal(signal.SIGTERM) is mine
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
me(signal.SIGTERM)
with stateheal.tracked_job(**where): me(signal.SIGTERM)
""",
    )
    assert (done.returncode, done.stderr) == (143, "")
    assert done.stdout == "mine 15 ['done', 'done']\nmine 15 ['done', 'done', 'terminated']\n"


@pytest.mark.posix("a process signals itself")
@pytest.mark.processes
@pytest.mark.parametrize(
    ("handler", "status"), [("sys.exit(0)", 143), ("sys.exit(9)", 143), ("(_ for _ in ()).throw(ValueError('own'))", 1)]
)
def test_a_handler_before_that_wants_an_end_of_its_own(where: dict[str, Any], handler: str, status: int) -> None:
    text = f"signal.signal(signal.SIGTERM, lambda *_: {handler})\nwith stateheal.tracked_job(**where): me(15)"
    assert program(where, text).returncode == status
    assert endings(where) == [terminated("SIGTERM")]


@pytest.mark.posix("SIGHUP and nohup")
@pytest.mark.processes
def test_what_was_ignored_stays_ignored(where: dict[str, Any]) -> None:
    done = program(where, "with stateheal.tracked_job(**where): me(signal.SIGHUP); print('on')", "nohup")
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert endings(where) == [("completed", "done", None)]


@pytest.mark.posix("a process signals itself")
@pytest.mark.processes
def test_a_caught_end_gives_back_the_handlers_for_the_next_signal(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
try:
    with stateheal.tracked_job(**where): me(signal.SIGTERM)
except SystemExit: pass
me(signal.SIGTERM)  # at once: the same request
time.sleep(2.1)
print("alive", flush=True)
me(signal.SIGTERM)
time.sleep(5)
""",
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "alive\n")


@pytest.mark.posix("signal handlers of an event loop")
@pytest.mark.processes
def test_asyncio(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
async def work():
    async with stateheal.tracked_job("async", **where) as job:
        asyncio.get_running_loop().call_later(0.1, me, signal.SIGTERM)
        try:
            while True:
                job.progress(f"at {time.time()}")
                await asyncio.sleep(0.001)
        finally:
            print("cancelled")
asyncio.run(work())
""",
    )
    assert (done.returncode, done.stdout) == (143, "cancelled\n")
    assert endings(where) == [terminated("SIGTERM")]


@pytest.mark.posix("signal handlers of an event loop")
@pytest.mark.processes
def test_asyncio_gives_its_handlers_back(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
mine = lambda *_: print("mine", flush=True)
signal.signal(signal.SIGTERM, mine)
async def work():
    async with stateheal.tracked_job(**where): await asyncio.sleep(0.01)
    assert signal.getsignal(signal.SIGTERM) is mine
asyncio.run(work())
me(signal.SIGTERM)
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")
    assert endings(where) == [("completed", "done", None)]


@pytest.mark.posix("signal handlers of an event loop")
@pytest.mark.processes
def test_a_further_signal_after_the_loop_has_closed_is_the_same_request(where: dict[str, Any]) -> None:
    """The loop takes its handlers with it as it closes: the system's own would end the process in another way."""
    done = program(
        where,
        """
async def work():
    async with stateheal.tracked_job(**where):
        me(signal.SIGTERM)
        await asyncio.sleep(60)
try:
    asyncio.run(work())
finally:
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM): me(signum)
    print("cleaned up")
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "cleaned up\n", "")
    assert endings(where) == [terminated("SIGTERM")]


@pytest.mark.processes
def test_off_the_main_thread_jobs_are_tracked_without_handlers(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
def work():
    with stateheal.tracked_job(**where) as job:
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        sys.exit(3)
thread = threading.Thread(target=work); thread.start(); thread.join()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert endings(where) == [("failed", "failed", "Exited with status 3")]


@pytest.mark.processes
def test_the_end_of_the_program_closes_what_a_thread_leaves(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
ready = threading.Event()
def work():
    with stateheal.tracked_job(**where):
        ready.set()
        time.sleep(60)
threading.Thread(target=work, daemon=True).start()
ready.wait()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert endings(where) == [("failed", "terminated", "The process ended before the job did")]


@pytest.mark.posix("fork")
@pytest.mark.processes
def test_a_forked_child_leaves_its_parents_job_alone(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
with stateheal.tracked_job(**where) as job:
    child = os.fork()
    if child == 0:
        job.progress("from the child")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        sys.exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    job.complete("of the parent")
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert endings(where) == [("completed", "done", None)]


@pytest.mark.posix("a process signals itself")
@pytest.mark.processes
def test_a_flush_that_fails_does_not_keep_the_process_from_ending(where: dict[str, Any]) -> None:
    done = program(
        where,
        """
import stateheal.commit.swap as swap
def full(*_): raise OSError(28, "No space left on device")
with stateheal.tracked_job(**where):
    swap.write_all = full
    me(signal.SIGTERM)
""",
    )
    assert done.returncode == 143 and "No space left" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.posix("SIGKILL as an exit status")
@pytest.mark.processes
def test_after_sigkill_the_next_heal_closes_the_record_without_a_guess(where: dict[str, Any]) -> None:
    done = program(where, "with stateheal.tracked_job(**where) as job: me(signal.SIGKILL)")
    assert done.returncode == -signal.SIGKILL
    report = stateheal.heal([where["data_dir"]])
    assert [(finding.rule, finding.outcome.value) for finding in report.findings] == [("dead-pid", "healed")]
    assert [end[:2] for end in endings(where)] == [("failed", "orphaned")]


@pytest.mark.posix("SIGKILL as an exit status")
@pytest.mark.processes
def test_what_a_killed_write_leaves_is_removed_by_the_next_heal(where: dict[str, Any]) -> None:
    """Killed while it replaces the index: the temporary file, and the second name of a file not replaced yet."""
    done = program(
        where,
        """
import stateheal.commit.swap as swap
with stateheal.tracked_job(**where) as job:
    swap.read_lease = lambda *_: me(signal.SIGKILL)
    swap.Directory.replace = lambda *_: me(signal.SIGKILL)
    job.progress("running")
""",
    )
    assert done.returncode == -signal.SIGKILL
    (temp,) = state(where).glob(".stateheal-*.tmp")
    second = temp.with_suffix(".old")
    assert second.samefile(state(where) / "state.json")
    assert not [finding for finding in stateheal.heal([where["data_dir"]]).findings if "temp" in finding.rule]
    past = time.time() - 120
    for path in (temp, second):
        os.utime(path, (past, past))
    rules = [finding.rule for finding in stateheal.heal([where["data_dir"]]).findings]
    assert rules == ["leftover-temp"] * 2
    assert not list(state(where).glob(".stateheal-*"))


def test_while_it_runs_a_heal_leaves_it_alone(where: dict[str, Any]) -> None:
    with stateheal.tracked_job(**where):
        before = files_in(state(where))
        assert stateheal.heal([where["data_dir"]]).findings == ()
        assert files_in(state(where)) == before


@pytest.mark.posix("signals")
@pytest.mark.processes
def test_signals_at_random_moments() -> None:
    command = [sys.executable, "-m", "tests.stress.signal_storm", "--rounds", "100", "--seed"]
    storms = [
        subprocess.Popen([*command, seed], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for seed in ("1", "2")
    ]
    for each in storms:
        out, err = each.communicate(timeout=1800)  # against a hang; niced beside busy processes it takes minutes
        assert (each.returncode, err) == (0, "")
        terminated_rounds = re.search(r"'terminated': (\d+)", out)
        assert terminated_rounds is not None and int(terminated_rounds[1]) >= 75, out


@pytest.mark.processes
def test_two_processes_and_a_heal_in_one_workspace_lose_nothing(where: dict[str, Any]) -> None:
    text = """
for n in range(15):
    with stateheal.tracked_job(f"job {n}", **where) as job:
        for phase in range(3): job.progress(f"phase {phase}")
        assert not job.problems, job.problems
"""
    command = [sys.executable, "-c", PRELUDE + text, str(where["cwd"]), str(where["data_dir"])]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    while any(child.poll() is None for child in children):
        assert stateheal.heal([where["data_dir"]] if where["data_dir"].exists() else []).remaining == 0
    assert [(child.returncode, child.communicate()[1]) for child in children] == [(0, b"")] * 3
    assert endings(where) == [("completed", "done", None)] * 45


def test_threads_at_once(where: dict[str, Any]) -> None:
    def work() -> None:
        with stateheal.tracked_job(**where) as job:
            job.progress("running")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endings(where) == [("completed", "done", None)] * 8
