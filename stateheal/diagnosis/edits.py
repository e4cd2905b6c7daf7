"""What a change does to the files, told as single edits: for programs that read a report, and for who looks twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from stateheal.diagnosis.rule import on_disk
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json
from stateheal.model.disk import INDEX
from stateheal.model.findings import Edit
from stateheal.model.layout import log_name, record_name
from stateheal.model.plan import GONE, Change, Patch
from stateheal.model.records import entries_of

_NOTHING = object()


def edits_of(change: Change, view: View) -> tuple[Edit, ...]:
    """Every edit of a change that is made to the view's draft; pointers are ones into the files as they were read."""
    return (*_of_record(change, view), *_of_index(change, view), *_of_other_files(change, view))


def _of_record(change: Change, view: View) -> Iterator[Edit]:
    if change.stem is None:
        return
    name = record_name(change.stem, view.dialect)
    if change.rebuilt is not None:
        yield _edit(name, "", _NOTHING, dict(change.rebuilt), "replace")
    elif change.record:
        yield from _patched(name, "", view.draft.records[change.stem], change.record)


def _of_index(change: Change, view: View) -> Iterator[Edit]:
    if change.index is not None:
        yield _edit(INDEX, "", _NOTHING, dict(change.index), "replace")
    entries = entries_of(view.draft.index)
    if change.entry and change.position is not None:
        at = on_disk(view, f"/jobs/{change.position}") or f"/jobs/{change.position}"
        yield from _patched(INDEX, at, entries[change.position], change.entry)
    for position in sorted(change.drop):
        at = on_disk(view, f"/jobs/{position}") or f"/jobs/{position}"
        yield _edit(INDEX, at, entries[position], _NOTHING)
    if change.add is not None:
        yield _edit(INDEX, "/jobs/0", _NOTHING, dict(change.add))


def _of_other_files(change: Change, view: View) -> Iterator[Edit]:
    if change.remove is not None:
        yield Edit(change.remove, "remove", "", None, None)
    if change.log and change.stem is not None:
        yield Edit(log_name(change.stem, view.dialect), "append", "", None, json.dumps(change.log))


def _patched(name: str, lead: str, record: Mapping[str, Json], patch: Patch) -> Iterator[Edit]:
    for key, value in patch.items():
        before = record.get(key, _NOTHING)
        after = _NOTHING if value is GONE else value
        if before is not after and (before != after or type(before) is not type(after)):
            yield _edit(name, f"{lead}/{key.replace('~', '~0').replace('/', '~1')}", before, after)


def _edit(name: str, pointer: str, before: object, after: object, op: str = "") -> Edit:
    kind = op or ("add" if before is _NOTHING else "remove" if after is _NOTHING else "replace")
    texts = (None if each is _NOTHING else json.dumps(each) for each in (before, after))
    return Edit(name, kind, pointer, *texts)
