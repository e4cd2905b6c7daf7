"""What the plugin's own reader shows, and whether a repair would have it show less: then the repair is not made.

It decodes (a byte that is no UTF-8 becomes U+FFFD), parses, keys on ``status``, prints the answer, else the message,
and resumes by ``threadId`` (field guide section 2). What it cannot read at all can only become better. This knows
nothing of rules: it is the last word on what any of them, or several together, have made.
"""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.repairs import is_orphan_message
from stateheal.formats.jsontext import Json, ParseFailure, same
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import INDEX
from stateheal.model.evidence import Evidence
from stateheal.model.layout import status_of
from stateheal.model.plan import Draft
from stateheal.model.records import (
    ending_keys,
    entries_of,
    is_completed,
    is_file_name,
    is_finished,
    raw_answer,
    text_of,
)

Record = dict[str, Json]
_MAY_CHANGE = frozenset({"threadId", "turnId", "result", "rendered"})
"""Keys that a repair may set besides those of an ending; of the others one that says something says it ever after."""


def loss(evidence: Evidence, draft: Draft) -> tuple[str, str | None] | None:
    """What the plugin would show less of after a repair, and of which job; ``None`` where nothing."""
    for stem, record in evidence.records.items():
        after = draft.records.get(stem)
        if _is_out_of_reach(record.document) and after is not None:
            return f"{record.name} cannot be judged here", stem
        found = None if after is record.value else record_loss(record.value, after, evidence.dialect)
        if found is not None or record.name in draft.removed:
            return f"{record.name}: {found or 'it would be removed'}", stem
    index = evidence.index
    if index is None or index.value is draft.index:
        return None
    if _is_out_of_reach(index.document):
        return f"{INDEX} cannot be judged here", None
    missed = index_loss(index.value, draft.index, evidence.dialect)
    return None if missed is None else (f"{INDEX}: {missed[0]}", missed[1])


def _is_out_of_reach(document: object) -> bool:
    return isinstance(document, ParseFailure) and document.too_deep


def answer_of(record: Record, dialect: Dialect = CODEX) -> str | None:
    """The text that the plugin prints as a job's result."""
    return raw_answer(record.get("result"), dialect) or text_of(record, "rendered")


def record_loss(before: Json, after: Json, dialect: Dialect = CODEX) -> str | None:
    """What the reader of a job's record would miss after a repair; ``None`` where nothing."""
    if not isinstance(before, dict):
        return None
    if not isinstance(after, dict):
        return "it could not be read any more"
    return next(_losses(before, after, dialect), None)


def _losses(before: Record, after: Record, dialect: Dialect) -> Iterator[str]:
    answer = answer_of(before, dialect)
    if answer is not None and answer not in (answer_of(after, dialect) or ""):
        yield "the answer would not be shown any more"
    if is_finished(before, dialect):
        completed, ends = is_completed(before, dialect), (status_of(before, dialect), status_of(after, dialect))
        if ends[0] != ends[1] and (completed or not is_finished(after, dialect)):
            yield f"the end {ends[0]!r} would be replaced by {ends[1]!r}"
        message = text_of(before, "errorMessage") or ""
        replaced = is_orphan_message(before) if completed else is_completed(after, dialect)
        if message not in (text_of(after, "errorMessage") or "") and not replaced:
            yield "the error message would not be shown any more"
    for key in ("threadId", "turnId"):
        if text_of(before, key) is not None and text_of(after, key) is None:
            yield f"{key} would be lost"
    may_change = _MAY_CHANGE | {*dialect.deletes} | ending_keys(dialect)
    for key, value in before.items():
        if key not in may_change and value is not None and not (key in after and same(value, after[key])):
            yield f"{key} would be changed"


def index_loss(before: Json, after: Json, dialect: Dialect = CODEX) -> tuple[str, str | None] | None:
    """What the reader of an index would miss after a repair, and of which job; ``None`` where nothing."""
    if not isinstance(before, dict):
        return None
    if not isinstance(after, dict):
        return "it could not be read any more", None
    for key, value in before.items():
        if key != "jobs" and not (key in after and same(value, after[key])):
            return f"{key} would be changed", None
    then, now = _shown(before), _shown(after)
    for ident, entries in then.items():
        if len(entries) == 1 and ident in now and now[ident][0] is entries[0]:
            continue  # most are what they were
        if ident not in now:
            if is_file_name(ident):
                return "its entry would be lost", ident
            continue
        shown = max(entries, key=lambda entry: text_of(entry, "updatedAt") or "")
        if len(entries) > 1:  # which of them the reader shows, and which it updates, was chance
            shown = {key: shown[key] for key in ("id", *ending_keys(dialect), "threadId") if key in shown}
        loss = record_loss(shown, now[ident][0], dialect)
        if loss is not None:
            return loss, ident
    return None


def _shown(index: Record) -> dict[str, list[Record]]:
    """The entries of each id."""
    found: dict[str, list[Record]] = {}
    for entry in entries_of(index):
        ident = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(ident, str) and ident:
            found.setdefault(ident, []).append(entry)
    return found
