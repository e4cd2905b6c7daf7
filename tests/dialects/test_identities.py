"""A recorded start decides who has the pid: in each companion's own tree, in the field that it keeps for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import audit, heal, settings_of
from stateheal.model.report import Report
from tests.dialects.layout import NOW, TREES, Laid, lay_out, sides
from tests.support import NATIVE_HOST, FakeProcesses, files_in, journal_in, world

STRANGER = ("/usr/sbin/nginx", "-g", "daemon off;")
FIELDS = {
    "sendbird": [("pid", "pidIdentity")],
    "CBEPX-cc": [("pid", "pidIdentity"), ("workerPid", "workerPidIdentity")],
    "kim1232aa-opencode": [("pid", "pidStart")],
    "JohnnyVicious-opencode": [("pid", "pidStartToken")],
    "lucasmcht": [("pid", "worker.startKey")],
}
EACH = [(name, *fields) for name, each in FIELDS.items() for fields in each]


def recorded(laid: Laid, pid: str, identity: str) -> tuple[str, int, int]:
    """The killed job, its pid and the ticks that its record gives that process."""
    job = next(each.job for each in report(laid, FakeProcesses(), audit).findings if each.job) or ""
    record: Any = next(side for side in sides(laid.state, job) if side.get(pid) is not None)
    value: Any = record
    for part in identity.split("."):
        value = value[part]
    return job, record[pid], int(value.removeprefix("linux:"))


def report(laid: Laid, processes: FakeProcesses, do: Any) -> Report:
    processes.facts_of_host = NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400)
    return do([laid.data], settings=settings_of(), world=world(processes), journal=journal_in(laid.box))


@pytest.mark.parametrize(("name", "pid", "identity"), EACH)
def test_its_own_start_is_alive_whatever_else_is_seen_of_it(name: str, pid: str, identity: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    _, number, ticks = recorded(laid, pid, identity)
    before = files_in(laid.state)
    found = report(laid, FakeProcesses().live(number, *STRANGER, created=NOW - 60, ticks=ticks), heal)
    assert files_in(laid.state) == before and not [each for each in found.findings if each.repair]


@pytest.mark.parametrize(("name", "pid", "identity"), EACH)
def test_another_start_is_another_process_even_at_the_right_time(
    name: str, pid: str, identity: str, tmp_path: Path
) -> None:
    laid = lay_out(name, "killed", tmp_path)
    job, number, ticks = recorded(laid, pid, identity)
    other = FakeProcesses().live(number, *STRANGER, ticks=ticks + 1)
    found = [each for each in report(laid, other, heal).findings if each.job == job and each.repair]
    assert [each.rule for each in found if each.rule.endswith("-pid")], found
    assert all(side["status"] == "failed" and side.get("pid") is None for side in sides(laid.state, job))


@pytest.mark.parametrize(("name", "pid", "identity"), EACH)
def test_a_format_that_is_not_known_says_nothing(name: str, pid: str, identity: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    _, number, ticks = recorded(laid, pid, identity)
    for path in laid.state.rglob("*.json"):
        text = path.read_text()
        path.write_text(text.replace(f'"linux:{ticks}"', '"odd:x"').replace(f'"{ticks}"', '"odd:x"'))
    before = files_in(laid.state)
    found = report(laid, FakeProcesses().live(number, *STRANGER, ticks=ticks + 1), heal)
    assert files_in(laid.state) == before and not [each for each in found.findings if each.repair]


def test_every_tree_with_such_a_field_is_here() -> None:
    known = ("pidIdentity", "pidStart", "pidStartToken", "startKey")
    text = {path.name: "".join(each.read_text() for each in path.rglob("killed/**/*.json")) for path in TREES.iterdir()}
    assert {name for name, all_of_it in text.items() if any(f'"{key}": "' in all_of_it for key in known)} == set(FIELDS)
