"""What a record claims of the processes that run its job, in whatever a companion's fields say it.

Field guide section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stateheal.formats.jsontext import Json
from stateheal.formats.times import parse_time
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.liveness import Identity
from stateheal.model.records import pid_of, text_of

_TICKS = re.compile(r"linux:([0-9]{1,18})")
_PID = frozenset(a + b + c for a in "pP" for b in "iI" for c in "dD")
"""How the names of fields that hold a pid end."""
_NO_PROCESSES = ("request", "result")
"""What was asked and answered: no process of the job's stands there."""


def hostname_of(record: Mapping[str, Json]) -> str | None:
    """The host that a fork, or our own runner, recorded as the owner's."""
    owner = record.get("owner")
    return text_of(owner, "hostname") if isinstance(owner, dict) else None


def identity_of(record: Mapping[str, Json]) -> Identity | None:
    """The process identity that our own runner records: ``owner.{bootId,pidNamespace,startTicks}``."""
    owner = record.get("owner")
    if not isinstance(owner, dict) or owner.get("tool") != "stateheal":
        return None
    boot, namespace, ticks = text_of(owner, "bootId"), text_of(owner, "pidNamespace"), owner.get("startTicks")
    if boot is None or namespace is None or not isinstance(ticks, int) or isinstance(ticks, bool):
        return None
    return Identity(boot, namespace, ticks)


def created_of(record: Mapping[str, Json]) -> float | None:
    """When the process was created that our own runner recorded, on a system without ticks."""
    owner = record.get("owner")
    if not isinstance(owner, dict) or owner.get("tool") != "stateheal":
        return None
    return parse_time(owner.get("processCreatedAt"))


def fork_ticks_of(record: Mapping[str, Json], dialect: Dialect = CODEX, pid: str = "pid") -> int | None:
    """The start ticks that forks record as ``linux:<ticks>``; any other format is unknown and ignored.

    Of a field that a companion is known to keep for this ``pid`` field, bare digits are ticks as well.
    """
    owner = record.get("owner")
    for holder in (record, owner if isinstance(owner, dict) else {}):
        for key in ("pidStartTime", "pidIdentity"):
            match = _TICKS.fullmatch(text_of(holder, key) or "") if dialect.identities.get(key, pid) == pid else None
            if match:
                return int(match[1])
    known = (_dotted(record, key) for key, named in dialect.identities.items() if named == pid)
    ticks = (_TICKS.fullmatch(value if ":" in value else f"linux:{value}") for value in known if isinstance(value, str))
    return next((int(match[1]) for match in ticks if match), None)


def _dotted(record: Mapping[str, Json], path: str) -> Json:
    """A field of the record, or of an object in it: ``worker.startKey``."""
    first, _, rest = path.partition(".")
    inner = record.get(first)
    return inner.get(rest) if rest and isinstance(inner, dict) else None if rest else inner


def other_pids(record: Mapping[str, Json]) -> Iterator[tuple[str, int]]:
    """The further processes that forks name (``childPid agentPid workerPid owner.pid …``), by field."""
    for key, value in record.items():
        if isinstance(value, dict) and key not in _NO_PROCESSES:
            yield from ((f"{key}.{inner}", pid) for inner, pid in _pids_in(value))
    yield from ((key, pid) for key, pid in _pids_in(record) if key != "pid")


def _pids_in(record: Mapping[str, Json]) -> Iterator[tuple[str, int]]:
    for key, value in record.items():
        pid = pid_of(value) if key[-3:] in _PID else None
        if pid is not None and pid > 1:
            yield key, pid
