"""audit and heal from end to end: the field data, races between diagnosis and write, several at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import stateheal
from stateheal.commit.lock import workspace_lock
from stateheal.commit.replacement import Replacement
from stateheal.engine.api import audit, heal
from stateheal.engine.commands import undo
from stateheal.engine.retry import ATTEMPTS
from stateheal.evidence import jobs as gathering
from stateheal.evidence import workspace as workspace_of
from stateheal.fs.directory import open_directory
from stateheal.model.findings import Outcome, Severity
from stateheal.model.liveness import ProcessFacts
from tests.support import (
    FIELD_DATA,
    HOST,
    FakeProcesses,
    Tree,
    at,
    done,
    entry_of,
    files_in,
    job,
    journal_in,
    stats_in,
    survivors,
    world,
    write_json,
)


@pytest.fixture
def field(tmp_path: Path) -> Path:
    copy = tmp_path / "field"
    shutil.copytree(FIELD_DATA, copy)
    return copy


@pytest.mark.posix("the brokers that it names are another system's on Windows")
def test_the_field_data_from_audit_to_undo(field: Path, tmp_path: Path) -> None:
    """Every process in it is long dead: 16 orphans among 30 jobs, and a dead broker in each of four workspaces."""
    journal, original = journal_in(tmp_path), files_in(field)
    seen = audit([field], world=world())
    assert (seen.workspaces, seen.jobs, seen.count(Severity.DAMAGE), seen.exit_status) == (4, 30, 20, 1)
    foretold = heal([field], dry_run=True, world=world(), journal=journal)
    assert {f.outcome for f in foretold.findings if f.severity is Severity.DAMAGE} == {Outcome.WOULD_HEAL}
    assert len(foretold.diffs) == 16 + 4 + 4 and foretold.exit_status == 1
    assert files_in(field) == original

    healed = heal([field], world=world(), journal=journal)
    assert (healed.healed, healed.remaining, healed.exit_status) == (20, 0, 0)
    for diff in foretold.diffs:
        path = field / "plugins/data/codex-openai-codex/state" / diff.name
        now = path.read_bytes() if path.exists() else None
        assert now == diff.after, "a dry run foretells the very bytes"
    again = heal([field], world=world(), journal=journal)
    assert (again.count(Severity.DAMAGE), again.run, again.exit_status) == (0, None, 0)

    assert undo(journal=journal).exit_status == 0
    assert files_in(field) == original


def test_what_heal_changes_in_a_record_and_what_it_leaves(tmp_path: Path) -> None:
    record = job("task-1", threadId="thr_7", custom={"n": 12345678901234567890}, errorMessage="first trouble")
    tree = Tree(tmp_path / "tree").add(record)
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    expected = {
        "status": "failed",
        "phase": "orphaned",
        "pid": None,
        "completedAt": at(-7200),
        "errorMessage": "Orphaned: pid 4242 no longer alive (before: first trouble)",
    }
    record["logFile"] = str(tree.path.resolve() / "jobs/task-1.log")
    assert tree.record("task-1") == {**record, **expected}
    assert tree.entry("task-1") == {**entry_of(record), **expected}
    assert list(tree.record("task-1"))[:-1] == list(record), "keys keep their order, new ones go last"
    log = (tree.path / "jobs/task-1.log").read_text().splitlines()[-1]
    assert log == f"[{at(0)}] {expected['errorMessage'].split(' (')[0]} (was running/starting)"


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_pushed_out_of_a_full_index(tmp_path: Path, seed: int) -> None:
    """The plugin keeps the 50 newest by updatedAt at every write; a heal must not change which those are (#3)."""
    rng = random.Random(seed)
    tree = Tree(tmp_path / "tree")
    entries = []
    for number in range(50):
        make = rng.choice([job, done])
        record = make(f"task-{number:02}", pid=rng.choice([4242, None]))
        tree.file(record)
        entries.append(entry_of(record, updatedAt=at(-rng.randrange(10**6))))
    tree.index(*entries)
    finished = {entry["id"] for entry in entries if entry["status"] == "completed"}
    before = survivors(entries) & finished
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    after = tree.read_index()["jobs"]
    assert [entry.get("updatedAt") for entry in after] == [entry.get("updatedAt") for entry in entries]
    assert before <= survivors(after)


def test_a_live_job_is_never_touched(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-live", pid=7000)).add(job("task-dead"))
    live = tree.path / "jobs/task-live.json"
    before, entry = stats_in(tree.path)["jobs/task-live.json"], tree.entry("task-live")
    table = FakeProcesses().live(7000, "node", "/x/codex-companion.mjs", "task")
    report = heal([tree.root], world=world(table), journal=journal_in(tmp_path))
    assert [f.job for f in report.findings] == ["task-dead"]
    assert stats_in(tree.path)["jobs/task-live.json"] == before and live.exists()
    assert tree.entry("task-live") == entry


# --- races ---------------------------------------------------------------------------------------------------------


def test_a_process_that_comes_to_life_before_the_write_is_spared(tmp_path: Path) -> None:
    """The verdict is taken again directly before the replace (section 4)."""
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(job("task-2", pid=4243))

    class Reviving(FakeProcesses):
        def facts(self, pid: int) -> ProcessFacts:
            if pid == 4242 and self.asked.count(4242) == 1:
                self.live(4242, "node", "/x/codex-companion.mjs", "task")
            return super().facts(pid)

    before = tree.record("task-1")
    report = heal([tree.root], world=world(Reviving()), journal=journal_in(tmp_path))
    assert tree.record("task-1") == before and tree.entry("task-1")["status"] == "running"
    assert tree.entry("task-2")["status"] == "failed"
    assert [(f.job, f.outcome) for f in report.findings] == [("task-2", Outcome.HEALED)]
    assert report.exit_status == 0


@pytest.mark.parametrize("file_number", [1, 2])
def test_a_worker_that_finishes_before_the_write_keeps_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_number: int
) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    real, calls = Replacement.perform, []

    def racing(*args: Any, **kwargs: Any) -> None:
        calls.append(args)
        if len(calls) == file_number:  # before the job file is replaced, or between it and the index
            tree.file(done("task-1")).index(entry_of(done("task-1")))
        real(*args, **kwargs)

    monkeypatch.setattr(Replacement, "perform", racing)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert tree.record("task-1") == done("task-1")
    assert tree.entry("task-1") == entry_of(done("task-1"))
    assert report.exit_status == 0 and not report.errors


def test_an_index_that_changes_all_the_time_is_reported_as_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    real = Replacement.perform

    def racing(self: Replacement) -> None:
        if self.target.name == "state.json":
            index = tree.read_index()
            write_json(tree.path / "state.json", {**index, "config": {"n": index["config"].get("n", 0) + 1}})
        real(self)

    monkeypatch.setattr(Replacement, "perform", racing)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert {f.outcome for f in report.findings} == {Outcome.REFUSED}
    assert report.exit_status == 3 and "changed by somebody else" in report.errors[0].message
    assert tree.read_index()["config"]["n"] == ATTEMPTS, "none of the other writer's updates is lost"
    monkeypatch.undo()
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).exit_status == 0
    assert tree.entry("task-1")["phase"] == "orphaned"


