"""``stateheal recover``: finished turns of dead workers, and every reason to leave a job as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import audit, heal, recover
from stateheal.engine.commands import undo
from stateheal.evidence.rollouts import Rollouts
from stateheal.model.findings import Outcome, Severity
from stateheal.model.report import Report
from stateheal.model.request import Settings
from tests.stress.kill_points import in_child
from tests.support import Tree, at, files_in, job, journal_in, world

THREAD = "019d8b1c-3a7e-7d40-b8a1-9e2f4c6d8e11"
IDENT = "task-mnyhf4jy-1mnkv1"


def line(kind: str, seconds: float = 0, **payload: Any) -> str:
    """A rollout's line, so many seconds after the job began to run."""
    return json.dumps({"timestamp": at(-7200 + seconds), "type": "event_msg", "payload": {"type": kind, **payload}})


def turn(
    ident: str | None = "turn_1", answer: str | None = "The answer.", seconds: float = 5, **more: Any
) -> list[str]:
    """A whole turn: its start, its prompt, its end."""
    named = {} if ident is None else {"turn_id": ident}
    prompt = more.pop("prompt", "map the failing tests")
    return [
        line("task_started", seconds, **named),
        line("user_message", seconds, message=prompt),
        line("agent_reasoning", seconds, text="…"),
        line(more.pop("kind", "task_complete"), seconds + 60, **named, last_agent_message=answer, **more),
    ]


class Home:
    """A ``CODEX_HOME``, a workspace with lost jobs, and a journal."""

    def __init__(self, path: Path) -> None:
        self.path, self.codex = path, path / "codex"
        self.tree = Tree(path / "tree")
        self.journal = journal_in(path)

    def rollout(
        self, *lines: str, thread: str = THREAD, folder: str = "sessions/2026/11/23", name: str = "", tail: str = ""
    ) -> Path:
        path = self.codex / folder / (name or f"rollout-2026-11-23T05-00-00-{thread}.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{each}\n" for each in lines) + tail)
        return path

    def lost(self, ident: str = IDENT, **fields: Any) -> Home:
        """A job that a heal closed."""
        closed = {"status": "failed", "phase": "orphaned", "pid": None, "completedAt": at(-7100)}
        message = {"errorMessage": "Orphaned: pid 4242 no longer alive"}
        self.tree.add(job(ident, **{**closed, **message, "threadId": THREAD, "turnId": "turn_1", **fields}))
        return self

    def run(self, function: Any = recover, **more: Any) -> Report:
        given = world(rollouts=Rollouts(self.codex))
        return function([self.tree.path], world=given, journal=self.journal, **more)  # type: ignore[no-any-return]

    def why(self) -> str:
        """Why the one job was left as it is; fails where anything was written."""
        before = files_in(self.tree.path)
        (finding,) = self.run().findings
        assert files_in(self.tree.path) == before
        assert (finding.rule, finding.severity, finding.repair) == ("recoverable", Severity.NOTICE, None)
        return finding.message.removeprefix("not recoverable, left as it is: ")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_an_answer_is_written_into_both_records(home: Home) -> None:
    home.lost().rollout(*turn(completed_at=1795413700.5))
    updated, request = home.tree.entry(IDENT)["updatedAt"], files_in(home.codex)
    report = home.run()
    assert [(f.rule, f.outcome, f.job) for f in report.findings] == [("recoverable", Outcome.HEALED, IDENT)]
    assert report.exit_status == 0 and report.answers == ((home.tree.path.name, IDENT, "The answer."),)
    record, entry = home.tree.record(IDENT), home.tree.entry(IDENT)
    for side in (record, entry):
        assert (side["status"], side["phase"], side["pid"]) == ("completed", "done", None)
        assert "errorMessage" not in side and side["completedAt"] == "2026-11-23T06:01:40.500Z"
    assert entry["updatedAt"] == updated and "result" not in entry
    assert record["result"]["status"] == 0 and record["result"]["rawOutput"] == record["rendered"] == "The answer."
    assert record["result"]["recoveredFrom"]["turnId"] == "turn_1"
    assert record["result"]["recoveredFrom"]["rollout"].endswith(f"{THREAD}.jsonl")
    assert "] Recovered the result of its turn" in (home.tree.path / "jobs" / f"{IDENT}.log").read_text()
    assert files_in(home.codex) == request
    assert home.run().findings == ()  # nothing is left to recover


