"""``stateheal migrate``: state between roots, after a moved project, and in today's shape."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from stateheal.cli import run
from stateheal.engine.api import audit
from stateheal.engine.commands import undo
from stateheal.errors import UsageError
from stateheal.evidence.hashes import slug, workspace_hash
from stateheal.fs.directory import Directory
from stateheal.migrate.commands import (
    Moves,
    Options,
    Pair,
    migrate,
    pairs_between,
    pairs_in_place,
    pairs_of_move,
    root_named,
)
from stateheal.model.evidence import Answer
from stateheal.model.findings import Severity
from stateheal.model.report import Moved
from stateheal.text import command_line
from tests.support import (
    NOW,
    FakeProcesses,
    Tree,
    at,
    done,
    entry_of,
    files_in,
    has_mode,
    in_json,
    job,
    journal_in,
    settle,
    stats_in,
    world,
)

PROJECT = "/home/dev/projects/demo"


class Two:
    """The same workspace in the temp root and in the plugin's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = Tree(path / "temp", plugin="codex-inline")
        self.target = Tree(path / "own")
        self.journal = journal_in(path)

    @property
    def moves(self) -> Moves:
        return Moves((Pair(self.source.path, self.target.path),))

    def move(self, processes: FakeProcesses | None = None, ask: Any = None, **options: Any) -> Moved:
        given = world(processes, **({"ask": ask} if ask else {}))
        report = migrate(self.moves, Options(**options), self.journal, given)
        assert not report.errors, report.errors
        self.report = report
        (moved,) = report.moved
        return moved

    def refused(self, **more: Any) -> str:
        """Why it is refused; fails where anything was written."""
        before = files_in(self.path)
        moved = self.move(**more)
        assert moved.refusal is not None and self.report.exit_status == 1 and self.report.run is None
        assert files_in(self.path) == before
        return moved.refusal


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def undamaged(tree: Tree, tmp_path: Path) -> None:
    report = audit([tree.path], world=world(), journal=journal_in(tmp_path))
    assert report.count(Severity.DAMAGE) == report.count(Severity.UNSURE) == 0, report.findings


def test_jobs_files_and_logs_come_along(two: Two) -> None:
    two.source.add(done("task-1")).add(done("task-2"))
    two.target.add(done("task-3"))
    before = files_in(two.source.path), stats_in(two.source.path)
    theirs = two.target.record("task-3"), two.target.entry("task-3")
    moved = two.move()
    assert (moved.jobs, moved.stays, moved.written) == (("task-1", "task-2"), (), True)
    assert (files_in(two.source.path), stats_in(two.source.path)) == before  # the source is as it was
    assert {entry["id"] for entry in two.target.read_index()["jobs"]} == {"task-1", "task-2", "task-3"}
    assert (two.target.record("task-3"), two.target.entry("task-3")) == theirs
    for ident in ("task-1", "task-2"):
        log = str(two.target.path / "jobs" / f"{ident}.log")
        assert two.target.record(ident)["logFile"] == two.target.entry(ident)["logFile"] == log
        assert Path(log).read_bytes() == (two.source.path / "jobs" / f"{ident}.log").read_bytes()
        assert Path(log).stat().st_mtime_ns == (two.source.path / "jobs" / f"{ident}.log").stat().st_mtime_ns
        assert two.target.record(ident)["result"] == two.source.record(ident)["result"]
        assert two.target.entry(ident)["updatedAt"] == two.source.entry(ident)["updatedAt"]
    undamaged(two.target, two.path)


def test_into_a_root_that_does_not_exist_yet(two: Two) -> None:
    two.source.add(done("task-1"))
    assert two.move().written
    assert two.target.read_index()["config"] == two.source.read_index()["config"]
    undamaged(two.target, two.path)


def test_a_second_time_there_is_nothing_to_do(two: Two) -> None:
    two.source.add(done("task-1")).add(job("task-2"))
    two.target.add(done("task-3"))
    assert two.move().written
    before = files_in(two.path / "own"), stats_in(two.path / "own")
    moved = two.move()
    assert not moved.written and two.report.run is None and two.report.exit_status == 0
    assert (files_in(two.path / "own"), stats_in(two.path / "own")) == before


def test_undo_takes_it_back(two: Two) -> None:
    two.source.add(done("task-1"))
    two.target.add(done("task-3"))
    before = files_in(two.path / "own")
    two.move()
    (restored,) = undo(journal=two.journal).restored
    assert restored.refusal is None and files_in(two.path / "own") == before


