"""Whole trees, made up: whatever a workspace holds, the promises of DESIGN.md hold.

The long run: ``STATEHEAL_FUZZ_EXAMPLES=20000 pytest tests/test_fuzz.py``.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stateheal.engine.api import audit, heal
from stateheal.engine.commands import undo
from stateheal.evidence.schema import violations
from stateheal.formats.jsontext import Json, write
from stateheal.model.disk import ACTIVE
from stateheal.model.findings import Outcome
from stateheal.model.plain import as_json
from stateheal.model.report import Report
from tests.support import FIELD_DATA, NOW, FakeProcesses, Tree, at, examples, files_in, journal_in, stats_in, world

DEAD, LIVE, STRANGER, ZOMBIE = 4242, 7000, 7001, 7002
ODD: tuple[Json, ...] = (
    "/a/\ud800/b",
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "a\x1b[31m\n\u202e",
    "\ud800",
    [],
    {},
    [{"a": [1]}],
)
"""What may stand in any field."""
HUGE = "@huge@"
"""Stands in for a number that only a text can hold: see ``_text``."""
FOREIGN = "@foreign@"
"""Stands in for bytes that are no UTF-8."""


def _process_table() -> FakeProcesses:
    """One live job, one process that started long after any job here, one zombie; every other pid is gone."""
    table = FakeProcesses().live(LIVE, "node", "/x/codex-companion.mjs", "task")
    return table.live(STRANGER, "vim", created=NOW - 5).live(ZOMBIE, created=NOW - 86400, zombie=True)


def _sometimes(usual: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Nine times in ten the usual, else anything."""
    return st.integers(0, 9).flatmap(lambda n: usual if n else st.sampled_from((*ODD, HUGE)))


_IDS = st.sampled_from(("task-1", "task-2", "task-10", "review-a", "../../x", "a\nb", "a\u2028b", "\u00fc", "t" * 235))
_TIMES = st.sampled_from((*(-200000, -7200, -7100, -3700, -900, -30, 3600, 10**6), None, "1970", "0001"))
_PIDS = st.sampled_from((DEAD, LIVE, STRANGER, ZOMBIE, str(DEAD), 1, None))
_STRAYS: st.SearchStrategy[list[Json]] = st.lists(
    st.sampled_from((None, 7, {}, {"id": {}}, {"id": []}, "x")), max_size=1
)
_STATUSES = st.sampled_from(("running", "queued", "completed", "failed", "cancelled", "orphaned"))
_MESSAGES = st.sampled_from(("boom", f"bo{FOREIGN}m", "Orphaned: pid 9 no longer alive"))


def _spelled(value: Json) -> Json:
    if value in ("1970", "0001"):
        return f"{value}-01-01T00:00:00.000Z"
    return at(value) if isinstance(value, int) else value


@st.composite
def _fields(draw: st.DrawFn) -> dict[str, Json]:
    """What an index entry or a job file may say, without its id."""
    record: dict[str, Json] = {}
    for key in draw(st.permutations(("createdAt", "startedAt", "updatedAt", "completedAt"))):
        if draw(st.booleans()):
            record[key] = draw(_sometimes(_TIMES.map(_spelled)))
    record["status"] = draw(_sometimes(_STATUSES))
    optional = {
        "pid": _PIDS,
        "phase": st.sampled_from(("starting", "done", None)),
        "errorMessage": _MESSAGES,
        "threadId": st.sampled_from(("thr_1", None)),
        "result": st.sampled_from(({"rawOutput": "answer"}, {"rawOutput": f"caf{FOREIGN}"})),
        "x": st.sampled_from(ODD),
    }
    return {**record, **{key: draw(_sometimes(usual)) for key, usual in optional.items() if draw(st.booleans())}}


@st.composite
def _jobs(draw: st.DrawFn) -> tuple[list[Json], dict[str, Json]]:
    """Index entries and job files: mostly two sides of one job, sometimes one."""
    entries: list[Json] = []
    records: dict[str, Json] = {}
    for ident in draw(st.lists(_IDS, max_size=4, unique=True)):
        entry, record = draw(_fields()), draw(_fields())
        if draw(st.booleans()):
            record = {**entry, **{key: record[key] for key in ("status", "pid") if key in record}}
        if draw(st.integers(0, 5)):
            entries.append({"id": ident, **entry})
        if draw(st.integers(0, 5)) and "/" not in ident:
            records[ident] = {"id": ident, **record}
    return entries + draw(_STRAYS), records


