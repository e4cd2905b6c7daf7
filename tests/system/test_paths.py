"""Paths as the plugin hashes them, links of every kind, names that Windows takes for something else."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stateheal.engine.api import heal
from stateheal.engine.commands import undo
from stateheal.evidence import hashes
from stateheal.evidence.hashes import hashes_of, slug, workspace_hash
from stateheal.evidence.roots import temp_root
from stateheal.fs import directory as directories
from stateheal.fs.directory import WrongKind, open_directory
from stateheal.hook import check, places
from stateheal.system import paths
from stateheal.system.paths import is_plain_on_windows, mode_of, real_path, spellings, unlimited
from tests.support import Tree, files_in, job, journal_in, world


@pytest.mark.posix("os.open of a directory")
def test_on_macos_the_spelling_on_the_disk_counts(tmp_path: Path) -> None:
    (tmp_path / "Project").mkdir()
    asked: list[bool] = []

    def spelled(fd: int) -> str:
        asked.append(os.path.samestat(os.fstat(fd), (tmp_path / "Project").stat()))
        return "/private/var/Project"

    assert real_path(str(tmp_path / "Project"), "darwin", spelled) == "/private/var/Project" and asked == [True]
    assert real_path(str(tmp_path / "Project"), "linux", spelled) == os.path.realpath(tmp_path / "Project")


def test_on_macos_what_is_not_there_or_cannot_be_asked_keeps_its_spelling(tmp_path: Path) -> None:
    def denied(fd: int) -> str:
        raise OSError(22, "Invalid argument")

    real = os.path.realpath(tmp_path)
    assert real_path(str(tmp_path / "absent"), "darwin", denied) == os.path.join(real, "absent")
    assert real_path(str(tmp_path), "darwin", denied) == real


def test_letters_may_be_composed_or_decomposed_on_macos_alone() -> None:
    composed, decomposed = "/x/\u00fcber", "/x/u\u0308ber"
    assert spellings(composed, "darwin") == spellings(decomposed, "darwin") == {composed, decomposed}
    assert spellings(composed, "linux") == {composed} and spellings("/x/uber", "darwin") == {"/x/uber"}


@pytest.mark.posix("os.open of a directory")
def test_on_macos_a_project_below_tmp_is_found_by_either_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/tmp and /var lead into /private: the plugin hashes what the link leads to."""
    (tmp_path / "private/tmp/work").mkdir(parents=True)
    (tmp_path / "tmp").symlink_to("private/tmp")
    monkeypatch.setattr(hashes, "real_path", lambda path: real_path(path, "darwin", lambda fd: os.path.realpath(path)))
    wanted = workspace_hash(os.path.realpath(tmp_path / "private/tmp/work"))
    for given in ("tmp/work", "private/tmp/work"):
        assert wanted in hashes_of(str(tmp_path / given), {})


def test_on_macos_the_temp_directory_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "/var/folders/ab/cdef/T/"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert temp_root({"TMPDIR": own}) == Path(own)
    assert temp_root({}) == Path("/tmp")


def test_a_path_that_cannot_be_resolved_keeps_its_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str) -> str:
        raise OSError(22, "more data is available")

    monkeypatch.setattr(os.path, "realpath", refused)
    assert real_path(str(tmp_path / "x")) == str(tmp_path / "x")


@pytest.mark.parametrize(
    ("path", "spelled"),
    [
        ("C:\\short\\x.json", "C:\\short\\x.json"),
        ("C:\\a\\..\\b/" + "x" * 250, "\\\\?\\C:\\b\\" + "x" * 250),
        ("\\\\server\\share\\" + "x" * 250, "\\\\?\\UNC\\server\\share\\" + "x" * 250),
        ("\\\\?\\C:\\" + "x" * 250, "\\\\?\\C:\\" + "x" * 250),
        ("relative\\" + "x" * 250, "relative\\" + "x" * 250),
    ],
)
def test_a_long_path_on_windows(path: str, spelled: str) -> None:
    assert unlimited(path) == spelled


