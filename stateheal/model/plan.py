"""What a repair is to do: changes as data, a draft as a value, a plan as bytes before and after."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from stateheal.formats.jsontext import Json
from stateheal.model.disk import Place, Snapshot
from stateheal.model.findings import Finding
from stateheal.model.liveness import Owner
from stateheal.values import NamedTuple, dataclass, field


class Gone(Enum):
    """The value of a key that a patch takes away."""

    GONE = "gone"


GONE = Gone.GONE


Patch = Mapping[str, Json | Gone]
"""New values for keys of one object; ``GONE`` removes the key."""


@dataclass(frozen=True, eq=False, repr=False)
class Change:
    """What a repair does, as data. ``position`` addresses an entry in the index, ``stem`` a job file."""

    position: int | None = None
    entry: Patch = field(default_factory=dict)
    stem: str | None = None
    record: Patch = field(default_factory=dict)
    log: str | None = None
    """A line for the job's log."""
    drop: frozenset[int] = frozenset()
    """Positions of entries that leave the index."""
    add: Mapping[str, Json] | None = None
    """A new entry, to stand first; the journal keeps a copy of its job file and its log."""
    index: Mapping[str, Json] | None = None
    """A whole new index."""
    rebuilt: Mapping[str, Json] | None = None
    """A whole new record for ``stem``."""
    remove: str | None = None
    """A file that goes."""
    requires_record: str | None = None
    """The stem of a job file that the new entry was taken from: it must still be as it was read."""
    requires_index: bool = False
    """The record was taken from the index, which must still be as it was read."""
    owners_to_recheck: tuple[Owner, ...] = ()
    """Owners whose death this repair rests on: judged afresh directly before the write."""


@dataclass(frozen=True, eq=False, repr=False)
class Draft:
    """A workspace's content as values: as read, or as a repair would leave it."""

    index: Json
    """``None`` where there is no index that can be read."""
    records: Mapping[str, Json]
    """By file stem; only those that parse."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """Lines to append, by file stem."""
    removed: frozenset[str] = frozenset()
    """Names of files that go."""
    keeps: tuple[str, ...] = ()
    """Stems of jobs whose record and log the journal keeps a copy of although they do not change."""


class FileChange(NamedTuple):
    """One file, before and after."""

    name: str
    before: Snapshot | None
    """``None`` for a new file."""
    after: bytes | None
    """``None`` for a file that goes."""
    owners_to_recheck: tuple[Owner, ...] = ()
    preconditions: tuple[Snapshot, ...] = ()
    """Other files the change was concluded from: they must still be as they were read."""
    mtime_ns: int | None = None
    """The age of a file that comes from elsewhere: a log's tells when its job last lived."""
    mode: int | None = None
    """The permissions of a new file; by default its directory's."""


class LogLine(NamedTuple):
    """One line for the log of one job."""

    name: str
    text: str


class Plan(NamedTuple):
    """What is to be done in one workspace, and what was found there."""

    place: Place
    findings: tuple[Finding, ...]
    files: tuple[FileChange, ...] = ()
    """In the order of writing: job files, then the index."""
    logs: tuple[LogLine, ...] = ()
    keeps: tuple[str, ...] = ()
    """Names of files that the journal keeps a copy of although they do not change."""
    refusal: str | None = None
    """Why the plan must not be carried out: it would not cure what it claims."""
    problems: tuple[str, ...] = ()
    """Jobs that are spared because their repair would not cure them, a sentence each."""
    waits: bool = False
    """A verdict waits for a second look at a job's log: somebody may be writing it."""