_INDENTS, _NEWLINES = st.sampled_from((2, 2, None, 4, "\t", 0)), st.sampled_from(("\n", "\r\n"))
_TAILS = st.sampled_from(("\n", "", " \n\n"))
_LAYOUTS = st.fixed_dictionaries({"indent": _INDENTS, "newline": _NEWLINES, "tail": _TAILS, "ascii": st.booleans()})


def _text(value: Json, layout: dict[str, Any]) -> bytes:
    """The value in some layout; lone surrogates stay escapes, HUGE becomes a number too big for a float."""
    plain = layout["ascii"] or "\\ud800" in json.dumps(value)
    text = json.dumps(value, indent=layout["indent"], ensure_ascii=plain).replace(f'"{HUGE}"', "1e999")
    return f"{text}{layout['tail']}".replace("\n", layout["newline"]).encode().replace(FOREIGN.encode(), b"\xe9")


@st.composite
def _trees(draw: st.DrawFn) -> dict[str, tuple[bytes, int]]:
    """Name in the workspace to bytes and age in seconds."""
    entries, records = draw(_jobs())
    layout = draw(_LAYOUTS)
    index = draw(_sometimes(st.just({"version": 1, "config": {"stopReviewGate": True}, "jobs": entries})))
    files = {"state.json": _text(index, layout)}
    for stem, record in records.items():
        files[f"jobs/{stem}.json"] = _text(record, layout)
        log = draw(st.sampled_from((None, b"", b"[t] started\n", b"no end", b"[t] Codex error: \x1b[1m\n")))
        if log is not None:
            files[f"jobs/{stem}.log"] = log
    if draw(st.integers(0, 9)) == 0:
        torn = draw(st.sampled_from(sorted(files)))
        files[torn] = files[torn][: len(files[torn]) // 2]
    return {name: (data, draw(st.sampled_from((5, 90, 7200, 10**6)))) for name, data in files.items()}


@contextmanager
def _on_disk(files: dict[str, tuple[bytes, int]]) -> Iterator[tuple[Path, Tree]]:
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder) / "tree")
        (tree.path / "jobs").mkdir(parents=True)
        for name, (data, age) in files.items():
            (tree.path / name).write_bytes(data)
            os.utime(tree.path / name, (NOW - age, NOW - age))
        yield Path(folder), tree


def _sides(tree: Tree) -> dict[str, list[dict[str, Json]]]:
    """Every job's records by id, as far as they can be read."""
    sides: dict[str, list[dict[str, Json]]] = {}
    try:
        index = _read_as_node(tree.path / "state.json")
        entries = index["jobs"] if isinstance(index, dict) and isinstance(index.get("jobs"), list) else []
    except ValueError:
        entries = []
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            sides.setdefault(entry["id"], []).append(entry)
    for path in sorted((tree.path / "jobs").glob("*.json")):
        try:
            record = _read_as_node(path)
        except ValueError:
            continue
        if isinstance(record, dict):
            sides.setdefault(path.stem, []).append(record)
    return sides


def _read_as_node(path: Path) -> Json:
    """Decode, then parse: a byte that is no UTF-8 is U+FFFD. Raises ``ValueError``."""
    return json.loads(path.read_bytes().decode("utf-8", "replace"))


def _answers(state: Path) -> dict[str, Json]:
    """What the plugin can show as results of the jobs under a root."""
    found: dict[str, Json] = {}
    for path in sorted(state.glob("*/jobs/*.json")):
        with suppress(ValueError):
            record = _read_as_node(path)
            if isinstance(record, dict) and record.get("result") is not None:
                found[str(path)] = (record.get("status"), record["result"], record.get("rendered"))
    return found


def _may_live(sides: list[dict[str, Json]]) -> bool:
    active = any(side.get("status") in ACTIVE for side in sides if isinstance(side.get("status"), str))
    return active and any(side.get("pid") == LIVE for side in sides)


def _cures(report: Report, outcome: Outcome) -> list[tuple[str, str | None]]:
    return sorted((each.rule, each.job) for each in report.findings if each.outcome is outcome)


def _check_records(before: dict[str, list[dict[str, Json]]], after: dict[str, list[dict[str, Json]]]) -> None:
    """A live job is as it was, a result is never relabelled, no entry's ``updatedAt`` has changed."""
    for ident, sides in before.items():
        if _may_live(sides):
            assert after[ident] == sides, "a job that may live was touched"
        if "/" in ident:
            continue  # such an entry leaves the index
        for old in sides:
            if old.get("status") == "completed" and old.get("result") is not None:
                kept = [new for new in after[ident] if new.get("result") == old["result"]]
                assert any(new["status"] == "completed" for new in kept), "a result was relabelled"
        times = {json.dumps(side["updatedAt"]) for side in sides if "updatedAt" in side}
        for new in after.get(ident, []) if len(sides) == 2 else []:
            assert "updatedAt" not in new or json.dumps(new["updatedAt"]) in times