@pytest.mark.windows("paths beyond 259 characters")
def test_a_file_whose_temporary_name_is_too_long_is_healed(tmp_path: Path) -> None:
    """What is written beside a file has a name longer by forty characters than the file's own."""
    room = 235 - len(str(Tree(tmp_path / "t", project="/x").path / "jobs/task-1.json"))
    tree = Tree(tmp_path / "t", project="/" + "x" * max(1, room)).add(job("task-1", pid=4242))
    assert len(str(tree.path / "jobs/task-1.json")) > 230
    before = files_in(tree.root)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    assert not report.errors and tree.record("task-1")["phase"] == "orphaned"
    assert {*files_in(tree.root)} == {*before}
    undo(journal=journal_in(tmp_path))
    assert files_in(tree.root) == before


@pytest.mark.posix("os.open of a directory")
def test_the_hook_and_the_engine_look_for_the_same_hashes_on_macos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (hashes, places):
        monkeypatch.setattr(
            module, "real_path", lambda path: real_path(path, "darwin", lambda fd: "/private/tmp/u\u0308")
        )
        monkeypatch.setattr(module, "spellings", lambda path: spellings(path, "darwin"))
    found = hashes_of(str(tmp_path), {})
    assert found == frozenset(check.hashes(str(tmp_path), {}))
    assert {workspace_hash(each) for each in ("/private/tmp/u\u0308", "/private/tmp/\u00fc", "/private/tmp")} <= found


@pytest.mark.windows("the spelling on the disk, as node's realpathSync.native gives it")
def test_on_windows_the_spelling_on_the_disk_counts(tmp_path: Path) -> None:
    (tmp_path / "MyProject").mkdir()
    given = str(tmp_path / "myproject")
    real = real_path(given[0].lower() + given[1:].replace("\\", "/"))
    assert real.endswith("\\MyProject") and real[0].isupper()
    assert workspace_hash(real) in hashes_of(given.upper(), {})
    assert hashes_of(given, {}) == frozenset(check.hashes(given, {}))


@pytest.mark.windows("both separators, drives")
@pytest.mark.parametrize(
    ("path", "expected"), [("C:\\a\\my project", "my-project"), ("C:/a/x", "x"), ("C:\\", "workspace"), ("C:/a/", "a")]
)
def test_slugs_on_windows(path: str, expected: str) -> None:
    assert slug(path) == expected


def info(mode: int, attributes: int = 0, tag: int = 0) -> Any:
    return SimpleNamespace(st_mode=mode, st_file_attributes=attributes, st_reparse_tag=tag)


JUNCTION, SYMBOLIC, CLOUD = 0xA0000003, 0xA000000C, 0x9000001A


def test_a_junction_is_a_link_and_a_file_kept_in_a_cloud_is_none() -> None:
    directory, file = stat.S_IFDIR | 0o777, stat.S_IFREG | 0o666
    assert stat.S_ISLNK(mode_of(info(directory, 0x410, JUNCTION)))
    assert stat.S_ISLNK(mode_of(info(file, 0x420, SYMBOLIC)))
    assert mode_of(info(file, 0x420, CLOUD)) == file and mode_of(info(directory, 0x10)) == directory
    assert paths.LINK == stat.S_IFLNK


def test_a_junction_is_not_walked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "HAS_OPENAT", False)
    monkeypatch.setattr(directories, "mode_of", lambda found: mode_of(info(found.st_mode, 0x410, JUNCTION)))
    with pytest.raises(WrongKind, match="it is a link"), open_directory(tmp_path):
        pass


@pytest.mark.parametrize("name", ["x.json", "task-1.json", "console.json", "com10.json", ".hidden", "a b"])
def test_plain_names(name: str) -> None:
    assert is_plain_on_windows(name)


@pytest.mark.parametrize("name", ["x.json:stream", "nul", "NUL.json", "com1.log", "aux .json", "x.", "x ", "CONIN$"])
def test_names_that_windows_takes_for_something_else(name: str) -> None:
    assert not is_plain_on_windows(name)


@pytest.mark.windows("names that mean something else there")
@pytest.mark.parametrize("name", ["x.json:stream", "nul.json", "a\\b"])
def test_such_a_name_is_not_opened(tmp_path: Path, name: str) -> None:
    with open_directory(tmp_path) as directory, pytest.raises(OSError, match="not a"):
        directory.open(name, os.O_RDONLY)
