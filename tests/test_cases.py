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

from stateheal.diagnosis.rules import RULES
from stateheal.engine import audit, heal, settings_of, undo
from stateheal.model import Outcome, Report, Settings
from stateheal.times import parse_time
from tests.support import NOW, FakeProcesses, files_in, host, journal_in, stats_in, survivors, world

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/case.json"))


@dataclass
class Bench:
    """One case, laid out in a directory of its own."""

    name: str
    root: Path

    @cached_property
    def told(self) -> dict[str, Any]:
        return json.loads((CASES / self.name / "case.json").read_text())

    @property
    def state(self) -> Path:
        return self.root / "plugins" / "data" / "codex-openai-codex" / "state"

    @property
    def settings(self) -> Settings:
        return settings_of(**self.told.get("settings", {}))

    @property
    def processes(self) -> FakeProcesses:
        table = FakeProcesses(facts_of_host=host(**self.told.get("host", {})))
        for pid, facts in self.told.get("processes", {}).items():
            created = parse_time(facts.get("created"))
            table.live(int(pid), *facts.get("argv", ()), created=created, zombie=facts.get("zombie", False))
        return table

    def lay_out(self, which: str = "before") -> Bench:
        shutil.copytree(CASES / self.name / which, self.state)
        # git keeps no times: everything was last touched a day ago unless the case says otherwise.
        touched = self.told.get("touched", {})
        for path in self.state.rglob("*"):
            moment = parse_time(touched.get(str(path.relative_to(self.state)))) or NOW - 86400
            os.utime(path, (moment, moment))
        return self

    def heal(self, **more: Any) -> Report:
        return heal(
            [self.root],
            settings=self.settings,
            world=world(self.processes),
            journal=journal_in(self.root.parent),
            **more,
        )

    def audit(self) -> Report:
        return audit([self.root], settings=self.settings, world=world(self.processes))


def short(report: Report) -> list[list[str | None]]:
    return sorted([f.workspace, f.job, f.rule, f.severity.value] for f in report.findings)  # type: ignore[type-var]


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(request.param, tmp_path / "tree").lay_out()


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in RULES} <= set(NAMES)


def test_heal_makes_after_of_before(bench: Bench) -> None:
    report = bench.heal()
    assert not report.errors
    assert short(report) == sorted(bench.told["findings"])
    assert all((f.outcome is Outcome.HEALED) == bool(f.repair) for f in report.findings)
    assert files_in(bench.state) == files_in(CASES / bench.name / "after")


def test_audit_and_dry_run_say_the_same_and_write_nothing(bench: Bench) -> None:
    before = stats_in(bench.root)
    seen, foretold = bench.audit(), bench.heal(dry_run=True)
    assert short(seen) == short(foretold) == sorted(bench.told["findings"])
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
        finished = {e["id"] for e in was if isinstance(e, dict) and e.get("status") in ("completed", "failed")}
        assert survivors(was) & finished <= survivors(_entries(path))


def _entries(path: Path) -> list[Any]:
    try:
        jobs = json.loads(path.read_bytes())["jobs"]
    except (ValueError, KeyError, TypeError):
        return []
    return jobs if isinstance(jobs, list) else []
