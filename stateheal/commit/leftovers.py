"""What killed runs have left lying about in a workspace: removed, and the workspace itself where it is emptied."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from stateheal.commit.files import read_plain
from stateheal.commit.journal import Journal
from stateheal.commit.manifest import state_of
from stateheal.commit.resume import folders_in
from stateheal.commit.swap import SECOND_SUFFIX
from stateheal.errors import Conflict
from stateheal.fs.directory import Directory, file_stat
from stateheal.fs.own_names import own_name, parse_own_name


def remove_leftovers(directory: Directory, journal: Journal) -> None:
    """Remove what killed runs of this journal have left in a workspace, under its lock.

    A second name only where the journal holds those very bytes as what its file was, or where it is but another name of
    what stands in place. Nothing is raised for what cannot be removed.
    """
    runs = journal.run_ids()
    with suppress(OSError):
        for folder, prefix, names in folders_in(directory):
            _remove_leftovers(folder, prefix, names, directory, journal, runs)


def remove_emptied(directory: Directory, journal: Journal) -> None:
    """A workspace whose files are gone goes itself, and before it what would not be removed at the first try.

    Without its index nobody would find it again. Nothing is raised for what stays.
    """
    remove_leftovers(directory, journal)
    for path, _, _ in os.walk(directory.path, topdown=False):
        with suppress(OSError):
            os.rmdir(path)


def _remove_leftovers(
    folder: Directory, prefix: str, names: Iterable[str], directory: Directory, journal: Journal, runs: frozenset[str]
) -> None:
    for name in names:
        own = parse_own_name(name)
        if own is None or own.run not in runs:
            continue
        if own.suffix != SECOND_SUFFIX or _is_needless(folder, name, prefix, own.run, directory, journal):
            with suppress(OSError):
                folder.ensure_regular(name)
                folder.unlink(name)


def _is_needless(folder: Directory, second: str, prefix: str, run: str, directory: Directory, journal: Journal) -> bool:
    for item in journal.changes(run, directory.path):
        head, _, name = item.name.rpartition("/")
        if (f"{head}/" if head else "") != prefix or own_name(run, name, SECOND_SUFFIX) != second:
            continue
        with suppress(Conflict, OSError):
            info, data = read_plain(folder, second)
            if item.before is not None and state_of(data).sha256 == item.before.sha256:
                return True
            return file_stat(folder.stat(name)).inode == info.inode
    return False
