"""Where the journal is."""

from __future__ import annotations

import os
from pathlib import Path


def journal_path() -> Path:
    """Where the journal is: ``$STATEHEAL_STATE_DIR``, else the user's state directory."""
    given = os.environ.get("STATEHEAL_STATE_DIR")
    if given:
        return Path(given)
    import platformdirs  # only where it is needed: the hook counts milliseconds

    return Path(platformdirs.user_state_dir("stateheal", appauthor=False))
