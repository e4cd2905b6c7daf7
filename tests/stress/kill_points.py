"""End a heal, or an undo, at every single disk operation, and look at what is left.

Enumerated, not sampled: the k-th operation is counted in a child that ends there with ``os._exit``, before the
operation, or with it half done (half of the bytes of a write) or just done. By hand, over several workspaces:

    python -m tests.stress.kill_points
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stateheal.engine.api import heal, settings_of
from stateheal.engine.commands import undo
from stateheal.fs.own_names import TEMP_PREFIX
from stateheal.model.report import Report
from tests.support import Tree, done, entry_of, files_in, job, journal_in, world, write_json

OPERATIONS = ("open", "write", "fsync", "link", "replace", "unlink", "ftruncate", "utime", "fchmod", "mkdir", "rmdir")
KILLED = 9
MOMENTS = ("before", "half", "after")


def build(folder: Path, workspaces: int) -> Tree:
    """Workspaces with every kind of change a heal makes: records, index, log, broker, a rebuilt and a new index."""
    tree = Tree(folder / "tree")
    for number in range(workspaces):
        made = Tree(tree.root, f"/home/dev/projects/w{number}").add(job("task-1")).add(done("task-2"))
        if number % 2 == 0:
            write_json(made.path / "broker.json", {"endpoint": "unix:/nonexistent/b.sock", "pid": 4242})
            made.file(job("task-lost", pid=4243)).log("task-lost")
        else:
            record = done("task-3")
            made.file(record).index(*made.read_index()["jobs"], entry_of(record, status="running", pid=4242))
    return tree


def die_at(count: int, moment: str) -> Callable[[], int]:
    """Patch ``os`` in this process so that it ends at the count-th disk operation; returns how many there were."""
    seen = 0

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            if name == "open" and not args[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
                return real(*args, **kwargs)  # reading changes nothing
            seen += 1
            if seen != count:
                return real(*args, **kwargs)
            if moment == "half" and name == "write":
                real(args[0], bytes(args[1])[: len(args[1]) // 2])
            elif moment == "after":
                real(*args, **kwargs)
            os._exit(KILLED)

        return operation

    _patch(wrap)
    return lambda: seen


def fail_at(count: int, number: int) -> Callable[[], None]:
    """Patch ``os`` in this process so that one disk operation fails with an errno; returns what takes that back."""
    seen = 0
    originals = {name: getattr(os, name) for name in OPERATIONS}

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            if name == "open" and not args[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
                return real(*args, **kwargs)
            seen += 1
            if seen == count:
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        return operation

    _patch(wrap)

    def restore() -> None:
        for name, real in originals.items():
            setattr(os, name, real)

    return restore


def _patch(wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> None:
    for name in OPERATIONS:
        real = getattr(os, name)
        patched = wrap(name, real)
        for known in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            if real in known:
                known.add(patched)
        setattr(os, name, patched)


def in_child(work: Callable[[], object], count: int, moment: str) -> tuple[bool, int]:
    """Do the work in a child that ends at the count-th operation: whether it did, and how many there were."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        operations = die_at(count, moment)
        try:
            work()
            os.write(writer, str(operations()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED)
    return status == KILLED, int(said or 0)


def run_heal(tree: Tree) -> Report:
    """A heal of a copied tree: its records name logs elsewhere, as those of a container do."""
    here = settings_of(assume_local=True)
    return heal([tree.root], settings=here, world=world(), journal=journal_in(tree.root.parent))


def run_undo(tree: Tree) -> None:
    undo(journal=journal_in(tree.root.parent))


def is_ours(name: str) -> bool:
    return Path(name).name.startswith(TEMP_PREFIX)


def without_ours(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not is_ours(name)}


def check_old_or_new(now: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Every file is wholly its old self or wholly its healed self, and none is missing that should be there.

    A log is appended to: of the one line that is added to it, a beginning may be there.
    """
    assert now.keys() <= old.keys() | new.keys()
    for name in old.keys() | new.keys():
        if name.endswith(".log"):
            assert now[name].startswith(old[name]) and new[name].startswith(now[name])
            continue
        assert now.get(name) in (old.get(name), new.get(name)), f"{name} is neither old nor new"


def undo_all(tree: Tree) -> int:
    """Repeated undo, to the very beginning."""
    runs = 0
    while True:
        report = undo(journal=journal_in(tree.root.parent))
        if report.run is None:
            return runs
        assert report.exit_status == 0, [each.refusal for each in report.restored]
        runs += 1


def enumerate_kills(folder: Path, workspaces: int, moments: tuple[str, ...] = MOMENTS) -> dict[str, int]:
    """Every kill point of a heal and of its undo; raises ``AssertionError`` at the first broken promise."""
    pristine = build(folder / "pristine", workspaces)
    old = files_in(pristine.root)
    clean = copy_of(pristine, folder / "clean")
    run_heal(clean)
    new = files_in(clean.root)
    points = {"heal": 0, "undo": 0}
    for moment in moments:
        count = 0
        while one_heal(pristine, folder / "work", count := count + 1, moment, old, new):
            points["heal"] += 1
        count = 0
        while one_undo(clean, folder / "work", count := count + 1, moment, old, new):
            points["undo"] += 1
    return points


def copy_of(tree: Tree, folder: Path) -> Tree:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree.root.parent, folder)
    return Tree(folder / "tree")


def one_heal(pristine: Tree, work: Path, count: int, moment: str, old: dict[str, bytes], new: dict[str, bytes]) -> bool:
    """Kill a heal at one point; then heal again, and undo everything. Returns whether there was such a point."""
    tree = copy_of(pristine, work)
    killed, _ = in_child(lambda: run_heal(tree), count, moment)
    if not killed:
        return False
    check_old_or_new(without_ours(files_in(tree.root)), old, new)
    run_heal(tree)
    assert files_in(tree.root) == new, "the next heal ends in the same tree, and leaves nothing behind"
    undo_all(tree)
    assert files_in(tree.root) == old, "repeated undo returns every original byte, and nothing else"
    return True


def one_undo(clean: Tree, work: Path, count: int, moment: str, old: dict[str, bytes], new: dict[str, bytes]) -> bool:
    """Kill the undo of a whole heal at one point; the next undo finishes it."""
    tree = copy_of(clean, work)
    shutil.rmtree(journal_in(work).path, ignore_errors=True)
    rebuilt = copy_of(Tree(clean.root.parent.parent / "pristine" / "tree"), work)
    run_heal(rebuilt)
    killed, _ = in_child(lambda: run_undo(tree), count, moment)
    if not killed:
        return False
    check_old_or_new(without_ours(files_in(tree.root)), old, new)
    undo_all(tree)
    assert files_in(tree.root) == old
    run_heal(tree)
    assert files_in(tree.root) == new
    return True


def main() -> None:
    """Enumerate and print."""
    workspaces = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STATEHEAL_STATE_DIR"] = folder
        print(json.dumps({"workspaces": workspaces, **enumerate_kills(Path(folder), workspaces)}))


if __name__ == "__main__":
    main()
