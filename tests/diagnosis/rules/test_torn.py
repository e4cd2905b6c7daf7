"""Torn is proven, not guessed: what is on its way is left, what stands whole is taken, nothing is invented."""

from __future__ import annotations

import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateheal.engine.api import audit, heal
from stateheal.formats.jsonsalvage import gate_in, salvage
from stateheal.formats.jsontext import write
from stateheal.model.findings import Outcome, Severity
from tests.support import (
    FIELD_DATA,
    HOST,
    NOW,
    FakeProcesses,
    Tree,
    at,
    done,
    entry_of,
    files_in,
    job,
    journal_in,
    settle,
    world,
    write_json,
)

INDEX = json.loads(next(FIELD_DATA.rglob("superbem*/state.json")).read_text())


@given(st.integers(0, len(write(INDEX))))
def test_whatever_is_cut_off_what_is_left_is_told_truly(length: int) -> None:
    """Every salvaged entry is one that was there, whole; none that stood whole is missed."""
    data = write(INDEX)[:length]
    found = [each for each in salvage(data).objects if "id" in each or "jobs" in each]
    if found and "jobs" in found[0]:
        assert found[0] == INDEX
        return
    assert found == INDEX["jobs"][: len(found)]
    assert len(found) == sum(data.find(write(entry)[:-1].replace(b"\n", b"\n    ")) >= 0 for entry in INDEX["jobs"])


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_can_be_salvaged_without_trouble(before: bytes, after: bytes) -> None:
    inner = write({"id": "x", "status": "completed"})
    for found in salvage(before + inner + after).objects:
        assert isinstance(found, dict)


def test_a_hostile_text_does_not_cost_its_square() -> None:
    began = time.perf_counter()
    salvage(b'{"a":' * 400 + b"x" + b"{" * 100_000)
    salvage((b'{"a": 1, ' + b" " * 1000) * 5000)
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize(
    ("data", "members"),
    [
        (b'{"id": "a", "n": 12', {"id": "a"}),
        (b'{"id": "a", "n": 12}', {"id": "a", "n": 12}),
        (b'{"id": "a", "result": {"rawOutput": "whole", "touched', {"id": "a", "result": {"rawOutput": "whole"}}),
        (b'{"id": "a", "result": {"rawOutput": "cut he', {"id": "a"}),
        (b'{"id": "a", "x": "\xff", "y": 1', {"id": "a", "x": "\ufffd"}),
        (b'{"id": "a", "x": "\xe2\x82', {"id": "a"}),
        (b'{"id": "a", "x": tru', {"id": "a"}),
        (b"\0\0\0", {}),
    ],
)
def test_members_are_taken_whole_or_not_at_all(data: bytes, members: dict[str, Any]) -> None:
    assert salvage(data).members == members


@pytest.mark.parametrize(
    ("data", "gate"),
    [
        (b'{"config": {"stopReviewGate": true', True),
        (b'"stopReviewGate":false', False),
        (b'"stopReviewGate": false "stopReviewGate" : true', True),
        (b'"prompt": "why is \\"stopReviewGate\\": true?"', None),
        (b'"stopReviewGate": tru', None),
        (b"", None),
    ],
)
def test_the_gate_is_read_literally(data: bytes, gate: bool | None) -> None:
    assert gate_in(data) is gate


