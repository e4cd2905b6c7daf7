"""What a command found and did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stateheal.model.findings import Finding, Outcome, Severity
from stateheal.model.places import Looked
from stateheal.model.problems import Problem
from stateheal.text import count_of
from stateheal.values import NamedTuple, dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:  # a heal lists no jobs and draws no page
    from typing import Any

    from stateheal.model.jobs import JobRow
    from stateheal.model.page import PageData


class Diff(NamedTuple):
    """One file's bytes before and after, for showing."""

    name: str
    """Relative to the root it was found under, led by the workspace's directory."""
    before: bytes | None
    after: bytes | None


class Restored(NamedTuple):
    """A workspace that an undo took back, or refused to, and why."""

    workspace: Path
    files: int
    refusal: str | None = None
    differing: tuple[str, ...] = ()
    """Of one that was left alone: its files that were changed since the run."""
    originals: tuple[Path, ...] = ()
    """Of one that was left alone: the archives that hold the bytes from before the run."""


class Moved(NamedTuple):
    """What became of one workspace in a migration."""

    source: Path
    target: Path
    jobs: tuple[str, ...] = ()
    """The source's jobs that the target holds now."""
    stays: tuple[str, ...] = ()
    """Jobs that found no room under the plugin's cap."""
    refusal: str | None = None
    written: bool = False
    archives: bool = False
    """The source is, or in a dry run would be, packed and removed."""
    archived: str | None = None
    """The archive that the source was packed into before it was removed."""


@dataclass(frozen=True)
class Report:
    """What a command found and did."""

    command: str
    dry_run: bool = False
    run: str | None = None
    roots: tuple[Path, ...] = ()
    workspaces: int = 0
    jobs: int = 0
    findings: tuple[Finding, ...] = ()
    errors: tuple[Problem, ...] = ()
    diffs: tuple[Diff, ...] = ()
    logs: int = 0
    """How many job logs get a line, in a dry run."""
    homes: Mapping[str, str] = field(default_factory=dict)
    """The project directory of each workspace that has findings, where a record names it."""
    restored: tuple[Restored, ...] = ()
    """What an undo did, a workspace at a time."""
    moved: tuple[Moved, ...] = ()
    """What a migration did, a workspace at a time."""
    answers: tuple[tuple[str, str, str], ...] = ()
    """Recovered answers: workspace, job, text."""
    rows: tuple[JobRow, ...] = ()
    """Every job, where a list of them was asked for."""
    pages: tuple[PageData, ...] = ()
    """Every workspace as a page draws it, where a page was asked for."""
    reached: int = 0
    """How many of the workspaces were looked at."""
    looked: tuple[Looked, ...] = ()
    """Where state was looked for, where no path was given."""
    interrupted: bool = False
    """The command was stopped between two files; what it had not reached is not in the report."""
    time: float | None = field(default=None, compare=False)
    """When it was made."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What else a command counts: files, runs, refusals."""

    def __repr__(self) -> str:
        healed = f", {self.healed} healed" if self.healed else ""
        counts = ((self.workspaces, "workspace"), (self.jobs, "job"), (len(self.findings), "finding"))
        told = ", ".join(count_of(*each) for each in counts) + healed
        return f"<Report {self.command}{' (dry run)' if self.dry_run else ''}: {told}>"

    def to_dict(self) -> dict[str, Any]:
        """What ``--format json`` prints, as plain values (schemas/report.schema.json)."""
        from stateheal.model.plain import as_json

        return as_json(self)

    def count(self, severity: Severity) -> int:
        """How many findings are of this severity."""
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def healed(self) -> int:
        return sum(finding.outcome is Outcome.HEALED for finding in self.findings)

    @property
    def remaining(self) -> int:
        """Damage that is still there."""
        return self.count(Severity.DAMAGE) - self.healed

    @property
    def exit_status(self) -> int:
        """0 nothing wrong or all of it healed, 1 damage found or left, 3 trouble reading or writing."""
        if self.errors:
            return 3
        refused = any(each.refusal for each in self.restored) or any(each.refusal for each in self.moved)
        would = self.dry_run and any(each.written or each.archives for each in self.moved)
        return 1 if self.remaining or refused or would else 0
