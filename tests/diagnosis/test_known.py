"""What is remembered between drafts, and what a further pass leaves out, never changes a plan."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given

from stateheal.diagnosis import plan as planning
from stateheal.diagnosis.change import apply
from stateheal.diagnosis.job import Job, Known
from stateheal.diagnosis.plan import make_plan
from stateheal.diagnosis.view import View
from stateheal.evidence.discover import discover
from stateheal.evidence.schema import violations
from stateheal.model.evidence import Evidence
from stateheal.model.plan import Change
from stateheal.model.request import Settings
from stateheal.values import replace
from tests.bench.trees import make_tree
from tests.diagnosis.test_clean import CASES, EDITS, evidence_of
from tests.diagnosis.test_pairs import ALL, IDENT, PAIRS, possible
from tests.support import FIELD_DATA, Tree, done, job, lay_out, settle, write_json


def at_everything(view: View, after: View) -> View:
    """A further pass that looks at all jobs and remembers nothing."""
    return replace(after, touched=None, known=Known(), origin=view.as_read)


def from_scratch(view: View, changes: Sequence[Change]) -> View:
    """What a repair leaves, with nothing taken over from before it."""
    return replace(view, draft=apply(view.draft, changes), known=Known(), origin=view.as_read)


def compare(evidence: Evidence) -> None:
    quick = make_plan(evidence, Settings(), violations)
    with mock.patch.object(planning, "_changed", at_everything), mock.patch.object(View, "after", from_scratch):
        slow = make_plan(evidence, Settings(), violations)
    assert quick == slow


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/before")))
def test_on_every_case(tmp_path: Path, case: str) -> None:
    state = lay_out(CASES / case / "before", tmp_path / "plugins/data/codex-openai-codex/state")
    for place in discover([state]).places:
        compare(evidence_of(place))


def test_on_large_trees_and_on_what_the_plugin_wrote(tmp_path: Path) -> None:
    make_tree(tmp_path, workspaces=20, jobs=20)
    for place in (*discover([tmp_path / "config"]).places, *discover([FIELD_DATA]).places):
        compare(evidence_of(place))


def test_values_go_without_the_collector(tmp_path: Path) -> None:
    """Nothing that a plan was made from holds itself: else each workspace's bytes would stay for a while."""
    make_tree(tmp_path, workspaces=5, jobs=50)
    gc.collect()
    others = {id(each) for each in gc.get_objects() if isinstance(each, (View, Job))}  # a failed test's, for example
    gc.disable()
    try:
        for place in discover([tmp_path / "config"]).places:
            assert make_plan(evidence_of(place), Settings(), violations).findings
        left = [each for each in gc.get_objects() if isinstance(each, (View, Job))]
        assert {id(each) for each in left} <= others
    finally:
        gc.enable()


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if possible(*pair)], ids=" + ".join)
def test_on_pairs_of_damage(tmp_path: Path, pair: tuple[str, str]) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-before")).add(job(IDENT, threadId="thr_9")).add(done("task-after"))
    for name in pair:
        ALL[name](tree)
    settle(tree.path)
    (place,) = discover([tree.path]).places
    compare(evidence_of(place))


@given(EDITS, EDITS)
def test_on_any_two_jobs_with_one_pid(first: list[tuple[str, str, Any]], second: list[tuple[str, str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder)).add(job("task-1", pid=4242)).add(job("task-2", pid=4242)).add(done("task-3"))
        index = tree.read_index()
        records = {ident: tree.record(ident) for ident in ("task-1", "task-2")}
        for position, (ident, edits) in enumerate(zip(records, (first, second), strict=True)):
            for side, key, value in edits:
                for target, name in ((index["jobs"][position], "entry"), (records[ident], "record")):
                    if side in (name, "both"):
                        target.pop(key, None) if value is ... else target.update({key: value})
        write_json(tree.path / "state.json", index)
        for ident, record in records.items():
            write_json(tree.path / f"jobs/{ident}.json", record)
        settle(tree.path)
        for place in discover([tree.path]).places:
            compare(evidence_of(place))
