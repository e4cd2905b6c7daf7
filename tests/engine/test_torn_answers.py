"""A job file that was cut inside its final answer: the answer comes back, whatever people try first (section 11)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import audit, heal, recover
from stateheal.model.request import Settings
from tests.engine.test_recover import IDENT, THREAD, Home, turn
from tests.support import NOW, done, files_in

ANSWER = "The answer.\nIt has two lines."
LOG = (
    "[2026-11-23T06:00:00.000Z] Starting Codex Task.\n\n[2026-11-23T06:01:00.000Z] Assistant message\nOne thought.\n"
    f"[2026-11-23T06:02:00.000Z] Running command: rg x\n\n[2026-11-23T06:03:00.000Z] Assistant message\n{ANSWER}\n"
    "[2026-11-23T06:03:01.000Z] Turn completed.\n"
)
HEAL, RECOVER = (heal, {}), (recover, {})
BOTH = (heal, {"settings": Settings(recover=True)})
ORDERS = {
    "heal": [HEAL],
    "heal, recover": [HEAL, RECOVER],
    "recover, heal": [RECOVER, HEAL],
    "heal --recover": [BOTH],
    "recover, heal --recover, heal": [RECOVER, BOTH, HEAL],
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A completed task whose file ends amid its answer."""
    home = Home(tmp_path)
    result = {"status": 0, "threadId": THREAD, "rawOutput": ANSWER}
    home.tree.add(done(IDENT, threadId=THREAD, result=result, rendered=ANSWER), summary="Handled.")
    path = home.tree.path / f"jobs/{IDENT}.json"
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"The answer.") + 4])
    os.utime(path, (NOW - 7000, NOW - 7000))
    return home


def go(home: Home, order: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    for function, options in order:
        home.run(function, **options)
    return home.tree.record(IDENT)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_from_the_rollout_in_whichever_order(home: Home, order: list[Any]) -> None:
    path = home.rollout(*turn(answer=ANSWER))
    record = go(home, order)
    assert record["result"]["rawOutput"] == record["rendered"] == ANSWER
    assert record["result"]["recoveredFrom"]["rollout"] == str(path)
    assert (record["status"], record["phase"], record["threadId"]) == ("completed", "done", THREAD)
    assert home.tree.entry(IDENT)["status"] == "completed" and home.tree.entry(IDENT)["summary"] == "Handled."
    assert home.run(heal).run is None and home.run(recover).run is None


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_from_the_log_where_there_is_no_rollout(home: Home, order: list[Any]) -> None:
    home.tree.log(IDENT, LOG)
    record = go(home, order)
    assert record["result"]["rawOutput"] == f"{ANSWER}\n"
    assert record["result"]["recoveredFrom"]["log"] == f"jobs/{IDENT}.log"


def test_a_rollout_that_comes_later_is_still_taken(home: Home) -> None:
    assert "result" not in go(home, [HEAL])
    completed = home.tree.record(IDENT)["completedAt"]
    home.rollout(*turn(answer=ANSWER))
    record = go(home, [RECOVER])
    assert record["result"]["rawOutput"] == ANSWER and record["completedAt"] == completed


def test_what_is_not_its_own_is_not_taken(home: Home) -> None:
    home.rollout(*turn("turn_2", answer="Another turn's."))
    assert "result" not in go(home, [HEAL, RECOVER])


def test_an_audit_says_where_the_answer_is(home: Home) -> None:
    home.tree.log(IDENT, LOG)
    before = files_in(home.tree.path)
    (finding,) = [each for each in home.run(audit).findings if each.rule == "torn-job"]
    assert "its log" in finding.evidence and files_in(home.tree.path) == before
