"""What stands where a project directory should be and is not.

A directory on a file system that is not mounted now, and one of another system, are absent, too.
"""

from __future__ import annotations

import os
import sys

from stateheal.model.evidence import Absence
from stateheal.patterns import pattern

_TABLE = "/etc/fstab"
_OCTAL = pattern(r"\\([0-7]{3})")


def look_above(home: str) -> Absence:
    """The facts about an absent directory's nearest directory above it. Never raises."""
    above = list(_upwards(os.path.realpath(home)))  # a link that leads nowhere: its goal is what is absent
    there = next((path for path in above[1:] if os.path.isdir(path)), None)
    if there is None:
        return Absence(None)
    standing = list(_upwards(there))
    mounted = next((path for path in standing[:-1] if os.path.ismount(path)), None)
    planned = next((path for path in above if path in _planned_mounts() and not os.path.ismount(path)), None)
    try:
        changed: float | None = os.stat(there).st_mtime
    except OSError:
        changed = None
    return Absence(there, len(standing) == 1, changed, mounted, planned)


def _upwards(path: str) -> list[str]:
    """A path and every directory above it, up to its root."""
    found = [path]
    while (parent := os.path.dirname(found[-1])) != found[-1]:
        found.append(parent)
    return found


def _planned_mounts() -> frozenset[str]:
    """Where the system's own table would have something mounted (fstab(5)), the root left out."""
    if sys.platform == "win32":
        return frozenset()
    try:
        with open(_TABLE, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return frozenset()
    named = {_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), line[1]) for line in lines if len(line) > 1}
    return frozenset(os.path.normpath(path) for path in named if path.startswith("/") and path != "/")
