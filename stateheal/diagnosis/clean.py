"""Jobs of which there is nothing to find: ended, by two records that stand in their places and tell the same.

Most jobs of most workspaces are of this kind, and no rule need look at them. A property test shows that the rules, when
they do look, find nothing. Whoever adds a rule about jobs that ended plainly adds its condition here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from stateheal.dialects.table import is_codexs
from stateheal.formats.jsontext import Json
from stateheal.model.claims import other_pids
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import GATE_TITLE, INDEX, Name, Place, Snapshot
from stateheal.model.findings import Violation
from stateheal.model.layout import log_name
from stateheal.model.records import (
    IDENTITY,
    LOST_PHASES,
    TIME_FIELDS,
    ending_keys,
    entries_of,
    is_completed,
    is_finished,
    lacks_answer,
)

_IDENTITY = frozenset(IDENTITY)
PLAIN = frozenset([*TIME_FIELDS, *IDENTITY, *ending_keys()]) | {
    *("id", "kindLabel", "summary", "write", "threadId", "turnId", "request", "result", "rendered")
}
"""Keys under which a valid record names no further process: what the schema has, so that most are not looked into."""


def clean_jobs(
    place: Place,
    index: Snapshot | None,
    records: Mapping[str, Snapshot],
    violations: Mapping[str, tuple[Violation, ...]],
    names: Sequence[Name],
    dialect: Dialect = CODEX,
) -> frozenset[str]:
    """The jobs of a workspace of which there is nothing to find: their records are valid, and ``_is_clean`` says so."""
    if dialect.record is None or index is None or not isinstance(index.value, dict):
        return frozenset()
    if not is_codexs(place.plugin) or dialect.deletes != CODEX.deletes:
        return frozenset()
    broken = {violation.position for violation in violations.get(INDEX, ())}
    directories = {each.name for each in names if each.is_directory}
    found: set[str] = set()
    seen: set[str] = set()
    for position, entry in enumerate(entries_of(index.value)):
        ident = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(ident, str):
            continue
        if ident in seen:
            found.discard(ident)
            continue
        seen.add(ident)
        record = records.get(ident)
        if record is None or record.name in violations or position in broken or not isinstance(record.value, dict):
            continue
        if directories and log_name(ident, dialect) in directories:
            continue
        log = log_name(ident, dialect) if os.sep == "/" else log_name(ident, dialect).replace("/", os.sep)
        if _is_clean(ident, entry, record.value, f"{place.directory}{os.sep}{log}", dialect):
            found.add(ident)
    return frozenset(found)


def _is_clean(ident: str, entry: dict[str, Json], record: dict[str, Json], log: str, dialect: Dialect) -> bool:
    """Whether no rule has anything to say of a job of a codex companion. ``log``: the one right path of its log."""
    index_field, file_field = entry.get, record.get
    completed = is_completed(record, dialect)
    return (
        is_finished(record, dialect)
        and all(index_field(key) == file_field(key) for key in dialect.status)
        and file_field("id") == ident
        and all(index_field(key) is None and file_field(key) is None for key in dialect.pids)
        and index_field("logFile") in (None, log)
        and file_field("logFile") in (None, log)
        and not str(index_field("title")).endswith(GATE_TITLE)
        and not str(file_field("title")).endswith(GATE_TITLE)
        and not (completed and (index_field("errorMessage") is not None or file_field("errorMessage") is not None))
        and (index_field("phase") not in LOST_PHASES and file_field("phase") not in LOST_PHASES)
        and (entry.keys() >= _IDENTITY or not any(file_field(key) and key not in entry for key in IDENTITY))
        and not (completed and file_field("threadId") and lacks_answer(record, dialect))
        and not _names_others(entry, dialect)
        and not _names_others(record, dialect)
        and not ("\\" in ident or ident in (".", ".."))
    )


def _names_others(side: dict[str, Json], dialect: Dialect) -> bool:
    """Whether it names further processes, which may outlive the job."""
    further = side.keys() - PLAIN
    return bool(further) and any(True for _ in other_pids({key: side[key] for key in further}, dialect))
