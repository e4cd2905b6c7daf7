"""One workspace of one run, as a plain tar archive that can be unpacked by hand.

``manifest.json`` (schemas/journal.schema.json) says what the run was about to change; beside it stand the original
files. ``<n>.done`` beside the archive lists the files that were really written; without it the run was interrupted.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from stateheal.errors import JournalError
from stateheal.formats.digest import sha256
from stateheal.fs.output import write_all
from stateheal.model.disk import FileStat

if TYPE_CHECKING:
    from tarfile import TarFile

MANIFEST = "manifest.json"


def tarfile() -> ModuleType:
    """The module, imported when the first archive is opened: an audit opens none."""
    import tarfile

    return tarfile


class State(NamedTuple):
    """A file's bytes at one moment, by digest; ``member`` is where the archive keeps them."""

    sha256: str
    size: int
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    member: str | None = None


class Item(NamedTuple):
    """One file that a run changes, and how.

    ``replace`` its bytes, ``append`` a line, ``cut`` that line off again, ``create`` or ``remove`` it; or ``keep`` a
    copy of a file that the run does not change.
    """

    name: str
    action: str
    before: State | None
    """``None`` where there was no such file."""
    after: State | None
    """``None`` where there is no such file any more."""
    line: str | None = None
    original: bytes | None = None
    """The bytes to keep; they go into the archive, not into the manifest."""


def is_partly_appended(item: Item, data: bytes) -> bool:
    """Whether a log is exactly what it was plus the beginning of our line: a kill, or a power cut, came between."""
    if item.action != "append" or item.before is None or len(data) <= item.before.size:
        return False
    old, added = data[: item.before.size], data[item.before.size :]
    return sha256(old) == item.before.sha256 and (item.line or "").encode("utf-8", "replace").startswith(added)


def state_of(data: bytes, info: FileStat | None = None, member: str | None = None) -> State:
    """The state of a file with these bytes; with ``info``, including what identifies its owner and age."""
    if info is None:
        return State(sha256(data), len(data))
    return State(sha256(data), len(data), info.mode & 0o7777, info.uid, info.gid, info.mtime_ns, member)


class Archive(NamedTuple):
    """One workspace of one run, as the journal holds it."""

    path: Path
    manifest: dict[str, Any]

    @property
    def key(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"

    @property
    def workspace(self) -> Path:
        return Path(self.manifest["workspace"])

    @property
    def undoes(self) -> tuple[str, ...]:
        """Keys of the archives whose work this one took back."""
        return tuple(self.manifest["undoes"])

    @property
    def complete(self) -> bool:
        return self.path.with_suffix(".done").exists()

    @property
    def planned(self) -> list[Item]:
        """What the run was about to change."""
        return [
            Item(raw["name"], raw["action"], _state(raw["before"]), _state(raw["after"]), raw.get("line"))
            for raw in self.manifest["files"]
        ]

    @property
    def items(self) -> list[Item]:
        """What was changed; of an interrupted run, what may have been."""
        try:
            written = set(json.loads(self.path.with_suffix(".done").read_bytes()))
        except FileNotFoundError:
            return self.planned
        return [item for number, item in enumerate(self.planned) if number in written]

    def finish(self, names: Collection[str]) -> None:
        """Note which of the planned files were written. Raises ``OSError``."""
        numbers = [number for number, item in enumerate(self.planned) if item.name in names]
        write_durably(self.path.with_suffix(".done"), json.dumps(numbers).encode())

    def originals(self, items: Sequence[Item]) -> dict[str, bytes]:
        """The bytes that these items' files had, by name; the archive is gone through once.

        Raises ``JournalError`` where they are not what was recorded.
        """
        found: dict[str, bytes] = {}
        try:
            with tarfile().open(self.path) as archive:
                members = {member.name: member for member in archive}
                for item in items:
                    member = archive.extractfile(members[(item.before.member if item.before else None) or ""])
                    found[item.name] = member.read() if member else b""
        except (OSError, KeyError, tarfile().TarError) as error:
            raise JournalError(f"{self.path}: {error}") from error
        for item in items:
            if item.before is None or sha256(found[item.name]) != item.before.sha256:
                raise JournalError(f"{self.path}: the original of {item.name} is damaged")
        return found


def _state(raw: dict[str, Any] | None) -> State | None:
    return None if raw is None else State(**raw)


def load(path: Path) -> Archive:
    """Read an archive's manifest. Raises ``JournalError`` where it is none of ours."""
    try:
        with tarfile().open(path) as tar:
            first = tar.next()  # the manifest stands first: the originals need not be walked over
            member = tar.extractfile(first) if first and first.name == MANIFEST else None
            archive = Archive(path, json.loads(member.read() if member else b""))
        _ = (archive.items, archive.undoes, archive.workspace, archive.manifest["started"], archive.manifest["command"])
    except (OSError, KeyError, TypeError, ValueError, tarfile().TarError) as error:
        raise JournalError(f"{path} is no readable archive of the journal: {error}") from error
    return archive


def pack(head: dict[str, Any], items: Sequence[Item]) -> bytes:
    """The bytes of an archive: the manifest (``head`` and the items), then the originals."""
    manifest = {**head, "files": [_as_json(item) for item in items]}
    buffer = io.BytesIO()
    with tarfile().open(fileobj=buffer, mode="w") as tar:
        _add(tar, MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        for item in items:
            if item.original is not None:
                _add(tar, item.name, item.original)
    return buffer.getvalue()


def _as_json(item: Item) -> dict[str, Any]:
    before, after = (_state_json(state) for state in (item.before, item.after))
    return {"name": item.name, "action": item.action, "before": before, "after": after, "line": item.line}


def _state_json(state: State | None) -> dict[str, Any] | None:
    return None if state is None else {key: value for key, value in state._asdict().items() if value is not None}


def _add(tar: TarFile, name: str, data: bytes) -> None:
    info = tarfile().TarInfo(name)
    info.size, info.mode = len(data), 0o600
    tar.addfile(info, io.BytesIO(data))


def write_durably(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and make it survive a power cut. Raises ``OSError``."""
    temp = path.with_name(path.name + ".tmp")
    try:
        fd = os.open(temp, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temp, path)
    except OSError:
        temp.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises ``OSError``."""
    if os.name != "posix":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
