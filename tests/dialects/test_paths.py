"""Fields through which a companion deletes a job's files when it prunes the job, whatever path they hold."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stateheal.dialects.table import DIALECTS
from stateheal.engine.api import audit, heal, settings_of
from stateheal.fs.directory import Directory
from stateheal.model.dialect import CODEX
from stateheal.model.findings import Finding
from tests.dialects.forks import FORKS_OF
from tests.dialects.layout import TREES, WRITTEN, Laid, files_of, lay_out
from tests.support import NATIVE_HOST, FakeProcesses, files_in, in_json, journal_in, native, world

FIELDS = {
    "Lanticee-agy": ("logFile", "promptFile", "agyLogFile"),
    "turygo-opencode": ("logFile", "stdoutFile", "stderrFile"),
}
"""As their own code reads: ``removeFileIfExists(job.…)`` in lib/state.mjs of the versions in the table's entries."""
WITH_LOGS = [
    name
    for name in sorted(FORKS_OF)
    if any('"logFile": "@STATE@' in path.read_text("utf-8") for path in (TREES / name / "killed").rglob("*.json"))
]
ROWS = [(name, field) for name, fields in FIELDS.items() for field in fields]


def set_in_all(state: Path, field: str, value: Path) -> None:
    for path in (state / "state.json", *state.glob("jobs/*.json")):
        if path.exists():
            whole = json.loads(path.read_bytes())
            for side in whole.get("jobs", [whole]):
                side[field] = str(value)
            path.write_text(json.dumps(whole, indent=2) + "\n", "utf-8")


def found(laid: Laid) -> list[Finding]:
    return [each for each in laid.report(audit).findings if each.rule == "unsafe-path"]


def test_every_companion_that_deletes_more_than_logs_is_here() -> None:
    more = {dialect.deletes for dialect in DIALECTS if dialect.deletes != CODEX.deletes}
    assert more == set(FIELDS.values())


@pytest.mark.parametrize(("name", "field"), ROWS)
def test_a_path_that_leads_out_is_taken_out(name: str, field: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    (outside := laid.project / "thesis.md").write_text("mine")
    set_in_all(laid.state, field, outside)
    before = files_in(laid.state)
    assert [each.message for each in found(laid)] == [
        f"its {field} is {str(outside)!r}: the plugin deletes that path when it prunes the job"
    ]
    laid.report(heal)
    assert not found(laid) and outside.read_text() == "mine"
    after = files_in(laid.state)
    changed = {each for each in before if before[each] != after[each]}
    assert changed
    for each in changed:
        old, new = json.loads(before[each]), json.loads(after[each])
        sides = zip(old.get("jobs", [old]), new.get("jobs", [new]), strict=True)
        assert all({**side, field: None} == healed for side, healed in sides)


@pytest.mark.parametrize(("name", "field"), ROWS)
def test_the_jobs_own_file_in_a_tree_that_was_moved_is_none(name: str, field: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    job = json.loads((laid.state / "state.json").read_bytes())["jobs"][0]
    path = Path(job[field]) if job.get(field) else laid.state / f"jobs/{job['id']}.log"
    set_in_all(laid.state, field, tmp_path / "old" / "jobs" / path.name)
    assert not found(laid)


@pytest.mark.parametrize(("name", "field"), ROWS)
def test_another_record_is_never_its_file(name: str, field: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    job = json.loads((laid.state / "state.json").read_bytes())["jobs"][0]
    set_in_all(laid.state, field, laid.state / f"jobs/{job['id']}.json")
    assert len(found(laid)) == 1


@pytest.mark.parametrize("name", WITH_LOGS)
def test_a_job_of_a_container_is_known_by_its_log_wherever_its_companion_keeps_that(name: str, tmp_path: Path) -> None:
    """Field guide section 4: its project is not here, its log is recorded in the container's own tree."""
    laid = lay_out(name, "killed", tmp_path)
    for path in (laid.state / "state.json", *files_of(laid.state)):
        if path.exists():
            text = path.read_text("utf-8").replace(in_json(laid.project), in_json(native("/workspaces/shop")))
            path.write_text(text.replace(in_json(laid.state), in_json(native("/home/vscode/state"))), "utf-8")
            os.utime(path, (WRITTEN, WRITTEN))
    before = files_in(laid.state)
    now = NATIVE_HOST._replace(now=WRITTEN + 600, boot_time=WRITTEN - 86400)
    table = world(FakeProcesses(facts_of_host=now))
    report = heal([laid.data], settings=settings_of(), world=table, journal=journal_in(tmp_path))
    active = [each for each in report.findings if each.rule == "dead-pid"]
    assert active and all("it may run in a container" in each.message for each in active)
    assert files_in(laid.state) == before


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege there")
def test_a_job_whose_directory_is_a_link_is_left(tmp_path: Path) -> None:
    """Links are not followed: closed in the index alone, its record would go on saying that it runs."""
    laid = lay_out("unlikelyzero-agy", "killed", tmp_path)
    (record,) = files_of(laid.state)
    index, own = laid.state / "state.json", record.parent.name
    (entry,) = (whole := json.loads(index.read_bytes()))["jobs"]
    linked = f"{own[:-1]}x"
    whole["jobs"].append({**entry, "id": linked, "logFile": None})
    index.write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    (moved := tmp_path / "moved").mkdir()
    (moved / "job.json").write_text(json.dumps({**json.loads(record.read_bytes()), "id": linked}), "utf-8")
    (record.parent.parent / linked).symlink_to(moved)
    outside = files_in(moved)
    report = laid.report(heal)
    assert [each.message for each in report.errors] == ["cannot be read: it is a link, not a directory"]
    assert [each["status"] for each in json.loads(index.read_bytes())["jobs"]] == ["failed", entry["status"]]
    assert files_in(moved) == outside


def test_a_job_whose_directory_goes_meanwhile_is_no_trouble_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its companion prunes while we read: the record of another job is read all the same."""
    laid = lay_out("unlikelyzero-agy", "killed", tmp_path)
    (record,) = files_of(laid.state)
    listing = Directory.listing
    gone = "aaaa-goes-first"
    monkeypatch.setattr(
        Directory,
        "listing",
        lambda self: {gone: True, **listing(self)} if self.path.name == "jobs" else listing(self),
    )
    report = laid.report(heal)
    assert [each.rule for each in report.findings] == ["dead-pid"] and not report.errors
    assert json.loads(record.read_bytes())["status"] == "failed"