def test_it_can_be_undone(home: Home) -> None:
    home.lost().rollout(*turn())
    before = files_in(home.tree.path)
    run = home.run().run
    assert run is not None and files_in(home.tree.path) != before
    undo(journal=home.journal)
    assert files_in(home.tree.path) == before


def as_first_lost(home: Home) -> None:
    home.lost()


def as_running(home: Home) -> None:
    """Its worker is dead, and no heal has been there."""
    home.tree.add(job(IDENT, threadId=THREAD, turnId="turn_1"))


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("lay_out", [as_first_lost, as_running])
def test_killed_at_any_operation_the_next_recovery_finishes_both_records(tmp_path: Path, lay_out: Any) -> None:
    halves = 0
    for count in range(1, 200):
        home = Home(tmp_path / str(count))
        lay_out(home)
        home.rollout(*turn())
        old_end = home.tree.entry(IDENT)["status"]
        killed, _ = in_child(home.run, count, "before")
        if not killed:
            break
        entry, record = home.tree.entry(IDENT), home.tree.record(IDENT)
        halves += (record["status"], entry["status"]) == ("completed", old_end)
        assert home.run().exit_status == 0
        record, entry = home.tree.record(IDENT), home.tree.entry(IDENT)
        for side in (record, entry):
            assert (side["status"], side["phase"], side["pid"]) == ("completed", "done", None), count
            assert "errorMessage" not in side
        assert record["completedAt"] == entry["completedAt"] and record["result"]["rawOutput"] == "The answer."
        log = (home.tree.path / "jobs" / f"{IDENT}.log").read_text()
        assert log.count("Recovered the result of its turn") == 1, count
        assert home.run().findings == ()
    else:
        pytest.fail("it never came to its end")
    assert halves


@pytest.mark.parametrize("tool", ["another-tool", None])
def test_an_answer_that_another_tool_put_there_is_not_finished_by_recover(home: Home, tool: str | None) -> None:
    home.lost()
    found = {"status": 0, "rawOutput": "Theirs.", **({"recoveredFrom": {"tool": tool}} if tool else {})}
    home.tree.file({**home.tree.record(IDENT), "status": "completed", "phase": "done", "result": found})
    before = files_in(home.tree.path)
    assert [each.repair for each in home.run().findings if each.repair] == []
    assert files_in(home.tree.path) == before


def test_half_a_recovery_whose_job_may_live_is_left(home: Home) -> None:
    """The index says active, and names a process that nobody here can judge."""
    far = {"hostname": "elsewhere", "tool": "stateheal"}
    home.tree.add(job(IDENT, threadId=THREAD, turnId="turn_1", owner=far))
    source = {"tool": "stateheal", "turnId": "turn_1"}
    result = {"status": 0, "rawOutput": "The answer.", "recoveredFrom": source}
    home.tree.file({**home.tree.record(IDENT), "status": "completed", "phase": "done", "pid": None, "result": result})
    before = files_in(home.tree.path)
    home.run()
    assert files_in(home.tree.path) == before


def test_a_dry_run_writes_nothing_and_shows_what_it_would(home: Home) -> None:
    home.lost().rollout(*turn())
    before = files_in(home.path)
    report = home.run(dry_run=True)
    assert report.exit_status == 1 and files_in(home.path) == before
    assert report.findings[0].outcome is Outcome.WOULD_HEAL and len(report.diffs) == 2 and report.answers


def test_heal_with_recover_never_fails_what_it_completes(home: Home) -> None:
    """Dead and still recorded as running: results first."""
    running = {"threadId": THREAD, "turnId": "turn_1"}
    home.tree.add(job(IDENT, **running)).add(job("task-mnyhf4jx-1mnkv1", threadId=THREAD, turnId="turn_2"))
    home.rollout(*turn())
    report = home.run(heal, settings=Settings(recover=True))
    assert {(f.job, f.rule) for f in report.findings if f.repair} == {
        (IDENT, "recoverable"),
        ("task-mnyhf4jx-1mnkv1", "dead-pid"),
    }
    assert home.tree.record(IDENT)["phase"] == home.tree.entry(IDENT)["phase"] == "done"
    assert home.tree.entry("task-mnyhf4jx-1mnkv1")["phase"] == "orphaned"
    assert "Orphaned" not in (home.tree.path / "jobs" / f"{IDENT}.log").read_text()
    assert home.run(heal, settings=Settings(recover=True)).healed == 0


