"""What a killed companion's lock is, in each companion's own tree: removed only where its own code would wait for ever.

What each line rests on is read in that companion's source, which the dialect's entry names.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from stateheal.diagnosis.catalogue import RULE_OF
from stateheal.engine.api import audit, heal, settings_of
from stateheal.engine.commands import undo
from stateheal.formats.times import format_time
from stateheal.fs.directory import Directory
from stateheal.fs.own_names import TEMP_PREFIX
from stateheal.model.findings import Outcome, Severity
from stateheal.model.report import Report
from tests.dialects.forks import FORKS_OF
from tests.dialects.layout import FORKS, NOW, Laid, ask, lay_out
from tests.support import NATIVE_HOST, FakeProcesses, files_in, journal_in, world

GONE, ALIVE, RECYCLED, ZOMBIE, COMPANION = 7001, 7002, 7003, 7004, 7005
TAKEN = NOW - 7200
AT = format_time(TAKEN)
EDITOR = ("/usr/bin/editor", "--wait")


def ticket(pid: Any = GONE, **more: Any) -> dict[str, Any]:
    whole = {"version": 2, "token": "t", "pid": pid, "startKey": "linux:1", "acquiredAt": AT, "ticket": 1}
    return {key: value for key, value in {**whole, **more}.items() if value is not ...}


def processes() -> FakeProcesses:
    table = FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400))
    table.live(ALIVE, *EDITOR, created=TAKEN - 60)
    table.live(RECYCLED, *EDITOR, created=TAKEN + 1800)
    table.live(ZOMBIE, created=TAKEN - 60, zombie=True)
    return table.live(COMPANION, "node", "/x/other-companion.mjs", "task", created=TAKEN + 1800)


def report(laid: Laid, do: Any) -> Report:
    return do([laid.data], settings=settings_of(), world=world(processes()), journal=journal_in(laid.box))


def with_lock(name: str, lock: str, holds: Any, box: Path, taken: float = TAKEN) -> tuple[Laid, Path]:
    laid = lay_out(name, "healthy", box)
    job = next((path.stem for path in sorted(laid.state.glob("jobs/*.json"))), "task-a")
    path = laid.state / lock.format(job=job)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    path.write_text(holds if isinstance(holds, str) else json.dumps(holds))
    os.utime(path, (taken, taken))
    return laid, path


TICKET, CHOOSING = "state-lock/ticket-000000000001-0a.json", "state-lock/choosing-0a.json"
BY_PID, BY_START = (
    {"at": AT, "createdAt": AT, "claimedAt": AT},
    {"token": "t", "pidStartTime": "Fri Nov 27 02:19:42 2026"},
)
LEFT_BEHIND = [
    ("xai-grok-build", "state.json.lock", ""),
    ("patriyang", "state.lock", ""),
    ("patriyang", "broker.lock", '{"tok'),
    ("patriyang", "jobs/{job}.lock", {**BY_START, "pid": GONE, "pidStartTime": None}),
    ("patriyang", "state.lock", {**BY_START, "pid": GONE, "pidStartTime": "  "}),
    ("patriyang", "state.lock", {**BY_START, "pid": GONE, "token": ""}),
    ("patriyang", "state.lock", {**BY_START, "pid": ZOMBIE}),
    ("lucasmcht", TICKET, ""),
    ("lucasmcht", CHOOSING, '{"version":2,"tok'),
    ("lucasmcht", TICKET, "null"),
    ("lucasmcht", TICKET, ticket(version=1)),
    ("lucasmcht", CHOOSING, ticket(token="")),
    ("lucasmcht", TICKET, ticket(startKey=...)),
    ("lucasmcht", TICKET, ticket(acquiredAt=...)),
    ("lucasmcht", TICKET, ticket(ticket=-1)),
    ("lucasmcht", TICKET, ticket(pid=str(GONE))),
    ("lucasmcht", TICKET, ticket(ZOMBIE)),
    ("alanjwong", "state.json.lock", {"pid": RECYCLED, "at": AT}),
    ("alanjwong", "broker.ensure.lock", {"pid": RECYCLED, "at": AT}),
    ("alanjwong", "state.json.lock", {"pid": ZOMBIE, "at": AT}),
    ("kozaksv-antigravity", "state.json.lock", {**BY_PID, "pid": RECYCLED, "token": "t"}),
    ("kozaksv-antigravity", "jobs/{job}.json.lock", {**BY_PID, "pid": RECYCLED, "token": "t"}),
    ("kozaksv-antigravity", "state.json.lock.reap", {**BY_PID, "pid": RECYCLED, "token": "t"}),
    ("kozaksv-antigravity", "slots/slot-0.slot", {**BY_PID, "pid": RECYCLED}),
    ("kozaksv-antigravity", "slots/slot-3.slot", {**BY_PID, "pid": str(ZOMBIE)}),
]
LEFT_TO_IT = [
    # Its own code breaks these as soon as somebody waits for them.
    ("patriyang", "state.lock", {**BY_START, "pid": GONE}),
    ("patriyang", "state.lock", {**BY_START, "pid": RECYCLED}),
    ("lucasmcht", TICKET, ticket()),
    ("lucasmcht", CHOOSING, ticket(RECYCLED)),
    ("alanjwong", "state.json.lock", {"pid": GONE, "at": AT}),
    ("alanjwong", "broker.ensure.lock", ""),
    ("alanjwong", "state.json.lock", {"pid": str(GONE), "at": AT}),
    ("kozaksv-antigravity", "state.json.lock", {**BY_PID, "pid": GONE, "token": "t"}),
    ("kozaksv-antigravity", "state.json.lock", '{"pi'),
    ("kozaksv-antigravity", "slots/slot-0.slot", ""),
    ("unlikelyzero-agy", ".state.lock/x", ""),
    ("rmmaf-agy", ".state.lock/x", ""),
    ("handong66-agy", "state.lock", {"pid": GONE, "token": "t"}),
    ("handong66-agy", "state.lock", {"pid": RECYCLED, "token": "t"}),  # it waits for ten seconds, then does without
    ("danmsheets-turbo", "state.json.lock", {"pid": RECYCLED, "createdAt": 0}),
    ("danmsheets-turbo", "state.json.lock", ""),
    ("JohnnyVicious-opencode", "state.json.lock", ""),
    ("kim1232aa-opencode", ".state.lock/owner", f"{GONE}:1:abc"),
    ("bbingz-gemini", "state.json.lock", ""),
    ("bbingz-qwen", "state.json.lock", ""),
    ("bbingz-kimi", "state.json.lock", ""),
    ("sendbird", "jobs/{job}.json.lock", {"pid": RECYCLED, "identity": "1", "timestamp": 0}),
    ("CBEPX-cc", "jobs/{job}.json.lock", {"pid": RECYCLED, "identity": None, "timestamp": 0}),
    ("openai", "state.json.lock", ""),
    # These are held.
    ("patriyang", "state.lock", {**BY_START, "pid": ALIVE}),
    ("patriyang", "state.lock", {**BY_START, "pid": ALIVE, "pidStartTime": None}),
    ("lucasmcht", TICKET, ticket(ALIVE)),
    ("lucasmcht", TICKET, ticket(ALIVE, version=1)),
    ("alanjwong", "state.json.lock", {"pid": ALIVE, "at": AT}),
    ("kozaksv-antigravity", "slots/slot-0.slot", {**BY_PID, "pid": ALIVE}),
    # Without a word of its own about when it was taken, a file's time alone proves nothing.
    ("alanjwong", "state.json.lock", {"pid": RECYCLED}),
]


@pytest.mark.parametrize(("name", "lock", "holds"), LEFT_BEHIND)
def test_one_that_its_own_code_never_breaks_goes_and_can_come_back(
    name: str, lock: str, holds: Any, tmp_path: Path
) -> None:
    laid, path = with_lock(name, lock, holds, tmp_path)
    before = files_in(laid.state)
    healed = report(laid, heal)
    assert [(each.rule, each.outcome) for each in healed.findings] == [("stale-lock", Outcome.HEALED)], healed.findings
    assert path.name in healed.findings[0].message and files_in(laid.state) == {
        name: data for name, data in before.items() if name != path.relative_to(laid.state).as_posix()
    }
    assert report(laid, heal).run is None
    undo(journal=journal_in(laid.box))
    assert files_in(laid.state) == before


@pytest.mark.parametrize(("name", "lock", "holds"), LEFT_TO_IT)
def test_one_that_its_own_code_breaks_or_that_is_held_is_nobodys_business(
    name: str, lock: str, holds: Any, tmp_path: Path
) -> None:
    laid, path = with_lock(name, lock, holds, tmp_path)
    before = files_in(laid.state)
    assert not report(laid, heal).findings and files_in(laid.state) == before and path.exists()


@pytest.mark.parametrize(
    ("name", "lock"),
    [("xai-grok-build", "state.json.lock"), ("patriyang", "state.lock"), ("lucasmcht", TICKET)],
)
def test_a_fresh_one_that_names_nobody_may_be_on_its_way(name: str, lock: str, tmp_path: Path) -> None:
    laid, path = with_lock(name, lock, "", tmp_path, NOW - 50)
    assert not report(laid, heal).findings and path.exists()


def test_where_another_companion_has_the_pid_it_is_named_and_left(tmp_path: Path) -> None:
    laid, path = with_lock("alanjwong", "state.json.lock", {"pid": COMPANION, "at": AT}, tmp_path)
    (found,) = report(laid, heal).findings
    assert (found.rule, found.severity) == ("stale-lock", Severity.UNSURE) and path.exists()


def test_a_file_system_with_a_clock_of_its_own_makes_nobody_a_stranger(tmp_path: Path) -> None:
    """Its files are an hour too old; the lock's own word counts, as the file's would were its word too old."""
    table = {"pid": RECYCLED, "at": format_time(TAKEN + 3600)}
    for number, (held, taken) in enumerate(((table, TAKEN), ({"pid": RECYCLED, "at": AT}, TAKEN + 3600))):
        laid, path = with_lock("alanjwong", "state.json.lock", held, tmp_path / str(number), taken)
        assert not report(laid, heal).findings and path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
@pytest.mark.parametrize(
    ("name", "lock", "holds"),
    [("lucasmcht", TICKET, ""), ("kozaksv-antigravity", "slots/slot-0.slot", {**BY_PID, "pid": RECYCLED})],
)
def test_what_a_kill_leaves_in_a_directory_of_locks_goes_at_the_next_run(
    name: str, lock: str, holds: Any, tmp_path: Path
) -> None:
    laid, path = with_lock(name, lock, holds, tmp_path)
    before = files_in(laid.state)
    child = os.fork()
    if child == 0:
        Directory.unlink = lambda *_: os._exit(9)  # type: ignore[method-assign]
        report(laid, heal)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (left,) = set(path.parent.iterdir()) - {path}
    assert left.name.startswith(TEMP_PREFIX)
    report(laid, heal)
    assert not left.exists() and files_in(laid.state) == {
        each: data for each, data in before.items() if each != path.relative_to(laid.state).as_posix()
    }
    while undo(journal=journal_in(laid.box)).run:
        pass
    assert files_in(laid.state) == before


def test_what_is_not_written_for_its_companion_is_found_and_left(tmp_path: Path) -> None:
    """A lock of a kind that nobody is known to break, where the companion's own code was not run, is not removed."""
    assert RULE_OF["stale-lock"].name == "stale-lock" and not FORKS_OF["CBEPX-codex"].heals
    laid, path = with_lock("CBEPX-codex", "state.lock.d/owner.json", {"pid": GONE}, tmp_path)
    assert not report(laid, audit).findings and path.exists()


