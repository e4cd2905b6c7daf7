"""One owner in its circumstances, and what the rows of the liveness table ask about it.

Field guide section 4: what an owner is, and since when the record says its process was there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from stateheal.formats.times import DAY, MINUTE
from stateheal.model.liveness import HostFacts, Owner, ProcessFacts
from stateheal.model.look import Look
from stateheal.model.records import pid_of
from stateheal.model.request import Settings
from stateheal.model.traits import Argv
from stateheal.values import cached_property, dataclass

_JOB_COMMANDS = frozenset({"task", "review", "adversarial-review"})
_MAYBE_COMMANDS = _JOB_COMMANDS | {"run", "rescue", "delegate", "critique", "--worker"}
OTHER_COMMANDS = frozenset({"status", "result", "cancel", "setup", "transfer", "task-resume-candidate"})
_SCRIPTS = (".mjs", ".js", ".cjs", ".ts")
"""How the names of companions' scripts end."""
_WORKERS = ("-worker", "_worker")
"""How the subcommands of companions' workers end."""
_CLOCK = 2.0
"""Seconds that a job may seem to be older than the command that started it."""


def job_command(argv: tuple[str, ...], ways: tuple[Argv, ...] = ()) -> str | None:
    """The job subcommand of a companion process (``task``, ``review``, ``*-worker`` …), or ``None``.

    ``ways``: how the job's own companion is called, where that is known. Brokers, hooks and the companion's other
    commands are no owners.
    """
    for position, element in enumerate(argv):
        base = base_of(element)
        way = next((each for each in ways if re.fullmatch(each.script, base)), None)
        if way is None and "companion" not in base:
            continue
        if way is not None and way.no_command:
            return base
        rest = argv[position + 1 :]
        if rest and rest[0] in OTHER_COMMANDS:
            return None
        commands = _JOB_COMMANDS.union(way.commands if way else ())
        return next((word for word in rest if word in commands or word.endswith(_WORKERS)), None)
    return None


def _may_be_job_command(argv: tuple[str, ...]) -> bool:
    """Whether a script of whatever name is called as companions are: not every one is known."""
    pairs = pairwise(argv)
    return any(base_of(a).endswith(_SCRIPTS) and (b in _MAYBE_COMMANDS or b.endswith(_WORKERS)) for a, b in pairs)


def job_id_in(argv: tuple[str, ...]) -> str | None:
    """The value of ``--job-id X`` or ``--job-id=X``; elements are compared whole."""
    for position, element in enumerate(argv):
        if element.startswith("--job-id="):
            return element.partition("=")[2]
        if element == "--job-id" and position + 1 < len(argv):
            return argv[position + 1]
    return None


