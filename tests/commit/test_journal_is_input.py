"""Archives that no run of ours has written: restored from elsewhere, tampered with, or no archives at all."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit.archive import load
from stateheal.engine.api import heal
from stateheal.engine.commands import undo
from stateheal.errors import JournalError
from tests.support import Tree, files_in, job, journal_in, world


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree").add(job("task-1"))


def healed(tree: Tree) -> Path:
    """A run's archive."""
    run = heal([tree.root], world=world(), journal=journal_in(tree.root.parent)).run
    assert run is not None
    return journal_in(tree.root.parent).runs_path / run / "0001.tar"


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The same archive with another manifest."""
    with tarfile.open(path) as tar:
        members = [(each, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]
    manifest = json.loads(members[0][1])
    change(manifest)
    with tarfile.open(path, "w") as tar:
        for info, data in [(members[0][0], json.dumps(manifest).encode()), *members[1:]]:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def item(**fields: Any) -> dict[str, Any]:
    """A file that went, to be made again by undo."""
    before = {"sha256": "0" * 64, "size": 1, "mode": 0o644, "uid": 0, "gid": 0, "mtime_ns": 1, "member": "state.json"}
    return {"name": "broker.json", "action": "remove", "before": {**before, **fields.pop("before", {})}, **fields}


@pytest.mark.parametrize(
    "name",
    [
        *("../x.json", "/etc/x.json", "jobs/../../x.json", "jobs//x.json", "", ".", "..", "jobs/..", "a/x.json"),
        *("jobs/a/b/x.json", "x\0.json", "evil.sh", ".bashrc", "jobs\\..\\x.json", "x" * 300 + ".json"),
    ],
)
def test_a_name_that_no_run_writes_makes_it_unreadable(tree: Tree, name: str) -> None:
    path = healed(tree)
    rewritten(path, lambda manifest: manifest["files"].append({**item(after=None), "name": name}))
    with pytest.raises(JournalError, match="no name that a run writes"):
        load(path)


ODD: dict[str, Callable[[dict[str, Any]], object]] = {
    "no files": lambda m: m.pop("files"),
    "files no list": lambda m: m.update(files=3),
    "a file no object": lambda m: m.update(files=[[]]),
    "no workspace": lambda m: m.pop("workspace"),
    "a relative workspace": lambda m: m.update(workspace="x-0123456789abcdef"),
    "a workspace that climbs": lambda m: m.update(workspace="/a/../x-0123456789abcdef"),
    "an unknown action": lambda m: m["files"][0].update(action="chmod"),
    "an unknown field": lambda m: m["files"][0]["before"].update(setuid=1),
    "no digest": lambda m: m["files"][0]["before"].update(sha256="x"),
    "a size below zero": lambda m: m["files"][0]["before"].update(size=-1),
    "a size that is no number": lambda m: m["files"][0]["before"].update(size="1"),
    "attributes that do not decode": lambda m: m["files"][0]["before"].update(attributes={"user.x": 3}),
    "attributes that give powers": lambda m: m["files"][0]["before"].update(attributes={"security.capability": "AAA="}),
    "a replacement by nothing": lambda m: m["files"][0].update(after=None),
    "undoes no list": lambda m: m.update(undoes=7),
    "undoes a list of numbers": lambda m: m.update(undoes=[7]),
    "started no text": lambda m: m.update(started=None),
    "a line that is no text": lambda m: m["files"][0].update(line=["x"]),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_manifest_is_one_clear_line(tree: Tree, odd: str) -> None:
    path = healed(tree)
    rewritten(path, ODD[odd])
    with pytest.raises(JournalError) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def deep(path: Path) -> None:
    data = b"[" * 200_000
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))


def long_names(path: Path) -> None:
    """Long-name headers in a row, each of which tarfile reads by calling itself."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4
    path.write_bytes((info.tobuf(tarfile.GNU_FORMAT) + b"abc\0".ljust(512, b"\0")) * 3000)


def linked(path: Path) -> None:
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"hello"),
    "a gzip magic": lambda path: path.write_bytes(b"\x1f\x8b\x08" + b"\xff" * 600),
    "gzipped": lambda path: path.write_bytes(gzip.compress(path.read_bytes())),
    "cut gzip": lambda path: path.write_bytes(gzip.compress(path.read_bytes())[:40]),
    "an xz magic": lambda path: path.write_bytes(b"\xfd7zXZ\0" + b"\xff" * 600),
    "a bzip2 magic": lambda path: path.write_bytes(b"BZh9" + b"\xff" * 600),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:700]),
    "nested": deep,
    "long names": long_names,
    "a linked manifest": linked,
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a link": lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
    "a FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
    "a deep end": lambda path: path.with_suffix(".done").write_bytes(b"[" * 200_000),
    "an odd end": lambda path: path.with_suffix(".done").write_bytes(b'{"a": 1}'),
}


NEEDED = {"a link": pytest.mark.links("a link"), "a FIFO": pytest.mark.posix("a FIFO")}