def test_half_a_result_does_not_pass_for_an_answer(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1", result={"target": {"mode": "x"}, "rawOutput": "the answer"}))
    path = tree.path / "jobs/task-1.json"
    whole = path.read_bytes()
    for cut, kept in ((whole.index(b"the answer") + 4, False), (whole.index(b"the answer") + 11, True)):
        path.write_bytes(whole[:cut])
        os.utime(path, (1, 1))
        heal([tree.root], world=world(), journal=journal_in(tmp_path))
        assert ("result" in tree.record("task-1")) is kept and tree.record("task-1")["status"] == "completed"


# --- on its way or torn --------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A workspace whose index was emptied a second ago, as by a writer between truncate and write."""
    made = Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2"))
    (made.path / "state.json").write_bytes(b"")
    os.utime(made.path / "state.json", (NOW - 1, NOW - 1))
    return made


def naps_in(naps: list[float], then: Any = None) -> Any:
    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if then:
            then()

    return sleep


def test_a_write_in_progress_is_waited_for(tree: Tree, tmp_path: Path) -> None:
    naps: list[float] = []

    def written() -> None:
        tree.index(entry_of(job("task-1")), entry_of(done("task-2")))

    report = heal([tree.root], world=world(sleep=naps_in(naps, written)), journal=journal_in(tmp_path))
    assert naps == [0.5]
    assert "torn-index" not in {finding.rule for finding in report.findings}
    assert tree.entry("task-1")["phase"] == "orphaned"


def test_what_stays_the_same_is_torn(tree: Tree, tmp_path: Path) -> None:
    naps: list[float] = []
    report = heal([tree.root], world=world(sleep=naps_in(naps)), journal=journal_in(tmp_path))
    assert naps == [0.5] and report.healed == report.count(Severity.DAMAGE) > 0
    assert {entry["id"] for entry in tree.read_index()["jobs"]} == {"task-1", "task-2"}


def test_what_changes_but_does_not_parse_yet_is_unsure(tree: Tree, tmp_path: Path) -> None:
    def still_writing() -> None:
        (tree.path / "state.json").write_bytes(b'{"version": 1, ')
        os.utime(tree.path / "state.json", (NOW, NOW))

    before = files_in(tree.path / "jobs")
    report = heal([tree.root], world=world(sleep=naps_in([], still_writing)), journal=journal_in(tmp_path))
    assert [(f.rule, f.severity) for f in report.findings] == [("torn-index", Severity.UNSURE)]
    assert report.exit_status == 0 and files_in(tree.path / "jobs") == before


def test_all_doubtful_files_share_one_wait(tmp_path: Path) -> None:
    for number in range(3):
        made = Tree(tmp_path / "tree", f"/home/dev/p{number}").add(job("task-1"))
        (made.path / "state.json").write_bytes(b"{")
        os.utime(made.path / "state.json", (NOW - 1, NOW - 1))
    naps: list[float] = []
    report = audit([tmp_path / "tree"], world=world(sleep=naps_in(naps)), journal=journal_in(tmp_path))
    assert naps == [0.5]
    assert [f.rule for f in report.findings].count("torn-index") == 3 and report.workspaces == 3


def test_an_old_torn_file_is_not_waited_for(tree: Tree, tmp_path: Path) -> None:
    os.utime(tree.path / "state.json", (NOW - 60, NOW - 60))
    naps: list[float] = []
    report = audit([tree.root], world=world(sleep=naps_in(naps)), journal=journal_in(tmp_path))
    assert naps == [] and "torn-index" in {finding.rule for finding in report.findings}


def test_a_torn_job_file_on_its_way_is_left(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(job("task-1"))
    path = made.path / "jobs/task-1.json"

    def still_writing() -> None:
        path.write_bytes(path.read_bytes()[:20] + b" ")
        os.utime(path, (NOW, NOW))

    still_writing()
    path.write_bytes(b'{"id": "task-1"')
    os.utime(path, (NOW, NOW))
    report = heal([made.root], world=world(sleep=naps_in([], still_writing)), journal=journal_in(tmp_path))
    assert [(f.rule, f.severity) for f in report.findings] == [("torn-job", Severity.UNSURE)]
    assert made.entry("task-1")["status"] == "running"


# --- what is kept --------------------------------------------------------------------------------------------------


def test_the_raw_bytes_are_in_the_journal(tree: Tree, tmp_path: Path) -> None:
    (tree.path / "state.json").write_bytes(b"raw \0 bytes")
    os.utime(tree.path / "state.json", (1, 1))
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    with tarfile.open(journal_in(tmp_path).runs_path / str(report.run) / "0001.tar") as tar:
        member = tar.extractfile("state.json")
        assert member is not None and member.read() == b"raw \0 bytes"


def test_the_report_says_whether_the_gate_could_be_known(tree: Tree, tmp_path: Path) -> None:
    def repair(data: bytes) -> str:
        (tree.path / "state.json").write_bytes(data)
        os.utime(tree.path / "state.json", (1, 1))
        report = audit([tree.root], world=world(), journal=journal_in(tmp_path))
        return next(f.repair or "" for f in report.findings if f.rule == "torn-index")

    assert "cannot be known" in repair(b"")
    assert "stays on" in repair(b'{"config": {"stopReviewGate": true}')
    assert "stays off" in repair(b'{"config": {"stopReviewGate": false}')


def test_what_is_added_to_the_index_is_copied_to_the_journal(tmp_path: Path) -> None:
    """What is indexed the plugin may prune, or delete at the end of its session."""
    tree = Tree(tmp_path / "tree").add(done("task-1")).file(done("task-lost")).log("task-lost")
    originals = files_in(tree.path)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert [(f.rule, f.outcome) for f in report.findings] == [
        ("unindexed", Outcome.HEALED),
        ("moved-log", Outcome.FOUND),
    ]
    with tarfile.open(journal_in(tmp_path).runs_path / str(report.run) / "0001.tar") as tar:
        for name in ("jobs/task-lost.json", "jobs/task-lost.log"):
            member = tar.extractfile(f"kept/{name}")
            assert member is not None and member.read() == originals[name]


def test_narrowed_to_one_job_a_torn_index_is_left(tree: Tree, tmp_path: Path) -> None:
    os.utime(tree.path / "state.json", (1, 1))
    report = heal([tree.root], job="task-1", world=world(), journal=journal_in(tmp_path))
    assert (tree.path / "state.json").read_bytes() == b""
    assert {f.rule for f in report.findings} <= {"dead-pid", "moved-log"}


def test_in_another_plugins_directory_a_torn_index_is_left(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", plugin="friend").add(job("task-1"))
    (tree.path / "state.json").write_bytes(b"{")
    os.utime(tree.path / "state.json", (1, 1))
    before = files_in(tree.root)
    found = heal([tree.root], world=world(), journal=journal_in(tmp_path)).findings
    assert [each.rule for each in found] == ["unread-state"]
    assert files_in(tree.root) == before


def test_a_live_job_keeps_its_torn_file(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    path = tree.path / "jobs/task-1.json"
    path.write_bytes(path.read_bytes()[:100])
    os.utime(path, (1, 1))
    alive = FakeProcesses(facts_of_host=HOST._replace()).live(4242, "node", "/x/codex-companion.mjs", "task")
    report = heal([tree.root], world=world(alive), journal=journal_in(tmp_path))
    assert report.run is None and [f.severity for f in report.findings] == [Severity.UNSURE]


def test_a_file_that_only_a_torn_index_names_is_its_record(tmp_path: Path) -> None:
    """Its own id is lost; what can still be read of the index says whose it is, so that one heal settles both."""
    tree = Tree(tmp_path / "tree").add(done("task-0")).add(job("task-1", threadId="thr_1"))
    write_json(tree.path / "jobs/task-1.json", {k: v for k, v in tree.record("task-1").items() if k != "id"})
    path = tree.path / "state.json"
    path.write_bytes(b"x" + path.read_bytes())
    settle(tree.path)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert {"torn-index", "dead-pid"} <= {finding.rule for finding in report.findings}
    assert tree.record("task-1")["status"] == tree.entry("task-1")["status"] == "failed"
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).run is None


def test_a_wrong_escape_in_a_key_ends_what_stands_whole() -> None:
    """It once ended the whole audit."""
    assert salvage(b'{"id": "task-1", "\\created": 1, "pid": 7').members == {"id": "task-1"}


# --- what stands in it stays (field guide section 11) ----------------------------------------------------------------


def torn_index(tree: Tree, data: bytes) -> None:
    path = tree.path / "state.json"
    path.write_bytes(data)
    os.utime(path, (NOW - 3600, NOW - 3600))


@pytest.mark.parametrize("spelling", ["2", "2.5", '"2"', "null", "0", "17", "true"])
@pytest.mark.parametrize("left", ["cut in the jobs", "cut right behind it", "NULs behind", "junk behind"])
def test_a_readable_version_that_is_unknown_is_never_rewritten(tmp_path: Path, spelling: str, left: str) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2"))
    whole = (tree.path / "state.json").read_bytes().replace(b'"version": 1', b'"version": ' + spelling.encode(), 1)
    data = {
        "cut in the jobs": whole[: whole.index(b'"task-2"') + 20],
        "cut right behind it": whole[: whole.index(spelling.encode()) + len(spelling)],
        "NULs behind": whole + bytes(40),
        "junk behind": whole + b"}}",
    }[left]
    torn_index(tree, data)
    before = files_in(tree.root)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert files_in(tree.root) == before and report.exit_status == 0
    assert any("version" in each.message and "damaged" in each.message for each in report.findings)


@pytest.mark.parametrize("left", ["NULs behind", "junk behind", "its first bytes lost", "twice"])
def test_a_version_that_stands_behind_the_jobs_counts_as_well(tmp_path: Path, left: str) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2"))
    index = tree.read_index()
    whole = json.dumps({"config": index["config"], "jobs": index["jobs"], "version": 2}, indent=2).encode()
    lost = bytes(20) + whole[20:]
    data = {"NULs behind": whole + bytes(40), "junk behind": whole + b"}}", "twice": whole * 2}.get(left, lost)
    torn_index(tree, data)
    before = files_in(tree.root)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert files_in(tree.root) == before and report.exit_status == 0
    assert any("version 2" in each.message for each in report.findings)


def test_a_version_inside_a_job_is_not_the_indexs(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-2"))
    torn_index(tree, b'{"jobs": [{"id": "task-2", "version": 2, "status": "completed"}, {"id"')
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert tree.read_index()["version"] == 1


def test_readable_keys_at_the_top_stay(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    entry = tree.entry("task-1")
    whole = {"version": 1, "epoch": 9, "owner": {"tool": "x"}, "config": {"stopReviewGate": True, "model": "m"}}
    for data in (
        json.dumps({**whole, "jobs": [entry, entry]}).encode()[:-40],
        json.dumps({**whole, "jobs": [entry]}).encode() + bytes(9),
    ):
        torn_index(tree, data)
        heal([tree.root], world=world(), journal=journal_in(tmp_path))
        healed = tree.read_index()
        assert {key: healed[key] for key in whole} == whole
        assert [each["id"] for each in healed["jobs"]] == ["task-1"]
    torn_index(tree, json.dumps(whole).encode()[:-6])  # amid the last key of its configuration
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert tree.read_index()["config"] == {"stopReviewGate": True} and tree.read_index()["epoch"] == 9


def test_of_an_entry_and_its_file_the_newer_wins_field_by_field(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    tree.add(done("task-1", summary="the prompt", extra="file only"), summary="Handled it.", updatedAt=at(-3599))
    tree.add(
        done("task-2", summary="the prompt", completedAt=at(-60)),
        summary="older",
        updatedAt=at(-7000),
        completedAt=at(-7000),
    )
    tree.add(done("task-3"), status="running", phase="running", completedAt=..., updatedAt=at(-7000))
    torn_index(tree, (tree.path / "state.json").read_bytes() + b"x")
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert tree.entry("task-1")["summary"] == "Handled it." and tree.entry("task-1")["extra"] == "file only"
    assert tree.entry("task-2")["summary"] == "the prompt" and tree.entry("task-2")["completedAt"] == at(-60)
    assert tree.entry("task-3")["status"] == "completed"


# --- what stands behind the damage -----------------------------------------------------------------------------------


def damage(path: Path, right: bytes, wrong: bytes) -> None:
    data = path.read_bytes()
    assert right in data
    path.write_bytes(data.replace(right, wrong, 1))
    os.utime(path, (NOW - 3600, NOW - 3600))


@pytest.mark.parametrize("wrong", [b"map\x01", b'map "', bytes(40), b"map \\q"])
def test_an_answer_behind_a_wrong_byte_stays(tmp_path: Path, wrong: bytes) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    whole = tree.record("task-1")
    damage(tree.path / "jobs/task-1.json", b"map the failing tests"[: 40 if len(wrong) < 40 else 3], wrong)
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    healed = tree.record("task-1")
    assert {key: healed[key] for key in ("status", "result", "rendered", "pid", "turnId")} == {
        key: whole[key] for key in ("status", "result", "rendered", "pid", "turnId")
    }


@pytest.mark.parametrize("wrong", [b"map\x01", b'map "'])
def test_an_entry_with_a_wrong_byte_and_no_job_file_stays(tmp_path: Path, wrong: bytes) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1")).add(done("task-2")).add(done("task-3"))
    for path in (tree.path / "jobs").iterdir():
        path.unlink()
    whole = tree.entry("task-1")
    damage(tree.path / "state.json", b"map", wrong)
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert sorted(entry["id"] for entry in tree.read_index()["jobs"]) == ["task-1", "task-2", "task-3"]
    assert tree.entry("task-1") == {key: value for key, value in whole.items() if key != "summary"}


@pytest.mark.parametrize("field", ["pid", "agentPid"])
def test_a_process_that_cannot_be_read_any_more_may_live(tmp_path: Path, field: str) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1", pid=None, **({"agentPid": 4242} if field != "pid" else {})))
    (tree.path / "state.json").unlink()
    path = tree.path / "jobs/task-1.json"
    damage(path, f'"{field}": '.encode(), f'"{field}": \x01'.encode())
    path.rename(tree.path / "jobs/task-mnyhf4jl-1mnkv1.json")
    (tree.path / "jobs/task-mnyhf4jl-1mnkv1.json").write_bytes(
        (tree.path / "jobs/task-mnyhf4jl-1mnkv1.json").read_bytes().replace(b"task-1", b"task-mnyhf4jl-1mnkv1")
    )
    settle(tree.path)
    before = files_in(tree.path)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert files_in(tree.path) == before
    assert any(f.rule == "torn-job" and f.severity is Severity.UNSURE and field in f.message for f in report.findings)
