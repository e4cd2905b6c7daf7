"""The table of companions: whole, told apart by their trees, and named nowhere else (field guide section 11)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stateheal.dialects import names, table
from stateheal.dialects.table import DIALECTS, Sight, is_codexs, kin_of, recognise
from stateheal.model.dialect import Dialect
from stateheal.model.traits import HEX_12, HEX_16, SLUG_12, SLUG_16, Form
from tests.support import PROJECT

PACKAGE = PROJECT / "stateheal"
FAMILIES = (
    "gemini",
    "grok",
    "opencode",
    "antigravity",
    "agy",
    "sendbird",
    "alanjwong",
    "lucasmcht",
    "patriyang",
    "CBEPX",
)
MAY_NAME = ("dialects/",)


def union(of: str) -> set[str]:
    return {each for dialect in DIALECTS for each in getattr(dialect, of)}


def test_what_the_hook_imports_is_what_the_table_says() -> None:
    launches = [dialect.launch for dialect in DIALECTS]
    assert set(names.SCRIPTS) == {each for launch in launches for each in launch.scripts}
    assert set(names.COMMANDS) == {each for launch in launches for each in (*launch.commands, *launch.readers)}
    assert set(names.SLASH) == {each for launch in launches for each in launch.slash}
    assert set(names.SLASH_COMMANDS) == {each for launch in launches for each in launch.slash_commands}
    assert set(names.TEMP) == union("temp")
    assert set(names.VARIABLES) == union("variables")
    assert set(names.BELOW) == {"state", *union("below")}
    assert set(names.HOMES) == union("homes")


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_an_entry_is_sound(dialect: Dialect) -> None:
    assert dialect.read, "what was read is not told"
    assert not dialect.active & dialect.finished
    assert dialect.has_index or dialect.record
    for pattern in (
        dialect.plugins,
        dialect.marks.names,
        dialect.marks.job_names,
        dialect.marks.ids,
    ):
        re.compile(pattern)
    if any("not run" in source for source in dialect.read):
        assert not dialect.heals, "only what was seen to be taken is written"


PATTERNS = sorted({each for row in DIALECTS for each in (row.marks.names, row.marks.job_names, row.marks.ids) if each})


@pytest.mark.parametrize("pattern", [*PATTERNS, "a-b|c", "ab?c", "ab*", "ab{2}", "(a|b)c", "[ab]c", "abc"])
@settings(max_examples=30)
@given(data=st.data())
def test_what_matches_a_mark_begins_as_it_does(pattern: str, data: st.DataObject) -> None:
    """Names that begin otherwise are never asked about."""
    name = data.draw(st.from_regex(pattern, fullmatch=True))
    assert table._matching(pattern, [name]) == [name]


FORMS = {
    SLUG_16: r"(?:.*-)[0-9a-f]{16}",
    SLUG_12: r"(?:.*-)[0-9a-f]{12}",
    HEX_16: r"[0-9a-f]{16}",
    HEX_12: r"[0-9a-f]{12}",
}


@pytest.mark.parametrize(("form", "pattern"), FORMS.items(), ids=str)
@given(name=st.from_regex(r"(?s)(.*-)?[0-9a-fA-Fg\n]{11,17}", fullmatch=True))
def test_a_directorys_form(form: Form, pattern: str, name: str) -> None:
    assert table._is_named(name, form) == bool(re.fullmatch(pattern, name, re.DOTALL))


@pytest.mark.parametrize("top", ["cxc-{uid}", "codex-companion-{uid}", "agy-companion", "{uid}-x"])
@given(data=st.data())
def test_a_temp_directorys_name(top: str, data: st.DataObject) -> None:
    pattern = re.escape(top).replace(r"\{uid\}", r"[0-9a-z]+")
    name = data.draw(st.from_regex(pattern, fullmatch=True) | st.from_regex(pattern) | st.text("cx-1A", max_size=6))
    assert table._is_named_after(top, name) == bool(re.fullmatch(pattern, name))


def test_names_are_distinct() -> None:
    assert len({dialect.name for dialect in DIALECTS}) == len(DIALECTS)


def strings(tree: ast.Module) -> list[str]:
    """Every text in a module's code that is no docstring."""
    docs = {
        id(node.value)
        for each in ast.walk(tree)
        if isinstance(getattr(each, "body", None), list)
        for node in each.body  # type: ignore[attr-defined]
        if isinstance(node, ast.Expr)
    }
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs)
    return [node.value for node in constants if isinstance(node.value, str)]


NAMES = {script.partition("-")[0] for each in DIALECTS for script in each.launch.scripts} - {"claude"}
OWN = {"pid", "status", "summary", "logFile", "owner", "worker"}
"""Fields of every companion's records and of our own runner's, and a word that is a command's as well."""
FIELDS = {
    field.partition(".")[0]
    for each in DIALECTS
    for fields in (each.marks.fields, each.marks.top, each.clears, each.pids, each.identities, each.status)
    for field in (*fields, *each.orphan, *each.orphan_time, *each.answered)
} - OWN
MAY_KNOW_FIELDS = {
    "model/claims.py": {"pidStartTime", "pidIdentity"},  # of forks that nobody knows, by the form of their values
    "report/explanation.py": {"pidStartTime", "pidIdentity"},  # what is shown where it is there
}


def compared(tree: ast.Module) -> Iterator[str]:
    """Every text that something is compared with, looked up by, or looked for in."""
    asking = {"startswith", "endswith", "partition", "rpartition", "find", "index", "count", "get", "split", "pop"}
    for node in ast.walk(tree):
        held: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            held = [node.left, *node.comparators]
        elif isinstance(node, ast.Subscript):
            held = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in asking:
            held = list(node.args)
        texts = (each for one in held for each in ast.walk(one) if isinstance(each, ast.Constant))
        yield from (each.value for each in texts if isinstance(each.value, str))


