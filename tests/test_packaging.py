"""The wheel and the sdist: the same bytes wherever and whenever they are built, and they install and work."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import stateheal
from stateheal.evidence.schema import NAMES
from tests.packages import Packages, build, install, skip_without_registry, sources, tool
from tests.support import PROJECT

pytestmark = pytest.mark.processes
SAMPLE = PROJECT / "samples" / "polluted"


def digests(*packages: Packages) -> set[tuple[str, str]]:
    """The digests of wheel and sdist; one pair where all builds came to the same."""

    def of(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    return {(of(each.wheel), of(each.sdist)) for each in packages}


def wheel_names(packages: Packages) -> set[str]:
    with zipfile.ZipFile(packages.wheel) as archive:
        return set(archive.namelist())


def sdist_names(packages: Packages) -> set[str]:
    with tarfile.open(packages.sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


# --- reproducible --------------------------------------------------------------------------------------------------


def test_two_builds_are_the_same_bytes(packages: Packages, tmp_path: Path) -> None:
    """Elsewhere, under another umask, of files with other times and modes, with caches and editors' leavings about."""
    source = sources(tmp_path / "another place" / "source")
    for number, path in enumerate(sorted(source.rglob("*"))):
        os.utime(path, (10**9 + number, 10**9 + number))
        path.chmod(0o700 if path.is_dir() else 0o600)
    for name in ("stateheal/__pycache__/x.pyc", "tests/.hypothesis/x", "build/x", "dist/x.whl", ".venv/x", "notes.txt"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    assert len(digests(packages, build(source, tmp_path / "dist", umask=0o077))) == 1


def test_a_source_date_moves_the_times_alone(packages: Packages, tmp_path: Path) -> None:
    source = sources(tmp_path / "source")
    dated = [build(source, tmp_path / name, epoch="1700000000") for name in ("one", "two")]
    assert len(digests(*dated)) == 1 and digests(*dated) != digests(packages)
    assert wheel_names(dated[0]) == wheel_names(packages) and sdist_names(dated[0]) == sdist_names(packages)
    with zipfile.ZipFile(dated[0].wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}


def test_the_sdist_builds_the_same_packages(packages: Packages, tmp_path: Path) -> None:
    with tarfile.open(packages.sdist) as archive:
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (source,) = tmp_path.glob("stateheal-*")
    again = build(source, tmp_path / "dist")
    assert digests(again) == digests(packages)


# --- what is inside ------------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_package_and_its_schemas(packages: Packages) -> None:
    names = wheel_names(packages)
    info = f"stateheal-{stateheal.__version__}.dist-info"
    files = [path for path in (PROJECT / "stateheal").rglob("*") if path.is_file()]
    package = {path.relative_to(PROJECT).as_posix() for path in files if "__pycache__" not in path.parts}
    schemas = {f"stateheal/schemas/{name}.schema.json" for name in NAMES}
    about = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert names == package | schemas | about and "stateheal/py.typed" in names
    with zipfile.ZipFile(packages.wheel) as archive:
        assert {entry.external_attr >> 16 & 0o777 for entry in archive.infolist()} == {0o644}
        assert "Root-Is-Purelib: true" in archive.read(f"{info}/WHEEL").decode()


def test_the_sdist_holds_what_the_readme_speaks_of(packages: Packages) -> None:
    names = sdist_names(packages)
    for name in (
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "pyproject.toml",
        "tests/test_packaging.py",
    ):
        assert name in names
    for folder in ("samples/polluted", "samples/fleet", "samples/ci", "tests/cases", "schemas"):
        assert any(name.startswith(folder + "/") for name in names), folder
    assert not any(part in name for name in names for part in ("__pycache__", ".venv", ".git/", "_cache"))


# --- installed -----------------------------------------------------------------------------------------------------


def ask(*command: str | Path, cwd: Path, status: int = 0) -> str:
    """Run a program away from the project's directory and path. Returns its output."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(each) for each in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def assert_works(programs: Path, cwd: Path) -> None:
    """The way that the README goes, with an installed stateheal."""
    program = programs / "stateheal"
    assert ask(program, "--version", cwd=cwd) == f"stateheal {stateheal.__version__}\n"
    assert json.loads(ask(program, "schema", "report", cwd=cwd))["title"] == "stateheal report"
    before = {path: path.read_bytes() for path in SAMPLE.rglob("*") if path.is_file()}
    shown = ask(program, "heal", "--dry-run", SAMPLE, cwd=cwd, status=1)
    assert re.search("1[02] would be healed", shown) and '+      "status": "failed",' in shown
    assert ask(program, "heal", "--dry-run", "--exit-zero", SAMPLE, cwd=cwd) == shown
    assert {path: path.read_bytes() for path in SAMPLE.rglob("*") if path.is_file()} == before
    copy = cwd / "copy"
    shutil.copytree(SAMPLE, copy)
    assert re.search("1[02] healed", ask(program, "heal", copy, cwd=cwd))  # two brokers may be a container's for a day
    assert "undone" in ask(program, "undo", cwd=cwd)
    assert ask(program, "hook", "--config", cwd=cwd).startswith("{")
    assert ask(program, "completion", "bash", cwd=cwd)


@pytest.mark.proc("a stateheal of its own judges nobody on a Linux whose /proc is empty")
def test_an_installed_wheel_works(packages: Packages, tmp_path: Path) -> None:
    programs = install(packages.wheel, tmp_path / "venv")
    python = programs / "python"
    where = ask(python, "-c", "import stateheal; print(stateheal.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path / "venv")), "not the tree under test"
    assert_works(programs, tmp_path)
    for command in ([python, "-m", "stateheal"], [python, "-I", "-m", "stateheal"]):
        assert ask(*command, "--version", cwd=tmp_path) == f"stateheal {stateheal.__version__}\n"
    (tmp_path / "json.py").write_text("raise SystemExit('a planted module was imported')\n")
    assert ask(python, "-m", "stateheal", "rules", cwd=tmp_path) == ask(programs / "stateheal", "rules", cwd=tmp_path)


def installs(command: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=300)
    skip_without_registry(done)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_pipx_installs_it(packages: Packages, tmp_path: Path, kind: str) -> None:
    where: dict[str, Any] = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    where |= {"PIPX_MAN_DIR": str(tmp_path / "man"), "PIPX_DEFAULT_PYTHON": sys.executable}
    installs([tool("pipx"), "install", str(getattr(packages, kind))], where)
    assert_works(tmp_path / "bin", tmp_path)


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_uv_installs_it(packages: Packages, tmp_path: Path, kind: str) -> None:
    where = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    where |= {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_CONFIG": "1", "UV_PYTHON": sys.executable}
    installs([tool("uv"), "tool", "install", str(getattr(packages, kind))], where)
    assert_works(tmp_path / "bin", tmp_path)