def test_a_verdict_rests_on_a_probe_made_after_the_bytes_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    order: list[str] = []
    reading = gathering.read_snapshot

    def read(*args: Any) -> Any:
        order.append("read")
        return reading(*args)

    class Noting(FakeProcesses):
        def facts(self, pid: int) -> ProcessFacts:
            order.append("probe")
            return super().facts(pid)

    monkeypatch.setattr(gathering, "read_snapshot", read)
    audit([tree.root], world=world(Noting()))
    assert order == ["read", "read", "probe"]


# --- several at once -----------------------------------------------------------------------------------------------


def test_another_stateheal_is_waited_for_and_then_named(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    with open_directory(tree.path) as directory, workspace_lock(directory):
        report = heal([tree.root], world=world(wait=0.05), journal=journal_in(tmp_path))
    assert report.exit_status == 3 and "another stateheal" in report.errors[0].message
    assert heal([tree.root], world=world(wait=0.05), journal=journal_in(tmp_path)).healed == 1


@pytest.mark.processes
def test_ten_heals_at_once_make_one(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    for number in range(8):
        tree.add(job(f"task-{number}", pid=2**22 + number))
    command = [sys.executable, "-m", "stateheal", "heal", "--assume-local", "--format", "json", str(tree.root)]
    # Each has a journal of its own: they meet at the workspace's lock alone.
    children = [
        subprocess.Popen(
            command, env={**os.environ, "STATEHEAL_STATE_DIR": str(tmp_path / f"j{n}")}, stdout=subprocess.PIPE
        )
        for n in range(10)
    ]
    reports = [json.loads(child.communicate(timeout=120)[0]) for child in children]
    assert sum(report["summary"]["healed"] for report in reports) == 8
    assert [child.returncode for child in children] == [0] * 10
    assert audit([tree.root], world=world()).exit_status == 0


def test_an_interrupt_is_honoured_between_files(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(job("task-2", pid=4243))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    before = files_in(tree.path)
    report = heal([tree.root], world=world(stop=stop), journal=journal_in(tmp_path))
    assert report.interrupted and report.remaining == 2
    changed = [name for name, data in files_in(tree.path).items() if data != before[name]]
    assert changed == ["jobs/task-1.json", "jobs/task-1.log"], "one job was done, the next was not begun"
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    assert files_in(tree.path) == before


# --- what is left alone --------------------------------------------------------------------------------------------


def test_a_directory_of_another_plugin_is_touched_only_if_it_is_laid_out_alike(tmp_path: Path) -> None:
    alike = Tree(tmp_path / "tree", plugin="friend").add(job("task-1"))
    other = Tree(tmp_path / "tree", plugin="stranger").file(job("task-1")).index(job("task-1"), version=3)
    shapeless = Tree(tmp_path / "tree", "/x", plugin="stranger").file(job("task-1"))
    before = files_in(other.state)
    report = heal([tmp_path / "tree"], world=world(), journal=journal_in(tmp_path))
    found = {(f.workspace, f.rule) for f in report.findings}
    unread = {(each.path.name, "unread-state") for each in (other, shapeless)}
    healed = {(alike.path.name, "dead-pid"), (alike.path.name, "foreign-plugin")}
    assert found == healed | unread and report.healed == 1
    assert str(other.path) in "".join(f.message for f in report.findings if f.rule == "unread-state")
    assert files_in(other.state) == before and shapeless.path.exists()


@pytest.mark.links("links are what it is about")
@pytest.mark.parametrize("name", ["state.json", "jobs/task-1.json", "jobs"])
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    path, victim = tree.path / name, tmp_path / "victim"
    path.rename(victim)
    path.symlink_to(victim)
    before = stats_in(tmp_path)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert report.exit_status == 3 and "a link" in report.errors[0].message
    assert stats_in(tmp_path) == before


def test_an_id_that_is_a_path_leads_nowhere(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    outside = tree.path.parent / "x.json"
    write_json(outside, job("../../x"))
    tree.index(entry_of(job("../../x")), entry_of(job("task-1")))
    before = outside.read_bytes()
    heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert outside.read_bytes() == before
    assert tree.entry("task-1")["phase"] == "orphaned"


def test_a_log_with_two_names_is_not_written(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    os.link(tree.path / "jobs/task-1.log", tmp_path / "other-name")
    before = (tmp_path / "other-name").read_bytes()
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).healed == 1
    assert (tmp_path / "other-name").read_bytes() == before


def test_an_entry_whose_file_cannot_be_parsed_is_left(tmp_path: Path) -> None:
    """The file may hold a result; only a rule that reads it may decide."""
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    (tree.path / "jobs/task-1.json").write_bytes(b'{"id": "task-1", "status": "comp')
    heal([tree.root], settings=stateheal.settings_of(["dead-pid"]), world=world(), journal=journal_in(tmp_path))
    assert tree.entry("task-1")["status"] == "running"


# --- options -------------------------------------------------------------------------------------------------------


def test_one_job_only(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(job("task-2", pid=4243))
    report = heal([tree.root], job="task-2", world=world(), journal=journal_in(tmp_path))
    assert [f.job for f in report.findings] == ["task-2"]
    assert tree.record("task-1")["status"] == "running" and tree.record("task-2")["status"] == "failed"
    report = heal([tree.path / "jobs/task-1.json"], world=world(), journal=journal_in(tmp_path))
    assert [f.job for f in report.findings] == ["task-1"]


def test_select_and_ignore(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(job("task-2", pid=0))
    only = stateheal.settings_of(select=["unsafe-pid"])
    assert [f.rule for f in audit([tree.root], settings=only, world=world()).findings] == ["unsafe-pid"]
    rest = stateheal.settings_of(ignore=["unsafe-pid"])
    assert [f.rule for f in audit([tree.root], settings=rest, world=world()).findings] == ["dead-pid"]
    with pytest.raises(stateheal.UsageError, match="did you mean dead-pid"):
        stateheal.settings_of(select=["dead-pit"])


def test_ignoring_index_behind_does_not_make_an_orphan_of_a_finished_job(tmp_path: Path) -> None:
    record = done("task-1")
    tree = Tree(tmp_path / "tree").add(record, status="running", pid=4242)
    before = files_in(tree.path)
    rest = stateheal.settings_of(ignore=["index-behind"])
    assert heal([tree.root], settings=rest, world=world(), journal=journal_in(tmp_path)).findings == ()
    assert files_in(tree.path) == before


def test_a_fresh_machine_has_nothing_to_heal() -> None:
    report = stateheal.audit()
    assert (report.workspaces, report.exit_status) == (0, 0)
    assert stateheal.audit([]).workspaces == 0


def test_containers_on_shared_storage_are_unsure_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    inside = FakeProcesses(facts_of_host=HOST._replace(initial_namespace=False))
    monkeypatch.setattr(workspace_of, "on_shared_storage", lambda path: True)
    report = heal([tree.root], world=world(inside), journal=journal_in(tmp_path))
    assert [f.severity for f in report.findings] == [Severity.UNSURE] and report.exit_status == 0
    local = stateheal.settings_of(assume_local=True)
    assert heal([tree.root], settings=local, world=world(inside), journal=journal_in(tmp_path)).healed == 1


def test_what_several_machines_write_to_is_unsure_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home on NFS: the job may live on another machine, where nobody here can see it."""
    fresh, old = at(-600), at(-2 * 86400)
    tree = Tree(tmp_path / "tree").add(job("task-1", createdAt=fresh, startedAt=fresh, updatedAt=fresh))
    tree.add(job("task-2", createdAt=old, startedAt=old, updatedAt=old))
    (tree.path / "jobs" / "task-2.log").unlink()
    tree.add(job("task-3", createdAt=fresh, startedAt=fresh, updatedAt=fresh, owner={"hostname": HOST.hostname}))
    tree.add(job("task-4", createdAt=old, startedAt=old, updatedAt=at(-7200), pid=None))
    monkeypatch.setattr(workspace_of, "shared_kind", lambda path: "nfs4")
    report = heal([tree.root], world=world(FakeProcesses()), journal=journal_in(tmp_path))
    unsure = {f.job: f.message for f in report.findings if f.severity is Severity.UNSURE}
    assert sorted(unsure) == ["task-1", "task-4"] and "it lies on nfs4" in unsure["task-1"] and report.healed == 2
    local = stateheal.settings_of(assume_local=True)
    assert heal([tree.root], settings=local, world=world(FakeProcesses()), journal=journal_in(tmp_path)).healed == 2


@pytest.mark.processes
def test_a_real_killed_process_is_healed_and_a_real_live_one_is_not(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    live, killed = (subprocess.Popen(sleeper) for _ in range(2))
    killed.kill()
    killed.wait()
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    tree = Tree(tmp_path / "tree")
    for name, child in (("task-live", live), ("task-killed", killed)):
        tree.add(job(name, pid=child.pid, createdAt=now, startedAt=now))
    report = heal([tree.root], journal=journal_in(tmp_path))
    live.kill()
    live.wait()
    assert [(f.job, f.outcome) for f in report.findings] == [("task-killed", Outcome.HEALED)]
    assert tree.entry("task-live")["status"] == "running"


def test_pointers_lead_to_the_file_as_it_is(tmp_path: Path) -> None:
    """Repairs before have shifted the entries of the draft: a null has gone, a job has come in front."""
    tree = Tree(tmp_path / "tree").add(job("task-1", pid=0)).add(job("task-2", title=["odd"])).file(done("task-new"))
    tree.index(None, *tree.read_index()["jobs"], 7)
    report = audit([tree.root], world=world(), journal=journal_in(tmp_path))
    entries = tree.read_index()["jobs"]
    led = {each.rule: each for each in report.findings if each.pointer and each.path.endswith("state.json")}
    assert {"null-entry", "unsafe-pid", "dead-pid", "schema", "wrong-shape"} <= led.keys()
    for finding in led.values():
        at = entries[int(finding.pointer.split("/")[2])]
        assert at == {"null-entry": None, "wrong-shape": 7}.get(finding.rule, at)
        assert finding.job is None or at["id"] == finding.job, finding
    assert f"state.json{led['schema'].pointer}:" in led["schema"].message
    (fresh,) = (finding for finding in report.findings if finding.rule == "unindexed")
    assert fresh.pointer is None and fresh.path.endswith("task-new.json")