@pytest.mark.processes
@pytest.mark.skipif(not FORKS, reason="needs STATEHEAL_TEST_FORKS: a directory of checkouts, <owner>+<name>")
@pytest.mark.parametrize(
    ("name", "lock", "holds"),
    [
        ("patriyang", "state.lock", ""),
        ("lucasmcht", TICKET, '{"ver'),
        ("lucasmcht", CHOOSING, ticket(version=1)),
        ("alanjwong", "state.json.lock", {"at"}),
        ("kozaksv-antigravity", "state.json.lock", {"createdAt"}),
    ],
)
def test_its_own_code_waits_for_it_and_goes_on_once_it_is_gone(
    name: str, lock: str, holds: Any, tmp_path: Path
) -> None:
    with subprocess.Popen(["sleep", "300"]) as later:
        try:
            taken = time.time() - 7200
            held = {key: format_time(taken) for key in holds} | {"pid": later.pid} if isinstance(holds, set) else holds
            laid, path = with_lock(name, lock, held, tmp_path, taken)
            subprocess.run(["git", "init", "-q", "-b", "main", str(laid.project)], check=True)
            assert ask(name, laid, "setup", "--enable-review-gate").returncode != 0, "its own code does break it"
            heal([laid.data], settings=settings_of(), journal=journal_in(laid.box))
            assert not path.exists()
            asked = ask(name, laid, "setup", "--enable-review-gate")
            assert asked.returncode == 0, asked
            assert '"stopReviewGate": true' in (laid.state / "state.json").read_text()
        finally:
            later.kill()
