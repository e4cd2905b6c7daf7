"""What was gathered about one workspace; rules decide from it and touch nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stateheal.enums import Words
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import LogFacts, Name, Place, Snapshot, Unreadable
from stateheal.model.findings import Violation
from stateheal.model.liveness import HostFacts, ProcessFacts
from stateheal.model.look import Look
from stateheal.model.recognition import TAKEN_FOR_GRANTED, Recognition
from stateheal.model.traits import Lock
from stateheal.model.turns import Recovery, TurnFacts
from stateheal.values import NamedTuple, cached_property, dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.formats.jsonsalvage import Salvage


class Answer(Words):
    """What an endpoint does when it is connected to."""

    YES = "answers"
    NO = "does not answer"
    UNKNOWN = "cannot be told"


class BrokerFacts(NamedTuple):
    """``broker.json`` and what stands behind it."""

    snapshot: Snapshot
    answer: Answer
    process: ProcessFacts | None
    greets: bool | None = None
    """Whether it answers a harmless question in time; ``None`` where it was not asked, or the answer tells nothing."""


class Absence(NamedTuple):
    """What is there of the path of a project directory that is not."""

    nearest: str | None
    """The nearest directory above it that is there; ``None`` where not even its drive or share is."""
    is_root: bool = False
    """That is the root of all: nothing of the path is here."""
    changed: float | None = None
    """When a name was last made or removed in it."""
    mounted: str | None = None
    """It, or the nearest directory above it, that has a file system mounted on it, the root left out."""
    planned: str | None = None
    """Part of the path on which the system's table would have one mounted, and there is none."""


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
    life: Callable[[], Look]
    """The whole process table, looked at when a dead verdict is about to fall (field guide section 4)."""
    violations: Mapping[str, tuple[Violation, ...]]
    """By file name; of valid files there are none."""
    recognition: Recognition | None = TAKEN_FOR_GRANTED
    """Whose tree it is; ``None`` where no companion is known that keeps such a one."""
    clean: frozenset[str] = frozenset()
    """Jobs of which there is nothing to find (``stateheal.diagnosis.clean``)."""
    unreadable: tuple[Unreadable, ...] = ()
    shared_storage: bool = False
    shared_kind: str | None = None
    """The kind of file system, where it is one that other machines write to as well."""
    salvage: Mapping[str, Salvage] = field(default_factory=dict)
    """By file name, for those that do not parse."""
    unsettled: frozenset[str] = frozenset()
    """Files that do not parse but may just be written: not to be called torn yet."""
    names: tuple[Name, ...] = ()
    """What else stands in the workspace and in its ``jobs/``: directories and possible temporary files."""
    leftovers: Mapping[str, Snapshot] = field(default_factory=dict)
    """Temporary files of runs of ours that are over, by name."""
    broker: BrokerFacts | None = None
    locks: Mapping[str, tuple[Snapshot, Lock]] = field(default_factory=dict)
    """By name: locks of the kinds that their companion's own code does not break."""
    sidecars: Mapping[str, int] = field(default_factory=dict)
    """By job: the pid that a fork keeps in ``jobs/<id>.pid``."""
    absent: frozenset[str] = frozenset()
    """Project directories that records name and that are not there."""
    earlier_sizes: Mapping[str, int] | None = None
    """How long each log was at a look a moment ago; ``None`` where this is the first."""
    real_parents: Mapping[str, str] = field(default_factory=dict)
    """Directories of the files that records name, and what they are with every link resolved."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes of this workspace's state and of its twins', where one of them may have to be moved."""
    home: str | None = None
    """The project directory, where a record names one that fits the workspace's hash."""
    home_exists: bool | None = None
    """Whether the project directory is there; ``None`` where no record names one that fits the workspace's hash."""
    absence: Absence | None = None
    """Where it is not there: what is, instead."""
    twins: tuple[str, ...] = ()
    """The same workspace's directories under other roots."""
    recoveries: Mapping[str, Recovery] = field(default_factory=dict)
    """By job id, for the lost jobs, where recovering was asked for."""
    answers: Mapping[str, Recovery] = field(default_factory=dict)
    """By job id, for job files that do not parse: the answer from a rollout, or from the log."""
    turns: Mapping[tuple[str, str], TurnFacts] = field(default_factory=dict)
    """Rollouts' word on turns, by thread and turn id."""

    @cached_property
    def directories(self) -> frozenset[str]:
        """The names among ``names`` under which a directory stands."""
        return frozenset(each.name for each in self.names if each.is_directory)

    @cached_property
    def dialect(self) -> Dialect:
        """Its companion's ways; the common ones where nobody knows it."""
        return self.recognition.dialect if self.recognition else CODEX
