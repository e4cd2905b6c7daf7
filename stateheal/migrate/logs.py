"""What of ``jobs/`` a move copies besides records: logs, plain files of one name, as everywhere; the rest is told."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from stateheal.errors import Refused
from stateheal.fs.directory import Directory, ensure_regular
from stateheal.model.disk import JOBS
from stateheal.model.problems import Problem
from stateheal.model.records import NOT_RECORDS
from stateheal.values import NamedTuple


class Logs(NamedTuple):
    """What can be copied, by job, and why the rest cannot."""

    ids: frozenset[str] = frozenset()
    others: dict[str, Problem] = {}


def logs_in(directory: Directory) -> Logs:
    """Look through a workspace's ``jobs``. Raises ``OSError`` where that, or a log in it, cannot be looked at."""
    ids: set[str] = set()
    others: dict[str, Problem] = {}
    for ident, why in _seen(directory):
        if why is None:
            ids.add(ident)
        else:
            path = directory.path / JOBS / f"{ident}.log"
            others[ident] = Problem(str(path), f"is not copied: {why}")
    return Logs(frozenset(ids), others)


def _seen(directory: Directory) -> Iterator[tuple[str, str | None]]:
    try:
        with directory.sub(JOBS) as jobs:
            for name in jobs.names():
                if name.endswith(".log"):
                    yield name[: -len(".log")], _why_not(jobs, name)
    except FileNotFoundError:
        return


def further_files(directory: Directory, jobs: Collection[str], strays: Collection[str]) -> Iterator[Problem]:
    """What companions keep beside the record and the log of these jobs, but for what they were asked.

    ``strays``: names of files left by accident.
    """
    try:
        with directory.sub(JOBS) as folder:
            names = folder.names()
    except FileNotFoundError:
        return
    for name in names:
        moved = (f"{ident}.{end}" for ident in jobs for end in ("json", "log"))
        if name in moved or name.endswith(NOT_RECORDS) or f"{JOBS}/{name}" in strays:
            continue
        if any(name.startswith(f"{ident}.") for ident in jobs):
            yield Problem(str(directory.path / JOBS / name), "is not copied: only records and logs are")


def _why_not(jobs: Directory, name: str) -> str | None:
    """Why a log is left. Raises ``OSError`` where the disk does not tell: the next try may copy it."""
    info = jobs.stat(name)
    try:
        ensure_regular(info.st_mode)
    except OSError as error:
        return error.strerror or str(error)
    return None if info.st_nlink == 1 else "it has another name somewhere (a hard link), and may not be the job's own"


def ensure_one_name(links: int, path: str | os.PathLike[str]) -> None:
    """Raise ``Refused`` for a file that has a second name: removing one of two is no way to put it away."""
    if links != 1:
        raise Refused(f"{path} cannot be archived: it has another name somewhere (a hard link)")
