"""After a run that was killed between two operations: put a live writer's update back that only a second name holds.

While a file is replaced its old self keeps a second name (``atomic``). A writer that had the old file open wrote into
that. The journal knows both selves: if the file is still exactly what the killed run made of it, and the second name
holds something else than it was made from, then that something is an update that would be lost.
"""

from __future__ import annotations

from stateheal.commit.apply import folder_of
from stateheal.commit.archive import Item, digest, state_of
from stateheal.commit.atomic import SECOND_SUFFIX, TEMP_PREFIX, read_plain
from stateheal.commit.journal import Journal, RunWriter
from stateheal.directory import Directory
from stateheal.errors import Conflict
from stateheal.model import JOBS


def put_back_updates(directory: Directory, journal: Journal, writer: RunWriter) -> None:
    """Do so in one workspace, under its lock. What is overwritten goes to the journal first.

    Raises ``JournalError`` or ``OSError``.
    """
    for name in _second_names(directory):
        head, _, tail = name.rpartition("/")
        run, _, rest = tail[len(TEMP_PREFIX) :].partition("Z-")
        target = f"{head}/{rest[: -len(SECOND_SUFFIX)]}" if head else rest[: -len(SECOND_SUFFIX)]
        for item in journal.changes(run + "Z", directory.path):
            if item.name == target and item.before is not None and item.after is not None:
                _put_back(directory, name, item, writer)


def _second_names(directory: Directory) -> list[str]:
    names = directory.names()
    try:
        with directory.sub(JOBS) as jobs:
            names += [f"{JOBS}/{name}" for name in jobs.names()]
    except OSError:
        pass
    return [
        name
        for name in names
        if name.rpartition("/")[2].startswith(TEMP_PREFIX) and name.endswith(SECOND_SUFFIX) and "Z-" in name
    ]


def _put_back(directory: Directory, second: str, item: Item, writer: RunWriter) -> None:
    assert item.before is not None and item.after is not None
    with folder_of(directory, item.name) as (folder, name):
        second_name = second.rpartition("/")[2]
        try:
            (_, update), (info, current) = read_plain(folder, second_name), read_plain(folder, name)
        except Conflict:
            return
        if digest(update) == item.before.sha256 or digest(current) != item.after.sha256:
            return
        before = state_of(current, info, item.name)
        change = Item(item.name, "replace", before, state_of(update), original=current)
        archive = writer.record(directory.path, [change])
        folder.replace(second_name, name)
        folder.sync()
        writer.finish(archive, [item.name])
