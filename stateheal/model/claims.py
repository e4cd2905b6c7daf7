"""What a record claims of the processes that run its job, in whatever a companion's fields say it.

Field guide section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stateheal.formats.jsontext import Json
from stateheal.formats.times import parse_time
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.liveness import Identity
from stateheal.model.records import pid_of, text_of
from stateheal.patterns import pattern

_TICKS = pattern(r"linux:([0-9]{1,18})")
_PID = frozenset(a + b + c for a in "pP" for b in "iI" for c in "dD")
"""How the names of fields that hold a pid end."""
_NO_PIDS = frozenset(["cupid", "insipid", "intrepid", "limpid", "lipid", "rapid", "stupid", "tepid", "torpid", "vapid"])
"""English words that end so. All others may be a companion's: ``childpid`` keeps its process."""
_LAST_WORD = pattern(r"[A-Z]?[a-z]+$")
_PID_WORDS = ("pids", "processid", "process_id", "process", "pgid")
_DEEPEST = 4
"""Levels below a field of the record that are looked into."""
_NO_PROCESSES = ("request", "result")
"""What was asked and answered: no process of the job's stands there."""


_HOLDERS = (dict, list)
_LAST = frozenset("dDsS")
"""How a field's name ends that may hold a pid by it."""
_NONE = frozenset(["id", "kind", "threadId", "turnId", "sessionId", "jobClass", "status"])
"""Fields that most records have and whose names end so, but tell no further process."""


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


def fork_ticks_of(record: Mapping[str, Json], dialect: Dialect, pid: str) -> int | None:
    """The start ticks that forks record as ``linux:<ticks>``; any other format is unknown and ignored.

    Of a field that a companion is known to keep for this ``pid`` field, bare digits are ticks as well.
    """
    owner = record.get("owner")
    if not (dialect.identities or isinstance(owner, dict) or "pidStartTime" in record or "pidIdentity" in record):
        return None
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


def other_pids(record: Mapping[str, Json], dialect: Dialect = CODEX) -> Iterator[tuple[str, int]]:
    """The further processes that forks name (``childPid agentPid owner.pid children.0.pid pids`` …), by field.

    Of several fields for a job's owner the most telling alone is none of them: the others may outlive it.
    """
    own = dialect.pids[0]
    for key, value in record.items():
        if isinstance(value, _HOLDERS):
            if key not in _NO_PROCESSES:
                yield from _pids_in(key, value, names_pid(key), _DEEPEST)
        elif key[-1:] in _LAST and key not in _NONE and key != own and names_pid(key):
            yield from _pids_in(key, value, True, 0)


def pids_in(value: Json) -> Iterator[tuple[str, int]]:
    """Every process that a value of whatever shape names, by field."""
    yield from _pids_in("", value, False, _DEEPEST)


def _pids_in(path: str, value: Json, is_pid: bool, depth: int) -> Iterator[tuple[str, int]]:
    if isinstance(value, _HOLDERS):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in members if depth else ():
            # A list of pids holds pids; what is called a process (``process``, ``childProcess``) may have an id.
            of_process = key == "id" and path[-7:].lower() == "process"
            named = is_pid if isinstance(value, list) else of_process or names_pid(str(key))
            yield from _pids_in(f"{path}.{key}", inner, named, depth - 1)
        return
    pid = pid_of(value) if is_pid else None
    if pid is not None and pid > 1:
        yield path, pid


def names_pid(key: str) -> bool:
    """Whether a field holds a pid by its name; the last letter is looked at first, since most fields end otherwise."""
    if key[-3:] in _PID:
        word = _LAST_WORD.search(key)
        return word is None or word[0].lower() not in _NO_PIDS
    return key[-1:] in _LAST and key.casefold().endswith(_PID_WORDS)
