"""Replacing where nothing may be open meanwhile: on Windows as it is, elsewhere with the same steps taken."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stateheal.commit import closed
from stateheal.commit.atomic import create_file, remove_file, replace_file
from stateheal.commit.files import Target, read_plain
from stateheal.commit.replacement import Replacement
from stateheal.errors import Conflict, Overwritten, WriteError
from stateheal.fs.directory import open_directory

OLD, NEW, THEIRS = b'{"old": 1}', b'{"new": 2}', b'{"theirs": 3}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(closed, "REQUIRED", True)
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "x.json").write_bytes(OLD)
    return tmp_path / "ws"


def replace(folder: Path, at: Callable[[str, str], object] = lambda old, new: None) -> None:
    """Replace x.json; ``at`` is called directly before each move with its two names."""
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")
        moved = directory.replace

        def move(old: str, new: str) -> None:
            at(old, new)
            moved(old, new)

        directory.replace = move  # type: ignore[method-assign]
        replace_file(directory, Target("x.json", data, info), NEW, "run")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_replaced_made_and_removed_without_leftovers(folder: Path) -> None:
    replace(folder)
    assert files(folder) == {"x.json": NEW}
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")
        create_file(directory, Target("y.json", b"", info), THEIRS, "run")
        remove_file(directory, Target("x.json", data, info), "run")
    assert files(folder) == {"y.json": THEIRS}


def test_an_update_between_the_look_and_the_move_is_put_back(folder: Path) -> None:
    with pytest.raises(Conflict, match="written by somebody else"):
        replace(folder, lambda old, new: old.endswith(".tmp") and (folder / "x.json").write_bytes(THEIRS))
    assert files(folder) == {"x.json": THEIRS}


def test_an_update_of_what_is_removed_is_put_back(folder: Path) -> None:
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")
        moved = directory.replace

        def move(old: str, new: str) -> None:
            (folder / "x.json").write_bytes(THEIRS)
            moved(old, new)

        directory.replace = move  # type: ignore[method-assign]
        with pytest.raises(Conflict):
            remove_file(directory, Target("x.json", data, info), "run")
    assert files(folder) == {"x.json": THEIRS}


def test_a_replacement_can_be_taken_back_and_not_over_what_came_since(folder: Path) -> None:
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")
        for since in (None, THEIRS):
            with Replacement(directory, Target("x.json", data, info), NEW, "run") as swap:
                swap.prepare()
                swap.sync()
                swap.perform()
                if since is None:
                    swap.revert()
                    assert (folder / "x.json").read_bytes() == OLD
                    info, data = read_plain(directory, "x.json")
                else:
                    (folder / "x.json").write_bytes(since)
                    with pytest.raises(Conflict):
                        swap.revert()
    assert files(folder) == {"x.json": THEIRS}


class Busy(PermissionError):
    def __init__(self, number: int) -> None:
        super().__init__(13, "Sharing violation")
        self.winerror = number


@pytest.mark.parametrize("number", [5, 32, 33])
def test_a_scanner_is_waited_for(folder: Path, number: int) -> None:
    tries: list[str] = []

    def held(old: str, new: str) -> None:
        tries.append(old)
        if len(tries) < 3:
            raise Busy(number)

    replace(folder, held)
    assert files(folder) == {"x.json": NEW} and len(tries) == 3


def test_who_wrote_while_it_was_waited_for_is_a_conflict(folder: Path) -> None:
    tries: list[str] = []

    def held(old: str, new: str) -> None:
        tries.append(old)
        (folder / "x.json").write_bytes(THEIRS)
        raise Busy(5)

    with pytest.raises(Conflict, match="changed by somebody else"):
        replace(folder, held)
    assert files(folder) == {"x.json": THEIRS} and len(tries) == 1, "not even for a moment was it replaced"


def test_what_was_written_into_the_new_file_is_not_given_up_for_the_old(folder: Path) -> None:
    """One writes into the old file, and while it is to come back another one into the new: both stay."""

    def both(old: str, new: str) -> None:
        if old.endswith(".tmp"):
            (folder / "x.json").write_bytes(THEIRS)
        elif (folder / "x.json").read_bytes() == NEW:
            (folder / "x.json").write_bytes(NEW + b" ")
            raise Busy(5)

    with pytest.raises(Overwritten, match="by two others"):
        replace(folder, both)
    assert sorted(files(folder).values()) == sorted([NEW + b" ", THEIRS])


def test_whoever_keeps_it_open_is_a_conflict(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(old: str, new: str) -> None:
        raise Busy(5)

    monkeypatch.setattr(closed, "patiently", lambda act: act())
    with pytest.raises(Conflict, match="open in another program"):
        replace(folder, held)
    assert files(folder) == {"x.json": OLD}


def test_another_error_is_said_as_it_is(folder: Path) -> None:
    def full(old: str, new: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match="No space left"):
        replace(folder, full)
    assert files(folder) == {"x.json": OLD}


def test_a_write_right_after_is_told(folder: Path) -> None:
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")
        moved = directory.replace

        def and_somebody_writes(old: str, new: str) -> None:
            moved(old, new)
            (folder / "x.json").write_bytes(THEIRS)

        directory.replace = and_somebody_writes  # type: ignore[method-assign]
        with pytest.raises(Overwritten):
            replace_file(directory, Target("x.json", data, info), NEW, "run")
    assert files(folder) == {"x.json": THEIRS}


# --- Windows itself ------------------------------------------------------------------------------------------------

HOLDER = "import sys, time; file = open(sys.argv[1], 'r+b'); print(1, flush=True); time.sleep(60)"


@pytest.mark.processes
@pytest.mark.windows("an open file cannot be renamed over")
def test_a_writer_that_has_it_open_is_a_conflict_and_nothing_is_left(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder / "x.json")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        with pytest.raises(Conflict, match="open in another program"):
            replace(folder)
        holder.kill()
        holder.wait()
    assert files(folder) == {"x.json": OLD}
    replace(folder)
    assert files(folder) == {"x.json": NEW}


@pytest.mark.windows("the read-only attribute")
def test_a_read_only_file_is_replaced_and_stays_read_only(folder: Path) -> None:
    (folder / "x.json").chmod(stat.S_IREAD)
    replace(folder)
    assert files(folder) == {"x.json": NEW} and not os.access(folder / "x.json", os.W_OK)
    with open_directory(folder) as directory:
        info, data = read_plain(directory, "x.json")
        remove_file(directory, Target("x.json", data, info), "run")
    assert files(folder) == {}
