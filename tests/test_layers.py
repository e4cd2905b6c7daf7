"""The import rule of the house: data flows down one corridor, and the rooms of one floor do not know each other."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "stateheal"
FLOORS = (
    {"digests", "enums", "imports", "patterns", "values"},
    {"errors", "version", "text"},
    {"formats"},
    {"model"},
    {"system"},
    {"fs", "report", "dialects"},
    {"evidence", "diagnosis", "commit"},
    {"engine"},
    {"migrate", "export", "runner", "hook"},
    {"cli"},
    {"__main__", "__init__"},
)
LEVEL = {part: number for number, parts in enumerate(FLOORS) for part in parts}
OWNERS = {
    "click": {"cli"},
    "rich": {"cli", "report"},
    "jsonschema": {"evidence/schema"},
    "psutil": {"evidence/processes"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """The file's syntax, every node of it."""
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at any depth."""
    for node in nodes(path):
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


def everywhere(look: Callable[[Path], Iterator[str]], paths: Iterable[Path] = MODULES) -> list[str]:
    """What a look finds in each module, with its path."""
    return [f"{path.relative_to(PACKAGE).as_posix()}: {found}" for path in paths for found in look(path)]


def upward(path: Path) -> Iterator[str]:
    """Imports that do not go down."""
    part = part_of(path)
    for name in imports(path):
        if name.startswith("stateheal.") and name.split(".")[1] != part:
            if LEVEL[name.split(".")[1]] >= LEVEL[part]:
                yield name


def test_imports_go_down_only() -> None:
    assert not everywhere(upward)


def owned_by_others(path: Path) -> Iterator[str]:
    relative = path.relative_to(PACKAGE).with_suffix("").as_posix()
    for name in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        if owners is not None and not any(relative == each or relative.startswith(each + "/") for each in owners):
            yield name


def test_a_library_has_one_owner() -> None:
    assert not everywhere(owned_by_others)


DEAR = {"typing", "dataclasses", "inspect", "orjson", "hashlib", "tempfile", "shutil", "uuid", "copy", "asyncio"}
"""What no module imports when it is imported: every command would pay for it. Type checkers may."""


def imported_at_once(tree: ast.AST) -> Iterator[str]:
    """Modules that are imported along with a module: not in a function, not for a type checker alone."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def test_what_costs_much_is_imported_when_it_is_needed() -> None:
    rooms = ("text", "formats", "model", "fs", "dialects", "evidence", "diagnosis", "commit", "engine", "runner")
    paths = [path for path in MODULES if part_of(path) in rooms]
    found = {path: {name.split(".")[0] for name in imported_at_once(nodes(path)[0])} & DEAR for path in paths}
    assert not {path: names for path, names in found.items() if names}


PURE = [path for path in MODULES if part_of(path) in ("text", "formats", "model", "diagnosis")]
"""Rooms whose functions take values and give values: no file, clock, process or environment."""
DENIED_MODULES = {"io", "glob", "shutil", "subprocess", "socket", "tempfile", "time", "platform", "random", "secrets"}
DENIED_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "open_directory"}
DENIED_METHODS = {
    *("now", "today", "utcnow", "getenv", "cwd", "home", "exists", "is_file", "is_dir", "stat", "lstat", "resolve"),
    *("read_text", "read_bytes", "write_text", "write_bytes", "unlink", "iterdir", "realpath", "isdir", "isfile"),
    *("rglob", "mkdir", "touch", "samefile", "getmtime", "getsize", "lexists", "islink"),
}


def impurities(tree: ast.AST) -> Iterator[str]:
    """What a pure module must not do, as far as its text shows it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {each.name}" for each in node.names if each.name.split(".")[0] in DENIED_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {*DENIED_MODULES, "os"}:
            yield f"from {node.module} import"
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "os" and node.attr not in ("path", "sep"):
                yield f"os.{node.attr}"
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in DENIED_CALLS:
                yield f"{called.id}()"
            elif isinstance(called, ast.Attribute) and called.attr in DENIED_METHODS:
                yield f".{called.attr}()"


def touching(path: Path) -> Iterator[str]:
    yield from impurities(nodes(path)[0])
    if part_of(path) == "diagnosis":
        yield from (name for name in imports(path) if name.startswith(("stateheal.fs", "stateheal.report")))


def test_what_decides_touches_nothing() -> None:
    assert not everywhere(touching, PURE)


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from os import getpid",
        "import os; os.getcwd()",
        "open('x')",
        "with open_directory(p) as d: pass",
        "datetime.now()",
        "Path('x').exists()",
        "os.path.realpath(x)",
    ],
)
def test_an_impurity_is_seen(text: str) -> None:
    assert list(impurities(ast.parse(text)))
