"""Which files are a job's, and which a workspace's, wherever their companion keeps them (field guide section 11)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stateheal.fs.directory import Directory, folder_of
from stateheal.model.dialect import Dialect
from stateheal.model.disk import INDEX, JOBS
from stateheal.model.layout import log_name, record_name
from stateheal.model.plan import Plan
from stateheal.model.records import is_file_name

_DEEPEST = 2
"""Levels of directories that ``undo`` puts files back in; whatever is deeper is not taken."""


def files_of_job(directory: Directory, job: str, dialect: Dialect) -> Iterator[str]:
    """The names of a job's files, its record last: an answer or log whose record is gone is nobody's.

    Where each job has a directory, all that stands in it. Raises ``OSError``.
    """
    record = record_name(job, dialect)
    own, _, _ = record.rpartition("/")
    if own != JOBS and is_file_name(job):
        yield from sorted(_below(directory, own), key=lambda name: name == record)
        return
    answer = [dialect.answer_file.format(id=job)] if dialect.answer_file else []
    yield from (*answer, log_name(job, dialect), record)


def folders_of_jobs(plan: Plan, directory: Directory) -> list[Path]:
    """The directories of jobs, as some companions keep them, that files of a plan stand in."""
    folders = {each.name.rpartition("/")[0] for each in plan.files} - {"", JOBS}
    return [directory.path / name for name in sorted(folders)]


def files_of_workspace(directory: Directory) -> Iterator[str]:
    """The names of all that a workspace holds, those of a job's directory among them, the index last. Raises
    ``OSError``."""
    yield from _below(directory, JOBS)
    yield from sorted((name for name in directory.names() if name != JOBS), key=lambda name: name == INDEX)


def _below(directory: Directory, name: str) -> Iterator[str]:
    """What stands below ``jobs/``, a directory only where it is too deep; nothing where there is none."""
    try:
        with folder_of(directory, f"{name}/.") as (folder, _):
            listing = folder.listing()
    except FileNotFoundError:
        return
    for base, is_directory in listing.items():
        full = f"{name}/{base}"
        if is_directory and full.count("/") < _DEEPEST:
            yield from _below(directory, full)
        else:
            yield full
