"""Files that are swapped beside a live writer, with access lists, and where a file system has no second names."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit import apply, restore, watch
from stateheal.commit.atomic import create_file, remove_file, replace_file
from stateheal.commit.files import Target, new_stat, read_plain
from stateheal.commit.removal import Removal
from stateheal.commit.replacement import Replacement
from stateheal.engine.api import heal
from stateheal.engine.commands import undo
from stateheal.errors import Conflict, Refused
from stateheal.fs.directory import Directory, open_directory
from tests.support import Tree, done, files_in, job, journal_in, world, write_json

OLD, NEW, THEIRS = b'{"old": 1}\n', b'{"new": 2}\n', b'{"theirs": 3}\n'
TAG = "0001-20260101T000000Z"
SLEEP = time.sleep
LEASES = pytest.mark.leases("a writer that waits")
ATTRIBUTES = pytest.mark.skipif(not hasattr(os, "setxattr"), reason="needs extended attributes")
ACL = b"\x02\x00\x00\x00" + b"".join(
    tag.to_bytes(2, "little") + perm.to_bytes(2, "little") + ident.to_bytes(4, "little")
    for tag, perm, ident in (
        (0x01, 6, 0xFFFFFFFF),  # the owner
        (0x02, 4, 1234),  # a named user may read
        (0x04, 0, 0xFFFFFFFF),  # the group may not
        (0x10, 4, 0xFFFFFFFF),  # the mask, which stands in the mode's place for the group
        (0x20, 0, 0xFFFFFFFF),
    )
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ws" / "x.json"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def target_of(path: Path, directory: Directory) -> Target:
    info, data = read_plain(directory, path.name)
    return Target(path.name, data, info)


def alone(path: Path) -> bytes:
    assert [each.name for each in path.parent.iterdir()] == [path.name], "no leftovers"
    return path.read_bytes()


def wait_until_it_waits(process: subprocess.Popen[bytes], inode: int) -> None:
    """Until a writer waits for the lease on a file, or has written."""
    begun = time.monotonic()
    while process.poll() is None:
        locks = Path("/proc/locks").read_text().splitlines()
        if any("BREAKING" in line and f":{inode} " in line for line in locks):
            return
        assert time.monotonic() < begun + 60
        SLEEP(0.01)


class Writer:
    """Writes in place, as the plugin does, from another process: opened at one moment, written at a later one."""

    CODE = "import sys; f = open(sys.argv[1], 'w'); f.write(sys.argv[2]); f.close()"

    def __init__(self, path: Path) -> None:
        inode = path.stat().st_ino
        self.process = subprocess.Popen([sys.executable, "-c", self.CODE, str(path), THEIRS.decode()])
        wait_until_it_waits(self.process, inode)

    def wait(self) -> None:
        assert self.process.wait(timeout=60) == 0


def writing_at(monkeypatch: pytest.MonkeyPatch, path: Path) -> list[Writer]:
    """A writer that comes in the moment of the rename, while the lease is held."""
    started: list[Writer] = []
    real = Directory.replace

    def replace(self: Directory, old: str, new: str) -> None:
        if not started:
            started.append(Writer(path))
        real(self, old, new)

    monkeypatch.setattr(Directory, "replace", replace)
    return started


# --- a live writer -------------------------------------------------------------------------------------------------


@LEASES
@pytest.mark.processes
def test_a_writer_that_waits_while_a_file_is_removed_gets_it_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_directory(path.parent) as directory:
        target = target_of(path, directory)
        started = writing_at(monkeypatch, path)
        with pytest.raises(Conflict):
            remove_file(directory, target, TAG)
    started[0].wait()
    assert alone(path) == THEIRS


@LEASES
@pytest.mark.processes
@pytest.mark.parametrize("removed", [False, True])
def test_a_waiting_writer_goes_on_only_when_its_file_is_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    """However long that takes: otherwise it would look the name up again, and what it does there would be lost."""
    opens = "import os, sys; f = open(sys.argv[1], 'w'); same = os.path.samestat(os.fstat(f.fileno()), os.stat(f.name))"
    monkeypatch.setattr(Writer, "CODE", f"{opens}; f.write(sys.argv[2]); f.close(); sys.exit(not same)")
    with open_directory(path.parent) as directory:
        target = target_of(path, directory)
        started = writing_at(monkeypatch, path)
        for name in ("replace", "link"):
            monkeypatch.setattr(Directory, name, slowly(getattr(Directory, name), started))
        with pytest.raises(Conflict):
            remove_file(directory, target, TAG) if removed else replace_file(directory, target, NEW, TAG)
    started[0].wait()
    assert alone(path) == THEIRS


def slowly(real: Callable[..., None], started: list[Writer]) -> Callable[..., None]:
    """What comes after the writer takes its time."""

    def call(*arguments: Any) -> None:
        if started:
            time.sleep(0.5)
        real(*arguments)

    return call


@pytest.mark.parametrize("change", [lambda p: p.write_bytes(THEIRS), lambda p: (p.unlink(), p.write_bytes(OLD))])
def test_a_file_that_changed_is_not_removed(path: Path, change: Callable[[Path], object]) -> None:
    with open_directory(path.parent) as directory:
        target = target_of(path, directory)
        change(path)
        now = path.read_bytes()
        with pytest.raises(Conflict):
            remove_file(directory, target, TAG)
    assert alone(path) == now


def test_what_is_written_anew_while_a_file_is_removed_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker has ended, its file goes, and a new broker makes its own at that moment."""
    with open_directory(path.parent) as directory:
        target = target_of(path, directory)
        real = directory.unlink

        def unlink(name: str) -> None:
            if not path.exists():
                path.write_bytes(THEIRS)
            real(name)

        monkeypatch.setattr(directory, "unlink", unlink)
        remove_file(directory, target, TAG)
    assert alone(path) == THEIRS