def test_a_dry_run_writes_nothing(two: Two) -> None:
    two.source.add(done("task-1"))
    before = files_in(two.path)
    moved = two.move(dry_run=True)
    assert moved.jobs == ("task-1",) and two.report.exit_status == 1
    assert files_in(two.path) == before and not two.target.path.exists()
    assert two.report.diffs == ()  # of an index that is not there yet, the jobs say it all
    two.target.add(done("task-2"))
    assert two.move(dry_run=True).written and len(two.report.diffs) == 1


# --- merging -------------------------------------------------------------------------------------------------------

OLDER, NEWER = at(-9000), at(-100)
LOST = {"status": "failed", "phase": "orphaned", "result": None, "rendered": None, "errorMessage": "Orphaned: x"}
"""What a job looks like that somebody else has closed."""


@pytest.mark.parametrize(
    ("ours", "theirs", "winner"),
    [
        (done("task-1"), job("task-1"), "ours"),  # finished beats active
        (job("task-1"), done("task-1"), "theirs"),
        (done("task-1", updatedAt=NEWER), done("task-1", updatedAt=OLDER), "ours"),  # then the newer
        (done("task-1", updatedAt=OLDER), done("task-1", updatedAt=NEWER), "theirs"),
        (job("task-1", updatedAt=NEWER), done("task-1", updatedAt=OLDER), "theirs"),
        (done("task-1", updatedAt=OLDER), done("task-1", updatedAt=OLDER), "theirs"),
        (done("task-1", updatedAt=OLDER), done("task-1", updatedAt=NEWER, **LOST), "ours"),  # a job's own end first
        (done("task-1", updatedAt=NEWER, **LOST), done("task-1", updatedAt=OLDER), "theirs"),
        (done("task-1", updatedAt=OLDER, **{**LOST, "result": {"rawOutput": "half"}}), done("task-1"), "theirs"),
        (done("task-1", updatedAt=NEWER, **LOST), job("task-1", updatedAt=OLDER), "ours"),
        (done("task-1", updatedAt=NEWER, **LOST), done("task-1", updatedAt=OLDER, **LOST), "ours"),
    ],
)
def test_one_id_on_both_sides(two: Two, ours: dict[str, Any], theirs: dict[str, Any], winner: str) -> None:
    two.source.add({**ours, "title": "ours"}).log("task-1", "our log\n")
    two.target.add({**theirs, "title": "theirs"}).log("task-1", "their log\n")
    two.move()
    assert two.target.record("task-1")["title"] == two.target.entry("task-1")["title"] == winner
    log = {"ours": "our log\n", "theirs": "their log\n"}[winner]
    assert (two.target.path / "jobs" / "task-1.log").read_text() == log
    assert len(two.target.read_index()["jobs"]) == 1


