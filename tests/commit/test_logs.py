"""Logs of any size, logs of others, and lines that an interrupted run still owes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit import apply, logs
from stateheal.commit.replacement import Replacement
from stateheal.engine.api import heal
from stateheal.engine.commands import undo
from tests.support import Tree, done, files_in, job, journal_in, world

HUGE = 1 << 30
LIMIT = 700 << 20
"""Bytes of address space: less than the log is long."""


def heal_in(tree: Tree) -> Any:
    return heal([tree.root], world=world(), journal=journal_in(tree.root.parent))


def undo_in(tree: Tree) -> Any:
    return undo(journal=journal_in(tree.root.parent))


# --- size ----------------------------------------------------------------------------------------------------------

HEAL_AND_UNDO = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
from stateheal.engine.api import heal
from stateheal.engine.commands import undo
from tests.support import journal_in, world
place = Path(sys.argv[1])
report = heal([place / "tree"], world=world(), journal=journal_in(place))
print(report.healed, report.exit_status, sum(p.stat().st_size for p in journal_in(place).path.rglob("*.tar")) < 1 << 20)
print((place / "size").write_text(str(max(p.stat().st_size for p in (place / "tree").rglob("*.log")))))
print(undo(journal=journal_in(place)).exit_status)
"""


@pytest.mark.processes
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs sparse files and a limit")
def test_a_sparse_log_of_a_gibibyte_costs_neither_memory_nor_journal(tmp_path: Path) -> None:
    """It gets its line; of the log of a job that was not in the index, length and digest are noted."""
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    tree.file(job("task-lost", pid=4243)).log("task-lost")
    for ident in ("task-1", "task-lost"):
        path = tree.path / f"jobs/{ident}.log"
        os.truncate(path, HUGE)
        os.utime(path, (1, 1))
    line = [sys.executable, "-c", HEAL_AND_UNDO, str(tmp_path), str(LIMIT)]
    said = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2])
    assert said.returncode == 0, said.stderr
    healed, status, is_small, *_, undone = said.stdout.split()
    assert (int(healed) > 0, status, is_small, undone) == (True, "0", "True", "0")
    assert int((tmp_path / "size").read_text()) > HUGE
    assert {path.stat().st_size for path in tree.path.glob("jobs/*.log")} == {HUGE}
    import resource

    assert resource.getrlimit(resource.RLIMIT_AS)[0] != LIMIT, "of the child alone"


def test_a_copy_that_is_kept_ends_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "LARGEST_COPY", 20)
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    tree.file(done("task-lost")).log("task-lost", "x" * 21)
    before = files_in(tree.root)
    assert heal_in(tree).exit_status == 0
    (run,) = journal_in(tmp_path).runs()
    kept = {item.name: item for item in run.archives[0].planned if item.action == "keep"}
    log = kept["kept/jobs/task-lost.log"]
    assert log.before is not None and (log.before.size, log.before.member) == (21, None)
    assert undo_in(tree).exit_status == 0 and files_in(tree.root) == before


# --- whose it is ---------------------------------------------------------------------------------------------------


def test_a_log_whose_age_could_not_be_put_back_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    log = tree.path / "jobs/task-1.log"
    before = log.read_bytes(), log.stat().st_mtime_ns
    monkeypatch.setattr(apply, "may_append", lambda folder, name: False)
    assert heal_in(tree).exit_status == 0 and tree.entry("task-1")["phase"] == "orphaned"
    assert (log.read_bytes(), log.stat().st_mtime_ns) == before


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
def test_another_users_log_is_not_ours_to_append_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.fs.directory import open_directory

    (tmp_path / "x.log").write_text("x\n")
    with open_directory(tmp_path) as folder:
        assert logs.may_append(folder, "x.log")
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)
        assert not logs.may_append(folder, "x.log")
        monkeypatch.undo()
        os.link(tmp_path / "x.log", tmp_path / "y.log")
        assert not logs.may_append(folder, "x.log")


@pytest.mark.proc("to tell which file a descriptor is of")
def test_an_age_that_cannot_be_given_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    log = tree.path / "jobs/task-1.log"
    before, real = log.read_bytes(), os.utime

    def denied(path: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(path, int) and os.readlink(f"/proc/self/fd/{path}").endswith(".log"):
            raise PermissionError(1, "Operation not permitted")
        real(path, *args, **kwargs)

    os.supports_fd.add(denied)
    monkeypatch.setattr(os, "utime", denied)
    report = heal_in(tree)
    monkeypatch.undo()
    assert log.read_bytes() == before and report.exit_status == 3
    assert {each.outcome.value for each in report.findings} == {"healed"}, "the records are healed all the same"
    assert heal_in(tree).exit_status == 0
    assert log.read_bytes().count(b"\n") == before.count(b"\n") + 1, "and the next heal writes the line"


# --- what an interrupted run still owes ----------------------------------------------------------------------------


def killed_before_the_line(tree: Tree) -> None:
    """A heal that ended when its records were written, and before the log had its line."""
    child = os.fork()
    if child == 0:
        apply.append_line = lambda *args: os._exit(9)  # type: ignore[attr-defined]
        heal_in(tree)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.processes
@pytest.mark.posix("fork")
def test_the_next_heal_writes_the_line_and_its_undo_takes_that_back(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    log = tree.path / "jobs/task-1.log"
    before = files_in(tree.root)
    killed_before_the_line(tree)
    told = log.read_bytes()
    report = heal_in(tree)
    assert report.run is not None, "what it wrote stands in the journal"
    assert log.read_bytes().count(b"\n") == told.count(b"\n") + 1
    assert heal_in(tree).run is None
    assert undo_in(tree).exit_status == 0 and log.read_bytes() == told
    assert undo_in(tree).exit_status == 0 and files_in(tree.root) == before


@pytest.mark.processes
@pytest.mark.posix("fork")
def test_a_run_that_was_undone_owes_nothing(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    before = files_in(tree.root)
    killed_before_the_line(tree)
    assert undo_in(tree).exit_status == 0 and files_in(tree.root) == before
    log = tree.path / "jobs/task-1.log"
    os.link(log, tmp_path / "second")  # then no line is written
    assert heal_in(tree).healed
    os.unlink(tmp_path / "second")
    again = heal_in(tree)
    assert again.run is None and log.read_bytes() == before[str(log.relative_to(tree.root))]


@pytest.mark.processes
@pytest.mark.posix("fork")
def test_of_several_interrupted_runs_the_one_that_wrote_the_record_owes_the_line(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    before = files_in(tree.root)
    for _ in range(3):
        child = os.fork()
        if child == 0:
            Replacement.perform = lambda self: os._exit(9)  # type: ignore[method-assign]
            heal_in(tree)
            os._exit(0)
        os.waitpid(child, 0)
    killed_before_the_line(tree)
    heal_in(tree)
    for _ in journal_in(tmp_path).runs():
        assert undo_in(tree).exit_status == 0
    assert files_in(tree.root) == before
