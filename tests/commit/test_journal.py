"""The journal, and undo from it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from stateheal.commit.forgetting import forget, with_their_undos
from stateheal.commit.journal import Journal
from stateheal.commit.lock import hold, let_go
from stateheal.commit.replacement import Replacement
from stateheal.commit.swap import Swap
from stateheal.engine.api import heal
from stateheal.engine.commands import undo
from stateheal.engine.history import history
from stateheal.errors import JournalError, UsageError
from stateheal.evidence.schema import violations
from stateheal.model.disk import Place
from tests.support import Tree, done, files_in, job, journal_in, world


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2")).add(job("task-3", pid=4243))


def run_heal(tree: Tree, **more: object) -> str:
    report = heal([tree.root], world=world(), journal=journal_in(tree.root.parent), **more)  # type: ignore[arg-type]
    assert report.run and not report.errors
    return report.run


def archive_of(tree: Tree, run: str) -> Path:
    return journal_in(tree.root.parent).runs_path / run / "0001.tar"


def test_the_originals_can_be_unpacked_by_hand(tree: Tree, tmp_path: Path) -> None:
    before = files_in(tree.path)
    with tarfile.open(archive_of(tree, run_heal(tree))) as tar:
        names = set(tar.getnames())
        assert names == {"manifest.json", "state.json", "jobs/task-1.json", "jobs/task-3.json"}
        for name in names - {"manifest.json"}:
            member = tar.extractfile(name)
            assert member is not None and member.read() == before[name]


def test_the_manifest_is_what_its_schema_says(tree: Tree) -> None:
    run = run_heal(tree)
    undo(journal=journal_in(tree.root.parent))
    archives = list(journal_in(tree.root.parent).runs_path.glob("*/*.tar"))
    assert len(archives) == 2
    for path in archives:
        with tarfile.open(path) as tar:
            member = tar.extractfile("manifest.json")
            assert member is not None
            manifest = json.loads(member.read())
        assert violations("journal", manifest) == ()
        if path.parent.name == run:
            assert [item["action"] for item in manifest["files"]] == ["replace"] * 3 + ["append"] * 2


@pytest.mark.posix("modes; on Windows the profile's own access list protects it")
def test_nobody_else_can_read_it(tree: Tree) -> None:
    old = os.umask(0)
    try:
        run = run_heal(tree)
    finally:
        os.umask(old)
    journal = journal_in(tree.root.parent)
    for path in (journal.path, journal.runs_path, journal.runs_path / run):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert stat.S_IMODE(archive_of(tree, run).stat().st_mode) == 0o600


@pytest.mark.posix("umask")
def test_its_owner_can_read_it_whatever_the_umask_takes(tree: Tree) -> None:
    journal = Journal(tree.root.parent / "new" / "deeper" / "journal")
    original = files_in(tree.path)
    old = os.umask(0o777)
    try:
        report = heal([tree.root], world=world(), journal=journal)
    finally:
        os.umask(old)
    assert report.run and not report.errors
    for path in journal.path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o700 == 0o700 for path in journal.path.parents)
    assert not undo(journal=journal).exit_status and files_in(tree.path) == original


def test_it_is_written_before_anything_is_replaced(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_in(tree.root.parent)
    original = files_in(tree.path)
    seen = []

    def spy(*args: object, **kwargs: object) -> None:
        seen.append((len(list(journal.runs_path.glob("*/*.tar"))), files_in(tree.path) == original))
        raise KeyboardInterrupt

    monkeypatch.setattr(Swap, "prepare", spy)
    with pytest.raises(KeyboardInterrupt):
        run_heal(tree)
    assert seen == [(1, True)]


@pytest.mark.posix("owners by number")
def test_another_users_journal_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(JournalError, match="another user"):
        journal_in(tmp_path).make()


@pytest.mark.parametrize(
    "obstacle", ["a file", "not writable", pytest.param("a link to nowhere", marks=pytest.mark.links("a link"))]
)
def test_without_a_journal_nothing_is_repaired(tree: Tree, obstacle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_in(tree.root.parent)
    if obstacle == "a file":
        journal.path.write_text("")
    elif obstacle == "a link to nowhere":
        journal.path.symlink_to("/nonexistent/place")
    else:
        monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    before = files_in(tree.path)
    report = heal([tree.root], world=world(), journal=journal)
    assert files_in(tree.path) == before
    assert report.exit_status == 3 and report.run is None
    assert {finding.outcome.value for finding in report.findings} == {"failed"}
    assert len(report.errors) == 1 and "\n" not in report.errors[0].message


# --- undo ----------------------------------------------------------------------------------------------------------


def test_repeated_undo_walks_back(tree: Tree) -> None:
    journal = journal_in(tree.root.parent)
    states = [files_in(tree.path)]
    runs = []
    for number in range(3):
        tree.add(job(f"task-new-{number}"))
        states.append(files_in(tree.path))
        runs.append(run_heal(tree))
        states.append(files_in(tree.path))
    assert [run.id for run in journal.runs()] == sorted(runs, reverse=True)
    report = undo(journal=journal)
    assert report.run == runs[2] and files_in(tree.path) == states[5]
    again = undo(journal=journal)
    assert again.run == runs[1] and again.exit_status == 1, "the tree has a newer job now: refused"
    assert files_in(tree.path) == states[5]


def test_undo_twice_over_one_tree(tree: Tree) -> None:
    journal = journal_in(tree.root.parent)
    original = files_in(tree.path)
    heal([tree.root], job="task-1", world=world(), journal=journal)
    heal([tree.root], job="task-3", world=world(), journal=journal)
    assert not undo(journal=journal).exit_status and not undo(journal=journal).exit_status
    assert files_in(tree.path) == original
    assert [run.undone_word for run in journal.runs()] == ["yes", "yes"]
    report = undo(journal=journal)
    assert (report.run, report.restored, report.exit_status) == (None, (), 0), "nothing to undo is no error"


def test_of_two_runs_that_took_turns_in_a_workspace_the_later_writer_is_undone_first(tree: Tree) -> None:
    journal = journal_in(tree.root.parent)
    Tree(tree.root, "/home/dev/projects/another").add(job("task-9"))
    original = files_in(tree.root)

    def beside(done: int, of: int, place: Place) -> None:
        if done == 1:  # the long run has begun, and has not come to this workspace yet
            heal([tree.path], job="task-1", world=world(), journal=journal)

    first = heal([tree.root], world=world(progress=beside), journal=journal).run
    assert len(journal.runs()) == 2 and journal.runs()[1].id == first
    preview = undo(dry_run=True, journal=journal)
    assert preview.run == first and preview.exit_status == 0
    assert [undo(journal=journal).exit_status for _ in range(2)] == [0, 0]
    assert files_in(tree.root) == original
    assert [run.undone_word for run in journal.runs()] == ["yes", "yes"]


@pytest.mark.posix("the hash of a path of its own")
def test_narrowed_to_a_workspace_the_later_writer_goes_first_too(tree: Tree) -> None:
    journal = journal_in(tree.root.parent)
    Tree(tree.root, "/home/dev/projects/another").add(job("task-9"))
    original = files_in(tree.path)

    def beside(done: int, of: int, place: Place) -> None:
        if done == 1:
            heal([tree.path], job="task-1", world=world(), journal=journal)

    first = heal([tree.root], world=world(progress=beside), journal=journal).run
    assert undo(journal=journal, cwd=tree.project).run == first
    assert undo(journal=journal, cwd=tree.project).exit_status == 0
    assert files_in(tree.path) == original


def test_what_somebody_else_wrote_last_is_no_reason_to_undo_an_older_run(tree: Tree) -> None:
    journal = journal_in(tree.root.parent)
    heal([tree.root], job="task-1", world=world(), journal=journal)
    between = (tree.path / "state.json").read_bytes()
    second = heal([tree.root], job="task-3", world=world(), journal=journal).run
    (tree.path / "state.json").write_bytes(between + b" ")
    report = undo(journal=journal)
    assert report.run == second and report.exit_status == 1


@pytest.mark.parametrize("changed", ["state.json", "jobs/task-1.json", "jobs/task-3.log"])
def test_a_workspace_that_changed_since_is_left_whole(tree: Tree, changed: str) -> None:
    other = Tree(tree.root, "/home/dev/projects/other").add(job("task-9"))
    other_before = files_in(other.path)
    run = run_heal(tree)
    with (tree.path / changed).open("ab") as file:
        file.write(b" ")
    now = files_in(tree.path)
    report = undo(journal=journal_in(tree.root.parent))
    assert report.run == run and report.exit_status == 1
    refused = {each.workspace.name: each.refusal for each in report.restored}
    assert refused[other.path.name] is None
    assert changed in (refused[tree.path.name] or "")
    assert files_in(tree.path) == now
    assert files_in(other.path) == other_before
    assert journal_in(tree.root.parent).runs()[0].undone_word == "partly"


def test_a_workspace_that_is_gone_is_named(tree: Tree) -> None:
    run_heal(tree)
    shutil.rmtree(tree.path)
    report = undo(journal=journal_in(tree.root.parent))
    assert report.exit_status == 1 and "cannot be opened" in (report.restored[0].refusal or "")


def test_an_interrupted_undo_is_finished_by_the_next(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    original = files_in(tree.path)
    run_heal(tree)
    real, calls = Replacement.perform, []

    def killed(*args: object, **kwargs: object) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Replacement, "perform", killed)
    monkeypatch.setattr(Replacement, "revert", lambda self: None)
    with pytest.raises(KeyboardInterrupt):
        undo(journal=journal_in(tree.root.parent))
    monkeypatch.undo()
    assert files_in(tree.path) != original
    assert undo(journal=journal_in(tree.root.parent)).exit_status == 0
    assert files_in(tree.path) == original


@pytest.mark.posix("fork")
def test_an_interrupted_heal_can_be_undone(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    original = files_in(tree.path)
    real, calls = Replacement.perform, []

    def killed(*args: object, **kwargs: object) -> None:
        calls.append(args)
        real(*args, **kwargs)  # type: ignore[arg-type]
        if len(calls) == 2:
            os._exit(9)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(Replacement, "perform", killed)
        run_heal(tree)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (run,) = journal_in(tree.root.parent).runs()
    assert not run.archives[0].complete
    assert undo(journal=journal_in(tree.root.parent)).exit_status == 0
    assert files_in(tree.path) == original


def test_a_run_is_found_by_the_beginning_of_its_id(tree: Tree) -> None:
    run = run_heal(tree)
    with pytest.raises(UsageError, match="there is no run"):
        undo("19990101", journal=journal_in(tree.root.parent))
    assert undo(run[:-2], journal=journal_in(tree.root.parent)).run == run


def test_the_original_is_checked_before_it_is_put_back(tree: Tree) -> None:
    run = run_heal(tree)
    path = archive_of(tree, run)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"task-1"', b'"task-X"'))
    healed = files_in(tree.path)
    report = undo(journal=journal_in(tree.root.parent))
    assert "damaged" in (report.restored[0].refusal or "") and report.exit_status == 3
    assert files_in(tree.path) == healed


@pytest.mark.parametrize("junk", [b"", b"junk", b"\0" * 10240])
def test_a_broken_archive_is_named(tree: Tree, junk: bytes) -> None:
    """It is named, and every other run can still be listed and undone."""
    sound = run_heal(tree)
    healed = files_in(tree.path)
    tree.add(job("task-new"))
    path = archive_of(tree, run_heal(tree))
    path.write_bytes(junk)
    journal = journal_in(tree.root.parent)
    assert [run.id for run in journal.runs()] == [sound]
    assert len(journal.damaged) == 1 and "0001.tar" in journal.damaged[0]
    for name in files_in(tree.path).keys() - healed.keys():
        (tree.path / name).unlink()
    (tree.path / "state.json").write_bytes(healed["state.json"])
    with pytest.raises(JournalError, match=r"0001\.tar.*undo RUN"):
        undo(journal=journal)  # never an older run instead of the one that was meant
    report = undo(sound, journal=journal)
    assert [each.refusal for each in report.restored] == [None] and report.exit_status == 3


def test_only_the_newest_runs_are_kept(tree: Tree) -> None:
    journal = Journal(tree.root.parent / "the-journal", keep=2)
    runs = []
    for number in range(4):
        tree.add(job(f"task-new-{number}"))
        report = heal([tree.root], world=world(), journal=journal)
        runs.append(report.run)
    undo(journal=journal)
    assert {run.id for run in journal.runs()} <= set(runs) and len(journal.runs()) == 2
    assert forget(journal, journal.run_ids()) == [] and journal.runs() == []


# --- forgetting ----------------------------------------------------------------------------------------------------


def heals(tree: Tree, journal: Journal, count: int) -> list[str]:
    """So many runs, the oldest first."""
    runs = []
    for _ in range(count):
        tree.add(job(f"task-forgotten-{len(files_in(tree.path))}"))
        runs.append(str(heal([tree.root], world=world(), journal=journal).run))
    return runs


def test_a_forgotten_number_is_never_given_again(tree: Tree) -> None:
    journal = journal_in(tree.root.parent)
    first = heals(tree, journal, 3)
    assert forget(journal, journal.run_ids()) == [] and journal.runs() == []
    (again,) = heals(tree, journal, 1)
    assert int(again[:4]) == int(first[-1][:4]) + 1
    forget(journal, [again])
    assert int(heals(tree, journal, 1)[0][:4]) == int(again[:4]) + 1
    (journal.path / "last-run").write_text("garbage")
    forget(journal, journal.run_ids())
    assert int(heals(tree, journal, 1)[0][:4]) == int(again[:4]) + 2


def test_a_run_takes_its_undos_along_and_no_other(tree: Tree) -> None:
    journal = journal_in(tree.root.parent)
    first = str(heal([tree.root], job="task-1", world=world(), journal=journal).run)
    second = str(heal([tree.root], job="task-3", world=world(), journal=journal).run)
    undo(journal=journal)
    undo(journal=journal)
    undos = sorted(journal.run_ids() - {first, second})
    assert with_their_undos(journal, [second]) == [second, undos[0]]
    assert with_their_undos(journal, [first, second]) == [first, second, *undos]
    forget(journal, with_their_undos(journal, [second]))
    assert journal.run_ids() == {first, undos[1]} and [run.undone_word for run in journal.runs()] == ["yes"]


@pytest.mark.processes
def test_a_run_at_work_is_not_forgotten(tree: Tree) -> None:
    journal = journal_in(tree.root.parent)
    (run,) = heals(tree, journal, 1)
    lock = hold(journal.runs_path / run)
    code = (
        "import sys; from pathlib import Path; from stateheal.commit.forgetting import forget\n"
        "from stateheal.commit.journal import Journal; j = Journal(Path(sys.argv[1])); print(forget(j, j.run_ids()))"
    )
    command = [sys.executable, "-c", code, str(journal.path)]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == f"['{run}']"
    let_go(lock)
    assert [each.id for each in journal.runs()] == [run]


def test_what_a_run_has_left_that_was_killed_before_its_first_record_goes(tree: Tree) -> None:
    runs = journal_in(tree.root.parent).runs_path
    for name in ("0001-20261123T080000Z", "0002-20261123T080000Z"):
        (runs / name).mkdir(parents=True)
        (runs / name / "0001.tar.tmp").write_bytes(b"a prompt")
    os.utime(runs / "0001-20261123T080000Z", (0, 0))
    run = run_heal(tree)
    assert {path.name for path in runs.iterdir()} == {"0002-20261123T080000Z", run}, "the other may just be beginning"


def test_an_end_that_a_power_cut_has_emptied_makes_the_run_an_interrupted_one(tree: Tree) -> None:
    """The end is not flushed: nothing rests on it but what the history says."""
    before, journal = files_in(tree.root), journal_in(tree.root.parent)
    run = run_heal(tree)
    healed = files_in(tree.root)
    archive_of(tree, run).with_suffix(".done").write_bytes(b"")
    assert [each.complete for each in history(journal)] == [False] and not journal.damaged
    heal([tree.root], world=world(), journal=journal)
    assert files_in(tree.root) == healed
    assert undo(journal=journal).exit_status == 0 and files_in(tree.root) == before
    assert undo(journal=journal).run is None
