"""Which of several runs was the last in a workspace: their numbers say only which of them began first.

Stateheals at work at once take turns, a workspace at a time, so that an older run may have written over what a newer
one left. Which it was stands in the digests of the two, whatever the clock said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from stateheal.commit.archive import Archive
from stateheal.commit.files import read_plain
from stateheal.commit.journal import Run
from stateheal.commit.manifest import Item
from stateheal.digests import sha256
from stateheal.errors import StatehealError
from stateheal.fs.directory import Folders, open_directory
from stateheal.values import NamedTuple

_CHANGED = ("replace", "create", "remove")
"""What was done to files whose whole digests are noted."""


class _Write(NamedTuple):
    """What an archive did to one file: digests, ``None`` for no file."""

    run: Run
    name: str
    before: str | None
    after: str | None


def last_writer(run: Run, runs: Sequence[Run]) -> Run:
    """The run to take back first: ``run``, or the one of ``runs`` that wrote over what it left and was the last to.

    A file that somebody else has written since names nobody.
    """
    others = [each for each in runs if each.id != run.id and each.undone_word != "yes"]
    for workspace in dict.fromkeys(archive.workspace for archive in _open(run)):
        over = [write for each in others for write in _writes(each, workspace)]
        for write in _writes(run, workspace) if over else ():
            later = _last_over(write, [each for each in over if each.name == write.name], workspace)
            if later is not None:
                return later
    return run


def _open(run: Run) -> Iterator[Archive]:
    return (archive for archive in run.archives if archive.key not in run.undone)


def _writes(run: Run, workspace: Path) -> list[_Write]:
    """What a run did to each file of a workspace in sum."""
    found: dict[str, _Write] = {}
    for archive in _open(run):
        for item in archive.items if archive.workspace == workspace else ():
            if item.action in _CHANGED:
                before = found[item.name].before if item.name in found else _digest(item, "before")
                found[item.name] = _Write(run, item.name, before, _digest(item, "after"))
    return [each for each in found.values() if each.before != each.after]


def _digest(item: Item, side: str) -> str | None:
    state = item.before if side == "before" else item.after
    return state.sha256 if state else None


def _last_over(write: _Write, others: list[_Write], workspace: Path) -> Run | None:
    """Who made of what this run left what stands there now; nobody where it stands as left, or as before."""
    chain = [write]
    while above := [each for each in others if each.before == chain[-1].after and each not in chain]:
        chain.append(above[0])
    if len(chain) == 1:
        return None
    try:
        now = _now(workspace, write.name)
    except (StatehealError, OSError):
        return None
    if now in (write.before, write.after):
        return None
    return next((each.run for each in reversed(chain) if each.after == now), None)


def _now(workspace: Path, name: str) -> str | None:
    with open_directory(workspace) as directory, Folders(directory) as folders:
        try:
            folder, plain = folders.of(name)
            folder.stat(plain)
        except FileNotFoundError:
            return None
        return sha256(read_plain(folder, plain)[1])