def test_a_log_elsewhere_is_not_copied_and_becomes_null(two: Two, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("not a log")
    two.source.add(done("task-1", logFile=str(tmp_path / "precious"))).add(done("task-2", logFile=None))
    (two.source.path / "jobs" / "task-2.log").unlink()
    two.move()
    for ident in ("task-1", "task-2"):
        assert two.target.record(ident)["logFile"] is two.target.entry(ident)["logFile"] is None
    assert not list((two.target.path / "jobs").glob("*.log"))


def test_a_log_that_the_disk_does_not_give_leaves_the_workspace_whole(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the job would have been moved, and the source packed away: the next try may read it."""
    two.source.add(done("task-1")).add(done("task-2"))
    before = files_in(two.source.path)
    real = Directory.stat

    def stat_of(self: Directory, name: str) -> os.stat_result:
        if name == "task-2.log":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, name)

    with monkeypatch.context() as failing:
        failing.setattr(Directory, "stat", stat_of)
        report = migrate(two.moves, Options(archive=True), two.journal, world())
    assert report.exit_status == 3 and not report.moved and os.strerror(errno.EIO) in report.errors[0].message
    assert files_in(two.source.path) == before and not two.target.path.exists()
    assert migrate(two.moves, Options(archive=True), two.journal, world()).moved[0].archived


@pytest.mark.links("one of the logs is a link")
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_log_with_another_name_is_not_copied_and_told(two: Two, tmp_path: Path, dry_run: bool) -> None:
    """It may be anybody's file: its name is in ``jobs/``, and its bytes may be a secret of somewhere else."""
    two.source.add(done("task-1")).add(done("task-2")).add(done("task-3"))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    jobs = two.source.path / "jobs"
    for name, put in (("task-1.log", os.link), ("task-2.log", os.symlink)):
        (jobs / name).unlink()
        put(secret, jobs / name)
    report = migrate(two.moves, Options(dry_run=dry_run), two.journal, world())
    assert [each.message.partition(": ")[0] for each in report.errors] == ["is not copied"] * 2
    assert {Path(each.path) for each in report.errors} == {jobs / "task-1.log", jobs / "task-2.log"}
    assert report.exit_status == 3 and report.moved[0].written
    if not dry_run:
        there = two.target.path / "jobs"
        assert {path.name for path in there.glob("*.log")} == {"task-3.log"}
        assert [two.target.record(f"task-{n}")["logFile"] for n in (1, 2)] == [None, None]


def test_a_source_with_a_log_of_two_names_is_not_archived(two: Two, tmp_path: Path) -> None:
    two.source.add(done("task-1"))
    os.link(two.source.path / "jobs/task-1.log", tmp_path / "elsewhere")
    before = files_in(tmp_path)
    report = migrate(two.moves, Options(archive=True), two.journal, world())
    assert "hard link" in str(report.moved[0].refusal) and files_in(tmp_path) == before


def test_the_broker_is_never_copied(two: Two) -> None:
    two.source.add(done("task-1"))
    (two.source.path / "broker.json").write_text(json.dumps({"endpoint": "unix:/gone/broker.sock", "pid": 4242}))
    two.move(ask=lambda endpoint: Answer.NO)
    assert not (two.target.path / "broker.json").exists()


def test_the_cap_is_kept_and_what_stays_behind_is_named(two: Two) -> None:
    for number in range(10):
        two.source.add(done(f"task-s{number}"), updatedAt=at(-5000 + number))
    two.target.index(*(entry_of(done(f"task-t{number}")) for number in range(45)))
    for number in range(45):
        two.target.file(done(f"task-t{number}"))
    moved = two.move(archive=True)
    assert sorted(moved.stays) == [f"task-s{number}" for number in range(5)]  # the oldest
    entries = two.target.read_index()["jobs"]
    assert len(entries) == 50 and {f"task-t{n}" for n in range(45)} <= {entry["id"] for entry in entries}
    assert not (two.target.path / "jobs" / "task-s0.json").exists()
    assert moved.archived is None and two.source.path.exists()  # not moved whole: not archived


def test_unknown_fields_layout_and_config_stay(two: Two) -> None:
    text = '{"version":1,"config":{"stopReviewGate":false,"mine":1},"jobs":[],"extra":1e3}'
    two.target.path.mkdir(parents=True)
    (two.target.path / "state.json").write_text(text)
    two.source.add(done("task-1", unknown={"a": [1]}))
    two.move()
    assert two.target.read_index()["config"] == {"stopReviewGate": False, "mine": 1}
    assert '"extra":1e3}' in (two.target.path / "state.json").read_text()
    assert two.target.record("task-1")["unknown"] == {"a": [1]}


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_live_job_is_in_the_way(two: Two, side: str) -> None:
    live = FakeProcesses().live(4242, "node", "/x/codex-companion.mjs", "task-worker", "--job-id", "task-1")
    two.source.add(done("task-9"))
    two.target.add(done("task-8"))
    getattr(two, side).add(job("task-1"))
    assert "task-1 may be running" in two.refused(processes=live)
    assert two.move().written  # once it is dead


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_job_that_a_process_still_works_on_is_in_the_way_whatever_its_record_says(two: Two, side: str) -> None:
    """Its worker would write its end where the job has gone from."""
    live = FakeProcesses().live(4242, "node", "/x/codex-companion.mjs", "task-worker", "--job-id", "task-1")
    two.source.add(done("task-9"))
    two.target.add(done("task-8"))
    getattr(two, side).add(done("task-1", status="cancelled", phase="cancelled"))
    assert "task-1 has ended by its record, but process 4242 works on it" in two.refused(processes=live)
    assert two.move().written


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("named", ["pid", "helperPid"])
def test_a_process_that_an_ended_record_names_and_that_lives_is_in_the_way(two: Two, side: str, named: str) -> None:
    """A cancelled job's bridge, whose command line names no job."""
    live = FakeProcesses().live(4242, "node", "/x/bridge.mjs", created=NOW - 7000)
    two.source.add(done("task-9"))
    two.target.add(done("task-8"))
    getattr(two, side).add(done("task-1", status="cancelled", phase="cancelled", **{"pid": None, named: 4242}))
    assert "task-1 has ended by its record, but its" in two.refused(processes=live)
    moved = two.move()
    assert moved.written, moved


def test_a_job_nobody_can_tell_about_is_in_the_way(two: Two) -> None:
    two.source.add(job("task-1", pid=None, createdAt=at(-10), startedAt=at(-10))).log("task-1")
    assert "task-1 may be running" in two.refused()


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("answer", [Answer.YES, Answer.UNKNOWN])
def test_an_answering_broker_is_in_the_way(two: Two, side: str, answer: Answer) -> None:
    two.source.add(done("task-1"))
    two.target.add(done("task-2"))
    session = {"endpoint": "unix:/tmp/broker.sock", "pid": 4242}
    (getattr(two, side).path / "broker.json").write_text(json.dumps(session))
    assert "broker" in two.refused(ask=lambda endpoint: answer)


@pytest.mark.parametrize(("gate", "expected"), [(True, True), (False, False)])
def test_a_gate_conflict_wants_an_answer(two: Two, gate: bool, expected: bool) -> None:
    two.source.add(done("task-1"))
    two.target.add(done("task-2"))
    source = two.source.read_index()
    source["config"]["stopReviewGate"] = True
    (two.source.path / "state.json").write_text(json.dumps(source, indent=2) + "\n")
    assert "--gate on or --gate off" in two.refused()
    assert two.move(gate=gate).written
    assert two.target.read_index()["config"]["stopReviewGate"] is expected


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_damaged_index_is_in_the_way(two: Two, side: str) -> None:
    two.source.add(done("task-1"))
    two.target.add(done("task-2"))
    (getattr(two, side).path / "state.json").write_text('{"version": 1, "jobs": [')
    settle(two.path)
    assert "heal it first" in two.refused()


LIVE = FakeProcesses().live(4242, "node", "/x/codex-companion.mjs", "task-worker", "--job-id", "task-1")


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda tree: tree.index(None, *tree.read_index()["jobs"]), "null-entry"),
        (lambda tree: tree.index(*tree.read_index()["jobs"], tree.read_index()["jobs"][0]), "duplicate-id"),
        (lambda tree: tree.index(*tree.read_index()["jobs"], {"title": "no id"}), ""),
        (
            lambda tree: (tree.path / "jobs" / "task-mnyhf4jl-1mnkv1.json").write_text(
                '{"status": "running", "pid": 4242'
            ),
            "",
        ),
        (lambda tree: tree.file(done("task-7")), "unindexed"),
        (lambda tree: tree.add(done("task-7"), status="running", phase="running", pid=4343), "index-behind"),
    ],
)
def test_damage_that_would_be_moved_wrongly_is_in_the_way(two: Two, side: str, damage: Any, rule: str) -> None:
    two.source.add(done("task-8"))
    two.target.add(done("task-9"))
    damage(getattr(two, side))
    for path in two.path.rglob("*.json"):
        os.utime(path, (0, 0))  # no write in progress
    why = two.refused(processes=LIVE, archive=True)
    assert "first" in why and rule in why


