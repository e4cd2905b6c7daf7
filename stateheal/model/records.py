"""Reading a job record, or an index entry, without trusting it: any field may hold anything.

Field guide sections 2 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stateheal.formats.jsontext import Json
from stateheal.formats.times import DAY, parse_time
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.layout import status_of
from stateheal.patterns import pattern
from stateheal.text import WORD, consists_of, shorten

TIME_FIELDS = ("createdAt", "startedAt", "updatedAt", "completedAt", "cancelledAt")
_COMPANION_ID = pattern(r"(?:task|review|adversarial-review|job)-[0-9a-z]{6,12}-[0-9a-z]{4,8}")


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
COMPLETED, FAILED = "completed", "failed"
"""What the plainest of its status fields says of a job that was recovered, or closed: every companion knows both."""
_ENDING = ("phase", "completedAt", "errorMessage", "cancelledAt")
IDENTITY = ("jobClass", "kind", "title", "workspaceRoot", "sessionId", "logFile", "createdAt")
"""Keys that an entry has as long as its job file has them: without them it is a stub."""
LOST_PHASES = ("orphaned", "terminated")
ENTRY_LACKS = ("result", "rendered", "cancelledAt")
"""Keys of a job file that its index entry never has."""


def is_plain_id(text: str) -> bool:
    """Whether an id can be a file name and nothing else: a job of any other id is never added to an index."""
    return 0 < len(text) <= 120 and text[0] != "." and consists_of(text, WORD + b".-")


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
    line = ": ".join(dict.fromkeys(each.strip() for each in found if each and each.strip()))
    return shorten(line) if line else None


def is_active(record: Json, dialect: Dialect = CODEX) -> bool:
    """Whether the record says that its job is waiting or running (``queued``, ``running``)."""
    return status_of(record, dialect) in dialect.active


def is_finished(record: Json, dialect: Dialect = CODEX) -> bool:
    """Whether the record says that its job has ended (``completed``, ``failed``, ``cancelled``)."""
    return status_of(record, dialect) in dialect.finished


def is_completed(record: Json, dialect: Dialect = CODEX) -> bool:
    """Whether the record says that its job has come to an answer."""
    return status_of(record, dialect) in dialect.completed


def is_failed(record: Json, dialect: Dialect = CODEX) -> bool:
    """Whether the record says that its job has failed, in the words of a heal or of the companion itself."""
    plain = record.get(dialect.status[-1]) if isinstance(record, dict) else None
    return plain == FAILED and is_finished(record, dialect) and not is_completed(record, dialect)


def is_lost(record: Json, dialect: Dialect = CODEX) -> bool:
    """Whether the record was closed because its process had died or was ended: there may be more than it tells."""
    return isinstance(record, dict) and record.get("phase") in LOST_PHASES and is_failed(record, dialect)


def lacks_answer(record: Json, dialect: Dialect = CODEX) -> bool:
    """Whether a task is completed without any answer in its records: its file was rebuilt after it had been cut."""
    if not isinstance(record, dict) or record.get("jobClass") != "task":
        return False
    held = record.get("result") is not None or record.get("rendered") is not None
    return not held and is_completed(record, dialect)


def raw_answer(result: Json, dialect: Dialect = CODEX) -> str | None:
    """The text that a result holds as it was said: of a task, or of a review."""
    if not isinstance(result, dict):
        return None
    reviews = (held for key in dialect.drives.raw if isinstance(held := result.get(key), dict))
    return text_of(result, "rawOutput") or next((said for each in reviews if (said := text_of(each, "stdout"))), None)


def ending_keys(dialect: Dialect = CODEX) -> frozenset[str]:
    """Keys that say how a job ended: they are taken from one source, never mixed."""
    processes = (*dialect.pids, *dialect.clears)
    return frozenset([*_ENDING, *dialect.status, *processes, *dialect.orphan, *dialect.orphan_time])


def time_of(record: Mapping[str, Json], key: str, now: float) -> float | None:
    """A time field; ``None`` where it holds no time, or one more than a day in the future."""
    moment = parse_time(record.get(key))
    return None if moment is None or moment > now + DAY else moment
