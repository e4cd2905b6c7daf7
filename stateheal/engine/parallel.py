"""Looking at many workspaces without writing, over several processes: each child takes a share and sends its summaries.

Where a child dies, the workspaces it had not told of are named as trouble.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterable, Iterator, Sequence

from stateheal.engine.children import Child, end_child, receive, start_children
from stateheal.engine.collect import WorkspaceSummary
from stateheal.model.disk import Place
from stateheal.model.problems import Problem

_PATIENCE = 0.1
"""Seconds after which it is asked again whether the user wants an end."""


def spread(
    places: Sequence[Place],
    go: Callable[[Sequence[Place]], Iterable[WorkspaceSummary]],
    workers: int,
    stop: Callable[[], bool],
) -> Iterator[WorkspaceSummary]:
    """``go`` over all places in ``workers`` processes: the summaries as they come. Ends early where ``stop`` says so.

    In this process alone where the system has no further process to give.
    """
    children = start_children(_shares(places, workers), go)
    if not children:
        yield from go(places)
        return
    told: set[Place] = set()
    try:
        for summary in _listen(children, stop):
            told.add(summary.place)
            yield summary
    finally:
        for child in children:
            end_child(child)
    if not stop():
        for child in children:
            for place in child.share:
                if place not in told:
                    message = "it was not looked at: the process that was to do it has ended"
                    yield WorkspaceSummary(place, (Problem(str(place.directory), message),), looked=False)


def _shares(places: Sequence[Place], workers: int) -> list[Sequence[Place]]:
    """Dealt to and fro: whatever comes around at every second, or every tenth, falls to all alike."""
    round_trip = (*range(workers), *reversed(range(workers)))
    shares: list[list[Place]] = [[] for _ in range(workers)]
    for number, place in enumerate(places):
        shares[round_trip[number % len(round_trip)]].append(place)
    return [*shares]


def _listen(children: Iterable[Child], stop: Callable[[], bool]) -> Iterator[WorkspaceSummary]:
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.fd, selectors.EVENT_READ, child)
        while selector.get_map() and not stop():
            for key, _ in selector.select(_PATIENCE):
                if (found := receive(key.data)) is None:
                    selector.unregister(key.fd)
                else:
                    yield from found
