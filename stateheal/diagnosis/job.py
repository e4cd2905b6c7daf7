"""One job as the rules see it, and what is remembered of it while repair after repair goes over its workspace."""

from __future__ import annotations

from collections.abc import Callable

from stateheal.formats.jsontext import Json
from stateheal.model.claims import other_pids
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.layout import record_name
from stateheal.model.liveness import Owner, Verdict
from stateheal.model.records import is_active, is_finished, label_of, pid_of
from stateheal.values import NamedTuple

Record = dict[str, Json]
Rivals = tuple[tuple[float, ...], ...]
"""Of each side of a job: when the other jobs that name its pid say they started."""


class Judgement(NamedTuple):
    """The verdict on a job, and the owners it was taken on."""

    verdict: Verdict
    owners: tuple[Owner, ...]


class Facts:
    """What was worked out about a job's two sides and the evidence, each thing once, wherever its entry stands."""

    def __init__(self) -> None:
        self.moments: dict[str, float | None] = {}
        self.judgements: dict[object, Judgement] = {}
        self.others: tuple[tuple[tuple[str, int], ...], ...] | None = None
        self.times: tuple[float, ...] | None = None
        self.label: tuple[str | None] | None = None

    def moment(self, which: str, job: Job, find: Callable[[Job], float | None]) -> float | None:
        """A time that rests on the job's sides and on the evidence alone, found once."""
        if which not in self.moments:
            self.moments[which] = find(job)
        return self.moments[which]

    def judgement(self, beside: object, job: Job, judge: Callable[[Job], Judgement]) -> Judgement:
        """The job's verdict; ``beside``: what else it rests on but its sides and the evidence, such as its rivals."""
        found = self.judgements.get(beside)
        if found is None:
            found = self.judgements[beside] = judge(job)
        return found


class Job:
    """One job: its index entry, its job file, or both, and what follows from these alone. Never changed."""

    def __init__(
        self,
        ident: str,
        position: int | None = None,
        entry: Record | None = None,
        record: Record | None = None,
        has_file: bool = False,
        dialect: Dialect = CODEX,
    ) -> None:
        self.id = ident
        self.position = position
        """Of the entry in the index."""
        self.entry = entry
        self.record = record
        self.has_file = has_file
        """A job file is there, even one that cannot be read or parsed."""
        self.dialect = dialect
        self.sides: tuple[Record, ...] = tuple(side for side in (record, entry) if side is not None)
        """What is recorded about the job, the job file first: it is written first."""
        self.active_sides = tuple(side for side in self.sides if is_active(side, dialect))
        """What says that it is active."""
        self.any_active = bool(self.active_sides)
        """One of its sides at least says that it is active."""
        everything = len(self.active_sides) == len(self.sides) and (record is not None or not has_file)
        self.active = self.any_active and everything
        """Active, as far as every side of it can be read."""
        self.ended = bool(self.sides) and all(is_finished(side, dialect) for side in self.sides)
        """Ended, by every side of it that is there."""
        self.is_split = len(self.sides) == 2 and len(self.active_sides) == 1
        """One of its two sides says that it is active, the other does not."""
        self.pids = tuple(pid_of(side.get(key)) for side in self.sides for key in dialect.pids)
        """What each side names as its process, field by field."""
        self.facts = Facts()

    @property
    def file(self) -> str:
        return record_name(self.id, self.dialect)

    @property
    def label(self) -> str | None:
        """What the job is, on one short line."""
        if self.facts.label is None:
            self.facts.label = (label_of(*self.sides),)
        return self.facts.label[0]

    @property
    def others(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Of each side: the further processes that it names, by field."""
        if self.facts.others is None:
            self.facts.others = tuple(tuple(other_pids(side, self.dialect)) for side in self.sides)
        return self.facts.others

    def at(self, position: int | None) -> Job:
        """The same job, its entry at another place of the index; what is known of it stays known."""
        if position == self.position:
            return self
        moved = object.__new__(Job)
        moved.__dict__.update(self.__dict__)
        moved.position = position
        return moved


class Known:
    """Jobs, each made once, however many drafts it stands in unchanged: most repairs touch one job.

    Entries and records are told apart by identity: what a repair leaves alone stays the very same object.
    """

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, int, int, bool], Job] = {}

    def job(
        self,
        ident: str,
        position: int | None,
        entry: Record | None,
        record: Record | None,
        has_file: bool,
        dialect: Dialect,
    ) -> Job:
        """The job with these sides: the very same one as long as they are, and its place."""
        key = (ident, id(entry), id(record), has_file)
        found = self._jobs.get(key)
        if found is None:  # it holds both sides, so that no other object can get their identities
            found = self._jobs[key] = Job(ident, position, entry, record, has_file, dialect)
        elif found.position != position:
            found = self._jobs[key] = found.at(position)
        return found
