"""Whether a job is over for good, whatever its records say: before its only copy leaves the disk.

A cancelled job's worker may live on, a companion may keep a live pid in an ended record, and a record that is torn says
nothing at all. The signs are those of the liveness table (field guide section 4), asked of jobs of any status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stateheal.diagnosis import signs
from stateheal.diagnosis.case import Case
from stateheal.diagnosis.job import Job
from stateheal.diagnosis.naming import who_names
from stateheal.diagnosis.owners import owners_of
from stateheal.diagnosis.view import View
from stateheal.model.layout import record_name
from stateheal.model.liveness import Liveness
from stateheal.model.records import pid_of
from stateheal.values import replace

_AT_WORK = (signs.works_elsewhere, signs.inner_owner, signs.named_elsewhere, signs.other_process)
"""What names the job, or is named by it."""
_SIGNS = (
    *(signs.works_elsewhere, signs.inner_owner, signs.named_elsewhere, signs.no_look, signs.inner_process),
    *(signs.other_process, signs.unrecorded_process),
)


def every_job(view: View) -> Iterator[Job]:
    """Every job of a workspace, those that only a torn file tells of included, with what can be read of it."""
    yield from view.jobs
    for stem in view.evidence.records:
        if isinstance(view.draft.records.get(stem), dict):
            continue
        found = view.evidence.salvage.get(record_name(stem, view.dialect))
        members = dict(found.members) if found else {}
        yield Job(stem, None, None, {**members, "id": stem}, True, view.dialect)


def why_not_over(view: View, job: Job) -> str | None:
    """What may still work on a job, in words; ``None`` where nothing shows it."""
    if job.any_active:
        verdict = view.judge(job).verdict
        return None if verdict.state is Liveness.DEAD else verdict.reason
    return _sign(view, job, _SIGNS)


def why_at_work(view: View, job: Job) -> str | None:
    """What is seen to work on a job that is not active by its records, in words; ``None`` where nothing is."""
    return _sign(view, job, _AT_WORK)


def _sign(view: View, job: Job, signs: tuple[Callable[[Case], str | None], ...]) -> str | None:
    case = replace(case_of(view, job), look=view.evidence.life())
    return next((reason for sign in signs if (reason := sign(case))), None)


def case_of(view: View, job: Job) -> Case:
    """The job with every process that any side of it names, whatever status that side tells."""
    side, key = (job.sides or ({},))[0], view.dialect.pids[0]
    (owner,) = owners_of(view, job, [(side, key)])
    own = [(key, pid_of(side.get(key))) for side in job.sides for key in view.dialect.pids]
    named = [(key, pid) for key, pid in own if pid is not None and pid > 1]
    everyone = tuple(dict.fromkeys([*named, *owner.others]))
    kept = owner._replace(pid=None, others=everyone, taken=view.taken, kind="" if named else owner.kind)
    return view.case(kept)


def named_in_a_command(view: View, ids: list[str]) -> str | None:
    """The process that one of these ids stands in the command line of: of files that tell no more than their name."""
    look = view.evidence.life()
    for ident in ids:
        found = who_names(look, "--job-id", ident)
        if found is not None:
            return f"process {found.pid} has {ident[:80]} in its command line"
    return None