def test_recover_alone_closes_nobody(home: Home) -> None:
    home.tree.add(job("task-mnyhf4jx-1mnkv1", threadId=THREAD, turnId="turn_2"))
    home.rollout(*turn())
    assert home.why() == "no rollout of its thread knows its turn"


def test_heal_without_recover_leaves_answers_alone_and_audit_names_them(home: Home) -> None:
    home.lost().rollout(*turn())
    before = files_in(home.tree.path)
    for function in (heal, audit):
        (finding,) = home.run(function).findings
        assert (finding.rule, finding.severity) == ("recoverable", Severity.NOTICE)
        assert f"stateheal recover --job {IDENT}" in finding.evidence
    assert files_in(home.tree.path) == before


@pytest.mark.parametrize("phase", ["terminated", "orphaned"])
def test_both_kinds_of_lost_jobs(home: Home, phase: str) -> None:
    home.lost(phase=phase).rollout(*turn())
    assert home.run().healed == 1


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "no rollout of its thread knows its turn"),
        ([line("task_started", turn_id="turn_1")], "its turn has no end in the rollout"),
        ([*turn()[:2], line("turn_aborted", 9, turn_id="turn_1", reason="interrupted")], "its turn was aborted"),
        (turn(answer=None), "its turn ended without a message"),
        (turn(answer="  \n"), "its turn ended without a message"),
        (turn(error={"message": "usage limit"}), "its turn ended with an error"),
        ([*turn(), line("thread_rolled_back", 99, num_turns=1)], "its turn was rolled back later"),
        (
            [*turn(), *turn("turn_2", seconds=100), line("thread_rolled_back", 200, num_turns=2)],
            "its turn was rolled back later",
        ),
        (turn("turn_2"), "no rollout of its thread knows its turn"),
        ([line("task_complete", 5, turn_id="turn_1", last_agent_message=7)], "its turn ended without a message"),
        (
            [json.dumps({"type": "response_item", "payload": {"type": "task_complete", "turn_id": "turn_1"}})],
            "no rollout of its thread knows its turn",
        ),
    ],
)
def test_less_than_a_finished_turn_is_left(home: Home, lines: list[str], reason: str) -> None:
    home.lost().rollout(*lines)
    if not lines or (reason.startswith("no rollout") and not any("event_msg" in each for each in lines)):
        reason = "no rollout of its thread"
    assert home.why() == reason


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([*turn(), *turn(answer="Another.", seconds=99)[3:]], "its turn ended twice, and differently"),
        ([*turn(), line("task_started", 99, turn_id="turn_1")], "its turn has no end in the rollout"),
        ([line("turn_aborted", 4, turn_id="turn_1"), *turn()[3:]], "its turn ended both aborted and completed"),
        ([*turn()[:2], line("error", 9, message="limit"), *turn()[3:]], "its turn ended with an error"),
        (turn(error={}), "its turn ended with an error"),
        ([*turn(), line("thread_rolled_back", 99, num_turns=1.0)], "its turn was rolled back later"),
        ([*turn(), line("thread_rolled_back", 99, num_turns="1")], "its turn was rolled back later"),
        ([*turn(), line("thread_rolled_back", 99, num_turns=float("inf"))], "its turn was rolled back later"),
        ([*turn(), line("thread_rolled_back", 99, num_turns=10**400)], "its turn was rolled back later"),
    ],
)
def test_what_is_not_clear_is_left(home: Home, lines: list[str], reason: str) -> None:
    home.lost().rollout(*lines)
    assert home.why() == reason


def test_two_rollouts_that_tell_different_answers(home: Home) -> None:
    home.lost().rollout(*turn())
    home.rollout(*turn(answer="Another."), folder="archived_sessions")
    assert home.why() == "2 turns may be its own"
    home.rollout(*turn(), folder="archived_sessions")  # the same answer twice is one
    assert home.run().healed == 1


def test_a_rollback_in_a_later_rollout_of_the_thread(home: Home) -> None:
    home.lost().rollout(*turn())
    home.rollout(line("thread_rolled_back", 99, num_turns=1), folder="archived_sessions")
    assert home.why() == "its turn was rolled back later"


