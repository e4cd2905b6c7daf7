"""Runs leave the journal: what they changed stays as it is, and can no longer be undone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress

from stateheal.commit.archive import load, write_durably
from stateheal.commit.journal import LAST_RUN, Journal, last_number, remove_tree, run_number
from stateheal.commit.lock import is_held_by_another
from stateheal.errors import JournalError


def with_their_undos(journal: Journal, runs: Iterable[str]) -> list[str]:
    """The runs, and the undos that took back nothing else, oldest first."""
    gone = set(runs)
    there = journal.run_ids()
    for name in there - gone:
        undone = _undone_by(journal, name) & there
        if undone and undone <= gone:
            gone.add(name)
    return sorted(gone, key=lambda name: (run_number(name), name))


def _undone_by(journal: Journal, name: str) -> set[str]:
    """The runs that an undo took back; none for any other run, and for one that cannot be read."""
    found: set[str] = set()
    for path in (journal.runs_path / name).glob("*.tar"):
        with suppress(JournalError):
            found |= {key.partition("/")[0] for key in load(path).undoes}
    return found


def forget(journal: Journal, names: Collection[str]) -> list[str]:
    """Remove runs from the journal. Returns those that are at work just now: they stay.

    Their numbers are never given again, so that an id means one run for ever. Raises ``JournalError``.
    """
    if not names:
        return []
    highest = max(last_number(journal.path), *map(run_number, journal.run_ids()), *map(run_number, names))
    busy: list[str] = []
    try:
        write_durably(journal.path / LAST_RUN, f"{highest}\n".encode())
        for name in names:
            path = journal.runs_path / name
            if is_held_by_another(path):
                busy.append(name)
            else:
                remove_tree(path)
    except OSError as error:
        raise JournalError(f"{journal.path} cannot be written: {error.strerror or error}") from error
    left = [name for name in names if name not in busy and (journal.runs_path / name).exists()]
    if left:
        raise JournalError(f"{journal.runs_path / left[0]} cannot be removed")
    return busy
