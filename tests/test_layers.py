"""The import rule of the house: data flows down one corridor, and the wings do not know each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "stateheal"
BASE = {
    "model",
    "errors",
    "jsontext",
    "jsonedit",
    "jsonsalvage",
    "times",
    "records",
    "directory",
    "version",
    "safe",
    "turns",
    "quiet",
    "digest",
    "words",
    "unified",
}
ALLOWED: dict[str, set[str]] = {
    "diagnosis": BASE,
    "evidence": BASE,
    "commit": BASE,
    "report": BASE,
    "book": BASE | {"evidence"},
    "visits": BASE | {"evidence", "diagnosis", "commit", "book"},
    "portrait": BASE | {"book", "visits"},
    "tour": BASE | {"book", "visits"},
    "spread": BASE | {"book"},
    "engine": BASE | {"evidence", "diagnosis", "commit", "book", "visits", "portrait", "tour", "spread"},
    "explain": BASE | {"evidence", "diagnosis", "engine", "visits"},
    "tracking": BASE | {"evidence", "commit"},
    "runner": BASE | {"evidence", "commit", "tracking"},
    "closing": BASE | {"evidence", "engine", "visits"},
    "wrap": BASE | {"evidence", "engine", "tracking", "runner", "closing"},
    "cli": BASE
    | {
        "evidence",
        "diagnosis",
        "commit",
        "report",
        "engine",
        "spread",
        "explain",
        "visits",
        "tracking",
        "runner",
        "wrap",
        "hook",
        "hookconfig",
        "migrate",
        "doctor",
        "export",
        "exporting",
    },
    "exporting": BASE | {"evidence"},
    "export": BASE | {"evidence", "engine", "visits", "exporting"},
    "moving": BASE | {"evidence", "diagnosis", "commit", "visits"},
    "migrate": BASE | {"evidence", "commit", "moving", "visits"},
    "doctor": BASE | {"evidence", "commit"},
    "hookcheck": set(),
    "hook": {"hookcheck", "hookrun"},
    "hookrun": BASE | {"commit", "engine", "visits"},
    "hookconfig": set(),
    "__main__": {"cli", "hook"},
    "__init__": BASE | {"engine", "runner"},
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
    """The wing, or the module, a file belongs to."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def test_the_rule_knows_every_part() -> None:
    assert {part_of(path) for path in MODULES} <= ALLOWED.keys() | BASE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    part = part_of(path)
    allowed = ALLOWED.get(part, BASE) | {part}
    for name in imports(path):
        if name.startswith("stateheal."):
            assert name.split(".")[1] in allowed, f"{part} must not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_has_one_owner(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE).with_suffix(""))
    for name in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        if owners is not None:
            assert any(relative == owner or relative.startswith(owner + "/") for owner in owners), f"{relative}: {name}"


def test_base_modules_import_base_only() -> None:
    for name in BASE:
        used = {n.split(".")[1] for n in imports(PACKAGE / f"{name}.py") if n.startswith("stateheal.")}
        assert used <= BASE
