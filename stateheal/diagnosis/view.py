"""A workspace as the rules see it: its jobs, each with its index entry and its record, and their verdicts.

A view stands on what was read (``Evidence``) and on what the repairs so far would leave (``Draft``), so that every
rule decides on the work of the rules before it, and two findings on one job make one repair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from stateheal.diagnosis.case import Case
from stateheal.diagnosis.change import apply
from stateheal.diagnosis.faults import in_index, in_records
from stateheal.diagnosis.job import Job, Judgement, Known
from stateheal.diagnosis.joblist import entries_left, every_job, jobs_after, keeps_places
from stateheal.diagnosis.liveness import LOOK_AGAIN, judge
from stateheal.diagnosis.owners import owners_of
from stateheal.formats.jsontext import Document, Json
from stateheal.formats.times import DAY, MINUTE, format_time, parse_time
from stateheal.model.beats import own_times
from stateheal.model.dialect import Dialect
from stateheal.model.disk import INDEX, JOBS
from stateheal.model.evidence import Evidence
from stateheal.model.findings import Violation
from stateheal.model.layout import knows_version
from stateheal.model.liveness import Liveness, Owner
from stateheal.model.plan import Change, Draft
from stateheal.model.records import is_active, pid_of, time_of
from stateheal.model.request import Settings
from stateheal.text import printable
from stateheal.values import cached_property, dataclass, field, replace

Validate = Callable[[str, Json], tuple[Violation, ...]]
"""Schema name and value to violations: the validator comes in as a parameter."""
_OF_INDEX, _OF_RECORDS = ("entries_to_check", "index_violations"), ("records_to_check",)
"""What is worked out of the draft's index alone, and of its records alone."""
_STRENGTH = {Liveness.ALIVE: 2, Liveness.UNSURE: 1, Liveness.DEAD: 0}


