"""Which run an undo is about, and which of its workspaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from stateheal.commit.archive import Archive
from stateheal.commit.journal import Journal, Run
from stateheal.commit.order import last_writer
from stateheal.commit.undo import find_run
from stateheal.engine.job_ids import the_one_that_begins
from stateheal.errors import StatehealError, UsageError
from stateheal.evidence.hashes import hashes_of
from stateheal.formats.jsontext import Json, parse, same
from stateheal.model.disk import INDEX, JOBS, stem_of
from stateheal.model.records import entries_of, text_of


def run_to_undo(journal: Journal, run: str | None, cwd: str | None = None, job: str | None = None) -> Run | None:
    """The run, with those workspaces only that were asked for; ``None`` where nothing is left to undo.

    Without ``run`` the latest that is not undone and has any such; of ``job`` its beginning will do.

    Raises ``UsageError`` for a run that is not there or has none, ``JournalError`` where the latest cannot be told.
    """
    found = find_run(journal, run)
    if found is None or (cwd is None and job is None):
        return found
    if job is not None:
        runs = [found] if run is not None else journal.runs()
        job = the_one_that_begins(job, {ident for each in runs for archive in each.archives for ident in _ids(archive)})
    if run is not None:
        narrowed = _narrowed(found, cwd, job)
        if not narrowed.archives:
            raise UsageError(f"run {found.id} changed nothing of {job or cwd}")
        return narrowed
    runs = [each for each in journal.runs() if each.undone_word != "yes"]
    candidates = (_narrowed(each, cwd, job) for each in runs)
    latest = next((each for each in candidates if each.archives and each.undone_word != "yes"), None)
    if latest is None:
        return None
    last = _narrowed(last_writer(latest, runs), cwd, job)
    return last if last.archives else latest


def _ids(archive: Archive) -> Iterator[str]:
    """The jobs that a run may have changed: by the names of their files, and by the index as it was."""
    for item in archive.items:
        ident = stem_of(item.name)
        if ident is not None and item.name.endswith(".json"):
            yield ident
        elif item.name == INDEX and item.action == "replace":
            with suppress(StatehealError, OSError):
                entries = entries_of(parse(archive.originals([item])[INDEX]).value)
                yield from (ident for each in entries if isinstance(each, dict) and (ident := text_of(each, "id")))


def _narrowed(run: Run, cwd: str | None, job: str | None) -> Run:
    hashes = None if cwd is None else hashes_of(cwd, os.environ)
    workspaces = {
        archive.workspace
        for archive in run.archives
        if (hashes is None or _is_of(archive, hashes)) and (job is None or _changes(archive, job))
    }
    kept = tuple(archive for archive in run.archives if archive.workspace in workspaces)
    return run._replace(archives=kept, undone=run.undone & {archive.key for archive in kept})


def _is_of(archive: Archive, hashes: frozenset[str]) -> bool:
    tail = archive.workspace.name.rpartition("-")[2]
    return len(tail) >= 12 and any(each.startswith(tail) for each in hashes)


def _changes(archive: Archive, job: str) -> bool:
    """Whether a run changed a job: its files, or its entry in the index."""
    names, own = {f"{JOBS}/{job}.json", f"{JOBS}/{job}.log"}, f"{JOBS}/{job}/"
    for item in archive.items:
        if (item.name in names or item.name.startswith(own)) and item.action != "keep":
            return True
        if item.name == INDEX and item.action == "replace":
            with suppress(StatehealError, OSError):
                before = archive.originals([item])[INDEX]
                if not same(_entry(before, job), _entry((archive.workspace / INDEX).read_bytes(), job)):
                    return True
    return False


def _entry(data: bytes, job: str) -> Json:
    entries = entries_of(parse(data).value)
    return next((each for each in entries if isinstance(each, dict) and each.get("id") == job), None)