# --- a writer that comes late --------------------------------------------------------------------------------------


class LateWriter:
    """Has looked the name up, and is held up before it opens what it has found until somebody says ``go``."""

    CODE = (
        "import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); print(flush=True); sys.stdin.readline()\n"
        "open(f'/proc/self/fd/{fd}', 'w').write(sys.argv[2])"
    )

    def __init__(self, path: Path, data: bytes) -> None:
        pipe, self.inode = subprocess.PIPE, path.stat().st_ino
        self.process = subprocess.Popen([sys.executable, "-c", self.CODE, path, data], stdin=pipe, stdout=pipe)
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.gone = False

    def go(self) -> None:
        if not self.gone:
            self.gone = True
            assert self.process.stdin is not None
            self.process.stdin.write(b"\n")
            self.process.stdin.close()
            wait_until_it_waits(self.process, self.inode)

    def wait(self) -> None:
        assert self.gone and self.process.wait(timeout=60) == 0


def going_at(monkeypatch: pytest.MonkeyPatch, late: LateWriter, where: Any, name: str) -> None:
    """The writer goes on before something is called."""
    real = getattr(where, name)

    def call(*arguments: Any) -> Any:
        late.go()
        return real(*arguments)

    monkeypatch.setattr(where, name, call)


LATE = pytest.mark.proc("to open a file that has lost its name")


@LEASES
@LATE
@pytest.mark.processes
@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("moment", ["when the directory is flushed", "a moment after everything"])
def test_a_writer_that_comes_late_gets_its_file_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, removed: bool, moment: str
) -> None:
    late = LateWriter(path, THEIRS)
    if moment == "a moment after everything":
        monkeypatch.setattr(watch, "LONGER", 60.0)
        monkeypatch.setattr(watch.time, "sleep", lambda _: late.go())
    else:
        going_at(monkeypatch, late, Directory, "sync")
    with open_directory(path.parent) as directory:
        target = target_of(path, directory)
        with pytest.raises(Conflict):
            remove_file(directory, target, TAG) if removed else replace_file(directory, target, NEW, TAG)
    late.wait()
    assert alone(path) == THEIRS


