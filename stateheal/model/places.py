"""Where state is looked for."""

from __future__ import annotations

from pathlib import Path

from stateheal.values import NamedTuple


class Looked(NamedTuple):
    """One place where plugins may keep state."""

    path: Path
    there: bool
    in_temp: bool = False
    """A companion falls back to it, in a temp directory: there are many of them."""
