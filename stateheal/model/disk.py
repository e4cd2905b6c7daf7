"""What lies on disk, as it was read: where a workspace is, files, names, logs.

Field guide sections 1 and 2. A time is a float: seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stateheal.formats.jsontext import Document, Json, ParseFailure
from stateheal.text import HEX_DIGITS, consists_of, quoted
from stateheal.values import NamedTuple, cached_property, dataclass

ACTIVE = frozenset({"queued", "running"})
FINISHED = frozenset({"completed", "failed", "cancelled"})

INDEX = "state.json"
JOBS = "jobs"
BROKER = "broker.json"
GATE_TITLE = " Stop Gate Review"
"""How the title of a review ends that a companion's stop hook asks for."""
NEW_INDEX: Mapping[str, Json] = {"version": 1, "config": {"stopReviewGate": False}, "jobs": []}
"""What the plugin takes where there is no index."""


def hash_in(name: str) -> str:
    """The hash that a workspace's directory is named by, or with: 16 digits, 12 for some companions; else empty."""
    digits = name.rpartition("-")[2]
    return digits if len(digits) in (12, 16) and consists_of(digits, HEX_DIGITS) else ""


def job_file(stem: str) -> str:
    """A job file's name, relative to the workspace."""
    return f"{JOBS}/{stem}.json"


def stem_of(name: str) -> str | None:
    """The job whose file has this name, ``jobs/<id>.json`` or ``jobs/<id>/job.json``; ``None`` for any other file."""
    if not name.startswith(JOBS + "/"):
        return None
    inner = name[len(JOBS) + 1 :]
    return inner.partition("/")[0] if "/" in inner else inner.removesuffix(".json")


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
    apart: bool = False
    """Found by a PATH alone: without it no command would look there."""

    @cached_property
    def name(self) -> str:
        return self.directory.name

    @cached_property
    def texts(self) -> tuple[str, str]:
        """Directory and root as texts; asked for every finding."""
        return str(self.directory), str(self.root)

    @cached_property
    def index_path(self) -> str:
        """Its index; most findings point there, and all share the one text."""
        return str(self.directory / INDEX)

    @property
    def hash(self) -> str:
        """Of its name: 16 digits, 12 for some companions; empty where its name has none."""
        return hash_in(self.name)

    @cached_property
    def jobs_path(self) -> str:
        """Its ``jobs`` directory; asked for every record."""
        return str(self.directory / JOBS)


def argument_of(job: str, place: Place) -> str:
    """A job as a command of ours is to be told it: its id, and where it is where no command would find it."""
    return f"{quoted(job)} {quoted(str(place.directory))}" if place.apart else quoted(job)


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
    error: str | None = None
    """The text of the last line such as ``Codex error: …`` among its last 64 KiB."""
    last_line: str = ""
    turn_ended: bool = False
    """Whether its last 64 KiB say that a turn came to its end after the last one began."""
    size: int = 0
    held: bool = False
    """Somebody has it open for writing, though the last line is a while old: as far as the system tells."""


class Name(NamedTuple):
    """One name in the workspace directory or in its ``jobs/``."""

    name: str
    """Relative to the workspace."""
    is_directory: bool
    mtime: float
    run: str | None = None
    """For one of our own temporary files: the run that made it."""
