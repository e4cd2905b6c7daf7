"""The jobs of a workspace, as it was read or as a repair would leave it: each made once, however often it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from stateheal.diagnosis.job import Job, Known
from stateheal.formats.jsontext import Json
from stateheal.model.evidence import Evidence
from stateheal.model.layout import record_name
from stateheal.model.plan import Change, Draft
from stateheal.model.records import entries_of


def entries_left(index: Json, clean: frozenset[str]) -> list[tuple[int, Json]]:
    """The entries of an index that are not clean jobs', each with its position."""
    entries = entries_of(index)
    ids = [entry.get("id") if type(entry) is dict else None for entry in entries]
    return [(n, entries[n]) for n, ident in enumerate(ids) if type(ident) is not str or ident not in clean]


def every_job(
    evidence: Evidence,
    entries: Iterable[tuple[int, Json]],
    records: Mapping[str, Json],
    draft: Draft,
    known: Known,
) -> Iterator[Job]:
    """Every job that is not clean: the index's in its order, then the files that it does not name."""
    named: set[str] = set()
    broken = {problem.name for problem in evidence.unreadable}
    dialect = evidence.dialect
    for position, entry in entries:
        ident = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(ident, str) or not ident:
            continue
        named.add(ident)
        record = draft.records.get(ident)
        has_file = ident in evidence.records or (bool(broken) and record_name(ident, dialect) in broken)
        yield known.job(ident, position, entry, record if isinstance(record, dict) else None, has_file, dialect)
    for stem, record in records.items():
        if stem not in named and isinstance(record, dict):
            yield known.job(stem, None, None, record, True, dialect)


def jobs_after(jobs: Iterable[Job], changes: Sequence[Change], draft: Draft, known: Known) -> Iterator[Job]:
    """The jobs after changes that keep places; ``draft`` is what these leave."""
    stems = {change.stem for change in changes if change.record}
    positions = {change.position for change in changes if change.entry}
    entries = entries_of(draft.index)
    for job in jobs:
        if job.id in stems or (job.position is not None and job.position in positions):
            entry = None if job.position is None else entries[job.position]
            record = None if job.record is None else draft.records[job.id]
            yield known.job(job.id, job.position, entry, record, job.has_file, job.dialect)
        else:
            yield job


def keeps_places(change: Change) -> bool:
    """Whether every job stands where it stood after a change: it makes, moves and removes none."""
    makes = change.add is not None or change.index is not None or change.rebuilt is not None or change.drop
    return not makes and "id" not in change.entry and "id" not in change.record