def values_of(words: Sequence[str], option: str) -> list[str]:
    """What a command line gives an option, as ``--option value`` or ``--option=value``."""
    given = [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
    return given + [following for word, following in pairwise(words) if word == option]


def works_on(argv: tuple[str, ...], option: str, name: str) -> bool:
    """Whether a process works on this very job: its command line holds ``--job-id <id>``, or the id behind a script.

    ``task-worker <id>`` and ``job-worker.mjs <id>`` exist, too. The command that a ``stateheal run`` was given is not
    that run's own work.
    """
    words = own_words(argv)
    if only_asks(words):
        return False
    if f"{option}={name}" in words or (option, name) in pairwise(words):
        return True
    return any(following == name and _is_worker(word) for word, following in pairwise(words))


def only_asks(argv: tuple[str, ...]) -> bool:
    """Whether this is a companion's command that works on no job: ``status``, ``result``, ``cancel`` …"""
    return any("companion" in base_of(word) and following in OTHER_COMMANDS for word, following in pairwise(argv))


def _is_worker(word: str) -> bool:
    """A worker's subcommand, or a script that is one."""
    return word.endswith(_WORKERS) or any(base_of(word).endswith("worker" + ending) for ending in _SCRIPTS)


def own_words(argv: tuple[str, ...]) -> tuple[str, ...]:
    """A command line without the command that a ``stateheal run`` in it was given."""
    for position, (word, following) in enumerate(pairwise(argv)):
        if following == "run" and base_of(word).removesuffix(".exe") == "stateheal":
            return argv[:position]
    return argv


def base_of(path: str) -> str:
    """The last part of a path of either kind of system."""
    return re.split(r"[\\/]", path)[-1]


@dataclass(frozen=True)
class Case:
    """One owner in its circumstances, with what the rows ask about it."""

    owner: Owner
    process: ProcessFacts | None
    """``None`` where the record names no pid."""
    host: HostFacts
    settings: Settings
    life: Callable[[], Look]
    """Looks at the whole process table; asked only when a dead verdict is about to fall."""
    look: Look | None = None
    """What was seen, once it was asked."""

    @cached_property
    def pid(self) -> int | None:
        return pid_of(self.owner.pid)

    @property
    def exists(self) -> bool:
        return self.process is not None and self.process.exists

    @cached_property
    def argv(self) -> tuple[str, ...] | None:
        return self.process.argv if self.process and self.process.exists else None

    @cached_property
    def is_stranger(self) -> bool:
        """Whether the process is known to be no companion: by its command line, or as a thread of the kernel's."""
        kernel = self.process is not None and self.process.kernel
        known = self.argv is not None and self.command is None and not _may_be_job_command(self.argv)
        return self.exists and (kernel or known)

    @property
    def is_own(self) -> bool:
        """Whether the job is one of a command that we ran ourselves and that has just ended."""
        closing = self.settings.closing
        if closing is None or self.pid not in closing.pids:
            return False
        began = (self.owner.created_at, self.owner.started_at)
        return any(began) and all(moment is None or moment >= closing.began - _CLOCK for moment in began)

    @cached_property
    def command(self) -> str | None:
        return job_command(self.argv, self.owner.ways) if self.argv else None

    @cached_property
    def ran_at(self) -> float | None:
        """Since when, by the record, the process was there; nothing is recycled by time without it."""
        owner = self.owner
        if owner.status == "running":
            return owner.started_at
        if owner.created_at is None:
            return None
        return max(owner.created_at, owner.updated_at or owner.created_at)

    @cached_property
    def lateness(self) -> float | None:
        """Seconds from the record's time to the creation of the process that has the pid now."""
        created = self.process.created if self.process and self.process.exists else None
        return None if created is None or self.ran_at is None else created - self.ran_at

    @cached_property
    def seniority(self) -> float | None:
        """Seconds by which the process is older than the record."""
        created = self.process.created if self.process and self.process.exists else None
        known = created is not None and self.ran_at is not None and self.owner.created_at is not None
        return self.owner.created_at - created if known else None  # type: ignore[operator]

    @property
    def created_as_recorded(self) -> str | None:
        """Whether it is the process that our own runner recorded, by its creation: it may be far older than the job."""
        created = self.process.created if self.process and self.process.exists and not self.process.zombie else None
        recorded = self.owner.process_created
        if created is None or recorded is None or abs(created - recorded) > MINUTE:
            return None
        return f"pid {self.pid} was created when the recorded process was"

    @property
    def beat_since(self) -> str | None:
        """Whether the job's heart has beaten since a process that seems too young for it began: only that can have."""
        created = self.process.created if self.process and self.process.exists else None
        beat, late = self.owner.beat, self.lateness
        if created is None or beat is None or late is None or late <= MINUTE or beat <= created:
            return None
        return f"the process with pid {self.pid} seems to have begun after the job, whose heart has beaten since then"

    @property
    def silence(self) -> float | None:
        """Seconds since the last sign of life."""
        return None if self.owner.last_sign is None else self.host.now - self.owner.last_sign

    @property
    def silent_for_a_day(self) -> bool:
        return self.silence is not None and self.silence >= DAY

    @property
    def same_namespace(self) -> bool:
        identity = self.owner.identity
        return identity is not None and identity.pid_namespace == self.host.pid_namespace
