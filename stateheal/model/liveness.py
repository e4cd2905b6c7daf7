"""A job's process: what the system says of it, what the record claims, what the table makes of it.

Field guide section 4. A pid in a record is whatever JSON value stood there.
"""

from __future__ import annotations

from stateheal.enums import Words
from stateheal.formats.jsontext import Json
from stateheal.model.traits import Argv
from stateheal.values import NamedTuple


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
    kernel: bool = False
    """A thread of the kernel's own (Linux): nobody's job, whatever else cannot be read of it."""


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
    init_created: float | None = None
    """When process 1 of our pid namespace began, where that is not the initial one."""
    own_root: bool = False
    """The root file system is a container's own: an overlay, not the host's root or a bind of it."""


class Identity(NamedTuple):
    """The process that our own runner recorded as a job's owner."""

    boot_id: str
    pid_namespace: str
    ticks: int


class Owner(NamedTuple):
    """What one record claims about the process that runs its job."""

    job: str
    status: str
    """``running`` or ``queued``, whatever its companion calls that."""
    pid: Json
    created_at: float | None = None
    started_at: float | None = None
    updated_at: float | None = None
    last_sign: float | None = None
    """The job's last sign of life, whichever of its files shows it."""
    paths: tuple[str, ...] = ()
    """The directories and files it names: they tell which operating system wrote it."""
    elsewhere: bool = False
    """Neither its project directory nor its log is where it says: it speaks of another file system."""
    last_word: float | None = None
    """The last sign of life by its own words, file times left out where they may be a copy's."""
    hostname: str | None = None
    identity: Identity | None = None
    fork_ticks: int | None = None
    """A fork's recorded identity, where its format is known (``linux:<ticks>``)."""
    process_created: float | None = None
    """When the process was created that our own runner recorded, on a system without ticks."""
    shared_storage: bool = False
    """The record lies on a mount other than the root file system."""
    shared_kind: str | None = None
    """The kind of file system that the record lies on, where other machines write to such a one as well."""
    beat: float | None = None
    """When its heart last beat, by its records: its own process lived then."""
    rivals: tuple[float, ...] = ()
    """When other active records with the same pid say they started."""
    ways: tuple[Argv, ...] = ()
    """How its companion's processes are called."""
    flag: tuple[str, str] | None = None
    """What its command line always names it by, if not ``--job-id <job>``."""
    others: tuple[tuple[str, int], ...] = ()
    """Further processes that the records name, and by which field."""
    written: float | None = None
    """When its record was last written, by the file's own time."""
    log_size: int | None = None
    held: bool = False
    """Somebody has its log open for writing."""
    kind: str = ""
    """What its record says that it is (``task``, ``review`` …); empty for what is no job."""
    taken: frozenset[int] = frozenset()
    """Pids of live processes that other jobs record as their own."""
    grown: int | None = None
    """Bytes that its log has grown by since an earlier look; ``None`` where nobody looked twice."""


class Liveness(Words):
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
    settles: str = ""
    """For an unsure one: what would end the doubt; ``{job}`` stands for the job as a command is told it."""


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
