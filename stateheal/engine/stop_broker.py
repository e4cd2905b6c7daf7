"""Ending a workspace's broker on a person's request: one that serves a project that is gone, or answers nobody.

Field guide sections 2 and 4; DESIGN.md promise 1.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.diagnosis.proof import serves
from stateheal.engine.commands import heal_found
from stateheal.engine.jobs import looking_at
from stateheal.engine.stop import Stopped, Target, others_in_group, same_user, stop_process
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.evidence.discover import Discovery, discover
from stateheal.evidence.groups import command_lines
from stateheal.model.disk import BROKER, Place
from stateheal.model.liveness import Liveness
from stateheal.model.records import pid_of, text_of
from stateheal.model.report import Report
from stateheal.model.request import Request, Settings


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
    found = _meant(workspace)
    places = [place for place in found.places if (place.directory / BROKER).is_file()]
    if len(places) != 1:
        what = "no workspace with a broker.json" if not places else "more than one workspace"
        raise UsageError(f"{workspace} names {what}" + "".join(f"; {place.directory}" for place in places))
    auditor = Auditor(found, settings, world, Journal(journal_path()))
    evidence = auditor.audit(places[0], None).evidence
    session = evidence.broker.snapshot.value if evidence.broker else None
    endpoint = text_of(session, "endpoint") if isinstance(session, dict) else None
    if evidence.broker is None or not isinstance(session, dict) or endpoint is None:
        raise UsageError(f"{places[0].directory / BROKER} names no endpoint")
    view = looking_at(evidence, settings)
    live = [job.id for job in view.jobs if job.any_active and _lives(view.judge(job).verdict.state)]
    refusal = f"{live[0]} lives and may work through it: stop that job first" if live else None
    target = _target(pid_of(session.get("pid")), endpoint, places[0], world)
    return Broker(found, places[0], evidence.home, endpoint, evidence.broker.answer.value, target, refusal)


def _lives(state: Liveness) -> bool:
    return state is Liveness.ALIVE


def _meant(workspace: str) -> Discovery:
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


def stop_broker(broker: Broker, grace: float, settings: Settings, world: World) -> tuple[Stopped, Report | None]:
    """End it and remove its broker.json, journalled. The report is of the removal; ``None`` where it was not ended."""
    assert broker.target is not None
    stopped = stop_process(broker.target.pid, partial(_proof, broker.endpoint, broker.place, world), grace)
    if stopped.refusal or (stopped.ended and stopped.ended.survivors):
        return stopped, None
    found = broker.found._replace(places=(replace(broker.place, jobs=None),))
    chosen = settings._replace(select=frozenset({"stale-broker"}))
    return stopped, heal_found(found, Request(settings=chosen), world=world, command="stop")
