"""Signs of life that no pid shows: rows of the liveness table that are asked before a dead verdict falls.

Field guide section 4. A job is a tree of processes, in whatever pid namespace, container or system. Each row asks the
look at the whole process table, or the job's log, and gives its reason in words, or ``None``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from stateheal.diagnosis.case import Case, job_command, job_id_in, own_words, works_on
from stateheal.diagnosis.naming import who_names
from stateheal.formats.times import MINUTE, describe_duration
from stateheal.model.look import Seen
from stateheal.model.traits import Argv

FRESH = 5.0
"""Seconds since the last sign of life in which somebody may still be writing."""
_TOLERANCE = MINUTE
_ROUNDING = 2.0
"""Seconds by which a creation time may lie beside the clock: the boot time it is counted from has no fractions."""
_REVIEWS = frozenset({"review", "adversarial-review"})
_FOREGROUND = frozenset({"task", *_REVIEWS})
"""Subcommands that work on a job themselves, and whose command line does not say on which."""


def no_look(case: Case) -> str | None:
    """Nothing is dead where nobody could look."""
    if case.look is None or not case.look.trouble:
        return None
    return f"the process table cannot be looked at ({case.look.trouble})"


def works_elsewhere(case: Case) -> str | None:
    """A command line names the job, whatever pid that process has."""
    owner, look = case.owner, case.look
    if look is None:
        return None
    option, name = owner.flag or ("--job-id", owner.job)
    for each in (*look.by_word.get(name, ()), *look.by_word.get(f"{option}={name}", ())):
        if not each.zombie and works_on(each.argv, option, name):
            return f"process {each.pid} works on it (its command line says {option} {name[:80]})"
    return None


def named_elsewhere(case: Case) -> str | None:
    """A command line names the job in some other form: it may be who works on it, or the way to it."""
    owner, look = case.owner, case.look
    if look is None:
        return None
    option, name = owner.flag or ("--job-id", owner.job)
    found = who_names(look, option, name)
    return None if found is None else f"process {found.pid} has {name[:80]} in its command line"


def _inner(case: Case) -> Iterator[tuple[Seen, int]]:
    """Processes of other pid namespaces that are there what the record names, unless they work on another job."""
    if case.look is None:
        return
    recorded = [] if case.pid is None else [case.pid]
    for pid in dict.fromkeys([*recorded, *(pid for _, pid in case.owner.others)]):
        for each in case.look.by_inner_pid.get(pid, ()):
            other = job_id_in(each.argv)
            if not each.zombie and other in (None, case.owner.job):
                yield each, pid


def inner_owner(case: Case) -> str | None:
    """A companion in another namespace has the recorded pid there, whenever it began: no clock outranks it."""
    for each, pid in _inner(case):
        if job_command(each.argv, case.owner.ways) is not None:
            return f"process {each.pid}, a companion in a sandbox or container, has pid {pid} there"
    return None


def inner_process(case: Case) -> str | None:
    """Anybody in another namespace has the recorded pid there, and was there at the last known sign of life."""
    last = case.owner.last_sign
    if case.silent_for_a_day:
        return None
    for each, pid in _inner(case):
        if last is None or each.created is None or each.created <= last + _ROUNDING:
            return f"process {each.pid}, in a sandbox or container, has pid {pid} there"
    return None


def other_process(case: Case) -> str | None:
    """A further process that the records name lives, and nothing proves that its pid was given to another since."""
    if case.look is None:
        return None
    for field, pid in case.owner.others:
        seen = case.look.by_pid.get(pid)
        if seen is not None and pid != case.pid and not seen.zombie and not _recycled(case, seen):
            return f"its {_role(field)} {pid} lives on"
    return None


def unrecorded(case: Case) -> Seen | None:
    """A companion's process in the foreground that may be this job's, whose record names none: they began together.

    A pid that must not be signalled is no lost one: no companion writes it, and it goes whoever lives.
    """
    if case.look is None or not case.owner.kind or case.pid is not None or isinstance(case.owner.pid, bool):
        return None
    return next((each for each in case.look.processes if _may_be_its_own(case, each)), None)


@lru_cache(4096)  # every job that names no process asks it of every process
def _own_command(argv: tuple[str, ...], ways: tuple[Argv, ...]) -> str | None:
    return job_command(own_words(argv), ways)


def _may_be_its_own(case: Case, each: Seen) -> bool:
    owner = case.owner
    command = None if each.zombie else _own_command(each.argv, owner.ways)
    if command is None or not _fits(command, case):
        return False
    if job_id_in(each.argv) not in (None, owner.job) or each.pid in owner.taken:
        return False
    gap = _gap(case, each)
    return gap is None or abs(gap) <= _TOLERANCE


def _gap(case: Case, each: Seen) -> float | None:
    """Seconds from where the job was made, or began, to where the process did; ``None`` where that is not known."""
    began = [moment for moment in (case.owner.created_at, case.owner.started_at) if moment is not None]
    return None if each.created is None else min((each.created - moment for moment in began), key=abs, default=None)


def _fits(command: str, case: Case) -> bool:
    """Whether such a command works on a job of this kind."""
    fitting = {"task": frozenset({"task"}), **dict.fromkeys(_REVIEWS, _REVIEWS)}.get(case.owner.kind, _FOREGROUND)
    command = command.removesuffix("-worker")
    return command in fitting or command not in _FOREGROUND


def unrecorded_process(case: Case) -> str | None:
    """The record names no process, and one lives that began when the job did."""
    seen = unrecorded(case)
    if seen is None:
        return None
    command, began = job_command(seen.argv, case.owner.ways), _began(case, seen)
    return f"it records no process, but pid {seen.pid} runs a companion's {command} and {began}"


def _began(case: Case, seen: Seen) -> str:
    gap = _gap(case, seen)
    if gap is None:
        return "may have begun when it did"
    return f"began {describe_duration(abs(gap))} {'after' if gap > 0 else 'before'} it"


def _recycled(case: Case, seen: Seen) -> bool:
    """Whether the process began after the record was written that names its pid.

    A day after the last sign of life the file's own date counts no more: it may be a copy's.
    """
    if seen.kernel or seen.created is None:
        return seen.kernel
    written = None if case.silent_for_a_day else case.owner.written
    times = [moment for moment in (case.owner.last_sign, written) if moment is not None]
    return bool(times) and bool(seen.argv) and seen.created > max(times) + _TOLERANCE


def _role(field: str) -> str:
    """``childPid`` to ``child``; a pid file is a process like any other."""
    name = field.rpartition(".")[0] or field
    name = name[: -len("pid")].strip("_-") if name.lower().endswith("pid") else name
    return name if name.isalnum() and name.isascii() and len(name) <= 40 else "process"


def log_grew(case: Case) -> str | None:
    """Whoever it is, somebody writes the job's log, or has it open for that."""
    grown = case.owner.grown
    if case.look and case.owner.held:
        return "a process has its log open for writing"
    return f"its log changed within a moment ({grown:+} bytes): somebody writes it" if case.look and grown else None


def log_fresh(case: Case) -> str | None:
    """Its log was written a moment ago and has not been looked at twice yet."""
    owner = case.owner
    if case.look is None or owner.grown is not None or owner.log_size is None or owner.last_sign is None:
        return None
    return "its log was written just now: it is looked at again" if case.host.now - owner.last_sign < FRESH else None
