"""Job ids as people type them: a beginning will do where only one job has it; and what a shell offers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from stateheal.errors import UsageError
from stateheal.evidence.discover import discover
from stateheal.formats.jsontext import parse
from stateheal.fs.directory import Directory, open_directory
from stateheal.model.disk import INDEX, JOBS, Place
from stateheal.model.records import entries_of, label_of, text_of
from stateheal.model.request import Request

_MOST_NAMED = 8


def with_whole_job(request: Request) -> Request:
    """The request with the one job whose id begins with what was given; as it is where none does.

    Raises ``UsageError`` where several jobs do.
    """
    if request.job is None:
        return request
    return request._replace(job=the_one_that_begins(request.job, {ident for ident, _ in known_jobs(request)}))


def the_one_that_begins(job: str, known: Iterable[str]) -> str:
    """The only known job whose id begins so; ``job`` itself where it is known, or none begins so.

    Raises ``UsageError`` where several do.
    """
    begun = {ident for ident in known if ident.startswith(job)}
    if job in begun or not begun:
        return job
    if len(begun) > 1:
        named = ", ".join(sorted(begun)[:_MOST_NAMED])
        more = len(begun) - _MOST_NAMED
        rest = f" and {more} more" if more > 0 else ""
        raise UsageError(f"several jobs begin with {job!r}: {named}{rest}")
    return begun.pop()


def known_jobs(request: Request) -> Iterator[tuple[str, str]]:
    """Every job in the places of a request by its id, with what it is; quickly, and nothing for what is unreadable."""
    for place in discover(request.paths, request.cwd).places:
        try:
            yield from _in_place(place)
        except OSError:
            continue


def _in_place(place: Place) -> Iterator[tuple[str, str]]:
    with open_directory(place.directory) as directory:
        for entry in entries_of(parse(_bytes_of(directory)).value):
            if isinstance(entry, dict) and (ident := text_of(entry, "id")):
                yield ident, label_of(entry) or ""
        if JOBS in directory.names():
            with directory.sub(JOBS) as jobs:
                for name, is_directory in jobs.listing().items():
                    if is_directory or name.endswith(".json"):
                        yield name.removesuffix(".json"), ""


def _bytes_of(directory: Directory) -> bytes:
    try:
        with directory.regular(INDEX) as (fd, _), os.fdopen(fd, "rb", closefd=False) as file:
            return file.read()
    except OSError:
        return b""
