"""What our own temporary files beside a companion's are called, and what such a name tells."""

from __future__ import annotations

import os
import re

from stateheal.digests import sha256
from stateheal.patterns import pattern
from stateheal.values import NamedTuple

TEMP_PREFIX = ".stateheal-"
_LONGEST = 120
_OWN_NAME = pattern(
    r"\.stateheal-(?:(?P<run>\d{4,}-[0-9TZ]+)|(?P<job>(?:task|review)-[0-9a-z]+-[0-9a-z]{6}))"
    r"-(?P<name>.+)(?P<suffix>\.(?:tmp|old))",
    re.DOTALL,
)


def own_name(run: str, name: str, suffix: str) -> str:
    """The name of a temporary file of ours that belongs to a file; of a long name a digest must do."""
    if len(os.fsencode(name)) > _LONGEST:
        name = sha256(os.fsencode(name))[:32]
    return f"{TEMP_PREFIX}{run}-{name}{suffix}"


class OwnName(NamedTuple):
    """What the name of a temporary file of ours tells."""

    run: str
    """The run of a heal, or the tracked job, that made it."""
    of_job: bool
    name: str
    """The file that it belongs to; of a long name a digest."""
    suffix: str


def parse_own_name(text: str) -> OwnName | None:
    """Read what ``own_name`` has written; ``None`` for a name that is none of ours."""
    match = _OWN_NAME.fullmatch(text) if text.startswith(TEMP_PREFIX) else None
    if match is None:
        return None
    return OwnName(match["run"] or match["job"], match["run"] is None, match["name"], match["suffix"])
