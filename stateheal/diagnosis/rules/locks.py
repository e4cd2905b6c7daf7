"""Locks that their holder has left behind, where the companion's own code would wait for ever: ``stale-lock``.

Field guide sections 5 and 11. Most companions break such a lock themselves; of those that do not, the dialect says how
the lock is taken, and what its own code will not break.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from stateheal.diagnosis.job import Record
from stateheal.diagnosis.liveness import judge
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json
from stateheal.formats.times import describe_age, describe_duration, parse_time
from stateheal.model.disk import Snapshot
from stateheal.model.findings import Severity
from stateheal.model.liveness import Liveness, Owner
from stateheal.model.plan import Change
from stateheal.model.records import pid_of
from stateheal.model.traits import Lock


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
    if pid is None or pid <= 0:
        age = view.now - snapshot.stat.mtime
        if not lock.ages and age >= lock.left_after:
            reason = f"it names no holder, and it is {describe_duration(age)} old"
            yield _diagnosed(view, name, reason, lock, ())
    elif not _breaks_itself(view, holder, pid, lock):
        owner = _owner(view, snapshot, holder, pid, lock)
        verdict = judge(view.case(owner))
        later = f"pid {pid} belongs by now to a process that began after it was taken"
        reason = later if verdict.row.startswith("late-") else verdict.reason
        if verdict.state is Liveness.DEAD:
            yield _diagnosed(view, name, f"its holder is gone: {reason}", lock, (owner,))
        elif verdict.state is Liveness.UNSURE:
            message = f"{name} may be left behind, {describe_age(snapshot.stat.mtime, view.now)}: {reason}"
            yield Diagnosed(file_finding(view, STALE_LOCK, name, message, severity=Severity.UNSURE))


def _breaks_itself(view: View, holder: Record, pid: int, lock: Lock) -> bool:
    """Whether its companion's own code breaks it as soon as its holder is gone, or sees that it is not."""
    whole = all(re.fullmatch(pattern, _as_json(holder.get(key)), re.DOTALL) for key, pattern in lock.needs.items())
    process = view.evidence.processes.get(pid)
    if process is None or not process.exists:
        return (bool(lock.needs) and whole) or (not whole and lock.ages)
    return whole and lock.tells_apart and not process.zombie


def _as_json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _diagnosed(view: View, name: str, reason: str, lock: Lock, owners: tuple[Owner, ...]) -> Diagnosed:
    message = f"{name} was left behind and blocks every next dispatch: {reason}"
    finding = file_finding(view, STALE_LOCK, name, message, f"it is {lock.holds}", "remove it")
    return Diagnosed(finding, Change(remove=name, owners_to_recheck=owners))


def _owner(view: View, snapshot: Snapshot, holder: Record, pid: int, lock: Lock) -> Owner:
    """A process of which only the pid is known, and when it took the lock: by the later of its own word and the file's
    time, since a file system may have a clock of its own."""
    taken = parse_time(holder.get(lock.since)) if lock.since else None
    return Owner(
        job="the lock's holder",
        status="running",
        pid=pid,
        started_at=None if taken is None else max(taken, snapshot.stat.mtime),
        last_sign=snapshot.stat.mtime,
        ways=view.dialect.argv,
        shared_storage=view.evidence.shared_storage,
        shared_kind=view.evidence.shared_kind,
        written=snapshot.stat.mtime,
    )


STALE_LOCK = Rule(
    "stale-lock",
    Severity.DAMAGE,
    "A lock that a killed companion has left behind, and that its own code never breaks as it stands: every next "
    "dispatch waits for it and fails.",
    "Remove it (the journal keeps it), where it names no holder and is older than any hold of it lasts, or its holder "
    "is proven gone. Locks that a companion breaks by itself are left to it.",
    find_stale_locks,
    harmless_to_move=False,
)
