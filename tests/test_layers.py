"""The import rule of the house: data flows down one corridor, and the rooms of one floor do not know each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "stateheal"
FLOORS = (
    {"errors", "version", "text"},
    {"formats"},
    {"model"},
    {"fs", "report"},
    {"evidence", "diagnosis", "commit"},
    {"engine"},
    {"migrate", "export", "runner", "hook"},
    {"cli"},
    {"__main__", "__init__"},
)
LEVEL = {part: number for number, parts in enumerate(FLOORS) for part in parts}
UPWARD = {
    ("evidence/recoveries.py", "stateheal.diagnosis.turns"),
    ("evidence/rollouts.py", "stateheal.diagnosis.turns"),
    ("evidence/workspace.py", "stateheal.diagnosis.clean"),
    ("report/page_data.py", "stateheal.engine.collect"),
    ("report/page_data.py", "stateheal.engine.workspace"),
}
OWNERS = {
    "click": {"cli"},
    "rich": {"cli", "report"},
    "jsonschema": {"evidence/schema"},
    "psutil": {"evidence/processes"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def part_of(path: Path) -> str:
    """The room, or the module, a file belongs to."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def test_the_rule_knows_every_part() -> None:
    assert {part_of(path) for path in MODULES} == LEVEL.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    part = part_of(path)
    relative = path.relative_to(PACKAGE).as_posix()
    for name in imports(path):
        if name.startswith("stateheal.") and name.split(".")[1] != part and (relative, name) not in UPWARD:
            assert LEVEL[name.split(".")[1]] < LEVEL[part], f"{part} must not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_has_one_owner(path: Path) -> None:
    relative = path.relative_to(PACKAGE).with_suffix("").as_posix()
    for name in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        if owners is not None:
            assert any(relative == owner or relative.startswith(owner + "/") for owner in owners), f"{relative}: {name}"
