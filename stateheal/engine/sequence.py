"""Every workspace once, one after the other, and those with a file that may just be on its way again at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from stateheal.engine.collect import WorkspaceResult, WorkspaceSummary, failed_summary, summary_of
from stateheal.engine.world import World
from stateheal.model.disk import Place
from stateheal.model.evidence import Evidence

Do = Callable[[Place, "Evidence | None"], WorkspaceResult]
"""What is done in one workspace; beside it what was seen there a moment ago, at the second look."""
ON_ITS_WAY = 0.5
"""Seconds after which a file that was being written must be whole."""


def each_workspace(places: Sequence[Place], do: Do, world: World, job: str | None) -> Iterator[WorkspaceSummary]:
    """What came of each workspace, as it comes. Ends early where ``world.stop`` says so.

    ``job``: the one that was asked for. All doubtful files share one wait.
    """
    later: list[WorkspaceResult] = []
    for place in places:
        if world.stop():
            return
        done = _attempt(place, do, None)
        if isinstance(done, WorkspaceResult) and done.postponed:
            later.append(done)
        else:
            yield _summarized(done, job)
    if later:
        world.sleep(ON_ITS_WAY)
    for result in later:
        if world.stop():
            return
        yield _summarized(_attempt(result.evidence.place, do, result.evidence), job)


def _attempt(place: Place, do: Do, earlier: Evidence | None) -> WorkspaceResult | WorkspaceSummary:
    try:
        return do(place, earlier)
    except Exception as error:
        return failed_summary(place, error)


def _summarized(done: WorkspaceResult | WorkspaceSummary, job: str | None) -> WorkspaceSummary:
    return summary_of(done, job) if isinstance(done, WorkspaceResult) else done