@pytest.mark.parametrize("broken", [pytest.param(each, marks=NEEDED.get(each, ())) for each in BROKEN])
def test_one_bad_archive_is_one_error_line_and_the_rest_works(tree: Tree, broken: str) -> None:
    journal = journal_in(tree.root.parent)
    sound = healed(tree).parent.name
    between = files_in(tree.root)
    tree.add(job("task-2", pid=4243))
    BROKEN[broken](healed(tree))
    runs = journal.runs()
    assert [run.id for run in runs] == [sound] and len(journal.damaged) == 1 and "\n" not in journal.damaged[0]
    tree.add(job("task-3", pid=4244))
    report = heal([tree.root], world=world(), journal=journal)
    assert report.exit_status == 0 and report.healed
    assert undo(report.run, journal=journal).restored[0].refusal is None
    with pytest.raises(JournalError, match="undo RUN"):
        undo(journal=journal)
    for name, data in between.items():
        (tree.root / name).write_bytes(data)
    for name in files_in(tree.root).keys() - between.keys():
        (tree.root / name).unlink()
    assert undo(sound, journal=journal).restored[0].refusal is None


# --- where it may write --------------------------------------------------------------------------------------------


def victim(tmp_path: Path, name: str = "victim") -> Path:
    path = tmp_path / name
    path.mkdir()
    (path / "state.json").write_text("theirs")
    return path


@pytest.mark.parametrize("name", ["victim", "victim-0123456789abcdef"])
def test_a_workspace_that_was_not_the_runs_is_refused(tree: Tree, tmp_path: Path, name: str) -> None:
    path, before = healed(tree), files_in(tree.root)
    there = victim(tmp_path, name)
    rewritten(path, lambda manifest: manifest.update(workspace=str(there)))
    report = undo(journal=journal_in(tmp_path))
    assert report.exit_status == 1 and "no directory in which a plugin keeps" in (report.restored[0].refusal or "")
    assert (there / "state.json").read_text() == "theirs" and files_in(tree.root) == before


def test_a_directory_that_holds_no_state_is_refused(tree: Tree, tmp_path: Path) -> None:
    path = healed(tree)
    there = tmp_path / "home-0123456789abcdef"
    there.mkdir()
    (there / "notes.txt").write_text("mine")
    rewritten(path, lambda manifest: manifest.update(workspace=str(there), root=str(tmp_path)))
    report = undo(journal=journal_in(tmp_path))
    assert "no plugin keeps" in (report.restored[0].refusal or "")
    assert [each.name for each in there.iterdir()] == ["notes.txt"]


def test_an_archive_that_names_no_root_is_trusted_below_known_roots_only(tree: Tree, tmp_path: Path) -> None:
    path, before = healed(tree), files_in(tree.root)
    rewritten(path, lambda manifest: manifest.pop("root"))
    assert undo(journal=journal_in(tmp_path)).exit_status == 1 and files_in(tree.root) == before
    os.environ["CLAUDE_CONFIG_DIR"] = str(tree.root)
    assert undo(journal=journal_in(tmp_path)).exit_status == 0


@pytest.mark.links("a link in the place of the workspace")
def test_a_link_in_the_place_of_the_workspace_is_not_followed(tree: Tree, tmp_path: Path) -> None:
    healed(tree)
    moved = tmp_path / "elsewhere"
    tree.path.rename(moved)
    before = files_in(moved)
    tree.path.symlink_to(moved)
    assert undo(journal=journal_in(tmp_path)).exit_status == 1
    assert files_in(moved) == before


@pytest.mark.posix("modes")
def test_no_setuid_bit_comes_from_the_journal(tree: Tree, tmp_path: Path) -> None:
    (tree.path / "broker.json").write_text('{"endpoint": "unix:/nonexistent/b.sock", "pid": 4242}\n')
    path = healed(tree)
    assert not (tree.path / "broker.json").exists()

    def change(manifest: dict[str, Any]) -> None:
        for each in manifest["files"]:
            if each["name"] == "broker.json":
                each["before"]["mode"] = 0o4755

    rewritten(path, change)
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    assert stat.S_IMODE((tree.path / "broker.json").stat().st_mode) == 0o755


def unreadable(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A disk that fails just there."""
    real = os.listdir

    def listdir(path: Any = ".") -> Any:
        if os.fspath(path) == str(folder):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)


def test_a_newest_run_that_cannot_be_listed_keeps_plain_undo_from_an_older_one(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = healed(tree).parent.name
    tree.add(job("task-2"))
    newest = healed(tree).parent
    before = files_in(tree.root)
    unreadable(monkeypatch, newest)
    with pytest.raises(JournalError, match=f"{newest.name}.* cannot be read.*undo RUN"):
        undo(journal=journal_in(tree.root.parent))
    assert files_in(tree.root) == before
    assert [run.id for run in journal_in(tree.root.parent).runs()] == [older]


def test_a_run_that_cannot_be_listed_is_never_taken_for_an_empty_one(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = healed(tree)
    os.utime(archive.parent, (1, 1))
    journal = journal_in(tree.root.parent)
    with monkeypatch.context() as failing:
        unreadable(failing, archive.parent)
        journal.prune()
    assert archive.exists() and [run.id for run in journal.runs()] == [archive.parent.name]
    archive.unlink()
    os.utime(archive.parent, (1, 1))
    journal.prune()
    assert not archive.parent.exists()
