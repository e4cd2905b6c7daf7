"""Locks that their holder has left behind, where the companion's own code would wait for ever: ``stale-lock``.

Field guide sections 5 and 11. Most companions break such a lock themselves; of those that do not, the dialect says how
the lock is taken, and what its own code will not break.
"""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.case import Case
from stateheal.diagnosis.liveness import judge
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding
from stateheal.diagnosis.view import View
from stateheal.formats.times import describe_age, describe_duration
from stateheal.model.dialect import Lock
from stateheal.model.disk import Snapshot
from stateheal.model.findings import Severity
from stateheal.model.liveness import Liveness, Owner, Verdict
from stateheal.model.plan import Change
from stateheal.model.records import pid_of, text_of


def find_stale_locks(view: View) -> Iterator[Diagnosed]:
    """Locks that block every next dispatch: their holder is gone, or they name none and are older than any hold."""
    if view.evidence.place.jobs is not None:
        return
    for name, (snapshot, lock) in view.evidence.locks.items():
        if name not in view.draft.removed:
            yield from _found(view, name, snapshot, lock)


def _found(view: View, name: str, snapshot: Snapshot, lock: Lock) -> Iterator[Diagnosed]:
    holder = snapshot.value if isinstance(snapshot.value, dict) else {}
    pid = pid_of(holder.get(lock.pid)) if lock.pid else None
    age = view.now - snapshot.stat.mtime
    if pid is None or pid <= 0:
        if age < lock.left_after:
            return
        reason = f"it names no holder, and it is {describe_duration(age)} old"
        yield _diagnosed(view, name, reason, lock, ())
        return
    if not lock.identity or text_of(holder, lock.identity) is not None:
        return  # its own code looks whether that process lives, and breaks the lock
    verdict, owner = _verdict(view, snapshot, pid)
    if verdict.state is Liveness.DEAD:
        yield _diagnosed(view, name, f"its holder is gone: {verdict.reason}", lock, (owner,))
    elif verdict.state is Liveness.UNSURE:
        message = f"{name} may be left behind, {describe_age(snapshot.stat.mtime, view.now)}: {verdict.reason}"
        yield Diagnosed(file_finding(view, STALE_LOCK, name, message, severity=Severity.UNSURE))


def _diagnosed(view: View, name: str, reason: str, lock: Lock, owners: tuple[Owner, ...]) -> Diagnosed:
    message = f"{name} was left behind and blocks every next dispatch: {reason}"
    evidence = f"it is {lock.holds}"
    if not lock.removable:
        return Diagnosed(file_finding(view, STALE_LOCK, name, message, evidence))
    finding = file_finding(view, STALE_LOCK, name, message, evidence, "remove it")
    return Diagnosed(finding, Change(remove=name, owners_to_recheck=owners))


def _verdict(view: View, snapshot: Snapshot, pid: int) -> tuple[Verdict, Owner]:
    """The liveness table, for a process of which only the pid and the age of the lock are known."""
    owner = Owner(
        job="the lock's holder",
        status="running",
        pid=pid,
        last_sign=snapshot.stat.mtime,
        shared_storage=view.evidence.shared_storage,
        written=snapshot.stat.mtime,
    )
    process = view.evidence.processes.get(pid)
    return judge(Case(owner, process, view.evidence.host, view.settings, view.evidence.life)), owner


STALE_LOCK = Rule(
    "stale-lock",
    Severity.DAMAGE,
    "A lock that a killed companion has left behind, of a kind that its own code never breaks: every next dispatch "
    "waits for it and fails.",
    "Remove it (the journal keeps it), where it names no holder and is older than any hold of it lasts, or its holder "
    "is proven gone. Locks that a companion breaks by itself are left to it.",
    find_stale_locks,
    harmless_to_move=False,
)
