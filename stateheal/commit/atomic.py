"""Replace, make or remove one file, or lose nothing trying (DESIGN.md promises 3 and 4)."""

from __future__ import annotations

from stateheal.commit.creation import Creation
from stateheal.commit.files import Target, named_errors
from stateheal.commit.removal import Removal
from stateheal.commit.replacement import Replacement
from stateheal.commit.swap import Swap
from stateheal.fs.directory import Directory


def replace_file(directory: Directory, target: Target, data: bytes, tag: str, mtime_ns: int | None = None) -> None:
    """Put ``data`` in the place of the target. ``tag`` makes the temporary names this run's own.

    With ``mtime_ns`` the file gets that age. Raises ``Conflict`` where the file changed meanwhile, ``Refused`` where
    mode, owner or attributes cannot be kept, ``WriteError`` where the system failed. In each case the old bytes, or
    whatever a live writer made of them, are still in place; ``Overwritten`` where somebody wrote over the new ones.
    """
    _whole(directory, Replacement(directory, target, data, tag, mtime_ns))


def create_file(directory: Directory, target: Target, data: bytes, tag: str, mtime_ns: int | None = None) -> None:
    """Put ``data`` under a name that nobody has; the target's stat says whose it is to be and with which mode.

    Raises ``Conflict`` where the name is taken by now, otherwise as ``replace_file``.
    """
    _whole(directory, Creation(directory, target, data, tag, mtime_ns))


def remove_file(directory: Directory, target: Target, tag: str) -> None:
    """Remove the target if it is still what it was. Raises ``Conflict`` or ``WriteError``; then it is still there."""
    _whole(directory, Removal(directory, target, None, tag))


def _whole(directory: Directory, swap: Swap) -> None:
    with swap:
        swap.prepare()
        swap.sync()
        swap.perform()
        try:
            with named_errors(swap.target.name):
                directory.sync()
        finally:
            swap.settle()
