"""Builds and installs the project as its users get it, and finds the programs that do so."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import PROJECT

_PARTS = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", ".gitignore")
_TREES = ("stateheal", "schemas", "tests", "samples")
_UNREACHED = "No matching distribution|Connection|ConnectError|Failed to fetch|Temporary failure|dns error|timed out"


@dataclass(frozen=True)
class Packages:
    """What one build made."""

    wheel: Path
    sdist: Path


def tool(name: str) -> str:
    """A program that is not the project's own (Ansible, pre-commit, …); without it the test is skipped.

    STATEHEAL_TEST_TOOLS names a directory of such programs, the ``bin`` of a virtual environment for example.
    """
    found = shutil.which(name, path=os.environ.get("STATEHEAL_TEST_TOOLS") or None)
    if found is None:
        pytest.skip(f"needs {name}")
    return os.path.abspath(found)


def sources(target: Path) -> Path:
    """Copy what a build reads: not the virtual environments and caches that lie beside it."""
    target.mkdir(parents=True)
    for name in _PARTS:
        if (PROJECT / name).exists():
            shutil.copy(PROJECT / name, target)
    for name in _TREES:
        shutil.copytree(PROJECT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    return target


def build(source: Path, out: Path, *targets: str, umask: int = 0o022, epoch: str | None = None) -> Packages:
    """Build with hatchling, which the build front ends call as well."""
    for module in ("hatchling", "pip"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    env = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    options = [each for target in targets or ("wheel", "sdist") for each in ("-t", target)]
    old = os.umask(umask)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-d", str(out), *options],
            cwd=source,
            env={**env, **({"SOURCE_DATE_EPOCH": epoch} if epoch else {})},
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        os.umask(old)
    assert done.returncode == 0, done.stdout + done.stderr
    return Packages(next(out.glob("*.whl"), out / "none"), next(out.glob("*.tar.gz"), out / "none"))


def install(wheel: Path, place: Path) -> Path:
    """A fresh virtual environment with the wheel in it. Returns its directory of programs.

    Its dependencies are those of this environment, by a path: an editable stateheal here is not seen through it, since
    the .pth files of a directory on the path are not read.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True, timeout=120)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(programs / "python"),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*pip, str(wheel)], check=True, timeout=120)
    ask = [str(programs / "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = Path(subprocess.run(ask, capture_output=True, text=True, check=True, timeout=60).stdout.strip())
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def skip_without_registry(done: subprocess.CompletedProcess[str]) -> None:
    """Skip the test if an installer has failed because nothing can be downloaded here."""
    if done.returncode and re.search(_UNREACHED, done.stdout + done.stderr):
        pytest.skip("needs a package registry")