def test_only_a_uuid_has_a_rollout_id_behind_it(home: Home) -> None:
    """Or else the thread ``thr`` would be given the rollout of ``thr_1``."""
    home.lost(threadId="thr").rollout(*turn(), thread="thr_1")
    assert home.why() == "no rollout of its thread"


@pytest.mark.posix("links and FIFOs")
def test_links_and_fifos_are_no_rollouts(home: Home) -> None:
    path = home.lost().rollout(*turn())
    path.rename(home.path / "elsewhere.jsonl")
    path.symlink_to(home.path / "elsewhere.jsonl")
    assert home.why() == "no rollout of its thread"
    path.unlink()
    os.mkfifo(path)
    assert home.why() == "no rollout of its thread"


def test_jobs_that_have_no_rollout(home: Home) -> None:
    home.lost(jobClass="review").rollout(*turn())
    assert home.why() == "a review's thread leaves no rollout"
    assert Home(home.path / "b").lost(threadId=...).run().findings == ()  # it never came to have a thread
    third = Home(home.path / "c").lost(result={"rawOutput": "mine"})
    assert third.why() == "it has a result of its own"
    assert Home(home.path / "d").lost().why() == "no rollout of its thread"


def test_what_ended_otherwise_is_not_looked_at(home: Home) -> None:
    home.lost(phase="failed", errorMessage="usage limit")
    home.lost("task-mnyhf4jx-1mnkv1", status="cancelled", phase="cancelled")
    home.rollout(*turn())
    assert home.run().findings == ()


def test_a_rollback_of_others_and_noise_do_not_matter(home: Home) -> None:
    noise = ["", "not json", "[]", "null", json.dumps({"type": "event_msg"}), line("token_count", 1), "\x00" * 10]
    lines = [*noise, *turn("turn_0"), *turn(), *turn("turn_2"), line("thread_rolled_back", 99, num_turns=1), *noise]
    home.lost().rollout(*lines, tail='{"timestamp": "t", "type": "event_msg", "payload": {"type": "task_comp')
    assert home.run().healed == 1


def test_the_older_names_of_the_events(home: Home) -> None:
    home.lost().rollout(*turn(kind="turn_complete"))
    assert home.run().healed == 1


def test_several_jobs_in_one_rollout(home: Home) -> None:
    home.lost().lost("task-mnyhf4jx-1mnkv1", turnId="turn_2", startedAt=at(-7000))
    home.rollout(*turn(), *turn("turn_2", "The second.", seconds=300))
    assert home.run().healed == 2
    assert home.tree.record("task-mnyhf4jx-1mnkv1")["result"]["rawOutput"] == "The second."


@pytest.mark.parametrize(
    "where",
    [
        {"folder": "sessions/2025/01/01"},
        {"folder": "archived_sessions"},
        {"name": f"rollout-2020-01-01T23-59-59-{THREAD}_roll-7.jsonl"},
    ],
)
def test_wherever_the_rollout_is(home: Home, where: dict[str, str]) -> None:
    """The day in its path is the first turn's, in local time: it says nothing about this turn."""
    home.lost().rollout(*turn(), **where)
    assert home.run().healed == 1


def test_a_thread_whose_id_begins_alike_is_another(home: Home) -> None:
    home.lost().rollout(*turn(), thread=THREAD + "2")
    assert home.why() == "no rollout of its thread"


def test_a_compressed_rollout_and_a_plain_sibling(home: Home) -> None:
    zstandard = pytest.importorskip("zstandard")
    path = home.lost().rollout(*turn(answer="Compressed."))
    packed = path.with_name(path.name + ".zst")
    packed.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    path.unlink()
    assert home.run(dry_run=True).answers[0][2] == "Compressed."
    home.rollout(*turn(answer="Plain."))
    assert home.run().answers[0][2] == "Plain."


def test_a_broken_compressed_rollout_is_none(home: Home) -> None:
    pytest.importorskip("zstandard")
    path = home.lost().rollout(*turn())
    path.rename(path.with_name(path.name + ".zst"))
    assert home.why() == "no rollout of its thread"


# --- jobs that never learnt their turn's id ------------------------------------------------------------------------


def test_the_only_turn_of_the_time_with_the_prompt_will_do(home: Home) -> None:
    home.lost(turnId=None, request={"prompt": "  do it all\n"}).rollout(*turn(prompt="do it all"))
    assert home.run().healed == 1
    assert home.tree.record(IDENT)["turnId"] == home.tree.entry(IDENT)["turnId"] == "turn_1"


