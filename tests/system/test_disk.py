"""What makes bytes durable on each system, and patience with whoever has a file open on Windows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stateheal.fs.directory import open_directory
from stateheal.system.disk import patiently, start_sync, sync, write_all


def test_a_system_that_takes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda fd, data: 0)
    with pytest.raises(OSError, match="nothing could be written"):
        write_all(1, b"x")


def test_on_macos_the_drive_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    sync(7, "darwin", lambda fd, command: asked.append((fd, command)))
    assert (asked, synced) == ([(7, 51)], []), "F_FULLFSYNC, which flushes the file itself as well"


def test_where_the_drive_cannot_be_told_fsync_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(fd: int, command: int) -> None:
        raise OSError(45, "Operation not supported")

    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    sync(7, "darwin", unknown)
    sync(8, "linux", unknown)
    assert synced == [7, 8]


def test_to_begin_is_not_to_wait_and_never_fails(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"bytes")
    with path.open("rb") as file:
        start_sync(file.fileno())
        gone = os.dup(file.fileno())
    os.close(gone)
    start_sync(gone)
    assert path.read_bytes() == b"bytes"


class Busy(OSError):
    """As Windows says it."""

    def __init__(self, number: int) -> None:
        super().__init__(13, "Sharing violation")
        self.winerror = number


@pytest.mark.parametrize("number", [5, 32, 33])
def test_a_scanner_is_waited_for(number: int) -> None:
    tries: list[int] = []

    def act() -> None:
        tries.append(1)
        if len(tries) < 4:
            raise Busy(number)

    patiently(act)
    assert len(tries) == 4


def test_patience_has_an_end_and_other_errors_get_none() -> None:
    def busy() -> None:
        raise Busy(32)

    with pytest.raises(Busy):
        patiently(busy, 0.03)
    tries: list[int] = []

    def full() -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        patiently(full)
    assert len(tries) == 1


@pytest.mark.windows("share bits: whoever reads must not keep the plugin from replacing or removing a file")
def test_what_is_being_read_can_be_renamed_and_removed(tmp_path: Path) -> None:
    (tmp_path := tmp_path / "x").mkdir()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"1")
    with open_directory(tmp_path) as directory:
        with directory.regular("a") as (fd, _):
            (tmp_path / "a").rename(tmp_path / "c")
            assert os.read(fd, 9) == b"1"
        with directory.regular("b"):
            (tmp_path / "b").unlink()
        directory.replace("c", "d")
        assert directory.names() == ["d"]
