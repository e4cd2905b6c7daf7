"""What a command was asked for: which rules, how long silence must last, which places."""

from __future__ import annotations

from stateheal.values import NamedTuple


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


class Request(NamedTuple):
    """What a command was asked for: where to look, and by which settings."""

    paths: tuple[str, ...] | None = None
    """As the command line takes them; ``None`` for every default root, nothing in it for nothing."""
    cwd: str | None = None
    """Only the workspaces of this directory."""
    job: str | None = None
    """Only this job."""
    settings: Settings = Settings()


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