TORN_AND_FRESH = {
    "state.json": (write({"version": 1, "jobs": [{"id": "task-2", "status": "running", "pid": DEAD}]}), 5),
    "jobs/task-2.json": (f'{{\n  "id": "task-2",\n  "createdAt": "{at(3600)}",'.encode(), 5),
    "jobs/task-2.log": (b"", 5),
}
"""Only the mended job file says that somebody may still be writing."""


@given(_trees())
@example(TORN_AND_FRESH)
@settings(max_examples=examples(200))
@pytest.mark.posix("makes names that Windows refuses (line feeds, colons)")
def test_the_promises_hold_for_any_tree(files: dict[str, tuple[bytes, int]]) -> None:
    """Nothing raises; audit and dry run write nothing; what a dry run foretells is done; undo brings it all back."""
    with _on_disk(files) as (folder, tree):
        outside, journal = world(_process_table()), journal_in(folder)
        original, stats, before = files_in(tree.root), stats_in(tree.root), _sides(tree)
        seen = audit([tree.root], world=outside)
        foretold = heal([tree.root], dry_run=True, world=outside, journal=journal)
        assert stats_in(tree.root) == stats and not journal.path.exists()

        done = heal([tree.root], world=outside, journal=journal)
        for report in (seen, foretold, done):
            assert violations("report", json.loads(json.dumps(as_json(report), allow_nan=False))) == ()
        assert not done.errors, "no plan for a tree at rest is refused"
        assert _cures(foretold, Outcome.WOULD_HEAL) == _cures(done, Outcome.HEALED)
        for diff in foretold.diffs:
            path = tree.state / diff.name
            assert (path.read_bytes() if path.exists() else None) == diff.after
        _check_records(before, _sides(tree))
        for path in tree.path.rglob("*"):
            if path.is_file() and original.get(path.relative_to(tree.root).as_posix()) != path.read_bytes():
                os.utime(path, (NOW, NOW))  # the clock of these tests stands still, the file system's does not
        again = heal([tree.root], world=outside, journal=journal)
        assert again.run is None and not again.healed
        if done.run:
            assert undo(journal=journal, world=outside).exit_status == 0
        assert files_in(tree.root) == original


_FIELD = sorted(path for path in FIELD_DATA.rglob("superbem*/**/*") if path.is_file())
_ROOT = FIELD_DATA / "plugins/data/codex-openai-codex/state"


@st.composite
def _mutations(draw: st.DrawFn) -> dict[str, bytes]:
    """A workspace that the real plugin wrote, with bytes changed, cut out, doubled or added in a few of its files."""
    files = {path.relative_to(_ROOT).as_posix(): path.read_bytes() for path in _FIELD}
    for name in draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=4)):
        data = files[name]
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from((0, 1, 2, 40, 10**6))))
        middle = draw(
            st.sampled_from((b"", b"\0", b"null", b'"', b"}", b"{", data[start:end] * 2, b"\xff", b"\xe2\x82", b"7"))
        )
        files[name] = data[:start] + middle + data[end:]
    return files


@given(_mutations())
@settings(max_examples=examples(100))
def test_the_promises_hold_for_mutated_field_data(files: dict[str, bytes]) -> None:
    """Nothing raises; audit writes nothing; a second heal does nothing; undo brings every byte back."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "plugins/data/codex-openai-codex/state"
        for name, data in files.items():
            (state / name).parent.mkdir(parents=True, exist_ok=True)
            (state / name).write_bytes(data)
            os.utime(state / name, (NOW - 7200, NOW - 7200))
        journal, original = journal_in(Path(folder)), files_in(state)
        seen = audit([folder], world=world(), journal=journal)
        assert files_in(state) == original
        shown = _answers(state)
        report = heal([folder], world=world(), journal=journal)
        assert shown.items() <= _answers(state).items(), "what the plugin could show it shows"
        assert not [error for error in (*seen.errors, *report.errors) if "internal" in error.message]
        for path in state.rglob("*"):
            if path.is_file() and original.get(path.relative_to(state).as_posix()) != path.read_bytes():
                os.utime(path, (NOW, NOW))
        assert heal([folder], world=world(), journal=journal).run is None
        if report.run:
            assert undo(journal=journal, world=world()).exit_status == 0
        assert files_in(state) == original