def test_a_broker_alone_is_in_the_way_too(two: Two) -> None:
    two.source.add(done("task-1"))
    two.target.path.mkdir(parents=True)
    (two.target.path / "broker.json").write_text(json.dumps({"endpoint": "unix:/tmp/broker.sock", "pid": 4242}))
    assert "broker" in two.refused(ask=lambda endpoint: Answer.YES)


@pytest.mark.links("a link is what it is about")
def test_a_link_in_the_targets_place_is_not_written_through(two: Two) -> None:
    two.source.add(done("task-1"))
    (two.path / "victim").mkdir()
    two.target.path.parent.mkdir(parents=True)
    two.target.path.symlink_to(two.path / "victim")
    assert "not a directory" in two.refused()
    assert not list((two.path / "victim").iterdir())


@pytest.mark.links("a link is what is in the way")
@pytest.mark.parametrize("odd", ["task-1.log", "task-1.json"])
def test_what_is_no_plain_file_in_the_target_is_in_the_way(two: Two, odd: str) -> None:
    two.source.add(done("task-1"))
    two.target.add(done("task-2"))
    (two.target.path / "jobs" / odd).symlink_to("/etc/hostname")
    assert "in the way" in two.refused() or "unreadable" in two.refused() or "link" in two.refused()


def test_what_cannot_be_archived_is_refused_before_anything_is_written(two: Two) -> None:
    two.source.add(done("task-1"))
    (two.source.path / "jobs" / "odd").mkdir()
    assert "cannot be archived" in two.refused(archive=True)
    assert two.move().written


