"""What is wrong, or worth knowing: a finding, how grave it is, what became of it."""

from __future__ import annotations

from stateheal.enums import Words
from stateheal.model.disk import JOBS
from stateheal.values import NamedTuple


class Severity(Words):
    """Only damage counts for the exit status."""

    DAMAGE = "damage"
    UNSURE = "unsure"
    NOTICE = "notice"


class Outcome(Words):
    """What became of a finding."""

    FOUND = "found"
    WOULD_HEAL = "would-heal"
    HEALED = "healed"
    REFUSED = "refused"
    FAILED = "failed"


class Edit(NamedTuple):
    """One thing that a repair changes in one file."""

    file: str
    """Relative to the workspace."""
    op: str
    """``replace``, ``add`` or ``remove``, as in a JSON Patch; ``append`` for a line of a log."""
    pointer: str
    """JSON pointer (RFC 6901) into the file as it was read; empty for all of it."""
    before: str | None
    """The old value as a JSON text; ``None`` where there was none, or none that could be read."""
    after: str | None
    """The new value as a JSON text; ``None`` where there is none any more."""


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
    project: str | None = None
    """The workspace's project directory, where a record names it."""
    root: str = ""
    """The state directory that the workspace was found under."""
    last_sign: float | None = None
    """When the job last showed any life."""
    edits: tuple[Edit, ...] = ()
    """What its repair changes, or would, where that was asked for."""
    resume: str | None = None
    """The command that goes on with the job in Codex."""
    size: int | None = None
    """Bytes that it is about, where their number matters."""

    @property
    def repairable(self) -> bool:
        """Whether a heal repairs it."""
        return self.repair is not None and self.severity is Severity.DAMAGE and self.outcome is not Outcome.REFUSED

    def __repr__(self) -> str:
        job = f" {self.job}" if self.job else ""
        return f"<Finding {self.rule}{job} in {self.workspace}: {self.severity.value}, {self.outcome.value}>"


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
