"""What a test may need of the system it runs on: each test that needs it says so itself, and why.

``posix``: what Windows has not. ``links``: symbolic links that are really made (Windows wants a privilege for them,
Wine only says that it makes them). ``proc``: Linux's /proc. ``leases``: Linux's read leases. ``windows``: what only
Windows has.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stateheal.fs.lease import can_lease


@functools.cache
def makes_links() -> bool:
    """Whether this system makes symbolic links when it says so."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "link")
        try:
            link.symlink_to(folder)
        except OSError:
            return False
        return link.is_symlink()


@functools.cache
def leases_are_given() -> bool:
    """Whether this system gives read leases on a file of our own."""
    with tempfile.TemporaryFile() as file:
        return can_lease(file.fileno())


NEEDS: dict[str, Callable[[], bool]] = {
    "posix": lambda: os.name == "posix",
    "links": makes_links,
    "proc": lambda: Path("/proc/self/stat").exists(),
    "leases": leases_are_given,
    "windows": lambda: sys.platform == "win32",
}


def skip_unless_met(item: pytest.Item) -> None:
    """Skip a test that this system has not what it needs for; the reason names the need."""
    for need, is_met in NEEDS.items():
        for marker in item.iter_markers(need):
            if not is_met():
                pytest.skip(f"{need}: {marker.args[0]}")


def write_as_the_plugin() -> None:
    """On Windows, texts that a test writes or reads are UTF-8 with plain line feeds, as the plugin's own are.

    Only calls that a test makes itself: the product's own must not be mended on the way.
    """
    write, read = Path.write_text, Path.read_text

    def is_a_tests() -> bool:
        return str(sys._getframe(2).f_globals.get("__name__", "")).startswith("tests")

    def write_text(self: Path, data: str, encoding: str | None = None, *rest: str, newline: str | None = None) -> int:
        if is_a_tests():
            encoding, newline = encoding or "utf-8", "\n" if newline is None else newline
        return write(self, data, encoding, *rest, newline=newline)

    def read_text(self: Path, encoding: str | None = None, *rest: str) -> str:
        return read(self, encoding or ("utf-8" if is_a_tests() else None), *rest)

    Path.write_text, Path.read_text = write_text, read_text
