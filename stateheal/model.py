"""The vocabulary. Frozen values without behaviour, named as the field guide names them.

A time is a float: seconds since the epoch. A pid in a record is whatever JSON value stood there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from stateheal.jsontext import Document, Json, ParseFailure

ACTIVE = frozenset({"queued", "running"})
FINISHED = frozenset({"completed", "failed", "cancelled"})
INDEX = "state.json"
JOBS = "jobs"
BROKER = "broker.json"
GATE_TITLE = "Codex Stop Gate Review"
"""What the plugin calls a review that its stop hook asks for."""
NEW_INDEX: Mapping[str, Json] = {"version": 1, "config": {"stopReviewGate": False}, "jobs": []}
"""What the plugin takes where there is no index."""


def job_file(stem: str) -> str:
    """A job file's name, relative to the workspace."""
    return f"{JOBS}/{stem}.json"


def stem_of(name: str) -> str | None:
    """The job whose file has this name; ``None`` for the index and the broker's file."""
    return name[len(JOBS) + 1 : -len(".json")] if name.startswith(JOBS + "/") else None


# --- what is on disk -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where one workspace keeps its state (field guide section 1)."""

    root: Path
    """The ``state`` directory it was found under."""
    directory: Path
    """``<root>/<slug>-<hash>``, real path."""
    plugin: str | None
    """The plugin whose data this is, as far as the path tells."""
    jobs: frozenset[str] | None = None
    """Only these jobs were asked for; ``None`` for all."""

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def hash(self) -> str:
        return self.name[-16:]

    @cached_property
    def jobs_path(self) -> str:
        """Its ``jobs`` directory; asked for every record."""
        return str(self.directory / JOBS)

    @property
    def of_codex(self) -> bool:
        """Whether the plugin is a codex companion, as far as the path tells."""
        return self.plugin is None or "codex" in self.plugin.lower()


class FileStat(NamedTuple):
    """What identifies one file at one moment."""

    device: int
    inode: int
    mode: int
    uid: int
    gid: int
    links: int
    size: int
    mtime_ns: int

    @property
    def mtime(self) -> float:
        return self.mtime_ns / 1e9


class Snapshot(NamedTuple):
    """One file as it was read by one ``open``."""

    name: str
    """Relative to the workspace directory: ``state.json``, ``jobs/<id>.json``."""
    data: bytes
    stat: FileStat
    document: Document | ParseFailure

    @property
    def value(self) -> Json:
        """The parsed value; ``None`` where the bytes do not parse."""
        return self.document.value


class Unreadable(NamedTuple):
    """A file that is there but could not be read, and why."""

    name: str
    reason: str


class LogFacts(NamedTuple):
    """What a job's log tells: ``<id>.log`` beside its record, never another path."""

    mtime: float
    codex_error: str | None = None
    """The text of the last ``Codex error:`` line among its last 64 KiB."""
    last_line: str = ""
    turn_ended: bool = False
    """Whether its last 64 KiB say that a turn came to its end after the last one began."""


class Salvage(NamedTuple):
    """What can still be read out of a file that does not parse."""

    objects: tuple[dict[str, Json], ...] = ()
    """Whole objects that are not part of another whole one."""
    members: Mapping[str, Json] = MappingProxyType({})
    """The whole members of the first object."""
    fragments: tuple[Mapping[str, Json], ...] = ()
    """Of objects with an ``id`` that are cut, the members that stand whole."""


class Name(NamedTuple):
    """One name in the workspace directory or in its ``jobs/``."""

    name: str
    """Relative to the workspace."""
    is_directory: bool
    mtime: float
    run: str | None = None
    """For one of our own temporary files: the run that made it."""


class Answer(str, Enum):
    """What an endpoint does when it is connected to."""

    YES = "answers"
    NO = "does not answer"
    UNKNOWN = "cannot be told"


class BrokerFacts(NamedTuple):
    """``broker.json`` and what stands behind it."""

    snapshot: Snapshot
    answer: Answer
    process: ProcessFacts | None


class TurnEnd(str, Enum):
    """How a Codex turn ended, as far as its rollout tells (field guide section 7)."""

    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"
    OPEN = "open"


class TurnFacts(NamedTuple):
    """One turn in a rollout."""

    end: TurnEnd
    path: str
    mtime: float


