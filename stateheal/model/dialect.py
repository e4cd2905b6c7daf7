"""What differs between the companions that keep such a tree, as values (field guide sections 2, 4 and 11).

Every default is the Codex companion's. What a companion does that no field tells is not known, and left alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from stateheal.formats.jsontext import Json
from stateheal.model.traits import SLUG_16, Agent, Argv, Form, Launch, Lock, Marks
from stateheal.values import NamedTuple


class Dialect(NamedTuple):
    """One companion's ways."""

    name: str = "codex"
    """How ``explain`` and notices call it."""
    read: tuple[str, ...] = ()
    """The sources that were read: repository, commit, version."""
    plugins: str = r".*codex.*"
    """Pattern of the plugin's directory name."""
    published: tuple[str, ...] = ()
    """Directories of its plugin as its own marketplace names it, where that name alone tells it from its kin."""
    marks: Marks = Marks()
    by_name: bool = True
    """Where its tree shows nothing, the plugin's name is enough; without it only its marks tell it from its kin."""
    directory: Form = SLUG_16
    """Of a workspace's directory name."""
    reads: bool = True
    """Its tree is understood here; without that it is told apart from its kin's, and named as one that is not read."""
    heals: bool = True
    """Its own code was seen to take a healed record; without that its state is audited and nothing is written."""
    # files
    has_index: bool = True
    """It keeps its jobs in ``state.json``, too; without it a file of that name is something else."""
    versions: tuple[int | None, ...] = (1,)
    """Versions of the index; ``None`` where it writes none."""
    record: str | None = "jobs/{id}.json"
    """Where a job's record stands; ``None`` where the index alone holds it."""
    record_at_end: bool = False
    """A job file is written when its job ends: of one that runs none is missing."""
    log: str = "jobs/{id}.log"
    answer: str = "rawOutput"
    """The key under which it keeps the answer's text where ``result`` holds none."""
    answer_file: str = ""
    """Where it keeps the answer's text alone, if not in a record."""
    deletes: tuple[str, ...] = ("logFile",)
    """Fields that name files of a job, which its own code deletes when it prunes the job, whatever they name."""
    rebuilds: bool = True
    """A torn index may be rebuilt from what can be read: its loader takes such an index."""
    indexes_all: bool = True
    """Every job file has an entry; without it files outlive their entries."""
    stubs: bool = True
    """An index entry repeats all that says what a job is."""
    cap: int | None = 50
    """Entries that it keeps."""
    # words
    status: tuple[str, ...] = ("status",)
    """The fields that say how a job stands, the one that outranks the others first."""
    titled_codex: bool = False
    """Under another plugin's name its jobs are titled as the Codex companion's."""
    active: frozenset[str] = frozenset({"queued", "running"})
    waiting: frozenset[str] = frozenset({"queued"})
    """Those of the active ones in which nothing has begun."""
    finished: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
    completed: frozenset[str] = frozenset({"completed"})
    """Those of the finished ones that say that there is an answer."""
    orphan: Mapping[str, Json] = {}
    """Fields that an orphan's record gets besides those of every orphan, so that its own readers see the end."""
    answered: Mapping[str, Json] = {}
    """Fields that a recovered job's record gets besides those of every completed one."""
    orphan_time: tuple[str, ...] = ()
    """Further fields that hold when a job ended."""
    spares: tuple[str, ...] = ()
    """Fields of a job whose end the companion may still find elsewhere: it is not closed for it."""
    # processes
    pids: tuple[str, ...] = ("pid",)
    """Fields that name the process that owns a job, the most telling first."""
    clears: tuple[str, ...] = ()
    """Further fields about processes that its own code sets to null with a job's end."""
    identities: Mapping[str, str] = {}
    """Fields that tell a process apart, and which pid field each belongs to."""
    argv: tuple[Argv, ...] = (Argv(),)
    broker: str | None = "broker.json"
    locks: tuple[Lock, ...] = ()
    # places
    temp: tuple[str, ...] = ("codex-companion",)
    """Directories below the temp directory that it falls back to; ``{uid}`` is the user's number."""
    variables: tuple[str, ...] = ()
    """Environment variables, besides CLAUDE_PLUGIN_DATA, that name its data directory."""
    below: tuple[str, ...] = ()
    """State directories below its data directory, other than ``state``."""
    homes: tuple[str, ...] = ()
    """Further state directories: ``$VARIABLE/…`` or ``~/…``; ``{uid}`` as above."""
    session: str = "CODEX_COMPANION_SESSION_ID"
    """The environment variable that names the session."""
    launch: Launch = Launch()
    drives: Agent = Agent()


CODEX = Dialect()
"""What is taken where nothing says otherwise."""
