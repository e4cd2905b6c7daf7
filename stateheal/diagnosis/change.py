"""Applying changes, which are data, to a draft, which is a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stateheal.formats.jsontext import Json
from stateheal.model.disk import NEW_INDEX
from stateheal.model.plan import GONE, Change, Draft, Patch
from stateheal.model.records import entries_of


def apply(draft: Draft, changes: Sequence[Change]) -> Draft:
    """The draft with the changes made. What is not changed stays the very same object."""
    records: dict[str, Json] = {}
    for change in changes:
        if change.stem is None:
            continue
        if change.rebuilt is not None:
            records[change.stem] = dict(change.rebuilt)
        elif change.record:
            before = records[change.stem] if change.stem in records else draft.records[change.stem]
            records[change.stem] = patched(before, change.record)
    logs = {change.stem: change.log for change in changes if change.log and change.stem is not None}
    removed = draft.removed | {change.remove for change in changes if change.remove is not None}
    kept = [change.stem for change in changes if change.add is not None and change.stem is not None]
    return Draft(
        _new_index(draft.index, changes),
        {**draft.records, **records} if records else draft.records,
        {**draft.logs, **logs} if logs else draft.logs,
        removed,
        (*draft.keeps, *kept),
    )


def _new_index(index: Json, changes: Sequence[Change]) -> Json:
    """Patches and removals go by the positions that the rule saw; new entries then go first, as the plugin does it."""
    for change in changes:
        if change.index is not None:
            index = dict(change.index)
    patches = [change for change in changes if change.entry and change.position is not None]
    drops = {position for change in changes for position in change.drop}
    adds = [dict(change.add) for change in changes if change.add is not None]
    if not (patches or drops or adds):
        return index
    entries = list(entries_of(index))
    for change in patches:
        assert change.position is not None
        entries[change.position] = patched(entries[change.position], change.entry)
    entries = adds + [entry for position, entry in enumerate(entries) if position not in drops]
    return {**(index or NEW_INDEX), "jobs": entries}


def patched(record: Mapping[str, Json], patch: Patch) -> dict[str, Json]:
    """The record with the patch's values; keys keep their places, new ones go last."""
    merged = {**record, **patch}
    return {key: value for key, value in merged.items() if value is not GONE}
