"""A tour over several processes: the same report, whatever becomes of a child."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from stateheal.engine.api import audit, heal
from stateheal.engine.children import processors
from stateheal.engine.collect import WorkspaceSummary
from stateheal.engine.parallel import spread
from stateheal.engine.world import World
from stateheal.evidence.discover import discover
from stateheal.model.disk import Place
from stateheal.model.findings import Finding, Severity
from stateheal.model.plain import as_json
from tests.bench.trees import make_tree
from tests.support import Still, files_in

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="one process only"),
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("spread"), workspaces=20, jobs=12)


def places_of(config: Path) -> Sequence[Place]:
    return discover([config]).places


@pytest.mark.parametrize("workers", [2, 3, 25])
def test_the_report_is_the_same(config: Path, tmp_path: Path, workers: int) -> None:
    seen: list[tuple[int, int]] = []
    before = files_in(config)

    def progress(done: int, of: int, place: Place) -> None:
        seen.append((done, of))

    for one in (lambda world: audit([config], world=world), lambda world: heal([config], dry_run=True, world=world)):
        alone = one(World(Still()))
        seen.clear()
        together = one(World(Still(), workers=workers, progress=progress))
        assert together == alone and alone.workspaces == alone.reached == 20
        assert seen == [(n, 20) for n in range(1, 21)]
    assert {**as_json(together), "time": ""} == {**as_json(alone), "time": ""}
    assert files_in(config) == before


def test_pages_and_a_job_that_was_asked_for_come_along(config: Path) -> None:
    assert audit([config], page=True, world=World(workers=2)).pages == audit([config], page=True).pages
    job = next(finding.job for finding in audit([config]).findings if finding.rule == "dead-pid")
    narrowed = audit([config], job=job, world=World(workers=2))
    assert narrowed == audit([config], job=job) and narrowed.workspaces == 1


def summary(place: Place) -> WorkspaceSummary:
    return WorkspaceSummary(place, findings=(Finding("schema", Severity.NOTICE, place.name, "x", "m" * 200_000),))


def test_what_a_dead_child_has_not_told_is_trouble(config: Path) -> None:
    places = places_of(config)
    second = [place for number, place in enumerate(places) if number % 4 in (1, 2)]  # dealt to and fro

    def go(share: Sequence[Place]) -> Iterator[WorkspaceSummary]:
        for number, place in enumerate(share):
            if place in second and number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield summary(place)

    summaries = {each.place: each for each in spread(places, go, 2, lambda: False)}
    assert summaries.keys() == set(places)
    lost = [place for place in places if summaries[place].errors]
    assert lost == second[3:] and "has ended" in summaries[lost[0]].errors[0].message
    assert all(summaries[place] == summary(place) for place in places if place not in lost)


def test_stopping_ends_the_children(config: Path) -> None:
    places = places_of(config)
    came: list[WorkspaceSummary] = []

    def go(share: Sequence[Place]) -> Iterator[WorkspaceSummary]:
        yield summary(share[0])
        time.sleep(600)

    began = time.monotonic()
    for each in spread(places, go, 2, lambda: len(came) == 2):
        came.append(each)
    assert [each.place for each in sorted(came, key=lambda n: places.index(n.place))] == list(places[:2])
    assert time.monotonic() - began < 60
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # nobody is left over


def test_an_abandoned_tour_leaves_nobody_behind(config: Path) -> None:
    def go(share: Sequence[Place]) -> Iterator[WorkspaceSummary]:
        yield from map(summary, share)

    summaries = spread(places_of(config), go, 3, lambda: False)
    next(summaries)
    summaries.close()  # type: ignore[attr-defined]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.proc("/dev/fd, which is Linux's /proc")
@pytest.mark.parametrize("refused", ["fork", "pipe"])
def test_where_no_process_can_be_had_it_goes_on_alone(
    config: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """The second child cannot be started: the first is ended, and nothing is lost."""
    alone, real, calls = audit([config]), getattr(os, refused), 0

    def once() -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    monkeypatch.setattr(os, refused, once)
    open_before = len(os.listdir("/dev/fd"))
    assert audit([config], world=World(workers=2)) == alone and calls == 2
    assert len(os.listdir("/dev/fd")) == open_before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_where_nobody_waits_for_children_none_are_started(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: 1 // 0)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert audit([config], world=World(workers=2)) == audit([config])
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_processors_can_be_told() -> None:
    assert 1 <= processors() <= 8


def test_ctrl_c_ends_with_a_summary_of_what_was_done(tmp_path: Path) -> None:
    """SIGINT to the whole group, as a terminal sends it: one word on stderr, a report of what there was, 130."""
    config = make_tree(tmp_path, workspaces=300, jobs=40)
    command = [sys.executable, "-m", "stateheal", "audit", "--format", "json", str(config)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True, cwd=tmp_path
    )
    while not psutil.Process(child.pid).children():
        assert child.poll() is None
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    report: dict[str, Any] = json.loads(out)
    assert child.returncode == 130 and report["interrupted"] is True
    assert err.count("stopping") == 1 and "Traceback" not in err