@pytest.mark.posix("modes")
def test_permissions_are_not_widened_and_come_back(two: Two) -> None:
    two.source.add(done("task-1"))
    for path in (two.source.path, two.source.path / "jobs"):
        path.chmod(0o700)
    for path in two.source.path.rglob("*.*"):
        path.chmod(0o600)
    two.move(archive=True)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (two.target.path, *two.target.path.rglob("*"))}
    assert {mode for name, mode in modes.items() if "." in name} == {0o600}
    assert modes["jobs"] == modes[two.target.path.name] == 0o700
    undo(journal=two.journal)
    for path in (two.source.path, two.source.path / "jobs"):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_stop_is_no_success(two: Two) -> None:
    two.source.add(done("task-1"))
    stops = iter([False, False, True, True, True])
    given = world(stop=lambda: next(stops, True))
    report = migrate(two.moves, Options(archive=True), two.journal, given)
    assert "stopped" in (report.moved[0].refusal or "") and report.exit_status == 1 and two.source.path.exists()
    assert two.move(archive=True).archived  # and it can be run again


def test_an_unknown_version_is_in_the_way(two: Two) -> None:
    two.source.index(version=2)
    assert "version" in two.refused()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give a directory away")
@pytest.mark.parametrize("side", ["source", "target"])
def test_somebody_elses_directory_is_in_the_way(two: Two, side: str) -> None:
    two.source.add(done("task-1"))
    two.target.add(done("task-2"))
    os.chown(getattr(two, side).path, 65534, 65534)
    assert "belongs to another user" in two.refused()


def test_one_refusal_does_not_keep_the_others(two: Two, tmp_path: Path) -> None:
    two.source.index(version=2)
    other = Tree(tmp_path / "temp", project="/other", plugin="codex-inline").add(done("task-1"))
    target = Tree(tmp_path / "own", project="/other")
    pairs = [Pair(two.source.path, two.target.path), Pair(other.path, target.path)]
    report = migrate(Moves(tuple(pairs)), Options(), two.journal, world())
    assert [bool(each.refusal) for each in report.moved] == [True, False] and target.path.exists()


# --- archiving -----------------------------------------------------------------------------------------------------


def test_an_archived_source_is_packed_and_gone_and_undo_brings_it_back(two: Two) -> None:
    two.source.add(done("task-1")).add(job("task-2"))  # a dead job moves as it is
    (two.source.path / "jobs" / "task-1.request.json").write_text("{}")
    before = files_in(two.source.path)
    moved = two.move(archive=True)
    assert not two.source.path.exists() and moved.archived is not None
    with tarfile.open(moved.archived) as packed:
        names = {name.partition("/")[2] for name in packed.getnames() if name.endswith((".json", ".log"))}
    assert names == set(before)
    assert has_mode(Path(moved.archived), 0o600)
    restored = undo(journal=two.journal).restored
    assert [each.refusal for each in restored] == [None, None]
    assert files_in(two.source.path) == before and not two.target.path.exists()  # not even empty directories
    again = two.move(archive=True, dry_run=True)
    assert again.archives and two.report.exit_status == 1


# --- moved projects, old records -----------------------------------------------------------------------------------


def test_a_project_that_moved(tmp_path: Path, isolated: Path) -> None:
    old, new = tmp_path / "old name", tmp_path / "new"
    new.mkdir()
    tree = Tree(isolated / "home/.claude", project=str(old))
    tree.add(done("task-1", workspaceRoot=str(old))).add(done("task-2", workspaceRoot="/elsewhere"))
    name = f"{slug(str(new))}-{workspace_hash(str(new.resolve()))}"
    report = migrate(pairs_of_move(str(old), str(new), name), Options(), journal_in(tmp_path), world())
    assert report.exit_status == 0
    moved = Tree(isolated / "home/.claude", project=str(new.resolve()))
    assert moved.path.name == name
    assert moved.record("task-1")["workspaceRoot"] == moved.entry("task-1")["workspaceRoot"] == str(new)
    assert moved.record("task-2")["workspaceRoot"] == "/elsewhere"
    assert moved.record("task-1")["logFile"] == str(moved.path / "jobs" / "task-1.log")
    with pytest.raises(UsageError, match="no state"):
        pairs_of_move(str(tmp_path / "nobody"), str(new), name)


