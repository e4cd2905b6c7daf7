"""A heal that looks ahead in a second process: the same as one that does not, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit.lock import workspace_lock
from stateheal.engine import ahead, commands
from stateheal.engine.ahead import Ahead, LookedAt
from stateheal.engine.api import heal
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World
from stateheal.fs.directory import open_directory
from stateheal.model.findings import Finding
from stateheal.model.liveness import ProcessFacts
from stateheal.model.report import Report
from stateheal.values import replace
from tests.bench.trees import make_tree
from tests.support import Still, files_in, journal_in

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="one process only"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree, and beside it a copy that nobody touches."""
    config = make_tree(tmp_path_factory.mktemp("ahead") / "tree", workspaces=20, jobs=12)
    shutil.copytree(config, config.with_name("kept"))
    return config


@pytest.fixture
def config(made: Path) -> Path:
    return as_made(made)


def as_made(config: Path) -> Path:
    shutil.rmtree(config)
    shutil.copytree(config.with_name("kept"), config)
    return config


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """By workspace: whether what was seen ahead was used."""
    seen: dict[str, bool] = {}
    real = LookedAt.if_unchanged

    def if_unchanged(self: LookedAt, *arguments: Any) -> Any:
        result = real(self, *arguments)
        seen[self.place.name] = result is not None
        return result

    monkeypatch.setattr(LookedAt, "if_unchanged", if_unchanged)
    return seen


def healed(config: Path, folder: Path, **world: Any) -> tuple[Report, dict[str, bytes]]:
    name = f"journal-{len(list(folder.iterdir()))}"
    report = heal([config], journal=journal_in(folder / name), world=World(**{"processes": Still(), **world}))
    return report, files_in(config)


def same(report: Report, other: Report) -> bool:
    return replace(report, run="", time=0.0) == replace(other, run="", time=0.0)


def alone(config: Path, folder: Path) -> tuple[Report, dict[str, bytes]]:
    """What a heal in one process makes of it; the tree is as before again."""
    report, files = healed(config, folder)
    as_made(config)
    assert report.healed > 10
    return report, files


def nobody_left() -> bool:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    return True


def test_it_makes_the_same_of_every_workspace(config: Path, tmp_path: Path, used: dict[str, bool]) -> None:
    report, files = alone(config, tmp_path)
    together, now = healed(config, tmp_path, workers=2)
    assert same(together, report) and now == files and nobody_left()
    assert sum(used.values()) > 15, "it was really looked ahead"


def test_of_a_few_workspaces_none_is_looked_at_ahead(config: Path, tmp_path: Path, used: dict[str, bool]) -> None:
    places = sorted(config.glob("plugins/data/*/state/*"))[:5]
    assert heal(places, journal=journal_in(tmp_path), world=World(workers=2)).healed and not used


def rewrite(path: Path) -> None:
    state = json.loads(path.read_bytes())
    path.write_text(json.dumps({**state, "theirs": 1}, indent=2) + "\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "the index is written": lambda place: rewrite(place / "state.json"),
    "a record is written": lambda place: rewrite(next((place / "jobs").glob("*.json"))),
    "a record is replaced": lambda place: (
        shutil.copy2(record := next((place / "jobs").glob("*.json")), place / "copy")
        and os.replace(place / "copy", record)
    ),
    "a job is new": lambda place: (place / "jobs" / "task-new.json").write_text('{"id": "task-new"}\n'),
    "a job is gone": lambda place: next((place / "jobs").glob("*.json")).unlink(),
    "a name is new": lambda place: (place / "broker.json").write_text("{}\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_since_is_looked_at_anew(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: dict[str, bool], change: str
) -> None:
    changed: list[Path] = []
    real = Ahead.take

    def take(self: Ahead, place: Any) -> LookedAt | None:
        looked = real(self, place)
        if not changed and looked and looked.result and sum(used.values()) > 3:
            time.sleep(0.02)  # a file system's clock ticks
            CHANGES[change](place.directory)
            changed.append(place.directory)
        return looked

    monkeypatch.setattr(Ahead, "take", take)
    healed(config, tmp_path, workers=2)
    assert changed and used[changed[0].name] is False
    assert heal([config], journal=journal_in(tmp_path / "more"), world=World()).healed == 0


def test_what_is_old_is_looked_at_anew(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: dict[str, bool]
) -> None:
    report, files = alone(config, tmp_path)
    real = Ahead.take

    def take(self: Ahead, place: Any) -> LookedAt | None:
        looked = real(self, place)
        return looked and looked._replace(begun=looked.begun - 60)

    monkeypatch.setattr(Ahead, "take", take)
    together, now = healed(config, tmp_path, workers=2)
    assert same(together, report) and now == files and used and not any(used.values())


@pytest.mark.parametrize("fate", ["killed", "stopped", "broken"])
def test_it_goes_on_without_a_process_that_tells_nothing(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    report, files = alone(config, tmp_path)
    monkeypatch.setattr(ahead, "FRESH", 0.05)
    mine, looks = os.getpid(), [0]
    real = Auditor.look_ahead

    def look_ahead(self: Auditor, *arguments: Any) -> Any:
        assert os.getpid() != mine
        looks[0] += 1
        if looks[0] == 3:
            if fate == "broken":
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL if fate == "killed" else signal.SIGSTOP)
        return real(self, *arguments)

    monkeypatch.setattr(Auditor, "look_ahead", look_ahead)
    together, now = healed(config, tmp_path, workers=2)
    assert same(together, report) and now == files and nobody_left()


def test_where_no_process_can_be_had_it_goes_on_alone(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, files = alone(config, tmp_path)

    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    together, now = healed(config, tmp_path, workers=2)
    assert same(together, report) and now == files


class AliveHere(Still):
    """To the process that looks ahead everybody is gone; by the time of the write they are seen to live."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = os.getpid()

    def facts(self, pid: int) -> ProcessFacts:
        if os.getpid() != self.writer:
            return super().facts(pid)
        return ProcessFacts(
            pid, True, argv=("node", "codex-companion.mjs", "task-worker"), created=self.moment - 7 * 86400
        )


def test_who_is_seen_to_live_before_the_write_is_left_alone(
    config: Path, tmp_path: Path, used: dict[str, bool]
) -> None:
    """As in one process alone, to which they live from the beginning. A broker that is gone does not come back."""
    report, files = healed(config, tmp_path, processes=AliveHere())
    as_made(config)
    together, now = healed(config, tmp_path, processes=AliveHere(), workers=2)
    assert any(used.values()) and not report.errors
    assert of_jobs(together) == of_jobs(report)
    assert all(now.get(name) == files[name] for name in files if not name.endswith("broker.json"))


def of_jobs(report: Report) -> set[Finding]:
    return {each for each in report.findings if each.rule != "stale-broker"}


def test_a_workspace_that_somebody_holds_is_not_looked_at(config: Path) -> None:
    place = commands.asked_for(commands.Request(paths=(config,))).places[0]

    def examine(*arguments: Any) -> Any:
        raise AssertionError("it was looked at")

    with open_directory(place.directory) as directory, workspace_lock(directory):
        assert ahead._look(place, examine).result is None
