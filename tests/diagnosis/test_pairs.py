"""All pairs of damage that can meet on one job, or in one workspace, end in one pass, in whichever order they came.

Two findings on one job make one repair: after it a second heal finds nothing, an undo is exact, a finished result is
still there, and the plugin's pruning keeps what it would have kept.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stateheal.engine.api import heal
from stateheal.engine.commands import undo
from stateheal.evidence.schema import violations
from stateheal.model.findings import Severity
from tests.support import (
    NOW,
    FakeProcesses,
    Tree,
    at,
    done,
    entry_of,
    files_in,
    job,
    journal_in,
    native,
    settle,
    survivors,
    world,
    write_json,
)

IDENT = "task-aaaaaaaa-bbbbbb"
Damage = Callable[[Tree], None]


def edit_entry(tree: Tree, **fields: Any) -> None:
    """Change the job's entries in the index; ``...`` takes a field away."""
    index = tree.read_index()
    for entry in index["jobs"]:
        if isinstance(entry, dict) and entry.get("id") == IDENT:
            entry.update(fields)
            for key in [key for key, value in entry.items() if value is ...]:
                del entry[key]
    write_json(tree.path / "state.json", index)


def edit_record(tree: Tree, **fields: Any) -> None:
    write_json(tree.path / f"jobs/{IDENT}.json", {**tree.record(IDENT), **fields})


def in_index(tree: Tree, change: Callable[[list[Any]], None]) -> None:
    index = tree.read_index()
    change(index["jobs"])
    write_json(tree.path / "state.json", index)


def doubled(jobs: list[Any]) -> None:
    jobs += [{**entry, "updatedAt": at(-9000), "only": "here"} for entry in jobs if entry and entry["id"] == IDENT]


def dropped(jobs: list[Any]) -> None:
    jobs[:] = [entry for entry in jobs if not entry or entry.get("id") != IDENT]


def cut(tree: Tree, name: str, share: float) -> None:
    path = tree.path / name
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


# Damage to values first, then to the shape of the index, then to the bytes: each needs the one before to be readable.
VALUES: dict[str, Damage] = {
    "recycled": lambda tree: (edit_entry(tree, pid=6000), edit_record(tree, pid=6000))[0],
    "no pid": lambda tree: (edit_entry(tree, pid=None), edit_record(tree, pid=None))[0],
    "unsafe pid": lambda tree: (edit_entry(tree, pid=0), edit_record(tree, pid=0))[0],
    "index behind": lambda tree: edit_record(tree, **done(IDENT, logFile=tree.record(IDENT)["logFile"])),
    "file behind": lambda tree: edit_entry(tree, status="cancelled", phase="cancelled", pid=None),
    "relabelled": lambda tree: (
        edit_record(tree, **done(IDENT, logFile=tree.record(IDENT)["logFile"])),
        edit_entry(tree, status="failed", phase="orphaned", pid=None, errorMessage="Orphaned: by another tool"),
    )[0],
    "unsafe log in the file": lambda tree: edit_record(tree, logFile=native("/etc/passwd")),
    "unsafe log in the index": lambda tree: edit_entry(tree, logFile=native("/etc/passwd")),
}
SHAPES: dict[str, Damage] = {
    "null entry": lambda tree: in_index(tree, lambda jobs: jobs.insert(0, None)),
    "doubled": lambda tree: in_index(tree, doubled),
    "stub": lambda tree: edit_entry(tree, status=..., kind=..., jobClass=..., title=..., pid=..., startedAt=...),
    "path for an id": lambda tree: in_index(tree, lambda jobs: jobs.append(entry_of(job("../../x")))),
    "unindexed": lambda tree: in_index(tree, dropped),
    "jobs is null": lambda tree: write_json(tree.path / "state.json", {**tree.read_index(), "jobs": None}),
}
BYTES: dict[str, Damage] = {
    "index cut late": lambda tree: cut(tree, "state.json", 0.9),
    "index cut early": lambda tree: cut(tree, "state.json", 0.2),
    "index empty": lambda tree: cut(tree, "state.json", 0),
    "index gone": lambda tree: (tree.path / "state.json").unlink(),
    "job file cut": lambda tree: cut(tree, f"jobs/{IDENT}.json", 0.9),
    "job file empty": lambda tree: cut(tree, f"jobs/{IDENT}.json", 0),
    "job file gone": lambda tree: (tree.path / f"jobs/{IDENT}.json").unlink(),
}
ALL = {**VALUES, **SHAPES, **BYTES}
PAIRS = list(itertools.combinations(ALL, 2))