class RolloutTurn(NamedTuple):
    """One turn of a thread as its rollout tells it; the answer itself is read only when it is wanted."""

    turn_id: str | None
    path: str
    line: int
    """Where its last word stands, counted from 0."""
    end: TurnEnd
    trouble: str = ""
    """Of a turn that ended without success: what was missing."""
    started_at: float | None = None
    ended_at: float | None = None
    prompt: str | None = None
    """sha256 of the user's message, white space at its ends left out."""
    prompt_short: str = ""
    """The user's message as the plugin shortens summaries."""
    answer: str | None = None
    """sha256 of its last message, white space at its ends left out."""
    rolled_back: bool = False


class Recovery(NamedTuple):
    """What the rollouts come to for one job: an answer, or why there is none to be had."""

    reason: str
    message: str | None = None
    turn_id: str | None = None
    path: str | None = None
    ended_at: float | None = None


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


# --- processes -----------------------------------------------------------------------------------------------------


class ProcessFacts(NamedTuple):
    """What the system said of one pid. ``None`` means it would not say."""

    pid: int
    exists: bool
    why: str = ""
    """Where it does not exist: how we know."""
    zombie: bool = False
    argv: tuple[str, ...] | None = None
    """``None`` where empty or unreadable: that is never "not an owner"."""
    created: float | None = None
    ticks: int | None = None
    """Start time in clock ticks since boot (Linux): unlike ``created`` it never moves."""


class HostFacts(NamedTuple):
    """What the system said of itself."""

    now: float
    hostname: str
    windows: bool = False
    boot_time: float | None = None
    boot_id: str | None = None
    pid_namespace: str | None = None
    initial_namespace: bool = True
    pid_max: int | None = None


class Identity(NamedTuple):
    """The process that our own runner recorded as a job's owner."""

    boot_id: str
    pid_namespace: str
    ticks: int


class Owner(NamedTuple):
    """What one record claims about the process that runs its job."""

    job: str
    status: str
    pid: Json
    created_at: float | None = None
    started_at: float | None = None
    updated_at: float | None = None
    last_sign: float | None = None
    """The job's last sign of life, whichever of its files shows it."""
    workspace_root: str | None = None
    hostname: str | None = None
    identity: Identity | None = None
    fork_ticks: int | None = None
    """A fork's recorded identity, where its format is known (``linux:<ticks>``)."""
    shared_storage: bool = False
    """The record lies on a mount other than the root file system."""
    rivals: tuple[float, ...] = ()
    """When other active records with the same pid say they started."""


class Liveness(str, Enum):
    """May the job's process still live?"""

    ALIVE = "alive"
    DEAD = "dead"
    UNSURE = "unsure"


class Verdict(NamedTuple):
    """The answer, and the row of the table (field guide section 4) that gave it."""

    state: Liveness
    row: str
    rule: str
    """The rule under which a finding about it is reported."""
    reason: str
    message: str = ""
    """What the healed record will say, for a dead one."""


# --- findings ------------------------------------------------------------------------------------------------------


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
    witness: str | None = None
    """The stem of a job file that the new entry was taken from: it must still be as it was read."""
    witness_index: bool = False
    """The record was taken from the index, which must still be as it was read."""
    stakes: tuple[Owner, ...] = ()
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
    """Stems of jobs whose files the journal keeps a copy of although they do not change."""


@dataclass(frozen=True, eq=False, repr=False)
class Evidence:
    """All that was gathered about one workspace. Rules decide from it and touch nothing."""

    place: Place
    host: HostFacts
    index: Snapshot | None
    records: Mapping[str, Snapshot]
    """Every ``jobs/<stem>.json``, by stem."""
    logs: Mapping[str, LogFacts]
    processes: Mapping[int, ProcessFacts]
    """Every pid that an active record names."""
    violations: Mapping[str, tuple[Violation, ...]]
    """By file name; of valid files there are none."""
    quiet: frozenset[str] = frozenset()
    """Jobs of which there is nothing to find (``stateheal.quiet``)."""
    unreadable: tuple[Unreadable, ...] = ()
    shared_storage: bool = False
    salvage: Mapping[str, Salvage] = field(default_factory=dict)
    """By file name, for those that do not parse."""
    unsettled: frozenset[str] = frozenset()
    """Files that do not parse but may just be written: not to be called torn yet."""
    names: tuple[Name, ...] = ()
    """What else stands in the workspace and in its ``jobs/``: directories and possible temporary files."""
    leftovers: Mapping[str, Snapshot] = field(default_factory=dict)
    """Temporary files of runs of ours that are over, by name."""
    broker: BrokerFacts | None = None
    real_parents: Mapping[str, str] = field(default_factory=dict)
    """Directories that logFile fields name, and what they are with every link resolved."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes of this workspace's state and of its twins', where one of them may have to be moved."""
    home: str | None = None
    """The project directory, where a record names one that fits the workspace's hash."""
    home_exists: bool | None = None
    """Whether the project directory is there; ``None`` where no record names one that fits the workspace's hash."""
    twins: tuple[str, ...] = ()
    """The same workspace's directories under other roots."""
    recoveries: Mapping[str, Recovery] = field(default_factory=dict)
    """By job id, for the lost jobs, where recovering was asked for."""
    turns: Mapping[tuple[str, str], TurnFacts] = field(default_factory=dict)
    """Rollouts' word on turns, by thread and turn id."""


