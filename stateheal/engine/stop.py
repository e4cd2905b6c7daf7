"""Ending a process that is proven to be a job's own, or a workspace's broker, on a person's request.

DESIGN.md promise 1: this alone signals a process that stateheal did not start, by a handle, after the proof was taken
once more with the handle open. Then the record is closed, journalled.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from stateheal.commit.ending import Ended, end, held
from stateheal.diagnosis.case import job_id_in
from stateheal.diagnosis.job import Job
from stateheal.diagnosis.permitted import why_left
from stateheal.diagnosis.proof import has_identity, names_job, works_in
from stateheal.diagnosis.view import View
from stateheal.diagnosis.word import Word
from stateheal.engine.close import Chosen, close_record
from stateheal.engine.commands import heal_found
from stateheal.errors import JournalError, Refused, StatehealError
from stateheal.evidence.groups import ancestors_of, command_lines, directory_of, group_of, members_of, user_of
from stateheal.model.disk import Place, argument_of
from stateheal.model.layout import status_of
from stateheal.model.liveness import ProcessFacts
from stateheal.model.problems import Problem, ProblemKind
from stateheal.model.records import is_finished, text_of
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.values import NamedTuple, replace

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""


class Target(NamedTuple):
    """A process that would be ended."""

    pid: int
    argv: tuple[str, ...]
    why: str
    """The proof that it is the job's own."""
    group: tuple[int, ...] = ()
    """Whom its own process group holds besides; empty where the group is another's."""


class Stopped(NamedTuple):
    """What came of one process."""

    pid: int
    ended: Ended | None
    """``None`` where it had gone by itself before it could be held."""
    refusal: str | None = None


def targets_of(chosen: Chosen, view: View, job: Job) -> list[Target]:
    """The processes that are proven to be the job's own, wherever its records name them.

    An agent comes before the worker that started it: once that has ended, nothing proves any more whose it is.
    """
    found = []
    for pid in dict.fromkeys((*_further(job), *_recorded(job), *_naming(job))):
        why = _proof(chosen, view, job, pid)
        if why is not None:
            facts = chosen.world.processes.facts(pid)
            found.append(Target(pid, facts.argv or (), why, tuple(sorted(others_in_group(pid)))))
    return sorted(found, key=lambda target: target.pid not in _further(job) or target.pid in _recorded(job))


def _further(job: Job) -> dict[int, str]:
    """The further processes that its records name, and in which field."""
    return {pid: name for each in job.others for name, pid in each}


def _recorded(job: Job) -> Iterator[int]:
    yield from (pid for pid in job.pids if pid is not None and pid > 0)


def _naming(job: Job) -> Iterator[int]:
    yield from (pid for pid, argv in command_lines() if names_job(argv, job.id))


def _proof(chosen: Chosen, view: View, job: Job, pid: int) -> str | None:
    """Why the process that has this pid now is the job's own; ``None`` where that is not proven."""
    facts = chosen.world.processes.facts(pid)
    if not facts.exists or facts.zombie or not same_user(pid, chosen.place):
        return None
    if facts.argv and names_job(facts.argv, job.id) and (pid in _recorded(job) or _works_there(facts, view, job)):
        option = "--job-id " if job_id_in(facts.argv) else ""
        return f"its command line says {option}{job.id}"
    if any(has_identity(facts, owner, view.evidence.host) for owner in view.owners(job)):
        return "its record identifies it: same boot, same start"
    return _as_child(chosen, view, job, pid)


def _as_child(chosen: Chosen, view: View, job: Job, pid: int) -> str | None:
    """Of a further process that a record names: that it was started by one that is proven to be the job's own."""
    named, own = _further(job).get(pid), frozenset(_recorded(job)) - {pid}
    parent = next((each for each in ancestors_of(pid) if each in own), None) if named and own else None
    if parent is None or _proof(chosen, view, job, parent) is None:
        return None
    return f"its record names it as {named}, and pid {parent}, the job's own, has started it"


def _works_there(facts: ProcessFacts, view: View, job: Job) -> bool:
    """Whether it works in the job's project: of a process that no record names, a job's id alone proves nothing."""
    named = {text_of(side, key) for side in job.sides for key in ("workspaceRoot", "cwd")}
    homes = {view.evidence.home, *named} - {None}
    return works_in(facts.argv or (), directory_of(facts.pid), {home for home in homes if home})


