"""Jobs that no rule looks at: when the rules do look, they find nothing."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateheal.diagnosis.clean import PLAIN, clean_jobs
from stateheal.diagnosis.plan import make_plan
from stateheal.diagnosis.turns import choose_turn
from stateheal.evidence.discover import discover
from stateheal.evidence.rollouts import Rollouts
from stateheal.evidence.schema import violations
from stateheal.evidence.workspace import Sources, gather
from stateheal.fs.directory import open_directory
from stateheal.model.claims import other_pids
from stateheal.model.disk import GATE_TITLE, Place
from stateheal.model.evidence import Answer, Evidence
from stateheal.model.look import Look, Seen
from stateheal.model.request import Settings
from stateheal.values import replace
from tests.bench.trees import make_tree
from tests.support import FIELD_DATA, HERE, NOW, FakeProcesses, Tree, at, done, entry_of, lay_out, settle, write_json

CASES = HERE / "cases"


def evidence_of(place: Place) -> Evidence:
    sources = Sources(
        FakeProcesses(),
        Rollouts(Path("/nowhere")),
        clean_jobs,
        choose_turn,
        lambda: Look((Seen(4242, ("agent",), created=NOW - 1800),)),
        ask=lambda endpoint: Answer.NO,
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
        *([4242], {"pid": 4242}, [{"pid": 4242}]),
        *("terminated", "done", GATE_TITLE, "Orphaned: pid 9 no longer alive", "/etc/passwd", "..", "a\\b", "task-2"),
        *("2026-11-23T07:00:00.000Z", "yesterday", "/moved/jobs/task-1.log"),
    ]
)
FIELDS = st.sampled_from(
    [
        *sorted(entry_of(done("task-1"))),
        "errorMessage",
        "result",
        "owner",
        "pidStartTime",
        "serverPid",
        "children",
        "pids",
    ]
)
EDITS = st.lists(st.tuples(st.sampled_from(["entry", "record", "both"]), FIELDS, VALUES), max_size=3)


NAMING = [
    *({"agentPid": 4242}, {"serverPid": "4242"}, {"children": [{"pid": 4242}]}, {"pids": [4242]}, {"ownerPID": 4242.0}),
    *({"owner": {"pid": 4242}}, {"processId": 4242}, {"agent": {"process": {"id": 4242}}}, {"process_id": 4242}),
]


@pytest.mark.parametrize("side", ["entry", "record"])
@pytest.mark.parametrize("named", NAMING, ids=str)
def test_a_job_that_names_a_further_process_is_looked_at(tmp_path: Path, side: str, named: dict[str, Any]) -> None:
    tree = Tree(tmp_path)
    ended = done("task-1", startedAt=at(-3600), completedAt=at(-60), updatedAt=at(-60))
    tree.add({**ended, **named} if side == "record" else ended)
    if side == "entry":
        tree.index(entry_of(tree.record("task-1"), **named))
    settle(tree.path)
    evidence = evidence_of(place_of(tree))
    compare(evidence)
    found = make_plan(evidence, Settings(), violations).findings
    assert [each.rule for each in found] == ["agent-lives"], found


def test_the_keys_that_are_not_looked_into_are_the_schemas() -> None:
    job = json.loads((HERE.parent / "schemas/job.schema.json").read_text())
    assert job["properties"].keys() == PLAIN
    assert not list(other_pids(dict.fromkeys(PLAIN - {"pid"}, 4242)))


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