def test_or_one_whose_prompt_collapses_to_the_summary(home: Home) -> None:
    prompt = "map   the\nfailing tests " + "and so on " * 20
    home.lost(turnId=None, summary=" ".join(prompt.split())[:93] + "...").rollout(*turn(prompt=prompt))
    assert home.run().healed == 1


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            turn(prompt="something else"),
            "it names no turn, and the one of its time may be one that was run by hand: the prompt is another",
        ),
        (turn(seconds=-50), "it names no turn, and none began in its time"),
        (turn(seconds=7300), "it names no turn, and none began in its time"),
        ([*turn(), *turn("turn_2", seconds=20)], "2 turns may be its own"),
        ([*turn(None), *turn(None, seconds=20)], "2 turns may be its own"),
        (turn(answer=None), "its turn ended without a message"),
    ],
)
def test_anything_less_certain_will_not(home: Home, lines: list[str], reason: str) -> None:
    home.lost(turnId=None).rollout(*lines)
    os.utime(home.tree.path / "jobs" / f"{IDENT}.log", (0, 0))
    assert home.why() == reason


def test_a_turn_after_the_next_job_on_the_thread_is_not_its_own(home: Home) -> None:
    home.lost(turnId=None).rollout(*turn(seconds=50))
    home.tree.add(
        job(
            "task-mnyhf4jx-1mnkv1",
            status="completed",
            phase="done",
            pid=None,
            startedAt=at(-7160),
            threadId=THREAD,
            completedAt=at(-7100),
        )
    )
    (finding,) = [each for each in home.run().findings if each.job == IDENT]
    assert finding.message == "not recoverable, left as it is: it names no turn, and none began in its time"


# --- the command ---------------------------------------------------------------------------------------------------


def command(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "CODEX_HOME": str(home.codex)}
    line = [sys.executable, "-m", "stateheal", "recover", *arguments, str(home.tree.path)]
    return subprocess.run(line, capture_output=True, text=True, env=environ, timeout=60)


@pytest.mark.processes
def test_the_command(home: Home) -> None:
    home.lost().rollout(*turn(answer="First line.\n\x1b[31mSecond.\n" + "more\n" * 9))
    dry = command(home, "-n")
    assert dry.returncode == 1 and "  First line.\n  \\x1b[31mSecond.\n" in dry.stdout and "lines more" in dry.stdout
    assert '+  "rendered": "First line.' in dry.stdout
    done = command(home, "--export", str(home.path / "out"))
    assert done.returncode == 0 and "1 recovered" in done.stdout
    (exported,) = (home.path / "out").glob("*.md")
    assert IDENT in exported.name and exported.read_text().startswith(f"# {IDENT}\n\nFirst line.\n")
    assert str(exported) in done.stderr
    assert command(home).returncode == 0
    history = subprocess.run([sys.executable, "-m", "stateheal", "history"], capture_output=True, text=True)
    assert "recover" in history.stdout


def test_exported_answers_never_take_the_place_of_a_file(home: Home) -> None:
    from stateheal.cli.recover import write_answer

    first = write_answer(home.path / "out", "w-1", "task/../../x", "one")
    assert first.parent == home.path / "out"
    assert write_answer(home.path / "out", "w-1", "task/../../x", "one") == first
    second = write_answer(home.path / "out", "w-1", "task/../../x", "two")
    assert second != first and "one" in first.read_text() and "two" in second.read_text()


@pytest.mark.posix("an address space limit")
@pytest.mark.processes
def test_a_huge_rollout_is_read_in_bounded_memory(home: Home) -> None:
    """Half a gigabyte of other events, most of it sparse: the process may use 300 MB."""
    path = home.lost().rollout(line("agent_message", 1, message="x" * 2_000_000), tail="\n")
    with path.open("r+b") as file:
        file.seek(500_000_000)
        file.write(b"\n" + "\n".join(turn()).encode() + b"\n")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))\n"
        "from stateheal.__main__ import main; sys.argv[1:] = sys.argv[1:]; main()"
    )
    environ = {**os.environ, "CODEX_HOME": str(home.codex)}
    done = subprocess.run(
        [sys.executable, "-c", code, "recover", str(home.tree.path)],
        capture_output=True,
        text=True,
        env=environ,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert home.tree.record(IDENT)["result"]["rawOutput"] == "The answer."
