"""After a run that was killed between two operations: finish what only the journal still knows of.

While a file is swapped its old self keeps a second name (``swap``). A writer that had the old file open wrote into
that. The journal knows both selves: if what stands in place is still exactly what the killed run made of it, and the
second name holds something else than it was made from, then that something is an update that would be lost, and is put
back.

A log's line is written last of all. Where the records were healed and the line is missing, it is written now.

Both go to the journal as whatever a run changes. Which run healed a record is told by its bytes *and* its age, which a
run gives to the nanosecond: heals are deterministic, so that every interrupted one would have made the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from stateheal.commit.archive import Archive
from stateheal.commit.files import named_errors
from stateheal.commit.journal import Journal
from stateheal.commit.run_writer import RunWriter
from stateheal.commit.swap import SECOND_SUFFIX
from stateheal.fs.directory import Directory, Folders
from stateheal.fs.own_names import TEMP_PREFIX, own_name, parse_own_name
from stateheal.model.disk import JOBS


def resume_interrupted(
    directory: Directory, journal: Journal, writer: RunWriter, interrupted: Iterable[Archive]
) -> None:
    """Do both in one workspace, under its lock. What is overwritten goes to the journal first.

    ``interrupted``: the archives that had no end when this run began; another run may have finished its own since.
    Raises ``JournalError`` or ``WriteError``.
    """
    with named_errors(directory.path.name), Folders(directory) as folders:
        for second, run in _second_names(directory):
            for item in journal.changes(run, directory.path):
                head, _, name = item.name.rpartition("/")
                if f"{head}/{own_name(run, name, SECOND_SUFFIX)}".lstrip("/") == second and item.before:
                    from stateheal.commit.unfinished import put_back

                    put_back(folders, second, item, writer)
        mine = [each for each in interrupted if each.workspace == directory.path and not each.undoes]
        for archive in mine:
            if not archive.complete:
                from stateheal.commit.unfinished import finish_lines

                finish_lines(folders, archive, journal, writer)


def _second_names(directory: Directory) -> list[tuple[str, str]]:
    """Second names that a run has left, each relative to the workspace, and the run."""
    found: list[tuple[str, str]] = []
    for _, prefix, names in folders_in(directory):
        for name in names:
            own = parse_own_name(name) if name.startswith(TEMP_PREFIX) else None
            if own is not None and own.suffix == SECOND_SUFFIX and not own.of_job:
                found.append((prefix + name, own.run))
    return found


def folders_in(directory: Directory) -> Iterator[tuple[Directory, str, Iterable[str]]]:
    """Every directory that a run writes in, what its names begin with, and the names in it: some companions keep one
    for each job, and some keep their locks in one."""
    listing = directory.listing()
    yield directory, "", listing
    for name in _directories_in(listing):
        with suppress(OSError), directory.sub(name) as folder:
            listing = folder.listing()
            yield folder, f"{name}/", listing
            for inner in _directories_in(listing) if name == JOBS else ():
                with suppress(OSError), folder.sub(inner) as deeper:
                    yield deeper, f"{name}/{inner}/", deeper.names()


def _directories_in(listing: dict[str, bool]) -> list[str]:
    return [name for name, is_directory in listing.items() if is_directory]
