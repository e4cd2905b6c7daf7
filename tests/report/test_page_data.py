"""What a page draws of a workspace, from its evidence."""

from __future__ import annotations

from pathlib import Path

from stateheal.engine.api import audit
from stateheal.model.findings import Severity
from stateheal.model.page import JobSpan, PageData
from stateheal.report.page_data import NEWEST
from tests.support import NOW, Tree, at, done, entry_of, job, journal_in, settle, world


def page(made: Tree, tmp_path: Path, **more: object) -> PageData:
    settle(made.root)
    report = audit([made.root], world=world(), journal=journal_in(tmp_path), page=True, **more)  # type: ignore[arg-type]
    (only,) = report.pages
    assert not report.errors
    return only


def test_both_sides_make_one_span(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree")
    made.add(done("task-1", workspaceRoot=made.project)).add(job("task-2", pid=5))
    drawn, title = page(made, tmp_path), "Codex Task: map the failing tests"
    assert drawn.spans == (
        JobSpan("task-1", "completed", NOW - 7200, NOW - 3600, None, title),
        JobSpan("task-2", "running", NOW - 7200, None, Severity.DAMAGE, title),
    )
    assert drawn.statuses == {"completed": 1, "running": 1} and drawn.jobs == 2
    assert [diff.name for diff in drawn.diffs] == [
        f"{made.path.name}/{name}" for name in ("jobs/task-2.json", "state.json")
    ]
    assert drawn.logs == 1 and drawn.directory == str(made.path.resolve()) and drawn.home == made.project


def test_only_newest_and_damaged_jobs_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    records = [done(f"task-{n:03}", startedAt=at(-9000 - n * 60), completedAt=at(-8990 - n * 60)) for n in range(40)]
    records[35] = job("task-035", pid=5, startedAt=at(-9000 - 35 * 60))
    made = Tree(tmp_path / "tree")
    for record in records:
        made.file(record)
    made.index(*map(entry_of, records))
    drawn = page(made, tmp_path)
    assert [span.job for span in drawn.spans] == [*(f"task-{n:03}" for n in range(NEWEST)), "task-035"]
    assert drawn.jobs == 40


def test_records_that_hold_anything(tmp_path: Path) -> None:
    odd = [
        job("task-a", status=5, startedAt=7, createdAt=["x"], pid=None),
        job("task-b", status="crashed", startedAt="9999-01-01T00:00:00.000Z", createdAt="yesterday"),
        done("task-c", startedAt=at(0), completedAt=at(-600)),
    ]
    made = Tree(tmp_path / "tree")
    for record in odd:
        made.file(record)
    made.file({"id": "task-d", "status": None})
    made.index(*map(entry_of, odd), None, 5, {"id": 9}, {"status": "running"}, {"id": "task-e"})
    (made.path / "jobs/task-e.json").write_text("[]")
    (made.path / "jobs/task-mnyhf4jl-1mnkv1.json").write_text("{")
    drawn = {span.job: span for span in page(made, tmp_path).spans}
    assert drawn.keys() == {"task-a", "task-b", "task-c", "task-d", "task-e", "task-mnyhf4jl-1mnkv1"}
    assert drawn["task-a"].status == "unknown" and drawn["task-b"].status == "crashed"
    assert drawn["task-c"].began == drawn["task-c"].ended == NOW
    assert drawn["task-mnyhf4jl-1mnkv1"].began is None


def test_one_job_that_was_asked_for(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(job("task-1", pid=5)).add(job("task-2", pid=6))
    drawn = page(made, tmp_path, job="task-2")
    assert [span.job for span in drawn.spans] == ["task-2"]
    assert [diff.name.rpartition("/")[2] for diff in drawn.diffs] == ["task-2.json", "state.json"]


def test_a_workspace_that_is_looked_at_twice_is_drawn_once(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(job("task-1", pid=5))
    (made.path / "jobs/task-2.json").write_text("{")  # written just now: it may be on its way
    report = audit([made.root], world=world(sleep=lambda _: None), journal=journal_in(tmp_path), page=True)
    assert len(report.pages) == 1


def test_large_files_are_not_compared_and_long_ones_are_cut(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(job("task-1", pid=5, request={"prompt": ["x"] * 30_000}))
    made.add(job("task-2", pid=5, request={"prompt": "y" * 100_000}))
    first, second, _ = page(made, tmp_path).diffs
    assert first.too_large and first.lines == () and first.left_out > 30_000
    assert max(map(len, second.lines)) < 2100 and any("characters more" in line for line in second.lines)


def test_nothing_is_drawn_unless_it_is_asked_for(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(job("task-1", pid=5))
    assert audit([made.root], world=world(), journal=journal_in(tmp_path)).pages == ()
