"""One way to write a user's file: whole or not at all, private, never over somebody's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stateheal.errors import WriteError
from stateheal.fs.output import new_file, replace_file, write_numbered
from tests.support import has_mode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def test_a_new_file_gets_its_name_only_when_it_is_kept(folder: Path) -> None:
    with new_file(folder / "kept") as (file, keep):
        file.write(b"x")
        assert not (folder / "kept").exists()
        keep()
    with new_file(folder / "dropped") as (file, _):
        file.write(b"x")
    assert [path.name for path in folder.iterdir()] == ["kept"]
    assert (folder / "kept").read_bytes() == b"x" and has_mode(folder / "kept", 0o600)


def test_nothing_is_overwritten(folder: Path) -> None:
    (folder / "here").write_bytes(b"mine")
    with pytest.raises(WriteError, match="is there already"), new_file(folder / "here"):
        pass
    with pytest.raises(WriteError, match="is there already"), new_file(folder / "late") as (_, keep):
        (folder / "late").write_bytes(b"somebody's")
        keep()
    assert (folder / "here").read_bytes() == b"mine" and (folder / "late").read_bytes() == b"somebody's"
    assert len(list(folder.iterdir())) == 2


def test_a_failing_replacement_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(folder / "page", b"one", 0o640)
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        replace_file(folder / "page", b"two")
    assert (folder / "page").read_bytes() == b"one" and len(list(folder.iterdir())) == 1
    assert has_mode(folder / "page", 0o640)


def test_numbered_files_are_private_plain_and_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    first = write_numbered(folder, "../../etc/x", ".md", b"a")
    assert first.parent == folder and write_numbered(folder, "../../etc/x", ".md", b"a") == first
    second = write_numbered(folder, "../../etc/x", ".md", b"b")
    assert second.name.endswith("-2.md") and has_mode(second, 0o600)


@pytest.mark.links("a link that has the name")
def test_a_link_is_no_file_of_ours(tmp_path: Path) -> None:
    (folder := tmp_path / "answers").mkdir()
    (folder / "c.md").symlink_to("/etc/passwd")
    assert write_numbered(folder, "c", ".md", b"c").name == "c-2.md"


def test_the_second_name_of_an_answer_goes_with_the_next_run(folder: Path) -> None:
    """Killed between the two: the answer is whole, and written no more."""
    path = write_numbered(folder, "answer", ".md", b"a")
    left = folder / ".stateheal-output-left.tmp"
    os.link(path, left)
    os.utime(left, (0, 0))
    assert write_numbered(folder, "answer", ".md", b"a") == path and list(folder.iterdir()) == [path]


def test_what_a_killed_run_has_left_goes_with_the_next(folder: Path) -> None:
    """Unless somebody is still writing it, or was a moment ago."""
    left, young = folder / ".stateheal-output-left.tmp", folder / ".stateheal-output-young.tmp"
    for path in (left, young):
        path.write_bytes(b"half of an ans")
    os.utime(left, (0, 0))
    with new_file(folder / "slow") as (file, keep):
        assert not left.exists()
        (temp,) = (path for path in folder.iterdir() if path != young)
        os.utime(temp, (0, 0))
        replace_file(folder / "other", b"other")
        file.write(b"slow")
        keep()
    assert {path.name for path in folder.iterdir()} == {young.name, "slow", "other"}
    assert (folder / "slow").read_bytes() == b"slow"
