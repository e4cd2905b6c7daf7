"""What stands beside the records: ``stale-broker`` and ``leftover-temp`` (field guide section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from stateheal.diagnosis.case import Case
from stateheal.diagnosis.liveness import judge
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json
from stateheal.formats.times import DAY, describe_age
from stateheal.model.disk import BROKER
from stateheal.model.evidence import Answer, BrokerFacts
from stateheal.model.findings import Severity
from stateheal.model.liveness import Liveness, Owner, Verdict
from stateheal.model.plan import Change


def find_stale_broker(view: View) -> Iterator[Diagnosed]:
    """broker.json of a broker that is gone: the plugin would signal whoever has its pid when the session ends."""
    broker = view.evidence.broker
    if broker is None or broker.snapshot.name in view.draft.removed or view.evidence.place.jobs is not None:
        return
    session = broker.snapshot.value
    if not isinstance(session, dict):
        return
    verdict, owner = _verdict(view, broker, session)
    reason = _another_process(broker, session) if verdict.state is Liveness.ALIVE else verdict.reason
    if verdict.row in ("no-pid", "no-pid-yet") or reason is None or broker.answer is Answer.YES:
        return
    message = f"the broker it names is gone: {reason}"
    if verdict.state is Liveness.UNSURE or broker.answer is Answer.UNKNOWN:
        doubt = f"its endpoint {broker.answer.value}"
        yield Diagnosed(file_finding(view, STALE_BROKER, BROKER, message, doubt, severity=Severity.UNSURE))
        return
    finding = file_finding(
        view,
        STALE_BROKER,
        BROKER,
        message,
        "its endpoint does not answer; the plugin would signal that pid's process group at session end",
        "remove broker.json; its session directory is not touched",
    )
    owners_to_recheck = (owner,) if verdict.state is Liveness.DEAD else ()
    yield Diagnosed(finding, Change(remove=BROKER, owners_to_recheck=owners_to_recheck))


def _verdict(view: View, broker: BrokerFacts, session: dict[str, Json]) -> tuple[Verdict, Owner]:
    """The liveness table, for a process of which only the pid and the age of the file are known."""
    owner = Owner(
        job="the broker",
        status="running",
        pid=session.get("pid"),
        last_sign=broker.snapshot.stat.mtime,
        shared_storage=view.evidence.shared_storage,
    )
    return judge(Case(owner, broker.process, view.evidence.host, view.settings)), owner


def _another_process(broker: BrokerFacts, session: dict[str, Json]) -> str | None:
    """Why the process with the broker's pid is not the broker, where its command line proves it."""
    argv = broker.process.argv if broker.process else None
    endpoint = session.get("endpoint")
    if argv is None or not isinstance(endpoint, str):
        return None
    pairs = pairwise(argv)
    if f"--endpoint={endpoint}" in argv or ("--endpoint", endpoint) in pairs:
        return None
    return f"pid {session.get('pid')} belongs to another process by now"


def find_leftovers(view: View) -> Iterator[Diagnosed]:
    """Temporary files: those of our own interrupted runs go, those of others are named."""
    if view.evidence.place.jobs is not None:
        return
    for each in view.evidence.names:
        if each.name in view.draft.removed or each.is_directory:
            continue
        if each.name in view.evidence.leftovers:
            message = f"{each.name} was left by run {each.run}, which was interrupted"
            finding = file_finding(view, LEFTOVER_TEMP, each.name, message, repair="remove it")
            yield Diagnosed(finding, Change(remove=each.name))
        elif view.now - each.mtime > DAY and not each.name.endswith("~"):
            message = f"{each.name} looks like a temporary file, {describe_age(each.mtime, view.now)}; it is left alone"
            yield Diagnosed(file_finding(view, LEFTOVER_TEMP, each.name, message, severity=Severity.NOTICE))


STALE_BROKER = Rule(
    "stale-broker",
    Severity.DAMAGE,
    "broker.json names a broker that is gone. When the session ends the plugin signals the process group of its "
    "pid, whoever has that pid by now.",
    "Remove broker.json (the journal keeps it), only if its endpoint does not answer and its process is dead or "
    "provably another. Nothing is signalled, and the broker's session directory is not touched.",
    find_stale_broker,
    harmless_to_move=True,
)
LEFTOVER_TEMP = Rule(
    "leftover-temp",
    Severity.DAMAGE,
    "A temporary file: of a stateheal run that was interrupted, or, older than a day, of some other writer.",
    "Remove those of our own runs (the journal keeps them). Others are only named.",
    find_leftovers,
    harmless_to_move=True,
)
