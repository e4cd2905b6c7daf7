"""What hangs, leaks or contradicts its record although it lives. Facts and the next command; nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.case import job_id_in
from stateheal.diagnosis.job import Job
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding, job_finding
from stateheal.diagnosis.signs import unrecorded, unrecorded_process
from stateheal.diagnosis.view import View
from stateheal.formats.times import MINUTE, describe_age
from stateheal.model.disk import argument_of
from stateheal.model.evidence import Answer, BrokerFacts
from stateheal.model.findings import Severity
from stateheal.model.layout import status_of
from stateheal.model.liveness import Liveness
from stateheal.model.records import entries_of, text_of
from stateheal.model.turns import TurnEnd
from stateheal.text import quoted
from stateheal.values import replace

_WINDING_UP = MINUTE
"""Seconds that a worker may take to end after its turn was aborted."""


def find_lives_on(view: View) -> Iterator[Diagnosed]:
    """Jobs that are recorded as ended, and whose worker is at work all the same."""
    for seen, ident in view.evidence.life().workers:
        job = _job_named(view, ident) if view.wants(ident) else None
        if job is None or not job.ended:
            continue
        from stateheal.diagnosis.proof import names_job, works_in  # few jobs live on

        homes = {home for side in job.sides if (home := text_of(side, "workspaceRoot"))}
        if not names_job(seen.argv, ident) or ("--cwd" in seen.argv and not works_in(seen.argv, None, homes)):
            continue
        status = status_of(job.sides[0], job.dialect)
        option = "--job-id " if job_id_in(seen.argv) else ""
        message = f"recorded as {status}, but its worker lives: pid {seen.pid}, with {option}{ident}"
        ended = max(view.times(job), default=None)
        since = "" if ended is None else f"the record was closed {describe_age(ended, view.now)}; "
        helps = f"{since}to end it: stateheal stop {argument_of(ident, view.evidence.place)}"
        yield Diagnosed(job_finding(view, job, LIVES_ON, message, helps)._replace(pid=seen.pid))


def _job_named(view: View, ident: str) -> Job | None:
    """The job of that id, one of which there is nothing else to find included."""
    entries = entries_of(view.draft.index)
    named = (n for n, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("id") == ident)
    position = next(named, None)
    entry = entries[position] if position is not None else None
    record = view.draft.records.get(ident)
    if entry is None and record is None:
        return None
    return Job(
        ident,
        position,
        entry if isinstance(entry, dict) else None,
        record if isinstance(record, dict) else None,
        ident in view.evidence.records,
        view.dialect,
    )


def find_stuck_worker(view: View) -> Iterator[Diagnosed]:
    """Live workers that wait for a turn that was aborted, through a broker that is gone."""
    broker = view.evidence.broker
    if broker is not None and broker.answer is not Answer.NO:
        return
    for job in view.jobs:
        if not job.active or view.judge(job).verdict.state is not Liveness.ALIVE:
            continue
        turns = ((text_of(side, "threadId"), text_of(side, "turnId")) for side in job.sides)
        told = (view.evidence.turns.get((thread, turn)) for thread, turn in turns if thread and turn)
        facts = next((each for each in told if each is not None), None)
        if facts is None or facts.end is not TurnEnd.ABORTED or view.now - facts.mtime < _WINDING_UP:
            continue
        message = (
            f"its worker lives, but its turn was aborted {describe_age(facts.mtime, view.now)} and its broker is gone"
        )
        helps = f"nothing will end it; to do so: stateheal stop {argument_of(job.id, view.evidence.place)}"
        yield Diagnosed(job_finding(view, job, STUCK_WORKER, message, helps))


def find_leaked_broker(view: View) -> Iterator[Diagnosed]:
    """A broker that serves a project directory that is gone: nobody will ever ask it to stop."""
    broker = view.evidence.broker
    if broker is None or view.evidence.home_exists is not False or view.evidence.place.jobs is not None:
        return
    pid = _own_pid(broker)
    if pid is None:
        return
    message = f"a broker (pid {pid}) still serves {view.evidence.home}, which is not there any more"
    helps = f"its {broker.snapshot.name} alone names it; to end it: {_stop_command(view)}"
    yield Diagnosed(file_finding(view, LEAKED_BROKER, broker.snapshot.name, message, helps)._replace(pid=pid))


def find_mute_broker(view: View) -> Iterator[Diagnosed]:
    """A broker that takes connections and answers nothing."""
    broker = view.evidence.broker
    if broker is None or broker.greets is not False or view.evidence.place.jobs is not None:
        return
    pid = _own_pid(broker)
    if pid is None:
        return
    message = f"its broker (pid {pid}) takes connections, but did not answer 'initialize' within a second"
    helps = f"every job through it would hang; to end it: {_stop_command(view)}"
    yield Diagnosed(file_finding(view, MUTE_BROKER, broker.snapshot.name, message, helps)._replace(pid=pid))


def _own_pid(broker: BrokerFacts) -> int | None:
    """The recorded pid, where its process is proven to be the broker."""
    session, process = broker.snapshot.value, broker.process
    endpoint = text_of(session, "endpoint") if isinstance(session, dict) else None
    if endpoint is None or process is None or not process.exists or process.zombie:
        return None
    from stateheal.diagnosis.proof import serves

    return process.pid if serves(process.argv or (), endpoint) else None


def _stop_command(view: View) -> str:
    return f"stateheal stop --broker {quoted(str(view.evidence.place.directory))}"


def find_agent_lives(view: View) -> Iterator[Diagnosed]:
    """Jobs that ended, and of whose further processes one lives on: an agent whose bridge is gone."""
    for job in view.jobs:
        if not job.ended:
            continue
        for name, pid in dict.fromkeys(each for others in job.others for each in others):
            seen = view.evidence.life().by_pid.get(pid)
            times = view.times(job) if seen is not None else ()
            if seen is None or seen.zombie or seen.kernel or seen.created is None or not times:
                continue
            if min(times) - MINUTE <= seen.created <= max(times):
                message = f"it ended {describe_age(max(times), view.now)}, but its {name} {pid} lives on"
                helps = "it began while the job ran; end it yourself if it is not wanted"
                yield Diagnosed(job_finding(view, job, AGENT_LIVES, message, helps)._replace(pid=pid))


def find_unrecorded(view: View) -> Iterator[Diagnosed]:
    """Jobs that record no process, while one lives that began just when they did: what keeps them from being closed."""
    for job in view.jobs:
        if not job.active or any(pid is not None for pid in job.pids):
            continue
        for owner in view.owners(job)[:1]:
            case = replace(view.case(owner), look=view.evidence.life())
            seen, reason = unrecorded(case), unrecorded_process(case)
            if seen is not None and reason is not None:
                helps = "look at it before you close the job"
                yield Diagnosed(job_finding(view, job, UNRECORDED, reason, helps)._replace(pid=seen.pid))


LIVES_ON = Rule(
    "lives-on",
    Severity.NOTICE,
    "A job is recorded as cancelled, failed or completed, but its worker lives: its command line holds the id of "
    "this very job. It may go on changing files.",
    "None. 'stateheal stop JOB' ends it.",
    find_lives_on,
)
STUCK_WORKER = Rule(
    "stuck-worker",
    Severity.NOTICE,
    "A job's worker lives and waits, but the rollout says that its turn was aborted, and the workspace's broker is "
    "gone. Nothing will ever end it.",
    "None. 'stateheal stop JOB' ends it and closes its record.",
    find_stuck_worker,
)
LEAKED_BROKER = Rule(
    "leaked-broker",
    Severity.NOTICE,
    "A broker lives on although the project directory that it serves is gone. broker.json is the only file that names "
    "it.",
    "None. 'stateheal stop --broker WORKSPACE' ends it and removes broker.json.",
    find_leaked_broker,
)
MUTE_BROKER = Rule(
    "mute-broker",
    Severity.NOTICE,
    "A broker takes connections but does not answer. It was asked 'initialize', which a broker answers by itself, "
    "without Codex and without being busy for anybody else.",
    "None. 'stateheal stop --broker WORKSPACE' ends it; the next job starts another.",
    find_mute_broker,
)
AGENT_LIVES = Rule(
    "agent-lives",
    Severity.NOTICE,
    "A job has ended, but a further process that its record names lives on, and began while the job ran: an agent "
    "whose bridge is gone.",
    "None. It is named, so that you can end it.",
    find_agent_lives,
)
UNRECORDED = Rule(
    "unrecorded-process",
    Severity.NOTICE,
    "A task or review is recorded as active without a process, while a companion's lives that began just when it did.",
    "None: while that process lives the job is never closed. It is named, so that you can look.",
    find_unrecorded,
)
