"""What breaks the schema in a draft: of what was read it is known, what a repair leaves is asked record by record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stateheal.formats.jsontext import Json
from stateheal.model.dialect import CODEX
from stateheal.model.disk import INDEX, JOBS
from stateheal.model.findings import Violation
from stateheal.model.layout import knows_version, record_name
from stateheal.model.records import entries_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.diagnosis.view import View


def in_index(view: View) -> Iterator[Violation]:
    """Every violation of the draft's index."""
    read, index = view.evidence.index, view.draft.index
    if read is not None and read.value is index:
        yield from _known_version_left_out(view, view.evidence.violations.get(INDEX, ()))
    elif read is not None or index is not None:
        yield from _known_version_left_out(view, _entry_by_entry(view, index))


def in_records(view: View) -> Iterator[tuple[str, Violation]]:
    """Every violation of the draft's job files and of broker.json, with the name of the file."""
    evidence, draft = view.evidence, view.draft
    for stem, value in view.records_to_check.items():
        read = evidence.records.get(stem)
        if read is not None and read.document.value is value:
            found = evidence.violations.get(read.name, ())
        else:
            found = view.validate("job", value)
        if found:
            name = record_name(stem, view.dialect)
            yield from ((name, violation) for violation in found)
    broker = evidence.broker.snapshot.name if evidence.broker else None
    if broker is not None and broker not in draft.removed:
        yield from ((broker, violation) for violation in evidence.violations.get(broker, ()))


def _known_version_left_out(view: View, found: Iterable[Violation]) -> Iterator[Violation]:
    """Whose version is known has none to be wrong, whatever the schema knows."""
    index = view.draft.index
    known = isinstance(index, dict) and view.dialect.versions != CODEX.versions and knows_version(index, view.dialect)
    return (each for each in found if not (known and _is_about_version(each)))


def _entry_by_entry(view: View, index: Json) -> Iterator[Violation]:
    """What a repair leaves, validated entry by entry; those of clean jobs are as they were, and those are valid."""
    yield from view.validate("state", {**index, "jobs": []} if entries_of(index) else index)
    for position, entry in view.entries_to_check:
        for each in view.validate("job", entry):
            yield each._replace(pointer=f"/{JOBS}/{position}{each.pointer}")


def _is_about_version(violation: Violation) -> bool:
    return violation.pointer == "/version" or violation.message.startswith("'version'")
