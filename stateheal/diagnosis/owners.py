"""What the records claim about a job's processes, gathered into the value that the liveness table judges.

Field guide section 4.
"""

from __future__ import annotations

from collections.abc import Iterable

from stateheal.diagnosis.logs import is_inside_jobs, is_own_log
from stateheal.model.beats import own_beats
from stateheal.model.claims import created_of, fork_ticks_of, hostname_of, identity_of
from stateheal.model.layout import status_of
from stateheal.model.liveness import Owner
from stateheal.model.records import pid_of, text_of, time_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.diagnosis.job import Job, Record
    from stateheal.diagnosis.view import View

_PATHS = ("workspaceRoot", "logFile", "cwd")
"""Fields that tell which operating system a record was written on."""


def owners_of(view: View, job: Job, claims: Iterable[tuple[Record, str]]) -> tuple[Owner, ...]:
    """What the sides of a job claim about the process that runs it, each in the field of its key."""
    evidence = view.evidence
    log = evidence.logs.get(job.id)
    before = None if evidence.earlier_sizes is None else evidence.earlier_sizes.get(job.id, 0)
    file = evidence.records.get(job.id) or evidence.index
    of_job = Owner(
        job=job.id,
        status="",
        pid=None,
        last_sign=view.last_sign(job),
        elsewhere=is_elsewhere(view, job),
        ways=job.dialect.argv,
        last_word=view.last_word(job),
        shared_storage=evidence.shared_storage,
        shared_kind=evidence.shared_kind,
        others=_others(view, job),
        beat=max((beat for side in job.sides for beat in own_beats(side, view.now)), default=None),
        written=file.stat.mtime if file else None,
        log_size=log.size if log else None,
        held=log is not None and log.held,
        grown=None if log is None or before is None else log.size - before,
    )
    return tuple(_claimed(view, job, side, key, of_job) for side, key in claims)


def _claimed(view: View, job: Job, side: Record, key: str, of_job: Owner) -> Owner:
    """What one side claims beside what is known of the job."""
    pid = side.get(key)
    # The other side fills gaps only where it speaks of the same process.
    record: Record = {}
    for each in (*(other for other in job.sides if other is not side and other.get(key) == pid), side):
        record.update(each)
    return of_job._replace(
        status="queued" if status_of(side, job.dialect) in job.dialect.waiting else "running",
        pid=pid,
        created_at=time_of(record, "createdAt", view.now),
        started_at=time_of(record, "startedAt", view.now),
        updated_at=time_of(record, "updatedAt", view.now),
        paths=tuple(path for each in _PATHS if (path := text_of(record, each))),
        hostname=hostname_of(record),
        identity=identity_of(record),
        process_created=created_of(record),
        fork_ticks=fork_ticks_of(record, job.dialect, key),
        rivals=view.rivals(job, pid_of(pid)),
        kind=text_of(record, "jobClass") or text_of(record, "kind") or "job",
        taken=view.taken if pid_of(pid) is None else frozenset(),
    )


def is_elsewhere(view: View, job: Job) -> bool:
    """Whether it speaks of another file system: no project that it names is here, and its log is recorded by the right
    name in another tree."""
    homes = {home for side in job.sides if (home := text_of(side, "workspaceRoot") or text_of(side, "cwd"))}
    if not homes <= view.evidence.absent:
        return False
    logs = [log for side in job.sides if (log := text_of(side, "logFile"))]
    return bool(logs) and all(is_own_log(view, job, log) and not is_inside_jobs(view, log) for log in logs)


def _others(view: View, job: Job) -> tuple[tuple[str, int], ...]:
    """The further processes that the job's records and a file beside them name."""
    sides = zip(job.sides, job.others, strict=True)
    named = [each for side, others in sides for each in others if not _is_another(view, job, side, *each)]
    beside = view.evidence.sidecars.get(job.id)
    return tuple(dict.fromkeys([*named, *([("process", beside)] if beside is not None else [])]))


def _is_another(view: View, job: Job, side: Record, key: str, pid: int) -> bool:
    """Whether the start that the record gives this process proves that its pid was given to another since."""
    process, ticks = view.evidence.processes.get(pid), fork_ticks_of(side, job.dialect, key)
    known = key in job.dialect.identities.values() and process is not None and None not in (process.ticks, ticks)
    return known and process is not None and process.ticks != ticks
