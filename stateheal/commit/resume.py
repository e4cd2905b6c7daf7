"""After a run that was killed between two operations: finish what only the journal still knows of.

While a file is replaced its old self keeps a second name (``atomic``). A writer that had the old file open wrote into
that. The journal knows both selves: if the file is still exactly what the killed run made of it, and the second name
holds something else than it was made from, then that something is an update that would be lost, and is put back.

A log's line is written last of all. Where the records were healed and the line is missing, it is written now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stateheal.commit.archive import Archive, Item, is_partly_appended, state_of
from stateheal.commit.atomic import SECOND_SUFFIX, append_line, cut_tail, read_plain
from stateheal.commit.journal import Journal, RunWriter
from stateheal.errors import Conflict, WriteError
from stateheal.formats.digest import sha256
from stateheal.fs.directory import Directory, folder_of, own_name, parse_own_name
from stateheal.model.disk import INDEX, JOBS


def resume_interrupted(
    directory: Directory, journal: Journal, writer: RunWriter, interrupted: Iterable[Archive]
) -> None:
    """Do both in one workspace, under its lock. What is overwritten goes to the journal first.

    ``interrupted``: the archives that had no end when this run began; another run may have finished its own since.
    Raises ``JournalError`` or ``OSError``.
    """
    for second in _second_names(directory):
        head, _, tail = second.rpartition("/")
        own = parse_own_name(tail)
        run = own.run if own else ""
        for item in journal.changes(run, directory.path):
            folder, _, name = item.name.rpartition("/")
            if (folder, own_name(run, name, SECOND_SUFFIX)) == (head, tail) and item.before and item.after:
                _put_back(directory, second, item, writer)
    for archive in interrupted:
        if archive.workspace == directory.path and not archive.complete:
            _finish_logs(directory, archive.planned)


def _finish_logs(directory: Directory, items: Sequence[Item]) -> None:
    healed = {item.name: item for item in items if item.action != "append"}
    for item in items:
        if item.action != "append" or item.before is None:
            continue
        record = healed.get(item.name.removesuffix(".log") + ".json") or healed.get(INDEX)
        if record is None or record.after is None or _digest_of(directory, record.name) != record.after.sha256:
            continue
        try:
            with folder_of(directory, item.name) as (folder, name):
                info, data = read_plain(folder, name)
                whole = sha256(data) == (item.after.sha256 if item.after else None)
                if is_partly_appended(item, data) and not whole:
                    cut_tail(folder, name, info, item.before.size, item.before.mtime_ns or 0)
                    info, data = read_plain(folder, name)
                if sha256(data) == item.before.sha256 and info.links == 1:
                    append_line(folder, name, info, item.line or "")
        except (Conflict, WriteError):
            continue  # it has moved on: then the line is not missed


def _digest_of(directory: Directory, name: str) -> str | None:
    try:
        with folder_of(directory, name) as (folder, plain):
            return sha256(read_plain(folder, plain)[1])
    except (Conflict, OSError):
        return None


def _second_names(directory: Directory) -> list[str]:
    names = directory.names()
    try:
        with directory.sub(JOBS) as jobs:
            names += [f"{JOBS}/{name}" for name in jobs.names()]
    except OSError:
        pass
    own = {name: parse_own_name(name.rpartition("/")[2]) for name in names}
    return [name for name, each in own.items() if each and each.suffix == SECOND_SUFFIX and not each.of_job]


def _put_back(directory: Directory, second: str, item: Item, writer: RunWriter) -> None:
    assert item.before is not None and item.after is not None
    with folder_of(directory, item.name) as (folder, name):
        second_name = second.rpartition("/")[2]
        try:
            (_, update), (info, current) = read_plain(folder, second_name), read_plain(folder, name)
        except Conflict:
            return
        if sha256(update) == item.before.sha256 or sha256(current) != item.after.sha256:
            return
        before = state_of(current, info, item.name)
        change = Item(item.name, "replace", before, state_of(update), original=current)
        archive = writer.record(directory.path, [change])
        folder.replace(second_name, name)
        folder.sync()
        writer.finish(archive, [item.name])