def same_user(pid: int, place: Place) -> bool:
    """Whether the process runs as the user whose state this is: anybody may write any words into a command line."""
    user = user_of(pid)
    return user is not None and user == (0 if os.name == "nt" else place.directory.stat().st_uid)


def others_in_group(pid: int) -> set[int]:
    """Whom its process group holds besides, where the group is its own."""
    return set(members_of(pid)) - {pid} if group_of(pid) == pid else set()


def why_none(view: View, job: Job) -> str:
    """Why there is nothing to end, for a job of which no process is proven to be its own."""
    if not job.any_active:
        return f"it is recorded as {_status(job)}, and no process works on it"
    verdict = view.judge(job).verdict
    left = why_left(view, job)
    helps = {
        "dead": "'stateheal heal' closes it",
        "unsure": f"to close its record: stateheal close {argument_of(job.id, view.evidence.place)}",
    }
    helps = helps if left is None else dict.fromkeys(helps, f"its record is left as it is: {left}")
    told = helps.get(verdict.state.value, f"end it where it was started, or by {job.dialect.launch.cancel}")
    return f"no process here is proven to be its own ({verdict.reason}); {told}"


def _status(job: Job) -> str:
    return next((text for side in job.sides if (text := status_of(side, job.dialect))), "unknown")


def stop_job(chosen: Chosen, targets: list[Target], grace: float) -> tuple[list[Stopped], Report | None, str]:
    """End the processes, then close the record. The report is of the closing; beside it, why nothing was closed."""
    view, job = chosen.look()
    prove = partial(_proof, chosen, view, job)
    stopped = [stop_process(target.pid, prove, grace) for target in targets]
    if any(each.refusal or (each.ended and each.ended.survivors) for each in stopped):
        return stopped, None, "its record stays as it is"
    try:
        return stopped, *_closed(chosen, stopped)
    except (StatehealError, OSError) as error:  # whatever it is, who was ended must be told
        return stopped, left_after(chosen.place, error), "its record is not closed"


def left_after(place: Place, error: Exception) -> Report:
    """The report of a file that could not be written after its process had been ended."""
    kind = ProblemKind.JOURNAL if isinstance(error, JournalError) else ProblemKind.NOT_WRITTEN
    return Report("stop", errors=(Problem(str(place.directory), str(error), kind),))


def stop_process(pid: int, prove: Callable[[int], str | None], grace: float) -> Stopped:
    """Hold the process, prove again that it is the one, end it. ``grace``: seconds between SIGTERM and SIGKILL."""
    try:
        with held(pid) as handle:
            if handle is None or not handle.lives:
                return Stopped(pid, None)
            proven = prove(pid)
            if not handle.lives:  # what was proven was its own while the handle lived
                return Stopped(pid, None)
            if not proven:
                raise Refused(f"pid {pid} is not proven to be the one any more; nothing was signalled")
            own = group_of(pid) == pid
            if os.getpid() in (members_of(pid) if own else ()) or pid in set(ancestors_of(os.getpid())):
                raise Refused(f"this very command runs inside of pid {pid}")
            return Stopped(pid, end(handle, partial(members_of, pid) if own else _nobody, grace))
    except Refused as error:
        return Stopped(pid, None, str(error))


def _nobody(held: Mapping[int, float]) -> Iterator[int]:
    """The members of a group that is another's: they are not the job's."""
    yield from ()


def _closed(chosen: Chosen, stopped: list[Stopped]) -> tuple[Report | None, str]:
    """What its process has not closed itself on the way out."""
    _, job = chosen.look()
    if not job.any_active:
        return None, f"its record says {_status(job)}"
    if any(is_finished(side, job.dialect) for side in job.sides):  # it wrote one of its two records on the way out
        found = chosen.found._replace(places=(replace(chosen.place, jobs=frozenset({chosen.job})),))
        return heal_found(
            found, Request(job=chosen.job, settings=chosen.settings), world=chosen.world, command="stop"
        ), ""
    last = max((each.ended.signum for each in stopped if each.ended), default=0)
    message = f"Terminated by {signal.Signals(last).name} (stateheal stop)" if last else "Ended by itself"
    return close_record(chosen, Word("terminated", message, chosen.world.processes.host().now), "stop"), ""
