"""What stands beside the records: ``stale-broker`` and ``leftover-temp`` (field guide section 5)."""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.case import Case
from stateheal.diagnosis.liveness import judge
from stateheal.diagnosis.owners import is_elsewhere
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json
from stateheal.formats.times import DAY, MINUTE, describe_age
from stateheal.model.evidence import Answer, BrokerFacts
from stateheal.model.findings import Severity
from stateheal.model.liveness import Liveness, Owner
from stateheal.model.plan import Change
from stateheal.model.records import text_of


def find_stale_broker(view: View) -> Iterator[Diagnosed]:
    """broker.json of a broker that is gone: the plugin would signal whoever has its pid when the session ends."""
    broker = view.evidence.broker
    if broker is None or broker.snapshot.name in view.draft.removed or view.evidence.place.jobs is not None:
        return
    session = broker.snapshot.value
    if not isinstance(session, dict):
        return
    owner = _owner(view, broker, session)
    verdict = judge(Case(owner, broker.process, view.evidence.host, view.settings, view.evidence.life))
    if verdict.row in ("no-pid", "no-pid-yet") or verdict.state is Liveness.ALIVE or broker.answer is Answer.YES:
        return
    message = f"the broker it names is gone: {verdict.reason}"
    if verdict.state is Liveness.UNSURE or broker.answer is Answer.UNKNOWN:
        doubt = f"its endpoint {broker.answer.value}"
        yield Diagnosed(
            file_finding(view, STALE_BROKER, broker.snapshot.name, message, doubt, severity=Severity.UNSURE)
        )
        return
    finding = file_finding(
        view,
        STALE_BROKER,
        broker.snapshot.name,
        message,
        "its endpoint does not answer; the plugin would signal that pid's process group at session end",
        f"remove {broker.snapshot.name}; its session directory is not touched",
    )
    yield Diagnosed(finding, Change(remove=broker.snapshot.name, owners_to_recheck=(owner,)))


def _owner(view: View, broker: BrokerFacts, session: dict[str, Json]) -> Owner:
    """What is known of a broker: its pid, its endpoint, the age of its file, and when its workspace last lived."""
    written, endpoint = broker.snapshot.stat.mtime, text_of(session, "endpoint")
    view = view.as_read
    signs = [sign for job in view.jobs if (sign := view.last_sign(job)) is not None]
    words = [word for job in view.jobs if (word := view.last_word(job)) is not None]
    return Owner(
        job="the broker",
        status="running",
        pid=session.get("pid"),
        created_at=written,
        last_sign=max([written, *signs]),
        last_word=max([*words, *([] if _is_copy(view, written) else [written])], default=None),
        paths=tuple(path for key in ("logFile", "pidFile", "sessionDir") if (path := text_of(session, key))),
        elsewhere=bool(view.jobs) and all(is_elsewhere(view, job) for job in view.jobs),
        shared_storage=view.evidence.shared_storage,
        shared_kind=view.evidence.shared_kind,
        flag=("--endpoint", endpoint) if endpoint else None,
    )


def _is_copy(view: View, written: float) -> bool:
    """Whether all files of the workspace were written in one moment: a checkout's times say nothing."""
    files = [file for file in (view.evidence.index, *view.evidence.records.values()) if file is not None]
    return len(files) > 1 and all(abs(file.stat.mtime - written) < MINUTE for file in files)


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
