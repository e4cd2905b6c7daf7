"""Every directory under ``tests/cases/`` is a rule's: what was on disk, what a heal makes of it, and nothing else.

``case.json`` says what the fake process table knows and which findings are expected; ``before/`` and ``after/`` are
``state`` directories. A pid that the table does not know is gone. Every case is put through all the promises.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from stateheal.diagnosis.catalogue import RULES
from stateheal.diagnosis.rules.places import ROOT_RULES
from stateheal.engine.api import audit, heal, settings_of
from stateheal.engine.commands import undo
from stateheal.engine.world import World
from stateheal.evidence.broker import ask_endpoint
from stateheal.evidence.rollouts import Rollouts
from stateheal.formats.times import parse_time
from stateheal.model.evidence import Answer
from stateheal.model.findings import Outcome
from stateheal.model.report import Report
from stateheal.model.request import Settings
from stateheal.model.turns import RolloutTurn, TurnEnd, TurnFacts
from tests.support import FakeProcesses, files_in, host, jobs_of, journal_in, lay_out, stats_in, survivors, world

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/case.json"))


@dataclass
class Bench:
    """One case, laid out in a directory of its own."""

    name: str
    root: Path
    cases: Path = CASES

    @cached_property
    def told(self) -> dict[str, Any]:
        return json.loads((self.cases / self.name / "case.json").read_text())

    @property
    def data(self) -> Path:
        return self.root / "plugins" / "data"

    @property
    def state(self) -> Path:
        return self.data / self.told.get("plugin", "codex-openai-codex") / "state"

    @property
    def settings(self) -> Settings:
        # The trees were recorded elsewhere: the projects and logs that they name are not here.
        return settings_of(**{"assume_local": True, **self.told.get("settings", {})})

    @property
    def world(self) -> World:
        """The processes, rollouts and brokers that the case tells of."""
        table = FakeProcesses(facts_of_host=host(**self.told.get("host", {})))
        for pid, facts in self.told.get("processes", {}).items():
            created = parse_time(facts.get("created"))
            table.live(int(pid), *facts.get("argv", ()), created=created, zombie=facts.get("zombie", False))
        answers = self.told.get("brokers_that_answer", [])
        return world(
            table,
            rollouts=FakeRollouts(self.told.get("turns", {})),
            ask=lambda endpoint: Answer.YES if endpoint in answers else asked(endpoint),
            greet=lambda endpoint: endpoint not in self.told.get("mute_brokers", []),
        )

    def lay_out(self) -> Bench:
        """Copy the tree; ``@JOBS@`` stands for the absolute path of a workspace's jobs directory."""
        lay_out(self.cases / self.name / "before", self.state, self.told.get("touched"))
        if (self.cases / self.name / "twin").exists():
            shutil.copytree(self.cases / self.name / "twin", self.data / "codex-inline" / "state")
        return self

    def files(self) -> dict[str, bytes]:
        """The tree as it is now, as the case's files would hold it."""
        return {
            name: data.replace(jobs_of(self.state / name, self.state), b"@JOBS@/")
            for name, data in files_in(self.state).items()
        }

    def heal(self, **more: Any) -> Report:
        journal = journal_in(self.root.parent)
        return heal([self.data], settings=self.settings, world=self.world, journal=journal, **more)

    def audit(self) -> Report:
        journal = journal_in(self.root.parent)
        return audit([self.data], settings=self.settings, world=self.world, journal=journal)


@dataclass
class FakeRollouts(Rollouts):
    """Rollouts that say what a case tells: ``"<thread>/<turn>": [end, time of the last word]``."""

    told: dict[str, list[str]]

    def turn(self, thread: str, turn: str) -> TurnFacts | None:
        found = self.told.get(f"{thread}/{turn}")
        return TurnFacts(TurnEnd(found[0]), "/rollout.jsonl", parse_time(found[1]) or 0.0) if found else None

    def turns(self, thread: str) -> tuple[RolloutTurn, ...]:
        return ()


def asked(endpoint: object) -> Answer:
    """The cases' brokers are Linux's: where there are no such sockets, they cannot be asked, and none answers."""
    if os.name == "posix":
        return ask_endpoint(endpoint)
    return Answer.NO if str(endpoint).startswith("unix:/") else Answer.UNKNOWN


def short(report: Report) -> list[list[str | None]]:
    return sorted(([f.workspace, f.job, f.rule, f.severity.value] for f in report.findings), key=str)


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(request.param, tmp_path / "tree").lay_out()


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in RULES if rule not in ROOT_RULES} <= set(NAMES)


def test_heal_makes_after_of_before(bench: Bench) -> None:
    report = bench.heal()
    assert not report.errors
    assert short(report) == sorted(bench.told["findings"], key=str)
    assert all((f.outcome is Outcome.HEALED) == bool(f.repair) for f in report.findings)
    assert bench.files() == files_in(CASES / bench.name / "after")


def test_audit_and_dry_run_say_the_same_and_write_nothing(bench: Bench) -> None:
    before = stats_in(bench.root)
    seen, foretold = bench.audit(), bench.heal(dry_run=True)
    assert short(seen) == short(foretold) == sorted(bench.told["findings"], key=str)
    assert stats_in(bench.root) == before
    assert not journal_in(bench.root.parent).path.exists()


def test_a_second_heal_finds_nothing_and_writes_nothing(bench: Bench) -> None:
    bench.heal()
    healed = stats_in(bench.root)
    again = bench.heal()
    assert not [finding for finding in again.findings if finding.repair]
    assert again.run is None
    assert stats_in(bench.root) == healed


def test_undo_is_exact(bench: Bench) -> None:
    before = files_in(bench.state)
    ages = {name: stat[2] for name, stat in stats_in(bench.state).items() if name in before}
    if bench.heal().run is None:
        pytest.skip("nothing to heal in this case")
    report = undo(journal=journal_in(bench.root.parent))
    assert [each.refusal for each in report.restored] == [None] * len(report.restored)
    assert files_in(bench.state) == before
    assert {name: stat[2] for name, stat in stats_in(bench.state).items() if name in before} == ages


def test_what_the_plugin_keeps_does_not_change(bench: Bench) -> None:
    """Replays the plugin's pruning and two further tasks: every finished result it would have kept, it still keeps."""
    before = {path.parent.name: _entries(path) for path in bench.state.glob("*/state.json")}
    bench.heal()
    for path in bench.state.glob("*/state.json"):
        was = before.get(path.parent.name, [])
        ends = [e for e in was if isinstance(e, dict) and e.get("status") in ("completed", "failed")]
        finished = {e["id"] for e in ends if "/" not in e["id"]}  # an id that is a path has no files of its own
        assert survivors(was) & finished <= survivors(_entries(path))


def _entries(path: Path) -> list[Any]:
    try:
        jobs = json.loads(path.read_bytes())["jobs"]
    except (ValueError, KeyError, TypeError):
        return []
    return jobs if isinstance(jobs, list) else []