def test_nothing_else_knows_a_companion() -> None:
    """Neither does it name one, nor decides it by a companion's name or by its fields."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(MAY_NAME):
            continue
        tree = ast.parse(path.read_text())
        texts = strings(tree)
        for text in texts:
            assert not any(family in text for family in FAMILIES), f"{name}, {text!r}: that is the table's to say"
        for text in compared(tree):
            words = set(re.findall(r"[a-z]+", text.lower()))
            assert not words & NAMES or text.isupper(), f"{name}, {text!r}: that is the table's to say"
        if not name.startswith("export/"):  # which replaces what it does not know
            assert not set(texts) & FIELDS - MAY_KNOW_FIELDS.get(name, set()), name


def test_what_would_decide_so_is_seen() -> None:
    tree = ast.parse(
        'x = plugin == "codex-x" or plugin.startswith("gemini") or side["agentPid"] or "Grok y" in title\n'
    )
    assert set(compared(tree)) == {"codex-x", "gemini", "agentPid", "Grok y"}
    assert {"codex", "gemini", "grok"} <= NAMES and {"agentPid", "runStatus", "childPid", "pidIdentity"} <= FIELDS


def sight(plugin: str | None, directory: str, **more: object) -> Sight:
    nothing: dict[str, object] = {
        "names": frozenset({"state.json", "jobs"}),
        "job_names": frozenset(),
        "has_index": True,
        "index": {"version": 1, "config": {}, "jobs": []},
        "fields": frozenset(),
    }
    index = more.get("index", nothing["index"])
    entries = index.get("jobs", []) if isinstance(index, dict) else []
    ids = tuple(entry["id"] for entry in entries if isinstance(entry, dict) and "id" in entry)
    return Sight(plugin, directory, **{**nothing, "ids": ids, **more})  # type: ignore[arg-type]


H16, H12 = "0123456789abcdef", "0123456789ab"


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        (sight("codex-openai-codex", f"demo-{H16}"), "codex"),
        (sight("codex-inline", f"demo-{H16}", index={"version": 9, "jobs": []}), "codex"),
        (sight("codex-inline", f"demo-{H16}", index=None), "codex"),
        (sight("codex-inline", f"demo-{H16}", fields=frozenset({"runStatus"})), "codex (alanjwong)"),
        (
            sight("codex-inline", f"demo-{H16}", index={"version": 1, "revision": 3, "jobs": []}),
            "codex (lucasmcht-corp)",
        ),
        (sight("codex-inline", f"demo-{H16}", fields=frozenset({"pidStartTime"})), "codex (patriyang)"),
        (sight("codex-inline", f"demo-{H16}", fields=frozenset({"pidIdentity"})), "codex"),
        (sight("codex-inline", f"demo-{H16}", fields=frozenset({"requestFile"})), "codex (CBEPX)"),
        (sight("gemini-x", f"demo-{H12}"), "gemini (sakibsadmanshajib)"),
        (sight("gemini-companion", f"-{H12}"), "gemini (sakibsadmanshajib)"),
        (sight("gemini-x", f"demo-{H16}"), "gemini"),
        (sight("grok-build-xai", f"demo-{H16}"), "grok-build"),
        (sight("codex-inline", f"demo-{H16}", fields=frozenset({"bridgePid"})), "grok-build"),
        (sight("turbo-build-plugin-x", f"demo-{H16}", fields=frozenset({"bridgePid"})), "grok-build"),
        (sight("turbo-build-plugin-x", f"demo-{H16}"), "turbo-build-plugin (danmsheets-dev)"),
        (sight("agy-x", f"demo-{H16}", job_names=frozenset({"task-mwycshhe-vl7vv2/"})), "agy (unlikelyzero)"),
        (sight("agy-x", f"demo-{H16}", index={"version": 1, "owner": "agy-plugin-cc", "jobs": []}), "agy (handong66)"),
        (sight("opencode-x", H16, index={"config": {}, "jobs": []}), "opencode"),
        (sight(None, H16, index={"config": {}, "jobs": []}), "opencode"),
        (sight("cc", H12, has_index=False, index=None), "cc (sendbird)"),
        (sight("cc", H12, has_index=False, index=None, fields=frozenset({"workerPid"})), "cc (CBEPX)"),
        (sight("friend", f"demo-{H16}"), "codex"),
        (sight("codex-companion-1000", f"demo-{H16}"), "codex"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_tree_is_told_by_what_it_shows_then_by_its_plugin(seen: Sight, name: str) -> None:
    found = recognise(seen)
    assert found is not None and found.dialect.name == name and found.why


@pytest.mark.parametrize(
    "seen",
    [
        sight("friend", f"demo-{H16}", index={"version": 3, "jobs": []}),
        sight("friend", f"demo-{H16}", index=None, has_index=False),
        sight("codex-inline", f"demo-{H12}"),
        sight("gemini-x", f"demo-{H16}", index={"version": 1, "config": {}}),
        sight("codex-inline", "demo-0123abcd"),
    ],
)
def test_what_nobody_is_known_to_write_is_nobodys(seen: Sight) -> None:
    assert recognise(seen) is None


@pytest.mark.parametrize(
    ("plugin", "codexs"),
    [
        (None, True),
        ("codex-openai-codex", True),
        ("codex-companion", True),
        ("Codex", True),
        ("gemini-companion", False),
        ("grok-cc-runs", False),
        ("somebody", False),
    ],
)
def test_a_plugin_of_codexs_is_told_without_the_others(plugin: str | None, codexs: bool) -> None:
    assert is_codexs(plugin) is codexs is ("codex" in kin_of(plugin))
