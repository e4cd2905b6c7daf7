"""Is this job's process alive? Field guide section 4, row for row.

``judge`` is pure: an owner (what a record claims), the facts about its pid and about this machine. The first row that
matches gives the verdict. A wrong "dead" destroys a live job's result: that takes proof; what is left over is *alive*.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from stateheal.diagnosis.case import Case, job_id_in
from stateheal.diagnosis.foreign import another_machine, foreign
from stateheal.diagnosis.naming import names_service
from stateheal.diagnosis.signs import (
    inner_owner,
    inner_process,
    log_fresh,
    log_grew,
    named_elsewhere,
    no_look,
    other_process,
    unrecorded_process,
    works_elsewhere,
)
from stateheal.formats.times import MINUTE, describe_duration, format_time
from stateheal.model.liveness import Liveness, Verdict
from stateheal.model.records import is_plain_id
from stateheal.values import NamedTuple, replace

ALIVE, DEAD, UNSURE = Liveness.ALIVE, Liveness.DEAD, Liveness.UNSURE

_TOLERANCE = MINUTE  # creation times move with the wall clock
_CLOSE = "if you know that it is over: stateheal close {job}"
_DAY = "a day after its last sign of life it counts as over; before: stateheal close {job}"

Test = Callable[[Case], "str | None"]


class Row(NamedTuple):
    """One row of the table: what it looks for, what it concludes, what the healed record then says."""

    name: str
    state: Liveness
    rule: str
    """Under which a finding is reported; empty: that of the row that was about to say dead."""
    test: Test
    """The reason in words for the user where the row matches, else ``None``."""
    message: Callable[[Case], str] | None = None
    settles: str = ""
    """For *unsure*: what would end the doubt."""


def _foreign_host(case: Case) -> str | None:
    named = case.owner.hostname
    return f"the record belongs to another host, {named!r}" if named and named != case.host.hostname else None


def _own_other_boot(case: Case) -> str | None:
    identity, boot = case.owner.identity, case.host.boot_id
    if identity is None or boot is None or identity.boot_id == boot:
        return None
    return "its recorded process ran before the last boot"


def _own_other_namespace(case: Case) -> str | None:
    if case.owner.identity is None or case.host.boot_id is None or case.same_namespace:
        return None
    return "its recorded process lives in another pid namespace"


def _own_gone(case: Case) -> str | None:
    if case.owner.identity is None or case.host.boot_id is None or case.pid is None:
        return None
    return _gone(case) or _zombie(case)


def _own_ticks(case: Case, wanted: bool | None) -> str | None:
    """Whether the process is the recorded one: ``wanted`` True, False, or None for "it would not say"."""
    identity, process = case.owner.identity, case.process
    if identity is None or case.host.boot_id is None or process is None or not process.exists:
        return None
    matches = None if process.ticks is None else process.ticks == identity.ticks
    if matches is not wanted:
        return None
    return {
        True: f"pid {process.pid} is the recorded process itself",
        False: f"pid {process.pid} started at another moment than the recorded process",
        None: f"the start time of pid {process.pid} cannot be read",
    }[matches]


def _named_in_argv(case: Case) -> str | None:
    if case.argv and job_id_in(case.argv) == case.owner.job:
        return f"pid {case.pid} runs this very job ({case.command or 'its command line says'} --job-id)"
    return None


def _fork_identity(case: Case, equal: bool) -> str | None:
    recorded, process = case.owner.fork_ticks, case.process
    if recorded is None or process is None or not process.exists or process.zombie or process.ticks is None:
        return None
    if (process.ticks == recorded) is not equal:
        return None
    return f"pid {process.pid} started {'exactly when' if equal else 'at another moment than'} the record says"


def _no_pid(case: Case) -> bool:
    return case.pid is None and not isinstance(case.owner.pid, bool)


def _what_pid(case: Case) -> str:
    return "no pid is recorded" if case.owner.pid is None else f"{json.dumps(case.owner.pid)[:40]} is no process id"


def _silent_without_pid(case: Case) -> str | None:
    if not _no_pid(case) or case.silence is None or case.silence < case.settings.grace:
        return None
    return f"{_what_pid(case)}, and it has been silent for longer than {describe_duration(case.settings.grace)}"


def _fresh_without_pid(case: Case) -> str | None:
    if not _no_pid(case):
        return None
    return f"{_what_pid(case)}, but it has not been silent for {describe_duration(case.settings.grace)} yet"


def _unsafe(case: Case) -> str | None:
    if isinstance(case.owner.pid, bool) or (case.pid is not None and case.pid <= 0):
        return f"{json.dumps(case.owner.pid)} is no process id; signalling it would hit a whole group"
    if case.pid == 1 and case.argv and case.command is None:
        return "pid 1 is this system's init, not a job"
    return None


def _unsafe_unread(case: Case) -> str | None:
    return "pid 1 is recorded and its command line cannot be read" if case.pid == 1 and not case.argv else None


def _gone(case: Case) -> str | None:
    if case.process is None or case.process.exists:
        return None
    boot, last = case.host.boot_time, case.owner.last_sign
    if boot is not None and last is not None and last < boot - _TOLERANCE:
        return f"pid {case.pid} is gone; its last sign of life was before the last boot"
    return f"pid {case.pid} is gone ({case.process.why})"


def _zombie(case: Case) -> str | None:
    if case.exists and case.process and case.process.zombie:
        return f"pid {case.pid} has ended and only waits for its parent (zombie)"
    return None


def _another_job(case: Case) -> str | None:
    other = job_id_in(case.argv) if case.argv and case.command and case.command.endswith("-worker") else None
    return f"pid {case.pid} now works on another job" if other is not None and other != case.owner.job else None


def _rival(case: Case) -> str | None:
    created = case.process.created if case.process and case.process.exists else None
    if created is None or case.lateness is None or case.lateness <= _TOLERANCE:
        return None
    if any(started > created for started in case.owner.rivals):
        return f"pid {case.pid} belongs to another job that started after the process was created"
    return None


def _late(case: Case, stranger: bool) -> str | None:
    if case.lateness is None or case.lateness <= _TOLERANCE:
        return None
    if case.is_stranger is not stranger:
        return None
    tail = "" if stranger else ", and it may be a companion"
    return f"the process with pid {case.pid} started {describe_duration(case.lateness)} after the job{tail}"


def _senior(case: Case, silent: bool) -> str | None:
    """A stranger that was there before the job: the pid may be one of another namespace."""
    if not case.is_stranger or case.silent_for_a_day is not silent:
        return None
    if case.process is not None and case.process.kernel:
        return f"pid {case.pid} is a thread of the kernel"
    if case.seniority is None or case.seniority <= _TOLERANCE:
        return None
    return f"the process with pid {case.pid} is {describe_duration(case.seniority)} older than the job"


def _another_service(case: Case) -> str | None:
    """The process is known by its command line, and that names nothing of the kind: a broker's endpoint."""
    if case.owner.flag is None or case.argv is None:
        return None
    if names_service(case.argv, *case.owner.flag):
        return None
    return f"pid {case.pid} belongs to another process by now"