@LEASES
@LATE
@pytest.mark.processes
@pytest.mark.parametrize("late_for", ["state.json", "jobs/task-1.json"])
def test_what_a_late_writer_wrote_is_healed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_for: str
) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2"))
    path = tree.path / late_for
    theirs = {**json.loads(path.read_bytes()), "theirs": True}
    late = LateWriter(path, json.dumps(theirs, indent=2).encode())
    going_at(monkeypatch, late, Directory, "sync")
    before = files_in(tree.root)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    late.wait()
    now = json.loads(path.read_bytes())
    assert now["theirs"] and '"running"' not in json.dumps(now)
    assert report.exit_status == 0 and report.healed == 1
    assert files_in(tree.root).keys() == before.keys(), "no leftovers"


@LEASES
@LATE
@pytest.mark.processes
@pytest.mark.parametrize("late_for", ["state.json", "jobs/task-1.json"])
def test_an_undo_beside_a_late_writer_leaves_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_for: str
) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2"))
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).healed == 1
    healed, path = files_in(tree.root), tree.path / late_for
    late = LateWriter(path, THEIRS)
    monkeypatch.setattr(watch, "LONGER", 60.0)
    monkeypatch.setattr(watch.time, "sleep", lambda _: late.go())
    assert undo(journal=journal_in(tmp_path)).exit_status == 1
    late.wait()
    assert path.read_bytes() == THEIRS
    path.write_bytes(healed[path.relative_to(tree.root).as_posix()])
    assert {name for name, data in files_in(tree.root).items() if data != healed.get(name)} == set()


