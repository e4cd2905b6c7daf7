"""Reading a job record, or an index entry, without trusting it: any field may hold anything.

Field guide sections 2 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stateheal.formats.jsontext import Json
from stateheal.formats.times import DAY, parse_time
from stateheal.model.disk import ACTIVE, FINISHED
from stateheal.model.liveness import Identity
from stateheal.text import shorten

TIME_FIELDS = ("createdAt", "startedAt", "updatedAt", "completedAt", "cancelledAt")
_COMPANION_ID = re.compile(r"(?:task|review|adversarial-review|job)-[0-9a-z]{6,12}-[0-9a-z]{4,8}")
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}")
_TICKS = re.compile(r"linux:([0-9]{1,18})")


def pid_of(value: Json) -> int | None:
    """The pid a record names: an integer, a whole number or a string of digits. Anything else names none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return None


NOT_RECORDS = (".request.json",)
"""How forks end the names of files that they keep beside the records; some hold secrets, so they are not opened."""
ENDING = ("status", "phase", "pid", "completedAt", "errorMessage", "cancelledAt")
"""Keys that say how a job ended: they are taken from one source, never mixed."""
IDENTITY = ("jobClass", "kind", "title", "workspaceRoot", "sessionId", "logFile", "createdAt")
"""Keys that an entry has as long as its job file has them: without them it is a stub."""
LOST_PHASES = ("orphaned", "terminated")
_NO_PROCESSES = ("request", "result")
"""What was asked and answered: no process of the job's stands there."""
ENTRY_LACKS = ("result", "rendered", "cancelledAt")
"""Keys of a job file that its index entry never has."""


def is_plain_id(text: str) -> bool:
    """Whether an id can be a file name and nothing else: a job of any other id is never added to an index."""
    return _PLAIN_ID.fullmatch(text) is not None


def is_file_name(text: str) -> bool:
    """Whether an id names a file right where it is looked for: of any other the plugin deletes what it leads to."""
    return not any(char in text for char in "/\\\0") and text not in (".", "..")


def is_companion_id(text: str) -> bool:
    """Whether this is an id as the plugin makes them: ``task-mnyhf4jl-1mnkv1``."""
    return _COMPANION_ID.fullmatch(text) is not None


def entries_of(index: Json) -> list[Json]:
    """The entries of an index, whatever they are; none where the index has no list of them."""
    jobs = index.get("jobs") if isinstance(index, dict) else None
    return jobs if isinstance(jobs, list) else []


def text_of(record: Mapping[str, Json], key: str) -> str | None:
    """A field's text, ``None`` where it is absent, empty or no text."""
    value = record.get(key)
    return value if isinstance(value, str) and value else None


def label_of(*sides: Mapping[str, Json]) -> str | None:
    """What a job is, on one short line: ``Codex Task: look into the slow query``; ``None`` where no side says.

    The first side that has a field counts: the job file's summary is the prompt, a finished entry's its result.
    """
    found = [next((text for side in sides if (text := text_of(side, key))), None) for key in ("title", "summary")]
    line = ": ".join(each.strip() for each in found if each and each.strip())
    return shorten(line) if line else None


def is_active(record: Json) -> bool:
    """Whether the record says ``queued`` or ``running``."""
    status = record.get("status") if isinstance(record, dict) else None
    return isinstance(status, str) and status in ACTIVE


def is_finished(record: Json) -> bool:
    """Whether the record says ``completed``, ``failed`` or ``cancelled``."""
    status = record.get("status") if isinstance(record, dict) else None
    return isinstance(status, str) and status in FINISHED


def is_lost(record: Json) -> bool:
    """Whether the record was closed because its process had died or was ended: there may be more than it tells."""
    return isinstance(record, dict) and record.get("status") == "failed" and record.get("phase") in LOST_PHASES


def time_of(record: Mapping[str, Json], key: str, now: float) -> float | None:
    """A time field; ``None`` where it holds no time, or one more than a day in the future."""
    moment = parse_time(record.get(key))
    return None if moment is None or moment > now + DAY else moment


def own_times(record: Mapping[str, Json], now: float) -> Iterator[float]:
    """Every time the record itself gives."""
    for key in TIME_FIELDS:
        moment = time_of(record, key, now)
        if moment is not None:
            yield moment


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


def fork_ticks_of(record: Mapping[str, Json]) -> int | None:
    """The start ticks that forks record as ``linux:<ticks>``; any other format is unknown and ignored."""
    owner = record.get("owner")
    for holder in (record, owner if isinstance(owner, dict) else {}):
        for key in ("pidStartTime", "pidIdentity"):
            match = _TICKS.fullmatch(text_of(holder, key) or "")
            if match:
                return int(match[1])
    return None


def other_pids(record: Mapping[str, Json]) -> Iterator[tuple[str, int]]:
    """The further processes that forks name (``childPid agentPid workerPid owner.pid …``), by field."""
    for key, value in record.items():
        if isinstance(value, dict) and key not in _NO_PROCESSES:
            yield from ((f"{key}.{inner}", pid) for inner, pid in _pids_in(value))
    yield from ((key, pid) for key, pid in _pids_in(record) if key != "pid")


def _pids_in(record: Mapping[str, Json]) -> Iterator[tuple[str, int]]:
    for key, value in record.items():
        pid = pid_of(value) if key.lower().endswith("pid") else None
        if pid is not None and pid > 1:
            yield key, pid
