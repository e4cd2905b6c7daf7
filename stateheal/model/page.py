"""What a page draws of a workspace: small, so that it can be kept when the evidence is gone."""

from __future__ import annotations

from collections.abc import Mapping

from stateheal.model.disk import ACTIVE, FINISHED
from stateheal.model.findings import Severity
from stateheal.values import NamedTuple

OTHER = "other"
"""Every status that is none of the Codex companion's, where statuses are counted and coloured."""


class DiffText(NamedTuple):
    """One file's diff as it is shown, without the bytes it was made from."""

    name: str
    lines: tuple[str, ...]
    """Of the unified diff, header first."""
    left_out: int = 0
    """How many further lines there are; of a file with too many to be compared, how many it has, before and after."""
    too_large: bool = False


class JobSpan(NamedTuple):
    """When one job ran, as its records tell."""

    job: str
    status: str
    began: float | None
    """``None`` where neither record holds a time."""
    ended: float | None
    """``None`` where it is recorded as active: it goes on until now."""
    worst: Severity | None = None
    """Of the findings about it; ``None`` where there are none but notices."""
    title: str | None = None
    """What the job is, on one line, as it stands in a record."""

    @property
    def kind(self) -> str:
        """Its status as it is counted and coloured: what goes on runs, whatever its companion calls that."""
        status = self.status.casefold()
        if status in ACTIVE | FINISHED:
            return status
        return "running" if self.ended is None and self.began is not None else OTHER


class PageData(NamedTuple):
    """One workspace as a page draws it: small, so that it can be kept when the evidence is gone."""

    directory: str
    home: str | None
    spans: tuple[JobSpan, ...]
    """The newest jobs and all with findings, newest first."""
    statuses: Mapping[str, int]
    """How many jobs there are of each status, those not among the spans included."""
    diffs: tuple[DiffText, ...] = ()
    """What a heal would change; nothing where it would refuse to."""
    logs: int = 0
    """How many job logs would get a line."""
    refusal: str | None = None
    """Why a heal would not carry out its plan."""

    @property
    def jobs(self) -> int:
        return sum(self.statuses.values())
