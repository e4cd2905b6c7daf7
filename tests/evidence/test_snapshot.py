"""One open, no link followed, nothing but regular files."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from stateheal.evidence import snapshot
from stateheal.evidence.snapshot import read_log, read_snapshot
from stateheal.fs.directory import open_directory
from stateheal.model.disk import Snapshot, Unreadable


def read(folder: Path, name: str) -> Snapshot | Unreadable | None:
    with open_directory(folder) as directory:
        return read_snapshot(directory, name, name)


def test_a_file_is_read_once_with_what_identifies_it(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"version": 1}')
    found = read(tmp_path, "state.json")
    assert isinstance(found, Snapshot)
    assert found.value == {"version": 1}
    assert found.stat.inode == (tmp_path / "state.json").stat().st_ino
    assert read(tmp_path, "absent.json") is None


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("link", marks=pytest.mark.links("a link is what it is about")),
        pytest.param("dangling link", marks=pytest.mark.links("a link is what it is about")),
        pytest.param("FIFO", marks=pytest.mark.posix("FIFOs")),
        pytest.param("socket", marks=pytest.mark.posix("sockets in the file system")),
        "directory",
    ],
)
def test_what_is_no_regular_file_is_named_and_never_followed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.json"
    (tmp_path / "secret").write_text("{}")
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket may not be long
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("x.json")
        os.chdir(here)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("secret" if kind == "link" else "nowhere")
    found = read(tmp_path, "x.json")
    assert isinstance(found, Unreadable)
    assert kind.split()[-1] in found.reason


def test_a_name_that_is_a_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "x.json").write_text("{}")
    for name in ("../x.json", "a/b", "..", "", "a\0b"):
        assert isinstance(read(tmp_path / "inner", name), Unreadable), name


def test_a_directory_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError), open_directory(tmp_path / "link"):
        pass


@pytest.mark.posix("openat: names are looked up in the open directory")
def test_a_directory_stays_what_it_was_when_it_was_opened(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.json").write_text('"right"')
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "x.json").write_text('"wrong"')
    with open_directory(tmp_path / "real") as directory:
        (tmp_path / "real").rename(tmp_path / "moved")
        (tmp_path / "real").symlink_to("trap")
        found = read_snapshot(directory, "x.json", "x.json")
    assert isinstance(found, Snapshot) and found.value == "right"


def test_a_file_beyond_the_cap_is_reported_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "max_bytes", lambda: 10)
    (tmp_path / "x.json").write_text('"0123456789"')
    found = read(tmp_path, "x.json")
    assert isinstance(found, Unreadable) and "12 bytes" in found.reason


def test_a_file_that_is_written_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_text('"half')
    once = os.read
    calls = 0

    def racing(fd: int, size: int) -> bytes:
        nonlocal calls
        calls += 1
        data = once(fd, size)
        if calls == 1:
            path.write_text('"whole"')
        return data

    monkeypatch.setattr(os, "read", racing)
    found = read(tmp_path, "x.json")
    assert isinstance(found, Snapshot) and found.value == "whole" and calls == 2


@pytest.mark.links("a log that is a link")
def test_a_log_tells_its_age_and_its_last_error(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("x" * 70000 + "\n[t] Codex error: one\n[t] Codex error: two\nsaid Codex error: no\n")
    os.utime(path, (5, 5))
    with open_directory(tmp_path) as directory:
        facts = read_log(directory, "a.log", "Codex")
        assert facts is not None and (facts.mtime, facts.error) == (5.0, "two")
        (tmp_path / "b.log").symlink_to("a.log")
        unread = read_log(directory, "b.log", "Codex")
        assert unread is not None and unread.error is None, "not followed, but its age counts"
        assert unread.mtime == (tmp_path / "b.log").lstat().st_mtime
        assert read_log(directory, "c.log", "Codex") is None
