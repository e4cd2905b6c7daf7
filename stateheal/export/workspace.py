"""One workspace of an export: its files into the archive, redacted or as they are, and what the manifest says of them.

Contents are packed of the index, job records, their logs and the broker's file alone. Of everything else, forks' files
with secrets above all (field guide section 5), only the name, age and size are told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from stateheal.evidence.leftovers import real_parents
from stateheal.evidence.listing import DirEntry, dir_entries, entries_below, read_bytes
from stateheal.evidence.recognition import recognised
from stateheal.evidence.snapshot import is_record, read_snapshot
from stateheal.export.archive import Packer
from stateheal.export.layout import Layout, shown_name
from stateheal.export.pseudonyms import Pseudonyms, is_simple_id
from stateheal.export.redact_json import redact_json
from stateheal.export.redact_log import redact_log
from stateheal.formats.jsonsalvage import salvage
from stateheal.formats.jsontext import Document, Json
from stateheal.formats.times import format_time
from stateheal.fs.directory import Directory, file_stat, folder_of, open_directory
from stateheal.model.dialect import CODEX
from stateheal.model.disk import BROKER, INDEX, FileStat, Place, Snapshot, Unreadable
from stateheal.model.layout import log_name, record_name
from stateheal.model.problems import Problem
from stateheal.model.records import NOT_RECORDS, entries_of, is_companion_id, text_of
from stateheal.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LISTED = "not packed: no file of the plugin's"


@dataclass(frozen=True)
class Packed:
    """What came of one workspace."""

    pseudonyms: Pseudonyms | None
    entry: dict[str, Any]
    """For the manifest."""
    files: int
    errors: tuple[Problem, ...]


def pack_workspace(packer: Packer, place: Place, layout: Layout, stop: Callable[[], bool]) -> Packed | None:
    """Pack one workspace; ``None`` where it does not know the job that was asked for. Raises ``OSError``."""
    with open_directory(place.directory) as directory:
        parcel = _Parcel(packer, place, layout, directory)
        if place.jobs is not None and not place.jobs & parcel.all_ids:
            return None
        parcel.pack(stop)
    entry = {"directory": layout.directory(place), **_age(parcel.own_stat), "files": parcel.listed}
    return Packed(parcel.pseudonyms, entry, parcel.files, tuple(parcel.errors))


class _Parcel:
    def __init__(self, packer: Packer, place: Place, layout: Layout, directory: Directory) -> None:
        self.packer, self.place, self.layout, self.directory = packer, place, layout, directory
        self.own_stat = file_stat(place.directory.lstat())
        found = list(dir_entries(directory))
        self.regular = _regular(found)
        index = self._snapshot(INDEX)
        recognition = recognised(place, directory, index if isinstance(index, Snapshot) else None)
        self.dialect = recognition.dialect if recognition else CODEX
        self.kinds = {INDEX: "index", BROKER: "broker", self.dialect.broker or BROKER: "broker"}
        self.nested = record_name("", self.dialect).count("/") > 1
        """Each job has a directory."""
        found += [more for each in found if self._is_jobs_own(each) for more in entries_below(directory, each.name)]
        self.found = [each for each in found if self._is_wanted(each)]
        self.regular = _regular(self.found)
        self.named = _ids_of(index) if isinstance(index, Snapshot) else frozenset[str]()
        stems = {stem for each in found if (stem := self._stem(each.name)) is not None}
        self.stems = set(filter(self._is_job, stems))
        self.all_ids = self.named | self.stems
        whole = isinstance(index, Snapshot) and isinstance(index.document, Document)
        # What a torn index calls an id may be anything: then only names of files and the plugin's own form are shown.
        shown = self.all_ids if whole else self.stems | set(filter(is_companion_id, self.named))
        self.pseudonyms = layout.pseudonyms_for(frozenset(filter(is_simple_id, shown)))
        self.records: set[str] = set()
        self.listed: list[dict[str, Any]] = []
        self.errors: list[Problem] = []
        self.files = 0

    def _is_job(self, stem: str) -> bool:
        """Whether a name in ``jobs/`` is a job's: anything may lie there, and be called as its owner likes."""
        if stem in self.named or is_companion_id(stem):
            return True
        record = self._snapshot(record_name(stem, self.dialect))
        return isinstance(record, Snapshot) and is_record(record, stem, self.dialect)

    def _is_wanted(self, each: DirEntry | Unreadable) -> bool:
        """Whether it belongs to the jobs that were asked for, or to the workspace as such."""
        rest = each.name.partition("/")[2]
        jobs = self.place.jobs
        if not rest or jobs is None:
            return True
        return any(rest.startswith((job + ".", job + "/")) or (self.nested and rest == job) for job in jobs)

    def _is_jobs_own(self, each: DirEntry | Unreadable) -> bool:
        """Whether it is the directory of a job."""
        return self.nested and isinstance(each, DirEntry) and each.in_jobs and each.kind == "directory"

    def _stem(self, name: str) -> str | None:
        """The job whose record or log has this name."""
        folder, _, base = name.rpartition("/")
        stem = folder.rpartition("/")[2] if self.nested else base.rpartition(".")[0]
        own = (record_name(stem, self.dialect), log_name(stem, self.dialect))
        return stem if folder and stem and name in own else None

    def pack(self, stop: Callable[[], bool]) -> None:
        self.packer.directory(self.layout.directory(self.place), self.own_stat)
        for each in self.found:
            if stop():
                return
            if isinstance(each, Unreadable):
                self._note_problem(each)
                self.listed.append(
                    {"name": shown_name(each.name, self.pseudonyms), "note": f"not packed: {each.reason}"}
                )
            else:
                self._pack(each)

    def _note_problem(self, each: Unreadable) -> None:
        self.errors.append(Problem(str(self.place.directory / each.name), f"not packed: {each.reason}"))

    def _pack(self, each: DirEntry) -> None:
        name = shown_name(each.name, self.pseudonyms)
        target = f"{self.layout.directory(self.place)}/{name}"
        if each.kind == "directory":
            self.packer.directory(target, each.stat)
            note = "packed" if each.name == "jobs" or self._is_jobs_own(each) else "packed, without what is in it"
        elif each.kind == "link":
            leads_to = each.target or ""
            self.packer.link(target, leads_to if self.pseudonyms is None else self.pseudonyms.name(leads_to), each.stat)
            note = "packed as a link"
        elif each.kind != "file":
            note = f"not packed: a {each.kind}"
        else:
            note = self._pack_file(each, target)
        links = {"links": each.stat.links} if each.kind == "file" and each.stat.links > 1 else {}
        self.listed.append(
            {"name": name, "kind": each.kind, "size": each.stat.size, **_age(each.stat), **links, "note": note}
        )

    def _pack_file(self, each: DirEntry, target: str) -> str:
        """Pack one regular file if it is the plugin's, and say what was done."""
        content = self._content(each)
        if isinstance(content, Unreadable):
            self._note_problem(content)
            return f"not packed: {content.reason}"
        if content is None:
            return _LISTED
        self.packer.file(target, content, each.stat)
        self.files += 1
        return "packed, redacted" if self.pseudonyms is not None else "packed as it is"

    def _content(self, each: DirEntry) -> bytes | Unreadable | None:
        """What goes into the archive for a file; ``None`` where only its name does."""
        stem = self._stem(each.name)
        if stem is not None and each.name == log_name(stem, self.dialect):
            if stem not in self.named | self.records and not is_companion_id(stem):
                return None
            data = read_bytes(self.directory, each.name)
            return (
                redact_log(data, self.pseudonyms) if isinstance(data, bytes) and self.pseudonyms is not None else data
            )
        if each.name not in self.kinds and (stem is None or each.base.endswith(NOT_RECORDS)):
            return None
        found = self._snapshot(each.name)
        if not isinstance(found, Snapshot):
            return found
        if stem is not None:
            if stem not in self.named and not is_record(found, stem, self.dialect):
                return None
            self.records.add(stem)
        return self._redacted(found, self.kinds.get(each.name, "record"))

    def _snapshot(self, name: str) -> Snapshot | Unreadable | None:
        if name not in self.regular:
            return None
        try:
            with folder_of(self.directory, name) as (folder, base):
                return read_snapshot(folder, base, name)
        except OSError as error:
            return Unreadable(name, f"cannot be read: {error.strerror or error}")

    def _redacted(self, found: Snapshot, kind: str) -> bytes:
        if self.pseudonyms is None:
            return found.data
        parents = real_parents(_sides(found))
        own = [parent for parent, real in parents.items() if real == self.place.jobs_path]
        if self.nested:
            jobs = ((os.path.dirname(parent), os.path.dirname(real or "")) for parent, real in parents.items())
            own += [parent for parent, real in jobs if real == self.place.jobs_path]
        pseudonyms = self.layout.at_home(self.place, self.pseudonyms, own)
        return redact_json(found.data, pseudonyms, kind, isinstance(found.document, Document))


def _regular(found: Iterable[DirEntry | Unreadable]) -> set[str]:
    return {each.name for each in found if isinstance(each, DirEntry) and each.kind == "file"}


def _sides(found: Snapshot) -> Iterator[Mapping[str, Json]]:
    """Every record in a file, as far as it can be read."""
    values: list[Json] = [found.value]
    if not isinstance(found.document, Document):
        pieces = salvage(found.data)
        values = [*pieces.objects, pieces.members, *pieces.fragments]
    for value in values:
        for each in (value, *entries_of(value)):
            if isinstance(each, Mapping):
                yield each


def _ids_of(index: Snapshot) -> frozenset[str]:
    return frozenset(ident for each in _sides(index) if (ident := text_of(each, "id")))


def _age(stat: FileStat) -> dict[str, Any]:
    return {"mode": f"{stat.mode & 0o7777:04o}", "mtime": format_time(stat.mtime)}
