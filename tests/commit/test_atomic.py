"""Replacing one file, or losing nothing in trying (DESIGN.md promises 3 and 4)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit.atomic import replace_file
from stateheal.commit.files import Target, read_plain
from stateheal.commit.logs import Cut, append_line
from stateheal.errors import Conflict, Refused, StatehealError, WriteError
from stateheal.fs.directory import Directory, file_stat, open_directory
from stateheal.model.disk import FileStat

OLD, NEW = b'{"old": 1}\n', b'{"new": 2}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "ws"
    path.mkdir()
    (path / "x.json").write_bytes(OLD)
    return path


def replace(folder: Path, **more: Any) -> None:
    """Read the file as a heal would, then replace it; ``between`` is what somebody else does meanwhile."""
    between = more.pop("between", None)
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")
        if between:
            between(folder / "x.json")
        replace_file(directory, Target("x.json", data, info), NEW, "run", **more)


def only_file(folder: Path) -> bytes:
    assert [path.name for path in folder.iterdir()] == ["x.json"], "no leftovers"
    return (folder / "x.json").read_bytes()


def test_the_new_bytes_are_in_place_and_nothing_else_is(folder: Path) -> None:
    replace(folder)
    assert only_file(folder) == NEW


@pytest.mark.posix("Windows has the read-only attribute alone")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o400])
def test_the_mode_stays(folder: Path, mode: int) -> None:
    (folder / "x.json").chmod(mode)
    replace(folder)
    assert stat.S_IMODE((folder / "x.json").stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_root_leaves_the_owner(folder: Path) -> None:
    os.chown(folder / "x.json", 1234, 2345)
    replace(folder)
    info = (folder / "x.json").stat()
    assert (info.st_uid, info.st_gid) == (1234, 2345)


@pytest.mark.posix("owners by number")
def test_an_owner_that_cannot_be_kept_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if os.geteuid() == 0:
        os.chown(folder / "x.json", 1234, 2345)
    else:
        pytest.skip("needs a file of another owner")
    monkeypatch.setattr(os, "fchown", denied)
    with pytest.raises(Refused, match="1234:2345"):
        replace(folder)
    assert only_file(folder) == OLD


def test_an_undo_gives_the_old_age_back(folder: Path) -> None:
    replace(folder, mtime_ns=5_000_000_000)
    assert (folder / "x.json").stat().st_mtime_ns == 5_000_000_000


def swap_for_link(path: Path) -> None:
    path.rename(path.parent.parent / "victim")
    path.symlink_to("../victim")


CHANGES: dict[str, Callable[[Path], object]] = {
    "other bytes": lambda path: path.write_bytes(b"{}"),
    "same length": lambda path: path.write_bytes(OLD.replace(b"1", b"2")),
    "truncated": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a link": swap_for_link,
    "another file of the same bytes": lambda path: (
        path.unlink(),
        path.with_suffix(".n").write_bytes(OLD),
        path.with_suffix(".n").rename(path),
    ),
    "another mode": lambda path: path.chmod(0o640),
}


NEEDED = {
    "a link": [pytest.mark.links("a link is what it is about")],
    "another mode": [pytest.mark.posix("Windows has the read-only attribute alone")],
}


@pytest.mark.parametrize("change", [pytest.param(name, marks=NEEDED.get(name, [])) for name in CHANGES])
def test_a_file_that_changed_meanwhile_is_left_to_whoever_changed_it(folder: Path, change: str) -> None:
    inode = (folder / "x.json").stat().st_ino
    with pytest.raises(Conflict):
        replace(folder, between=CHANGES[change])
    assert not [path for path in folder.iterdir() if path.name.startswith(".stateheal")]
    if change == "a link":
        assert (folder.parent / "victim").read_bytes() == OLD
        assert (folder.parent / "victim").stat().st_ino == inode


def test_a_write_right_after_ours_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")
        moved = directory.replace

        def and_somebody_writes(old: str, new: str) -> None:
            moved(old, new)
            (folder / "x.json").write_bytes(b"theirs")

        monkeypatch.setattr(directory, "replace", and_somebody_writes)
        with pytest.raises(Conflict, match="right after"):
            replace_file(directory, Target("x.json", data, info), NEW, "run")
    assert only_file(folder) == b"theirs"


@pytest.mark.parametrize(
    "call", ["read", "write", "fsync", "replace", "open", pytest.param("fchmod", marks=pytest.mark.posix("modes"))]
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EROFS])
def test_when_the_system_fails_the_old_bytes_are_in_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")

        def fail(*args: object, **kwargs: object) -> None:
            raise OSError(number, os.strerror(number))

        if call in ("replace", "open"):
            monkeypatch.setattr(directory, call, fail)
        else:
            monkeypatch.setattr(os, call, fail)
        with pytest.raises(StatehealError) as caught:
            replace_file(directory, Target("x.json", data, info), NEW, "run")
    assert "x.json" in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.undo()
    assert only_file(folder) == OLD


# --- logs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(folder: Path) -> Path:
    path = folder / "x.log"
    path.write_bytes(b"[t] Starting.\n")
    os.utime(path, (5, 5))
    return path


def append(log: Path, line: str = "[t] Orphaned\n") -> None:
    with open_directory(log.parent) as directory:
        append_line(directory, log.name, file_stat(log.stat()), line.encode())


def cut(directory: Directory, name: str, info: FileStat, size: int, mtime_ns: int) -> Cut:
    made = Cut(directory, name, info, size, mtime_ns)
    made.prepare()
    made.perform()
    return made


def test_a_line_is_appended_and_the_age_stays(log: Path) -> None:
    append(log)
    assert log.read_bytes() == b"[t] Starting.\n[t] Orphaned\n"
    assert log.stat().st_mtime == 5


def test_a_log_that_was_written_to_meanwhile_is_left(log: Path) -> None:
    with open_directory(log.parent) as directory:
        info = file_stat(log.stat())
        log.write_bytes(b"[t] Starting.\n[t] more\n")
        with pytest.raises(Conflict):
            append_line(directory, log.name, info, b"x\n")
        with pytest.raises(Conflict):
            cut(directory, log.name, info, 3, 5)
    assert log.read_bytes() == b"[t] Starting.\n[t] more\n"


def test_a_line_that_does_not_fit_is_cut_back(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:4]))
    with pytest.raises(WriteError):
        append(log)
    assert log.read_bytes() == b"[t] Starting.\n"


def test_a_log_that_is_a_link_is_not_written(log: Path) -> None:
    info = file_stat(log.stat())
    log.rename(log.parent.parent / "victim")
    log.symlink_to("../victim")
    with open_directory(log.parent) as directory, pytest.raises(WriteError):
        append_line(directory, log.name, info, b"x\n")
    assert (log.parent.parent / "victim").read_bytes() == b"[t] Starting.\n"


def test_a_tail_is_cut_off_again(log: Path) -> None:
    append(log)
    with open_directory(log.parent) as directory:
        cut(directory, log.name, file_stat(log.stat()), 14, 5_000_000_000)
    assert log.read_bytes() == b"[t] Starting.\n"
    assert log.stat().st_mtime == 5
