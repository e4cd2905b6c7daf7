"""The short way to own modules: it finds what Python finds, and leaves to it whatever is not plainly fresh."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import subprocess
import sys
import zipfile
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

import stateheal
from stateheal.imports import Finder, find_own_modules

PACKAGE = Path(stateheal.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package with one compiled module."""
    (tmp_path / "sound.py").write_text("VALUE = 1\n")
    py_compile.compile(str(tmp_path / "sound.py"), doraise=True)
    return tmp_path


def compiled(folder: Path, name: str = "sound") -> Path:
    return Path(importlib.util.cache_from_source(str(folder / f"{name}.py")))


def code_of(folder: Path, name: str = "sound") -> object:
    spec = Finder.find_spec(f"stateheal.{name}", [str(folder)])
    assert spec and spec.loader
    return spec.loader.get_code(spec.name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_each_module_is_found_as_python_finds_it(path: Path) -> None:
    py_compile.compile(str(PACKAGE / path), doraise=True)
    is_package = path.name == "__init__.py"
    dotted = (path.parent if is_package else path.with_suffix("")).parts
    name, place = f"stateheal.{'.'.join(dotted)}", [str(PACKAGE.joinpath(*dotted[:-1]))]
    ours, pythons = Finder.find_spec(name, place), PathFinder.find_spec(name, place)
    assert ours and pythons
    for attribute in ("name", "origin", "cached", "has_location", "submodule_search_locations", "parent"):
        assert getattr(ours, attribute) == getattr(pythons, attribute), attribute
    assert isinstance(ours.loader, type(pythons.loader))
    once, again, right = (each.loader.get_code(name) for each in (ours, ours, pythons))  # type: ignore[union-attr]
    assert once == again == right


def test_the_code_is_read_again_when_it_is_asked_for_again(folder: Path) -> None:
    spec = Finder.find_spec("stateheal.sound", [str(folder)])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (folder / "sound.py").write_text("VALUE = 22\n")
    spec.loader.exec_module(module)
    assert module.VALUE == 22


def test_other_modules_and_missing_ones_are_not_ours(folder: Path) -> None:
    assert Finder.find_spec("json.decoder", [str(folder)]) is None
    assert Finder.find_spec("sound", None) is None
    assert Finder.find_spec("stateheal.missing", [str(folder)]) is None


def _longer(folder: Path) -> None:
    times = (folder / "sound.py").stat()
    (folder / "sound.py").write_text("VALUE = 22\n")
    os.utime(folder / "sound.py", ns=(times.st_atime_ns, times.st_mtime_ns))


def _of_another_time(folder: Path) -> None:
    os.utime(folder / "sound.py", (1_000_000_000,) * 2)


def _by_hash(folder: Path) -> None:
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(folder / "sound.py"), invalidation_mode=mode, doraise=True)


def _cut_off(folder: Path) -> None:
    compiled(folder).write_bytes(compiled(folder).read_bytes()[:-3])


def _of_another_python(folder: Path) -> None:
    compiled(folder).write_bytes(b"\0\0\r\n" + compiled(folder).read_bytes()[4:])


def _empty(folder: Path) -> None:
    compiled(folder).write_bytes(b"")


def _without_source(folder: Path) -> None:
    (folder / "sound.py").unlink()


def _not_compiled(folder: Path) -> None:
    compiled(folder).unlink()


SPOILT = [_longer, _of_another_time, _by_hash, _cut_off, _of_another_python, _empty, _without_source, _not_compiled]


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda each: each.__name__)
def test_what_is_not_plainly_fresh_is_left_to_python(folder: Path, spoil: object) -> None:
    assert code_of(folder)
    spoil(folder)  # type: ignore[operator]
    assert Finder.find_spec("stateheal.sound", [str(folder)]) is None


START = "import sys; sys.argv[1:] = ['--version']; from stateheal.__main__ import main; main()"


@pytest.mark.processes
@pytest.mark.parametrize("flags", [[], ["-O"], ["-B"], ["-X", "pycache_prefix={}"]], ids=str)
def test_the_program_starts_however_python_compiles(flags: list[str], tmp_path: Path) -> None:
    words = [sys.executable, *(flag.format(tmp_path / "cache") for flag in flags), "-c", START]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("stateheal ")


@pytest.mark.processes
def test_the_hook_runs_from_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "program.zip", "w") as archive:
        for path in PACKAGE.rglob("*.py"):
            archive.write(path, Path("stateheal") / path.relative_to(PACKAGE))
    start = f"import sys; sys.path.insert(0, {str(tmp_path / 'program.zip')!r}); {START.replace('--version', 'hook')}"
    event = b'{"hook_event_name": "SessionStart", "cwd": "/nowhere"}'
    done = subprocess.run([sys.executable, "-c", start], input=event, capture_output=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_pythons_own_finder_stands_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", ["first", PathFinder, "last"])
    find_own_modules()
    find_own_modules()
    assert sys.meta_path == ["first", Finder, PathFinder, "last"]


PATHLIB = """
import sys
from stateheal.imports import import_pathlib
{before}
import_pathlib()
from pathlib import PurePosixPath, PureWindowsPath
print("urllib.parse" in sys.modules, PurePosixPath("/a b/\\u00e4").as_uri(), PureWindowsPath("c:/%").as_uri())
import urllib.parse
print(urllib.parse.quote("a b"), urllib.parse.urlsplit("http://[::1]/x").hostname)
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("before", "has_it"),
    [("", False), ("import urllib.parse", True), ("import pathlib", sys.version_info < (3, 13))],
)
def test_pathlib_is_whole_without_what_it_hardly_needs(before: str, has_it: bool) -> None:
    done = subprocess.run([sys.executable, "-c", PATHLIB.format(before=before)], capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    assert first.split() == [str(has_it), "file:///a%20b/%C3%A4", "file:///c:/%25"]
    assert second == "a%20b ::1"
