"""Where the journal is."""

from __future__ import annotations

import os
from pathlib import Path

from stateheal.errors import UsageError
from stateheal.system.user_dirs import user_dir

STATE_DIR = "STATEHEAL_STATE_DIR"


def journal_path() -> Path:
    """Where the journal is: ``$STATEHEAL_STATE_DIR``, else the user's state directory.

    Raises ``UsageError`` for a place that would be another one from every directory: nothing could be undone there.
    """
    given = os.environ.get(STATE_DIR)
    if given:
        return _absolute(STATE_DIR, given)
    return _absolute("XDG_STATE_HOME", user_dir("state"))


def _absolute(name: str, given: str) -> Path:
    path = os.path.expanduser(given)
    if not os.path.isabs(path):
        raise UsageError(f"{name} is {given!r}: it must be an absolute path")
    return Path(path)
