"""Runs the tests on CPython for Windows under Wine: ``python -m tests.systems.wine [options] [pytest arguments]``.

Everything lives in one cache directory: a Wine prefix whose drive C holds the interpreter (C:\\py), node (C:\\node) and
a copy of this project (C:\\project). What is needed comes from the package index by pip; Wine must be there (Debian:
``apt-get install --no-install-recommends wine wine64``). ``--quick`` runs the part that ``.ci/run`` runs. Wine is not
Windows: what it cannot show is said in stateheal/help/systems.md. Field guide section 12.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.systems.prefix import CANNOT, prepare, windows_environment

PROJECT = Path(__file__).parent.parent.parent
PLUGINS = [
    *("-p", "tests.systems.wine_guard"),
    *("-p", "no:cacheprovider"),
    *("-p", "no:faulthandler"),  # Wine raises faults and handles them
]
QUICK = [
    *("tests/system", "tests/commit/test_closed.py", "tests/commit/test_atomic.py", "tests/commit/test_swap.py"),
    *("tests/formats", "tests/runner/test_everywhere.py"),
]
"""What differs on Windows, without what takes long there."""
_SKIPPED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "node_modules", "dist", "build")


def main() -> int:
    """Prepare, copy, run. Returns pytest's exit status, 124 where the time was over, 77 where Wine cannot be had."""
    options, pytest = _arguments()
    if shutil.which("wine") is None:
        print("wine is not installed (Debian: apt-get install --no-install-recommends wine wine64)", file=sys.stderr)
        return CANNOT
    prefix = options.cache / "prefix"
    options.cache.mkdir(parents=True, exist_ok=True)
    with (options.cache / "lock").open("w") as lock:  # one run at a time: they share drive C
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepare(prefix, PROJECT, options.rebuild, lambda *line: run(prefix, *line, quiet=True))
        copy = prefix / "drive_c" / "project"
        if not options.keep:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(PROJECT, copy, symlinks=True, ignore=_SKIPPED)
        for left in prefix.glob("drive_c/users/*/Temp/*"):  # of earlier runs: pytest would take minutes to remove it
            shutil.rmtree(left, ignore_errors=True)
        try:
            if run(prefix, "C:\\py\\python.exe", "-c", "import psutil, orjson, pytest", quiet=True):
                print("wine: the interpreter for Windows does not start here", file=sys.stderr)
                return CANNOT
            return run(prefix, "C:\\py\\python.exe", *_command(options, pytest), folder=copy, timeout=options.timeout)
        finally:
            run(prefix, "wineboot", "--kill", "--force", quiet=True)


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "stateheal-wine"
    parser = argparse.ArgumentParser(
        prog="python -m tests.systems.wine",
        description="Run the tests on CPython for Windows under Wine.",
        allow_abbrev=False,
    )
    parser.add_argument("--cache", type=Path, default=cache, help=f"where the prefix is kept (default: {cache})")
    parser.add_argument("--quick", action="store_true", help="what differs on Windows, without what takes long")
    parser.add_argument("--rebuild", action="store_true", help="build the prefix anew")
    parser.add_argument("--keep", action="store_true", help="run on the copy of the project that is there")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for the whole run")
    parser.add_argument("--command", nargs=argparse.REMAINDER, help="arguments for python.exe in place of pytest")
    options, pytest = parser.parse_known_args()
    options.cache = options.cache.resolve()
    return options, pytest


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without one
        return Path(tempfile.gettempdir())


def _command(options: argparse.Namespace, pytest: list[str]) -> list[str]:
    return options.command or ["-m", "pytest", *PLUGINS, *(QUICK if options.quick else []), *pytest]


def run(prefix: Path, *line: str, folder: Path | None = None, timeout: float = 300, quiet: bool = False) -> int:
    """Run a Windows program. Returns its status.

    Every standard stream must be a pipe, or Python does not start; a process that is left behind may hold it open.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    command, environment = ["wine", *line], windows_environment(prefix)
    with subprocess.Popen(command, env=environment, cwd=folder or prefix, **pipes) as child:
        child.stdin.close()
        relay = None if quiet else subprocess.Popen(["cat"], stdin=child.stdout)
        child.stdout.close()
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            print(f"no end after {timeout:.0f} seconds", file=sys.stderr)
            return 124
        finally:
            if relay:
                _let_go(relay)


def _let_go(relay: subprocess.Popen[bytes]) -> None:
    try:
        relay.wait(5)
    except subprocess.TimeoutExpired:
        relay.kill()


if __name__ == "__main__":
    sys.exit(main())
