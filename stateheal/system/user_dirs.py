"""Where this user's files of stateheal belong: as platformdirs says, on Linux without importing it.

There it is two variables (XDG base directory specification), and the import costs a hook more than the rest of its way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_XDG = {"state": ("XDG_STATE_HOME", ".local/state"), "config": ("XDG_CONFIG_HOME", ".config")}


def user_dir(kind: str, environ: Mapping[str, str] | None = None) -> str:
    """The directory for the ``state`` or the ``config`` of stateheal; relative where the system tells of no home."""
    env = os.environ if environ is None else environ
    home = os.path.expanduser("~")
    if sys.platform != "linux" or "ANDROID_DATA" in env or not os.path.isabs(home):
        import platformdirs

        return str(getattr(platformdirs, f"user_{kind}_dir")("stateheal", appauthor=False))
    name, default = _XDG[kind]
    given = env.get(name, "")
    return os.path.join(given if os.path.isabs(given) else os.path.join(home, default), "stateheal")
