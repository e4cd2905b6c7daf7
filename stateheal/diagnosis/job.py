"""One job as the rules see it, and what is remembered of it while repair after repair goes over its workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from stateheal.formats.jsontext import Json
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.layout import record_name
from stateheal.model.liveness import Owner, Verdict
from stateheal.model.records import is_active

Record = dict[str, Json]
Rivals = tuple[tuple[float, ...], ...]
"""Of each side of a job: when the other jobs that name its pid say they started."""


@dataclass(frozen=True, eq=False, repr=False)
class Job:
    """One job: its index entry, its job file, or both."""

    id: str
    position: int | None = None
    """Of the entry in the index."""
    entry: Record | None = None
    record: Record | None = None
    has_file: bool = False
    """A job file is there, even one that cannot be read or parsed."""
    dialect: Dialect = CODEX

    @cached_property
    def sides(self) -> tuple[Record, ...]:
        """What is recorded about the job, the job file first: it is written first."""
        return tuple(side for side in (self.record, self.entry) if side is not None)

    @cached_property
    def active(self) -> bool:
        """Active, as far as every side of it can be read."""
        readable = self.record is not None or not self.has_file
        return bool(self.sides) and len(self.active_sides) == len(self.sides) and readable

    @cached_property
    def active_sides(self) -> tuple[Record, ...]:
        """What says that it is active."""
        return tuple(side for side in self.sides if is_active(side, self.dialect))

    @property
    def any_active(self) -> bool:
        """Whether one of its sides at least says that it is active."""
        return bool(self.active_sides)

    @property
    def file(self) -> str:
        return record_name(self.id, self.dialect)


class Judgement(NamedTuple):
    """The verdict on a job, and the owners it was taken on."""

    verdict: Verdict
    owners: tuple[Owner, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Known:
    """Jobs and their verdicts, each worked out once, however many drafts they stand in unchanged.

    Most repairs touch one job, and a verdict rests on that job's records, on the evidence, which stays the same, and on
    its rivals. Entries and records are told apart by identity: what a repair leaves alone stays the very same object.
    """

    jobs: dict[tuple[str, int | None, int, int, bool], Job] = field(default_factory=dict)
    judgements: dict[tuple[int, Rivals], tuple[Job, Judgement]] = field(default_factory=dict)
    moments: dict[tuple[str, int], tuple[Job, float | None]] = field(default_factory=dict)

    def job(
        self,
        ident: str,
        position: int | None,
        entry: Record | None,
        record: Record | None,
        has_file: bool,
        dialect: Dialect,
    ) -> Job:
        """The job with these sides: the very same one as long as they are."""
        key = (ident, position, id(entry), id(record), has_file)
        found = self.jobs.get(key)
        if found is None:  # it holds both sides, so that no other object can get their identities
            found = self.jobs[key] = Job(ident, position, entry, record, has_file, dialect)
        return found

    def moment(self, which: str, job: Job, find: Callable[[Job], float | None]) -> float | None:
        """A time that rests on the job and on the evidence alone, found once."""
        key = (which, id(job))
        found = self.moments.get(key)
        if found is None:  # with the job itself, so that no other can get its identity
            found = self.moments[key] = (job, find(job))
        return found[1]

    def judgement(self, job: Job, rivals: Rivals, judge: Callable[[Job], Judgement]) -> Judgement:
        """The job's verdict beside these rivals."""
        key = (id(job), rivals)
        found = self.judgements.get(key)
        if found is None:  # with the job itself, so that no other can get its identity
            found = self.judgements[key] = (job, judge(job))
        return found[1]
