"""Jobs that no rule looks at: when the rules do look, they find nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateheal.diagnosis.clean import clean_jobs
from stateheal.diagnosis.plan import make_plan
from stateheal.diagnosis.turns import choose_turn
from stateheal.evidence.discover import discover
from stateheal.evidence.rollouts import Rollouts
from stateheal.evidence.schema import violations
from stateheal.evidence.workspace import Sources, gather
from stateheal.fs.directory import open_directory
from stateheal.model.disk import GATE_TITLE, Place
from stateheal.model.evidence import Answer, Evidence
from stateheal.model.look import Look
from stateheal.model.request import Settings
from tests.bench.trees import make_tree
from tests.support import FIELD_DATA, HERE, FakeProcesses, Tree, done, entry_of, lay_out, settle, write_json

CASES = HERE / "cases"


def evidence_of(place: Place) -> Evidence:
    sources = Sources(
        FakeProcesses(), Rollouts(Path("/nowhere")), clean_jobs, choose_turn, Look, ask=lambda endpoint: Answer.NO
    )
    with open_directory(place.directory) as directory:
        return gather(place, directory, sources)


def compare(evidence: Evidence) -> None:
    """The same plan, whether the rules look at the clean jobs or not."""
    quick = make_plan(evidence, Settings(), violations)
    slow = make_plan(replace(evidence, clean=frozenset()), Settings(), violations)
    assert quick == slow
    assert not {finding.job for finding in slow.findings} & evidence.clean


def place_of(tree: Tree) -> Place:
    (place,) = discover([tree.path]).places
    return place


def test_a_finished_job_is_clean_and_another_is_not(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add(done("task-1")).add(done("task-2", status="running", result=...)).add(done("task-3"))
    index = tree.read_index()
    tree.index(*index["jobs"], index["jobs"][2])
    assert evidence_of(place_of(tree)).clean == {"task-1"}


VALUES = st.sampled_from(
    [
        *(
            ...,
            None,
            "",
            "x",
            0,
            1,
            -1,
            4242,
            "4242",
            True,
            [],
            {},
            "failed",
            "cancelled",
            "running",
            "odd",
            "orphaned",
        ),
        *("terminated", "done", GATE_TITLE, "Orphaned: pid 9 no longer alive", "/etc/passwd", "..", "a\\b", "task-2"),
        *("2026-11-23T07:00:00.000Z", "yesterday", "/moved/jobs/task-1.log"),
    ]
)
FIELDS = st.sampled_from([*sorted(entry_of(done("task-1"))), "errorMessage", "result", "owner", "pidStartTime"])
EDITS = st.lists(st.tuples(st.sampled_from(["entry", "record", "both"]), FIELDS, VALUES), max_size=3)


@given(EDITS, st.sampled_from(["codex-openai-codex", "friend"]))
def test_rules_find_nothing_in_a_clean_job(edits: list[tuple[str, str, Any]], plugin: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder), plugin=plugin).add(done("task-1")).add(done("task-2"))
        index, record = tree.read_index(), tree.record("task-1")
        for side, key, value in edits:
            for target, name in ((index["jobs"][0], "entry"), (record, "record")):
                if side in (name, "both"):
                    target.pop(key, None) if value is ... else target.update({key: value})
        write_json(tree.path / "state.json", index)
        write_json(tree.path / "jobs/task-1.json", record)
        settle(tree.path)
        compare(evidence_of(place_of(tree)))


def test_rules_find_nothing_in_a_clean_job_beside_every_kind_of_damage(tmp_path: Path) -> None:
    make_tree(tmp_path, workspaces=20, jobs=20)
    clean = 0
    for place in (*discover([tmp_path / "config"]).places, *discover([FIELD_DATA]).places):
        evidence = evidence_of(place)
        compare(evidence)
        clean += len(evidence.clean)
    assert clean > 100


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/before")))
def test_no_rule_finds_what_it_is_there_for_in_a_clean_job(tmp_path: Path, case: str) -> None:
    """A new rule's own case shows whether ``clean`` must know of it."""
    state = tmp_path / "plugins/data/codex-openai-codex/state"
    lay_out(CASES / case / "before", state)
    for place in discover([state]).places:
        compare(evidence_of(place))


@pytest.mark.parametrize("odd", ["a\\b", ".", "task-1"])
def test_an_odd_name_or_a_directory_for_a_log_is_not_clean(tmp_path: Path, odd: str) -> None:
    tree = Tree(tmp_path).add(done("task-2")).file(done(odd))
    tree.index(*tree.read_index()["jobs"], entry_of(done(odd)))
    if odd == "task-1":
        (tree.path / "jobs/task-1.log").mkdir()
    evidence = evidence_of(place_of(tree))
    assert evidence.clean == {"task-2"}
    compare(evidence)
