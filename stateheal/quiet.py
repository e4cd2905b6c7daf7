"""Jobs of which there is nothing to find: ended, by two records that stand in their places and tell the same.

Most jobs of most workspaces are of this kind, and no rule need look at them. A property test shows that the rules, when
they do look, find nothing. Pure; whether both records are valid by their schema is known to whoever asks.
"""

from __future__ import annotations

from stateheal.jsontext import Json
from stateheal.model import FINISHED, GATE_TITLE
from stateheal.records import IDENTITY, LOST_PHASES

_IDENTITY = frozenset(IDENTITY)


def is_quiet(ident: str, entry: dict[str, Json], record: dict[str, Json], log: str) -> bool:
    """Whether no rule has anything to say of a job of a codex companion. ``log``: the one right path of its log."""
    said, told = entry.get, record.get
    status = told("status")
    return (
        status in FINISHED
        and said("status") == status
        and told("id") == ident
        and said("pid") is None
        and told("pid") is None
        and said("logFile") in (None, log)
        and told("logFile") in (None, log)
        and said("title") != GATE_TITLE
        and told("title") != GATE_TITLE
        and _has_no_message_too_much(status, entry, record)
        and (said("phase") not in LOST_PHASES and told("phase") not in LOST_PHASES)
        and (entry.keys() >= _IDENTITY or not any(told(key) and key not in entry for key in IDENTITY))
        and not ("\\" in ident or ident in (".", ".."))
    )


def _has_no_message_too_much(status: str, entry: dict[str, Json], record: dict[str, Json]) -> bool:
    """A completed job with an error's message may carry what an orphan left behind."""
    return status != "completed" or (entry.get("errorMessage") is None and record.get("errorMessage") is None)
