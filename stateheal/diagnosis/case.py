"""One owner in its circumstances, and what the rows of the liveness table ask about it.

Field guide section 4: what an owner is, and since when the record says its process was there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stateheal.formats.times import DAY
from stateheal.model.liveness import HostFacts, Owner, ProcessFacts
from stateheal.model.records import pid_of
from stateheal.model.request import Settings

_JOB_COMMANDS = frozenset({"task", "review", "adversarial-review"})
_OTHER_COMMANDS = frozenset({"status", "result", "cancel", "setup", "transfer", "task-resume-candidate"})


def job_command(argv: tuple[str, ...]) -> str | None:
    """The job subcommand of a companion process (``task``, ``review``, ``*-worker`` …), or ``None``.

    Brokers, hooks and the companion's other commands are no owners.
    """
    for position, element in enumerate(argv):
        if "companion" not in re.split(r"[\\/]", element)[-1]:
            continue
        rest = argv[position + 1 :]
        if rest and rest[0] in _OTHER_COMMANDS:
            return None
        return next((word for word in rest if word in _JOB_COMMANDS or word.endswith("-worker")), None)
    return None


def job_id_in(argv: tuple[str, ...]) -> str | None:
    """The value of ``--job-id X`` or ``--job-id=X``; elements are compared whole."""
    for position, element in enumerate(argv):
        if element.startswith("--job-id="):
            return element.partition("=")[2]
        if element == "--job-id" and position + 1 < len(argv):
            return argv[position + 1]
    return None


@dataclass(frozen=True)
class Case:
    """One owner in its circumstances, with what the rows ask about it."""

    owner: Owner
    process: ProcessFacts | None
    """``None`` where the record names no pid."""
    host: HostFacts
    settings: Settings

    @property
    def pid(self) -> int | None:
        return pid_of(self.owner.pid)

    @property
    def exists(self) -> bool:
        return self.process is not None and self.process.exists

    @property
    def argv(self) -> tuple[str, ...] | None:
        return self.process.argv if self.process and self.process.exists else None

    @property
    def command(self) -> str | None:
        return job_command(self.argv) if self.argv else None

    @property
    def ran_at(self) -> float | None:
        """Since when, by the record, the process was there; nothing is recycled by time without it."""
        owner = self.owner
        if owner.status == "running":
            return owner.started_at
        if owner.created_at is None:
            return None
        return max(owner.created_at, owner.updated_at or owner.created_at)

    @property
    def lateness(self) -> float | None:
        """Seconds from the record's time to the creation of the process that has the pid now."""
        created = self.process.created if self.process and self.process.exists else None
        return None if created is None or self.ran_at is None else created - self.ran_at

    @property
    def seniority(self) -> float | None:
        """Seconds by which the process is older than the record."""
        created = self.process.created if self.process and self.process.exists else None
        known = created is not None and self.ran_at is not None and self.owner.created_at is not None
        return self.owner.created_at - created if known else None  # type: ignore[operator]

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