def possible(first: str, second: str) -> bool:
    """Whether the second can be done to what the first leaves readable."""
    same_file = {first, second} <= {n for n in BYTES if n.startswith("index")} or {first, second} <= {
        n for n in BYTES if n.startswith("job")
    }
    needs_entry = second in ("doubled", "stub") and first in ("unindexed", "jobs is null")
    return not same_file and not needs_entry and (first, second) != ("unindexed", "jobs is null")


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if possible(*pair)], ids=" + ".join)
def test_two_kinds_of_damage_make_one_repair(tmp_path: Path, pair: tuple[str, str]) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-before")).add(job(IDENT, threadId="thr_9")).add(done("task-after"))
    neighbours = {name: tree.record(name) for name in ("task-before", "task-after")}
    for name in pair:
        ALL[name](tree)
    settle(tree.path)
    had_result = "result" in _read(tree.path / f"jobs/{IDENT}.json")
    damaged, entries = files_in(tree.path), _read(tree.path / "state.json").get("jobs") or []
    table = FakeProcesses().live(6000, "/usr/sbin/nginx", created=NOW - 3600)
    journal = journal_in(tmp_path)

    report = heal([tree.root], world=world(table), journal=journal)
    # Of a stub without a job file nobody knows any more what became of the job.
    left = 1 if pair in (("stub", "job file gone"), ("stub", "job file empty")) else 0
    assert not report.errors and report.remaining == left, [f.message for f in report.findings]

    again = heal([tree.root], world=world(table), journal=journal)
    assert again.run is None and again.count(Severity.DAMAGE) == left, [f.message for f in again.findings]
    unproven = any(f.rule in ("ending-conflict", "torn-job", "schema") for f in again.findings)
    check_healed(tree, neighbours, had_result, unproven)
    if isinstance(entries, list):
        finished = {e["id"] for e in entries if isinstance(e, dict) and e.get("status") == "completed"}
        assert survivors(entries) & finished <= survivors(tree.read_index()["jobs"])
    if report.run is not None:
        assert undo(journal=journal).exit_status == 0
    assert files_in(tree.path) == damaged


def check_healed(tree: Tree, neighbours: dict[str, Any], had_result: bool, unproven: bool) -> None:
    """Both sides are valid, finished alike, safe; what was finished still shows its result.

    ``unproven``: a notice says that neither side can be proven, and both are as they were.
    """
    index = tree.read_index()
    assert unproven or violations("state", index) == ()
    for name, record in neighbours.items():
        assert tree.record(name) == record and tree.entry(name)["status"] == "completed"
    ids = [entry["id"] for entry in index["jobs"]]
    assert len(ids) == len(set(ids)) and not any("/" in ident for ident in ids)
    record = _read(tree.path / f"jobs/{IDENT}.json")
    sides = ([tree.entry(IDENT)] if IDENT in ids else []) + ([record] if record else [])
    for side in sides:
        assert unproven or (side["status"] in ("completed", "failed", "cancelled") and side["pid"] is None)
        assert not side.get("logFile") or side["logFile"].endswith(f"{IDENT}.log")
    assert unproven or len({side["status"] for side in sides}) <= 1
    if had_result:
        assert record["status"] == "completed" and record["result"] == done(IDENT)["result"]
        assert unproven or all(side["status"] == "completed" for side in sides)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