def test_old_records_get_todays_shape_and_no_other_change(tmp_path: Path, isolated: Path) -> None:
    tree = Tree(isolated / "home/.claude")
    tree.add(done("task-1", phase=..., kindLabel=...))
    tree.add(done("task-2", phase="odd", kindLabel="mine"))
    tree.add(job("task-3", phase=..., kindLabel=..., kind="review", jobClass="review", status="failed", pid=None))
    tree.add(
        job(
            "task-4",
            phase=...,
            kindLabel=...,
            kind="adversarial-review",
            jobClass="review",
            status="cancelled",
            pid=None,
        )
    )
    untouched = tree.record("task-2"), tree.entry("task-2")
    before = {ident: tree.record(ident) for ident in ("task-1", "task-3", "task-4")}
    report = migrate(pairs_in_place(str(tree.state)), Options(upgrade=True), journal_in(tmp_path), world())
    assert report.moved[0].jobs == ("task-1", "task-3", "task-4")
    for ident, phase, label in (
        ("task-1", "done", "rescue"),
        ("task-3", "failed", "review"),
        ("task-4", "cancelled", "adversarial-review"),
    ):
        assert tree.record(ident) == {**before[ident], "phase": phase, "kindLabel": label}
        assert (tree.entry(ident)["phase"], tree.entry(ident)["kindLabel"]) == (phase, label)
    assert (tree.record("task-2"), tree.entry("task-2")) == untouched
    again = migrate(pairs_in_place(str(tree.state)), Options(upgrade=True), journal_in(tmp_path), world())
    assert not again.moved[0].written


# --- names of roots, the command -----------------------------------------------------------------------------------


def test_names_of_roots(tmp_path: Path, isolated: Path) -> None:
    config = isolated / "home/.claude"
    assert root_named("temp") == isolated / "tmp/codex-companion"
    with pytest.raises(UsageError, match="no plugin of that name"):
        root_named("codex-openia-codex")
    assert root_named(str(config / "plugins/data/x/state")) == config / "plugins/data/x/state"
    tree = Tree(config).add(done("task-1"))
    assert root_named("codex-openai-codex") == config / "plugins/data/codex-openai-codex/state"
    assert root_named(str(config / "plugins/data/new")) == config / "plugins/data/new/state"
    assert root_named(str(config)) == root_named(str(tree.state)) == root_named(str(tree.state.parent)) == tree.state
    Tree(config, plugin="codex-inline").add(done("task-1"))
    with pytest.raises(UsageError, match="2 plugins"):
        root_named(str(config))
    with pytest.raises(UsageError, match="no such directory"):
        root_named(str(tmp_path / "no/where"))
    with pytest.raises(UsageError, match="one workspace"):
        root_named(str(tree.path))
    with pytest.raises(UsageError, match="lies in the source"):
        pairs_between(str(tree.state), str(tree.path / "state"))
    with pytest.raises(UsageError):
        root_named("~nouser/x")
    with pytest.raises(UsageError):
        root_named("x" * 300)
    with pytest.raises(UsageError, match="the same"):
        pairs_between("codex-inline", "codex-inline")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "stateheal", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60)