@dataclass(frozen=True, eq=False, repr=False)
class View:
    """See the module."""

    evidence: Evidence
    draft: Draft
    settings: Settings
    validate: Validate
    spared: frozenset[str] = frozenset()
    """Jobs that no rule is to see, because a repair of theirs would not cure them."""
    clean: frozenset[str] = frozenset()
    """Jobs that no rule need see, because there is nothing to find."""
    touched: frozenset[str] | None = None
    """Only these jobs are to be seen, since nothing has changed about the others; ``None`` for all."""
    known: Known = field(default_factory=Known)
    origin: View | None = None
    """The workspace before any repair; ``None`` where this is it: what holds itself stays until the collector comes."""

    def after(self, changes: Sequence[Change]) -> View:
        """The workspace as these changes would leave it. Jobs that they leave alone stay the very same."""
        before, draft = self.draft, apply(self.draft, changes)
        kept = [*_OF_INDEX] if draft.index is before.index else []
        kept += [*_OF_RECORDS] if draft.records is before.records else []
        after = self._with(draft, self.touched, kept)
        if all(map(keeps_places, changes)):
            after.__dict__["every_job"] = tuple(jobs_after(self.every_job, changes, draft, self.known))
        return after

    def narrowed(self, touched: frozenset[str] | None) -> View:
        """The same, but that rules see only these jobs."""
        return self._with(self.draft, touched, (*_OF_INDEX, *_OF_RECORDS, "every_job", "_claims", "taken"))

    def _with(self, draft: Draft, touched: frozenset[str] | None, kept: Iterable[str]) -> View:
        """The view of another draft, with what was worked out of this one and holds for that."""
        fixed = (self.evidence, draft, self.settings, self.validate, self.spared, self.clean)
        heir = View(*fixed, touched, self.known, self.as_read)
        heir.__dict__.update({key: self.__dict__[key] for key in kept if key in self.__dict__})
        return heir

    @cached_property
    def dialect(self) -> Dialect:
        return self.evidence.dialect

    @cached_property
    def now(self) -> float:
        return self.evidence.host.now

    @cached_property
    def hands_off(self) -> str | None:
        """Why nothing here may be repaired: what is unknown is not touched (field guide section 5)."""
        if self.evidence.recognition is None:
            return "no companion is known that keeps such a tree"
        if self.unknown_version is not None:
            return "its version is unknown"
        if INDEX in self.evidence.unsettled:
            return "its index is just being written"
        for problem in self.evidence.unreadable:
            if problem.name in (INDEX, JOBS):
                return f"{problem.name} cannot be read"
        return None

    @property
    def unknown_version(self) -> str | None:
        """The index's version where its companion is not known to write it, as text."""
        index, read, dialect = self.draft.index, self.evidence.index, self.dialect
        if self.evidence.recognition is None:
            return None
        if isinstance(index, dict):
            return None if knows_version(index, dialect) else str(index.get("version"))[:20]
        if read is None:
            return None
        from stateheal.formats.jsonsalvage import version_in  # few indexes are torn

        said = version_in(read.data, self.evidence.salvage.get(INDEX))  # what stands readable counts
        return None if said in (None, *map(str, dialect.versions)) else printable(str(said))[:20]

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """Every job: the index's in its order, then the files that it does not name.

        None while there is an index that cannot be read: it may name another process than the job files do.
        """
        if self.evidence.index is not None and not isinstance(self.draft.index, dict):
            return ()
        if not self.spared and self.evidence.place.jobs is None and self.touched is None:
            return self.every_job
        return tuple(job for job in self.every_job if self.wants(job.id))

    @property
    def as_read(self) -> View:
        """The workspace before any repair: a time that a repair has written is no sign of life."""
        return self if self.origin is None else self.origin

    @cached_property
    def entries_to_check(self) -> list[tuple[int, Json]]:
        """The entries of the index that are not clean jobs', each with its position."""
        return entries_left(self.draft.index, self.clean)

    @cached_property
    def records_to_check(self) -> dict[str, Json]:
        """The job files that are not clean jobs', by stem."""
        clean = self.clean
        return {stem: record for stem, record in self.draft.records.items() if stem not in clean}

    def wants(self, job: str | None) -> bool:
        """Whether rules are to see this job: the user asked for it, or for all, and it may have changed."""
        only, touched = self.evidence.place.jobs, self.touched
        return job not in self.spared and (only is None or job in only) and (touched is None or job in touched)

    @cached_property
    def every_job(self) -> tuple[Job, ...]:
        """Every job that is not clean, whether rules are to see it or not."""
        return tuple(every_job(self.evidence, self.entries_to_check, self.records_to_check, self.draft, self.known))

    def signs(self, job: Job) -> list[float]:
        """Every sign of life: the times of both its records, and when its log was last written."""
        log = self.evidence.logs.get(job.id)
        return [*self.times(job), log.mtime] if log else [*self.times(job)]

    def times(self, job: Job) -> tuple[float, ...]:
        """Every time that the job's records give."""
        if job.facts.times is None:
            job.facts.times = tuple(moment for side in job.sides for moment in own_times(side, self.now))
        return job.facts.times

    def last_sign(self, job: Job) -> float | None:
        """The newest sign of life; without any the mtime of the job's file, times far in the future left out."""
        return job.facts.moment("sign", job, self._last_sign)

    def _last_sign(self, job: Job) -> float | None:
        signs = [sign for sign in self.signs(job) if sign <= self.now + DAY]
        if not signs:
            file = self.evidence.records.get(job.id) or self.evidence.index
            signs = [file.stat.mtime] if file and file.stat.mtime <= self.now + DAY else []
        return max(signs, default=None)

    def last_word(self, job: Job) -> float | None:
        """The last sign of life by the job's own words: a copy of its log is newer than the last line in it."""
        return job.facts.moment("word", job, self._last_word)

    def _last_word(self, job: Job) -> float | None:
        log = self.evidence.logs.get(job.id)
        line = parse_time(log.last_line[1:].partition("]")[0]) if log and log.last_line.startswith("[") else None
        own = self.times(job)
        if line is None or not own:
            return self.last_sign(job)
        return max(line, *own)

    def last_written(self, job: Job) -> float:
        """When any of the job's files was written last: index, job file, log."""
        files = (self.evidence.index, self.evidence.records.get(job.id))
        log = self.evidence.logs.get(job.id)
        times = [file.stat.mtime for file in files if file is not None] + ([log.mtime] if log else [])
        return max(times, default=self.now)

    def owners(self, job: Job) -> tuple[Owner, ...]:
        """What each side claims. A side without a pid claims nothing where another side names one."""
        keys = self.dialect.pids
        sides = [side for side in job.sides if is_active(side, self.dialect) or self._names_process(side)]
        claims = [(side, key) for side in sides for key in keys if side.get(key) is not None]
        return owners_of(self, job, claims or [(side, keys[0]) for side in sides])

    def _names_process(self, side: dict[str, Json]) -> bool:
        return any(pid_of(side.get(key)) is not None for key in self.dialect.pids)

    def rivals(self, job: Job, pid: int | None) -> tuple[float, ...]:
        """When the newest other job with this pid says that it started."""
        claims = self._claims.get(pid, ()) if pid is not None else ()
        return tuple(started for started, other in claims if other != job.id)[:1]

    @cached_property
    def _claims(self) -> dict[int | None, list[tuple[float, str]]]:
        """By pid: when the active jobs that name it say they started, newest first; of each pid the newest two."""
        claims: dict[int | None, dict[str, float]] = {}
        for job in self.every_job:
            for side in job.active_sides:
                started = time_of(side, "startedAt", self.now)
                if started is not None:
                    for key in self.dialect.pids:
                        known = claims.setdefault(pid_of(side.get(key)), {})
                        known[job.id] = max(started, known.get(job.id, started))
        return {
            pid: sorted(((started, job) for job, started in jobs.items()), reverse=True)[:2]
            for pid, jobs in claims.items()
        }

    @cached_property
    def taken(self) -> frozenset[int]:
        """Pids of live processes that a job records as its own, and that were there when it says that it started."""
        found: set[int] = set()
        for pid, claims in self._claims.items():
            process = self.evidence.processes.get(pid) if pid is not None else None
            if process is not None and process.exists and process.created is not None:
                found |= {process.pid} if process.created <= claims[0][0] + MINUTE else set()
        return frozenset(found)

    def judge(self, job: Job) -> Judgement:
        """The job's verdict: alive beats unsure beats dead (field guide section 4)."""
        beside = (tuple(self.rivals(job, pid) for pid in job.pids), self.taken if None in job.pids else None)
        return job.facts.judgement(beside, job, self._judge)

    def _judge(self, job: Job) -> Judgement:
        owners = self.owners(job)
        once = [owner for n, owner in enumerate(owners) if not any(_is_alike(owner, other) for other in owners[:n])]
        verdicts = [judge(self.case(owner)) for owner in once]
        return Judgement(max(verdicts, key=lambda verdict: _STRENGTH[verdict.state]), owners)

    def case(self, owner: Owner) -> Case:
        """The owner with the facts about its pid."""
        pid = pid_of(owner.pid)
        process = self.evidence.processes.get(pid) if pid is not None else None
        return Case(owner, process, self.evidence.host, self.settings, self.evidence.life)

    @cached_property
    def waits(self) -> bool:
        """Whether a verdict waits for a second look at a job's log."""
        jobs = (job for job in self.jobs if job.any_active)
        return any(self.judge(job).verdict.row == LOOK_AGAIN for job in jobs)

    @cached_property
    def time(self) -> str:
        """Now, as the plugin spells it."""
        return format_time(self.now)

    @cached_property
    def index_violations(self) -> tuple[Violation, ...]:
        """Every schema violation of the draft's index."""
        return tuple(in_index(self))

    def violations(self) -> Iterator[tuple[str, Violation]]:
        """Every schema violation of the draft, with the name of its file."""
        yield from ((INDEX, violation) for violation in self.index_violations)
        yield from in_records(self)


def _is_alike(owner: Owner, other: Owner) -> bool:
    """Whether two sides claim the same, as they mostly do. ``True`` equals 1, and is no pid."""
    return owner == other and type(owner.pid) is type(other.pid) and isinstance(owner.pid, (int, str, type(None)))


def first_view(evidence: Evidence, settings: Settings, validate: Validate, spared: frozenset[str]) -> View:
    """The workspace as it was read, without the jobs of which there is nothing to find."""
    draft, known = first_draft(evidence), Known()
    whole = View(evidence, draft, settings, validate, frozenset(), evidence.clean, known=known)
    return replace(whole, spared=spared, origin=whole) if spared else whole


def first_draft(evidence: Evidence) -> Draft:
    """The workspace as it was read."""
    records = {
        stem: snapshot.value for stem, snapshot in evidence.records.items() if isinstance(snapshot.document, Document)
    }
    return Draft(evidence.index.value if evidence.index else None, records)
