"""What is wrong, or worth knowing: a finding, how grave it is, what became of it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from stateheal.model.disk import JOBS


class Severity(str, Enum):
    """Only damage counts for the exit status."""

    DAMAGE = "damage"
    UNSURE = "unsure"
    NOTICE = "notice"


class Outcome(str, Enum):
    """What became of a finding."""

    FOUND = "found"
    WOULD_HEAL = "would-heal"
    HEALED = "healed"
    REFUSED = "refused"
    FAILED = "failed"


class Finding(NamedTuple):
    """One thing that is wrong, or worth knowing, in one workspace."""

    rule: str
    severity: Severity
    workspace: str
    path: str
    message: str
    evidence: str = ""
    pointer: str | None = None
    job: str | None = None
    pid: int | None = None
    repair: str | None = None
    outcome: Outcome = Outcome.FOUND
    title: str | None = None
    """What the job is, on one line: its title and its summary, as they stand in a record."""


def entry_position(pointer: str) -> int | None:
    """Which entry of an index a JSON pointer leads to or into; ``None`` where to none."""
    parts = pointer.split("/", 3)
    return int(parts[2]) if len(parts) > 2 and parts[1] == JOBS and parts[2].isdecimal() else None


class Violation(NamedTuple):
    """One way in which a value breaks its schema."""

    pointer: str
    """JSON pointer (RFC 6901) into the file."""
    message: str

    @property
    def position(self) -> int | None:
        """Of a violation in an index: the entry that it is about."""
        return entry_position(self.pointer)
