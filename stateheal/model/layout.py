"""Reading a companion's layout: where its files stand, what its words mean (field guide sections 2 and 11)."""

from __future__ import annotations

from collections.abc import Mapping

from stateheal.formats.jsontext import Json
from stateheal.model.dialect import CODEX, Dialect


def record_name(stem: str, dialect: Dialect = CODEX) -> str:
    """A job file's name, relative to the workspace."""
    return (dialect.record or CODEX.record or "").format(id=stem)


def log_name(stem: str, dialect: Dialect = CODEX) -> str:
    """The name of a job's log, relative to the workspace."""
    return dialect.log.format(id=stem)


def is_laid_out_as_codexs(dialect: Dialect) -> bool:
    """Whether its files have the names, and its records say how a job stands, as those of the Codex companion."""
    ways = ("has_index", "record", "log", "answer_file", "status")
    return all(getattr(dialect, way) == getattr(CODEX, way) for way in ways)


def status_of(record: Json, dialect: Dialect) -> str | None:
    """What a record says of how its job stands, by the field that counts."""
    for key in dialect.status:
        status = record.get(key) if isinstance(record, dict) else None
        if isinstance(status, str):
            return status
    return None


def knows_version(index: Mapping[str, Json], dialect: Dialect) -> bool:
    """Whether the companion is known to write an index of this version; one without any passes for version 1."""
    version = index.get("version", None if None in dialect.versions else 1)
    return not isinstance(version, bool) and version in dialect.versions