@pytest.mark.processes
def test_the_command(tmp_path: Path, isolated: Path) -> None:
    (tmp_path / "project").mkdir()
    project = str((tmp_path / "project").resolve())
    own = Tree(isolated / "home/.claude", project=project).add(done("task-1", workspaceRoot=project))
    place = isolated / "tmp/codex-companion" / own.path.name
    temp = Tree(tmp_path / "made", project=project).add(done("task-2", workspaceRoot=project))
    place.parent.mkdir()
    temp.path.rename(place)
    listed = json.loads(command("audit", "--format", "json").stdout)
    (notice, other) = [each for each in listed["findings"] if each["rule"] == "split-root"]
    assert "kB)" in notice["message"] or "bytes)" in notice["message"]
    suggested = notice["evidence"].partition("stateheal ")[2].replace('"', "").split()
    assert suggested == ["migrate", "--from", str(place.parent), "--to", str(own.state), "--cwd", project, "--archive"]
    assert other["evidence"] == notice["evidence"]
    told = command(*suggested, "-n")
    assert told.returncode == 1 and "would be packed and removed" in told.stdout
    dry = command("migrate", "-n", "--from", "temp", "--to", "codex-openai-codex")
    assert '"id": "task-2"' in dry.stdout and "1 would be written, 0 refused" in dry.stdout
    done_ = command(*suggested)
    assert done_.returncode == 0 and "1 job to" in done_.stdout and "packed in" in done_.stdout, (
        done_.stdout + done_.stderr
    )
    assert {entry["id"] for entry in own.read_index()["jobs"]} == {"task-1", "task-2"}
    assert json.loads(command("audit", "--format", "json").stdout)["findings"] == []
    assert "migrate" in command("history").stdout
    assert command("undo").returncode == 0 and place.exists()


@pytest.mark.processes
def test_the_json_report_is_what_its_schema_says(tmp_path: Path, isolated: Path) -> None:
    from stateheal.evidence.schema import violations

    Tree(isolated / "home/.claude", plugin="codex-inline").add(done("task-1"))
    (isolated / "home/.claude/plugins/data/codex-openai-codex").mkdir()
    said = json.loads(
        command("migrate", "--from", "codex-inline", "--to", "codex-openai-codex", "--format", "json").stdout
    )
    assert violations("report", said) == () and said["moved"][0]["jobs"] == ["task-1"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--from", "temp"],
        ["--to", "temp"],
        ["--from", "temp", "--to", "codex-x"],
        ["--workspace", "/a", "/b", "--to", "x"],
        ["--workspace", "/no/where", "/tmp"],
        ["--workspace", "/tmp", "/no/where"],
        ["--upgrade"],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.processes
def test_a_gone_workspace_is_named_with_the_command(tmp_path: Path, isolated: Path) -> None:
    gone = tmp_path / "it's gone"
    Tree(isolated / "home/.claude", project=str(gone)).add(done("task-1", workspaceRoot=str(gone)))
    (finding,) = json.loads(command("audit", "--format", "json").stdout)["findings"]
    assert finding["rule"] == "gone-workspace" and str(gone) in finding["message"]
    said = command_line(
        ["stateheal", "migrate", "--from", str(Path(finding["path"]).parent), "--workspace", str(gone), "NEW"]
    )
    assert said in finding["evidence"]
    (tmp_path / "new home").mkdir()
    moved = command("migrate", "--workspace", str(gone), str(tmp_path / "new home"))
    assert moved.returncode == 0, moved.stdout + moved.stderr
    new = Tree(isolated / "home/.claude", project=str((tmp_path / "new home").resolve()))
    assert new.record("task-1")["workspaceRoot"] == str(tmp_path / "new home")


def test_interrupted_at_any_point_it_can_be_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended before every single write in turn: the next run ends where an undisturbed one does, and undo works."""
    from stateheal.commit import apply

    write = apply._perform
    expected: dict[str, bytes] = {}
    for stop_at in range(20):
        two = Two(tmp_path / str(stop_at))
        two.source.add(done("task-1")).add(done("task-2"))
        two.target.add(done("task-3"))
        done_ = 0

        def counted(*arguments: Any, stop_at: int = stop_at) -> None:
            nonlocal done_
            if done_ == stop_at:
                raise KeyboardInterrupt
            done_ += 1
            write(*arguments)

        before = files_in(two.path / "own")
        monkeypatch.setattr(apply, "_perform", counted)
        finished = True
        try:
            two.move(archive=True)
        except KeyboardInterrupt:
            finished = False
        monkeypatch.setattr(apply, "_perform", write)
        if two.source.path.exists():
            two.move(archive=True)
        found = {
            name: data.replace(in_json(two.path).encode(), b"") for name, data in files_in(two.path / "own").items()
        }
        expected = expected or found
        assert found == expected and not list(two.source.path.rglob("*.json"))
        while any(run.undone_word != "yes" for run in two.journal.runs()):
            assert all(each.refusal is None for each in undo(journal=two.journal).restored)
        assert files_in(two.path / "own") == before
        if finished:
            break
    else:
        raise AssertionError("it never came to its end")