@pytest.mark.posix("files that are open while they are replaced")
def test_many_files_are_not_watched_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a descriptor."""
    tree = Tree(tmp_path / "tree")
    for number in range(40):
        tree.add(job(f"task-{number}"))
    before, watched, most = files_in(tree.root), [0], [0]
    begin, end = watch.Watch.__init__, watch.Watch.end

    def begun(self: watch.Watch, *arguments: Any) -> None:
        begin(self, *arguments)
        watched[0] += 1
        most[0] = max(most[0], watched[0])

    def ended(self: watch.Watch) -> None:
        end(self)
        watched[0] -= 1

    monkeypatch.setattr(watch.Watch, "__init__", begun)
    monkeypatch.setattr(watch.Watch, "end", ended)
    for module in (apply, restore):
        monkeypatch.setattr(module, "MOST", 8)
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).healed == 40
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    assert files_in(tree.root) == before and (watched, most) == ([0], [8])


# --- no second names -----------------------------------------------------------------------------------------------


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def link(self: Directory, old: str, new: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Directory, "link", link)


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_a_file_is_replaced_made_and_removed(path: Path) -> None:
    with open_directory(path.parent) as directory:
        replace_file(directory, target_of(path, directory), NEW, TAG)
        assert alone(path) == NEW
        remove_file(directory, target_of(path, directory), TAG)
        assert not list(path.parent.iterdir())
        create_file(directory, Target(path.name, b"", new_stat(directory)), OLD, TAG, 5_000_000_000)
        assert alone(path) == OLD and path.stat().st_mtime == 5
        with pytest.raises(Conflict):
            create_file(directory, Target(path.name, b"", new_stat(directory)), NEW, TAG)
    assert alone(path) == OLD


@LEASES
@pytest.mark.processes
@pytest.mark.usefixtures("no_links")
def test_without_hard_links_a_waiting_writers_update_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_directory(path.parent) as directory:
        target = target_of(path, directory)
        started = writing_at(monkeypatch, path)
        with pytest.raises(Conflict):
            replace_file(directory, target, NEW, TAG)
    started[0].wait()
    assert alone(path) == THEIRS


@pytest.mark.usefixtures("no_links")
@pytest.mark.posix("a broker behind a Unix socket")
def test_without_hard_links_a_heal_can_be_undone(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2"))
    write_json(tree.path / "broker.json", {"endpoint": "unix:/nonexistent/b.sock", "pid": 4242})
    before = files_in(tree.root)
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).exit_status == 0
    assert not (tree.path / "broker.json").exists()
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    assert files_in(tree.root) == before


# --- taken back ----------------------------------------------------------------------------------------------------


def test_a_swap_can_be_taken_back(path: Path) -> None:
    inode = path.stat().st_ino
    with open_directory(path.parent) as directory, Replacement(directory, target_of(path, directory), NEW, TAG) as swap:
        swap.prepare()
        swap.sync()
        swap.perform()
        assert path.read_bytes() == NEW and swap.landed
        swap.revert()
        assert not swap.landed
    assert alone(path) == OLD and path.stat().st_ino == inode


def test_a_swap_that_somebody_has_written_over_is_not_taken_back(path: Path) -> None:
    with open_directory(path.parent) as directory, Replacement(directory, target_of(path, directory), NEW, TAG) as swap:
        swap.prepare()
        swap.sync()
        swap.perform()
        path.write_bytes(THEIRS)
        with pytest.raises(Conflict):
            swap.revert()
        assert swap.landed
    assert alone(path) == THEIRS


def test_a_removal_can_be_taken_back(path: Path) -> None:
    with open_directory(path.parent) as directory, Removal(directory, target_of(path, directory), None, TAG) as swap:
        swap.prepare()
        swap.perform()
        assert not path.exists()
        swap.revert()
    assert alone(path) == OLD


@pytest.mark.posix("directories are synced")
def test_a_directory_that_cannot_be_synced_leaves_the_originals_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    before = files_in(tree.root)

    def fail(self: Directory) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Directory, "sync", fail)
    report = heal([tree.root], world=world(), journal=journal_in(tmp_path))
    monkeypatch.undo()
    assert report.exit_status == 3 and report.run and "power cut" in report.errors[0].message
    assert {each.outcome.value for each in report.findings} == {"healed"}
    assert tree.entry("task-1")["phase"] == "orphaned"
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    assert files_in(tree.root) == before


# --- access lists and attributes -----------------------------------------------------------------------------------


def attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def give(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"this file system keeps no {name}: {error}")


@ATTRIBUTES
def test_attributes_and_access_lists_stay_and_come_back(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    broker, record = tree.path / "broker.json", tree.path / "jobs/task-1.json"
    write_json(broker, {"endpoint": "unix:/nonexistent/b.sock", "pid": 4242})
    for file in (broker, record):
        give(file, "user.note", b"keep\0me")
        give(file, "system.posix_acl_access", ACL)
    before = {file: (attributes(file), file.stat().st_mode) for file in (broker, record)}
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).exit_status == 0
    assert (attributes(record), record.stat().st_mode) == before[record] and not broker.exists()
    assert undo(journal=journal_in(tmp_path)).exit_status == 0
    for file in (broker, record):
        assert (attributes(file), file.stat().st_mode) == before[file]


@ATTRIBUTES
def test_a_directorys_default_list_opens_no_file(path: Path) -> None:
    """A new file inherits it; what takes an old one's place must not."""
    give(path.parent, "system.posix_acl_default", ACL)
    assert "system.posix_acl_access" not in attributes(path)
    with open_directory(path.parent) as directory:
        replace_file(directory, target_of(path, directory), NEW, TAG)
    assert attributes(path) == {}


@ATTRIBUTES
def test_an_attribute_that_cannot_be_kept_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(path, "user.note", b"keep me")

    def denied(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "setxattr", denied)
    with open_directory(path.parent) as directory, pytest.raises(Refused, match=r"user\.note"):
        replace_file(directory, target_of(path, directory), NEW, TAG)
    assert alone(path) == OLD


@ATTRIBUTES
def test_an_access_list_that_is_set_meanwhile_is_a_conflict(path: Path) -> None:
    with open_directory(path.parent) as directory, Replacement(directory, target_of(path, directory), NEW, TAG) as swap:
        swap.prepare()
        swap.sync()
        give(path, "user.note", b"new")
        with pytest.raises(Conflict, match="attributes"):
            swap.perform()
    assert alone(path) == OLD
