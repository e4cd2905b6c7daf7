"""A repair after which the plugin would show less is none, whichever rule proposed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.diagnosis.job import Job
from stateheal.diagnosis.reading import answer_of, index_loss, record_loss
from stateheal.engine.api import heal
from stateheal.engine.commands import undo
from stateheal.model.plan import GONE, Change
from tests.support import Tree, at, done, files_in, job, journal_in, world

DONE = done("task-1", errorMessage="warned")
FAILED = job("task-1", status="failed", phase="failed", pid=None, errorMessage="boom", threadId="thr_1")


def changed(record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    merged = {**record, **fields}
    return {key: value for key, value in merged.items() if value is not ...}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, None),
        ([], {"id": "task-1"}),
        (DONE, changed(DONE, pid=7, phase="over", logFile=None, completedAt=at(-1))),
        (changed(DONE, errorMessage="Orphaned: pid 1 no longer alive"), changed(DONE, errorMessage=...)),
        (FAILED, changed(FAILED, errorMessage="Orphaned: pid 1 no longer alive (before: boom)")),
        (FAILED, changed(FAILED, status="completed", errorMessage=..., result={"rawOutput": "x"})),
        (job("task-1", errorMessage="boom"), changed(FAILED, errorMessage="other")),
        (changed(DONE, threadId="thr_0"), DONE),
        (changed(DONE, request=None), changed(DONE, request=...)),
    ],
)
def test_as_good_as_before(before: Any, after: Any) -> None:
    assert record_loss(before, after) is None


@pytest.mark.parametrize(
    ("before", "after", "missed"),
    [
        (DONE, None, "could not be read"),
        (DONE, changed(DONE, result=...), "the answer"),
        (DONE, changed(DONE, result={"rawOutput": "answer of"}), "the answer"),
        (changed(DONE, result={"codex": {"stdout": "x"}}), changed(DONE, result={"codex": {}}), "the answer"),
        (changed(DONE, result=None), changed(DONE, result=None, rendered=...), "the answer"),
        (DONE, changed(DONE, status="failed"), "'completed' would be replaced by 'failed'"),
        (FAILED, changed(FAILED, status="running"), "'failed' would be replaced by 'running'"),
        (FAILED, changed(FAILED, errorMessage="Orphaned: pid 1 no longer alive"), "the error message"),
        (DONE, changed(DONE, errorMessage=...), "the error message"),
        (FAILED, changed(FAILED, threadId=None), "threadId"),
        (changed(FAILED, turnId="t"), FAILED, "turnId"),
        (changed(FAILED, updatedAt=at(-9)), changed(FAILED, updatedAt=at(0)), "updatedAt"),
        (changed(FAILED, x={"a": 1}), FAILED, "x would be changed"),
        (changed(FAILED, write=True), changed(FAILED, write=1), "write would be changed"),
    ],
)
def test_less_than_before(before: Any, after: Any, missed: str) -> None:
    assert missed in (record_loss(before, after) or "")


def index(*jobs: Any, **top: Any) -> dict[str, Any]:
    return {"version": 1, "config": {"stopReviewGate": True}, **top, "jobs": list(jobs)}


@pytest.mark.parametrize(
    ("before", "after", "missed"),
    [
        (index(FAILED, None), index(FAILED), None),
        (index({**FAILED, "id": "../x"}), index(), None),
        (index(FAILED), index(changed(FAILED, id="task-2"), FAILED), None),
        (index(job("task-1"), changed(FAILED, updatedAt=at(-9))), index(changed(FAILED, updatedAt=at(-9))), None),
        (index(FAILED, changed(FAILED, x=1)), index(FAILED), None),
        (index(FAILED), None, (None, "could not be read")),
        (index(FAILED), index(), ("task-1", "entry would be lost")),
        (index(), index(config={"stopReviewGate": False}), (None, "config would be changed")),
        (index(FAILED), index(changed(FAILED, status="cancelled", threadId=None)), ("task-1", "threadId")),
        (index(owner="x"), index(), (None, "owner would be changed")),
    ],
)
def test_what_an_index_shows(before: Any, after: Any, missed: tuple[str | None, str] | None) -> None:
    found = index_loss(before, after)
    if missed is None:
        assert found is None
    else:
        assert found is not None and found[1] == missed[0] and missed[1] in found[0]


def test_the_answer_is_the_one_that_the_plugin_prints() -> None:
    assert answer_of({"result": {"rawOutput": "", "codex": {"stdout": "b"}}, "rendered": "c"}) == "b"
    assert answer_of({"result": {"rawOutput": "a", "codex": {"stdout": "b"}}, "rendered": "c"}) == "a"
    assert answer_of({"result": "a", "rendered": "c"}) == "c"
    assert answer_of({"result": {"codex": "b"}}) is None


def test_a_rule_that_would_lose_an_answer_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last word is not any rule's: here one relabels a finished job's file and takes its answer away."""
    from stateheal.diagnosis.rules import endings

    def relabel(job: Job, *_: Any) -> Change:
        failed = {"status": "failed", "pid": None}
        return Change(job.position, failed, job.id, {**failed, "result": GONE})

    monkeypatch.setattr(endings, "_adopting", relabel)
    tree = Tree(tmp_path / "tree").add(done("task-1"), status="running", phase="starting", pid=4242).add(job("task-2"))
    before = files_in(tree.root)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert "task-1 is not repaired: the plugin would show less than before" in report.errors[0].message
    assert report.exit_status == 3 and report.healed == 1, "the other job is repaired all the same"
    name = next(each for each in before if each.endswith("task-1.json"))
    assert files_in(tree.root)[name] == before[name]


@pytest.mark.parametrize("junk", [b"\xff", b"\xe2\x82", b"\xed\xa0\x80"])
def test_a_foreign_byte_in_an_answer_is_no_damage_and_stays(tmp_path: Path, junk: bytes) -> None:
    """The job is closed in the index; its file, which the plugin reads, is not so much as touched."""
    tree = Tree(tmp_path / "tree").add(done("task-1", result={"rawOutput": "caf@ au lait"}), status="running", pid=4242)
    path = tree.path / "jobs/task-1.json"
    path.write_bytes(path.read_bytes().replace(b"@", junk))
    index = tree.path / "state.json"
    index.write_bytes(index.read_bytes().replace(b"map the", b"map " + junk))
    before = files_in(tree.path)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert [each.rule for each in report.findings if each.repair] == ["index-behind"]
    assert files_in(tree.path)["jobs/task-1.json"] == before["jobs/task-1.json"]
    assert b"map " + junk in index.read_bytes() and b'"completed"' in index.read_bytes()
    undo(journal=journal_in(tmp_path))
    assert files_in(tree.path) == before