def _anything(case: Case) -> str | None:
    if case.argv is None:
        return f"pid {case.pid} exists; more could not be learnt about it"
    return f"pid {case.pid} exists and nothing says that it is not the job's"


# --- what a healed record says (field guide section 3) --------------------------------------------------------------


def _says_gone(case: Case) -> str:
    return f"Orphaned: pid {case.pid} no longer alive"


def _says_recycled(case: Case) -> str:
    return f"Orphaned: pid {case.pid} now belongs to another process"


def _says_no_pid(case: Case) -> str:
    last = case.owner.last_sign
    return f"Orphaned: no pid recorded, silent since {format_time(case.host.now if last is None else last)}"


def _says_unsafe(case: Case) -> str:
    return f"Orphaned: recorded pid {json.dumps(case.owner.pid)} is not a job's process"


ROWS: tuple[Row, ...] = (
    Row("foreign-host", UNSURE, "dead-pid", _foreign_host, settles=_CLOSE),
    Row("own-other-boot", DEAD, "dead-pid", _own_other_boot, _says_gone),
    Row("own-other-namespace", UNSURE, "dead-pid", _own_other_namespace, settles=_CLOSE),
    Row("own-gone", DEAD, "dead-pid", _own_gone, _says_gone),
    Row("own-running", ALIVE, "dead-pid", lambda case: _own_ticks(case, True)),
    Row("own-recycled", DEAD, "recycled-pid", lambda case: _own_ticks(case, False), _says_recycled),
    Row("own-unread", UNSURE, "dead-pid", lambda case: _own_ticks(case, None), settles=_CLOSE),
    Row("own-creation", ALIVE, "dead-pid", lambda case: case.created_as_recorded),
    Row("named-in-argv", ALIVE, "dead-pid", _named_in_argv),
    Row("fork-identity", ALIVE, "dead-pid", lambda case: _fork_identity(case, True)),
    Row("foreign", UNSURE, "dead-pid", foreign, settles=_DAY),
    # Those that look at the whole process table: reached in earnest only where another row says dead or unsure.
    Row("works-elsewhere", ALIVE, "", works_elsewhere),
    Row("inner-owner", ALIVE, "", inner_owner),
    Row("named-elsewhere", UNSURE, "", named_elsewhere, settles=_CLOSE),
    Row("no-look", UNSURE, "", no_look, settles=_CLOSE),
    Row("inner-process", UNSURE, "", inner_process, settles=_DAY),
    Row("other-process", UNSURE, "", other_process, settles=_CLOSE),
    Row("unrecorded-process", UNSURE, "", unrecorded_process, settles=_CLOSE),
    Row("another-machine", UNSURE, "", another_machine, settles=_DAY),
    Row("log-grew", UNSURE, "", log_grew),
    Row("log-fresh", UNSURE, "", log_fresh),
    Row("no-pid", DEAD, "missing-pid", _silent_without_pid, _says_no_pid),
    Row("no-pid-yet", UNSURE, "missing-pid", _fresh_without_pid),
    Row("unsafe", DEAD, "unsafe-pid", _unsafe, _says_unsafe),
    Row("gone", DEAD, "dead-pid", _gone, _says_gone),
    Row("unsafe-unread", UNSURE, "unsafe-pid", _unsafe_unread, settles=_CLOSE),
    Row("zombie", DEAD, "dead-pid", _zombie, _says_gone),
    Row("another-job", DEAD, "recycled-pid", _another_job, _says_recycled),
    Row("fork-identity-differs", DEAD, "recycled-pid", lambda case: _fork_identity(case, False), _says_recycled),
    Row("rival", DEAD, "recycled-pid", _rival, _says_recycled),
    Row("beat-since", UNSURE, "recycled-pid", lambda case: case.beat_since, settles=_CLOSE),
    Row("late-stranger", DEAD, "recycled-pid", lambda case: _late(case, True), _says_recycled),
    Row("late-unsure", UNSURE, "recycled-pid", lambda case: _late(case, False), settles=_CLOSE),
    Row("senior-fresh", UNSURE, "recycled-pid", lambda case: _senior(case, False), settles=_DAY),
    Row("senior-silent", DEAD, "recycled-pid", lambda case: _senior(case, True), _says_recycled),
    Row("another-service", DEAD, "recycled-pid", _another_service, _says_recycled),
    Row("exists", ALIVE, "dead-pid", _anything),
)
"""The table. The order is the order of precedence."""
LOOK_AGAIN = "log-fresh"
"""The row that waits for a second look at the job's log."""
LOOKS = slice(*([row.name for row in ROWS].index(name) for name in ("works-elsewhere", "no-pid")))
"""The rows that ask the look at the process table; a test shows that no other does."""
_LIVING = tuple(row for row in ROWS[LOOKS] if row.state is ALIVE)
_WITHOUT_LOOK = (*ROWS[: LOOKS.start], *ROWS[LOOKS.stop :])


def asked_of_the_look(decided: Row) -> tuple[Row, ...]:
    """What a look at the process table may still say: before *unsure* what proves life, an outer pid not among it."""
    if decided.state is ALIVE:
        return ()
    before = decided in ROWS[: LOOKS.start]
    if decided.state is DEAD:
        return () if before else ROWS[LOOKS]
    return _LIVING[:1] if before else _LIVING


def _decide(case: Case) -> tuple[Row, str | None]:
    """The row that decides; ``trace`` tells all of it."""
    decided = next((row, reason) for row in _WITHOUT_LOOK if (reason := row.test(case)) is not None)
    rows = asked_of_the_look(decided[0])
    seen = replace(case, look=case.life()) if rows else case
    for row in rows:
        if (reason := row.test(seen)) is not None:
            return row._replace(rule=row.rule or decided[0].rule), reason
    return decided


def judge(case: Case) -> Verdict:
    """The verdict of the first row that matches."""
    row, reason = _decide(case)
    message = row.message(case) if row.message else ""
    settles = row.settles if is_plain_id(case.owner.job) else ""
    return Verdict(row.state, row.name, row.rule, reason or "", message, settles)
