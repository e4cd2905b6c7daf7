"""What the engine takes from outside: processes, rollouts, the clock, when to stop. Tests bring their own."""

from __future__ import annotations

import time
from collections.abc import Callable

from stateheal.commit.lock import WAIT
from stateheal.evidence.broker import ask_endpoint, greets
from stateheal.evidence.processes import ProcessTable, SystemProcesses
from stateheal.evidence.rollouts import Rollouts
from stateheal.model.disk import Place
from stateheal.model.evidence import Answer
from stateheal.values import dataclass, field


def never() -> bool:
    return False


def untold(done: int, of: int, place: Place) -> None:
    pass


@dataclass(frozen=True)
class World:
    """What the engine takes from outside; tests bring their own."""

    processes: ProcessTable = field(default_factory=SystemProcesses)
    rollouts: Rollouts = field(default_factory=Rollouts)
    ask: Callable[[object], Answer] = ask_endpoint
    """Connects to a broker's endpoint."""
    greet: Callable[[str], bool | None] = greets
    """Asks a broker that answers a harmless question; ``None`` where it is not asked."""
    stop: Callable[[], bool] = never
    """Asked between two files: whether the user wants an end."""
    whole_workspaces: bool = False
    """Stop only between two workspaces: a begun repair is finished."""
    wait: float = WAIT
    """Seconds to wait for another stateheal in the same workspace."""
    sleep: Callable[[float], None] = time.sleep
    workers: int = 1
    """Processes that looking at many workspaces may be spread over, where it writes nothing; one: none is started."""
    progress: Callable[[int, int, Place], None] = untold
    """Told after each workspace: how many are done, of how many, and which it was."""
