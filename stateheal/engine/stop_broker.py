"""Ending a workspace's broker on a person's request: one that serves a project that is gone, or answers nobody.

Field guide sections 2 and 4; DESIGN.md promise 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.diagnosis.proof import serves
from stateheal.engine.commands import heal_found
from stateheal.engine.jobs import looking_at
from stateheal.engine.stop import Stopped, Target, left_after, others_in_group, same_user, stop_process
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World
from stateheal.errors import StatehealError, UsageError
from stateheal.evidence.discover import Discovery, discover
from stateheal.evidence.groups import command_lines
from stateheal.model.disk import Place
from stateheal.model.evidence import Evidence
from stateheal.model.liveness import Liveness
from stateheal.model.records import pid_of, text_of
from stateheal.model.report import Report
from stateheal.model.request import Request, Settings
from stateheal.values import NamedTuple, replace


class Broker(NamedTuple):
    """A workspace's broker, as its file and the process table tell of it."""

    found: Discovery
    place: Place
    home: str | None
    """The project that it serves."""
    endpoint: str
    answer: str
    """What the endpoint does when it is connected to."""
    target: Target | None
    """``None`` where no process is proven to be the broker."""
    refusal: str | None = None
    """Why it must not be ended now."""


def find_broker(workspace: str, settings: Settings, world: World) -> Broker:
    """The broker of a workspace: its state directory, that directory's name, or its project directory, there or gone.

    Raises ``UsageError`` where that is none, several, or one without broker.json.
    """
    found = _places_named(workspace)
    auditor = Auditor(found, settings, world, Journal(journal_path()))
    seen = [(place, evidence, evidence.broker) for place, evidence in _audited(auditor, found)]
    places = [(place, evidence, broker) for place, evidence, broker in seen if broker is not None]
    if len(places) != 1:
        what = "no workspace with a broker.json" if not places else "more than one workspace"
        raise UsageError(f"{workspace} names {what}" + "".join(f"; {place.directory}" for place, _, _ in places))
    ((place, evidence, broker),) = places
    session = broker.snapshot.value
    endpoint = text_of(session, "endpoint") if isinstance(session, dict) else None
    if not isinstance(session, dict) or endpoint is None:
        raise UsageError(f"{place.directory / broker.snapshot.name} names no endpoint")
    view = looking_at(evidence, settings)
    live = [job.id for job in view.jobs if job.any_active and _lives(view.judge(job).verdict.state)]
    refusal = f"{live[0]} lives and may work through it: stop that job first" if live else None
    target = _target(pid_of(session.get("pid")), endpoint, place, world)
    return Broker(found, place, evidence.home, endpoint, broker.answer.value, target, refusal)


def _audited(auditor: Auditor, found: Discovery) -> Iterator[tuple[Place, Evidence]]:
    """What each of the places holds: which file is a broker's, its companion tells."""
    for place in found.places:
        with suppress(OSError):
            yield place, auditor.audit(place, None).evidence


def _lives(state: Liveness) -> bool:
    return state is Liveness.ALIVE


def _places_named(workspace: str) -> Discovery:
    """A state directory by name or path, else the workspaces of a project directory."""
    everywhere = discover(None)
    real = os.path.realpath(workspace)
    named = tuple(p for p in everywhere.places if p.name == workspace or str(p.directory) == real)
    if named:
        return everywhere._replace(places=named)
    try:
        return discover([workspace])
    except UsageError:
        return discover(None, os.path.abspath(workspace))


def _target(recorded: int | None, endpoint: str, place: Place, world: World) -> Target | None:
    """The broker's process: the recorded one, or whoever listens at the endpoint by its command line."""
    seen = (pid for pid, argv in command_lines() if serves(argv, endpoint))
    for pid in dict.fromkeys((*([recorded] if recorded is not None and recorded > 0 else []), *seen)):
        why = _proof(endpoint, place, world, pid)
        if why is not None:
            argv = world.processes.facts(pid).argv or ()
            return Target(pid, argv, why, tuple(sorted(others_in_group(pid))))
    return None


def _proof(endpoint: str, place: Place, world: World, pid: int) -> str | None:
    facts = world.processes.facts(pid)
    proven = facts.exists and not facts.zombie and serves(facts.argv or (), endpoint) and same_user(pid, place)
    return "its command line names this broker's endpoint" if proven else None


def stop_broker(broker: Broker, grace: float, settings: Settings, world: World) -> tuple[Stopped, Report | None, str]:
    """End it and remove its file, journalled. The report is of the removal; beside it, why nothing was removed."""
    assert broker.target is not None
    stopped = stop_process(broker.target.pid, partial(_proof, broker.endpoint, broker.place, world), grace)
    if stopped.refusal or (stopped.ended and stopped.ended.survivors):
        return stopped, None, "its broker.json stays as it is"
    found = broker.found._replace(places=(replace(broker.place, jobs=None),))
    chosen = settings._replace(select=frozenset({"stale-broker"}))
    try:
        report = heal_found(found, Request(settings=chosen), world=world, command="stop")
        return stopped, report, "" if report.healed else "its broker.json stays: 'stateheal audit' says why"
    except (StatehealError, OSError) as error:
        return stopped, left_after(broker.place, error), "its broker.json stays as it is"
