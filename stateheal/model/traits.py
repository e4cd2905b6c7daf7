"""What an entry of the table of companions is made of (field guide section 11). Every default is Codex's."""

from __future__ import annotations

from collections.abc import Mapping

from stateheal.values import NamedTuple


class Form(NamedTuple):
    """How workspaces' directories are named: by a hash of so many digits, behind a slug and a dash or alone."""

    digits: int
    slug: bool


SLUG_16, SLUG_12, HEX_16, HEX_12 = Form(16, True), Form(12, True), Form(16, False), Form(12, False)


class Marks(NamedTuple):
    """What a tree shows of its companion, whoever's directory it stands in; any one of them is enough."""

    names: str = ""
    """Pattern of a name beside the index; such names are not so rare that they tell anything in another's directory."""
    job_names: str = ""
    """Pattern of a name in ``jobs/``."""
    top: tuple[str, ...] = ()
    """Keys of the index."""
    owner: str = ""
    """What the index names as its ``owner``."""
    fields: tuple[str, ...] = ()
    """Fields of an index entry."""
    ids: str = ""
    """Pattern of a job's id; a torn file so named is a record, besides those named as Codex's are."""


class Lock(NamedTuple):
    """A lock that its companion's own code does not always break when its holder dies: dispatches wait, and fail."""

    path: str
    """Pattern of its name, relative to the workspace; a directory that it stands in begins it."""
    holds: str
    """How its own code takes it, waits for it and breaks it, in words."""
    pid: str = ""
    """The key under which it names its holder; empty where it names none."""
    needs: Mapping[str, str] = {}
    """What its own code must read in one, to break it itself once that pid is gone: by key, the pattern of the value as
    JSON. Empty: it breaks none."""
    tells_apart: bool = False
    """It compares the holder's start as well: where the pid was given to another process it breaks the lock itself."""
    ages: bool = False
    """It breaks one that names no holder by its age."""
    since: str = ""
    """The key that says when it was taken: whoever began later is not its holder."""
    left_after: float = 60.0
    """Seconds after which one that names no holder was left behind: its own code holds it for milliseconds."""


class Argv(NamedTuple):
    """How the process that owns a job is called."""

    script: str = r".*companion.*"
    """Pattern of the script's base name."""
    commands: tuple[str, ...] = ("task", "review", "adversarial-review")
    """Subcommands, beside every ``*-worker``, that run a job."""
    no_command: bool = False
    """The script itself is the worker: no subcommand."""


class Launch(NamedTuple):
    """How people and hooks call the companion."""

    scripts: tuple[str, ...] = ("codex-companion",)
    """Parts of its scripts' base names."""
    commands: tuple[str, ...] = ("task", "review", "adversarial-review")
    """Subcommands that start a job."""
    readers: tuple[str, ...] = ("status", "result", "cancel", "task-resume-candidate")
    """Subcommands that read the state, or end a job."""
    slash: tuple[str, ...] = ("codex",)
    """What its slash commands begin with."""
    slash_commands: tuple[str, ...] = ("rescue", "review", "adversarial-review", "status", "result", "cancel")
    cancel: str = "/codex:cancel"
    """What a person types to end a job, its id behind it."""


class Agent(NamedTuple):
    """What a companion drives, and what its jobs tell of it."""

    name: str = "Codex"
    """How titles and log lines call it: ``Codex Task``, ``Codex error: …``."""
    resume: str = "codex resume {thread}"
    """What takes up a task's conversation, as the companion words it; empty where it names none."""
    rollouts: bool = True
    """Its threads leave rollouts (field guide section 7)."""
    raw: tuple[str, ...] = ("codex",)
    """The keys under which a review's result may hold what it said, as ``stdout``."""