class Closing(NamedTuple):
    """A command that has ended just now: jobs of its processes are closed with its own ending."""

    pids: frozenset[int]
    """Of the command and of its descendants, as far as they were seen."""
    began: float
    ended: float
    message: str | None
    """``Terminated by SIGTERM``; ``None`` where no signal ended it: then its jobs are orphans like any other."""


class Settings(NamedTuple):
    """What the user may turn: which rules, how long silence must last, whose records these are."""

    grace: float = 3600.0
    assume_local: bool = False
    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    closing: Closing | None = None
    recover: bool = False
    """Fill lost jobs from finished rollouts."""


# --- plans ---------------------------------------------------------------------------------------------------------


class FileChange(NamedTuple):
    """One file, before and after."""

    name: str
    before: Snapshot | None
    """``None`` for a new file."""
    after: bytes | None
    """``None`` for a file that goes."""
    stakes: tuple[Owner, ...] = ()
    witnesses: tuple[Snapshot, ...] = ()
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
    """Stems of jobs whose json and log the journal keeps a copy of."""
    refusal: str | None = None
    """Why the plan must not be carried out: it would not cure what it claims."""
    troubles: tuple[str, ...] = ()
    """Jobs that are spared because their repair would not cure them, a sentence each."""


# --- reports -------------------------------------------------------------------------------------------------------


class Trouble(NamedTuple):
    """Something that could not be read or written."""

    path: str
    message: str


class Diff(NamedTuple):
    """One file's bytes before and after, for showing."""

    name: str
    """Relative to the root it was found under, led by the workspace's directory."""
    before: bytes | None
    after: bytes | None


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


class Portrait(NamedTuple):
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


class Restored(NamedTuple):
    """A workspace that an undo took back, or refused to, and why."""

    workspace: Path
    files: int
    refusal: str | None = None


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


class Scope(NamedTuple):
    """What a command was asked to look at, as a shell takes it behind a command."""

    rules: str = ""
    """Options about rules, which only some commands have."""
    places: str = ""
    cwd: str | None = None
    """The project directory that it was narrowed to."""

    @property
    def command(self) -> str:
        """What to write behind ``stateheal heal``, a space before it; nothing for everything."""
        return "".join(f" {each}" for each in (self.rules, self.places) if each)


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
    errors: tuple[Trouble, ...] = ()
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
    portraits: tuple[Portrait, ...] = ()
    """Every workspace as a page draws it, where a page was asked for."""
    reached: int = 0
    """How many of the workspaces were looked at."""
    interrupted: bool = False
    """The command was stopped between two files; what it had not reached is not in the report."""

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


# --- one job explained ---------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One row of the liveness table as it was asked about one owner."""

    row: str
    state: Liveness
    reason: str | None
    """Why it matched; ``None`` where it did not."""


class Trial(NamedTuple):
    """One owner, what the system said of its pid, and the rows up to the one that matched."""

    owner: Owner
    process: ProcessFacts | None
    steps: tuple[Step, ...]


class Explanation(NamedTuple):
    """Every fact that was gathered about one job in one workspace."""

    place: Place
    job: str
    entry: Mapping[str, Json] | None
    record: Mapping[str, Json] | None
    host: HostFacts
    last_sign: float | None
    log_written: float | None
    """When the job's log was last written: it counts as a sign of life."""
    trials: tuple[Trial, ...]
    """Empty where no side of the job is active: then nothing is judged."""
    findings: tuple[Finding, ...]
