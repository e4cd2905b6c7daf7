"""One workspace of one run, as a plain tar archive that can be unpacked by hand.

``manifest.json`` (schemas/journal.schema.json) says what the run was about to change; beside it stand the original
files. ``<n>.done`` beside the archive lists the files that were really written; without it the run was interrupted. It
is not flushed: one that a power cut took, or left empty, makes the run an interrupted one, which loses nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from stateheal.commit.manifest import Item, as_json
from stateheal.commit.ustar import packed
from stateheal.digests import sha256
from stateheal.errors import DamagedArchive
from stateheal.formats.jsontext import plain_text
from stateheal.fs.directory import open_directory
from stateheal.fs.private import open_to_owner
from stateheal.system.disk import sync, write_all
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo
    from typing import Any

MANIFEST = "manifest.json"
_END = ".done"
_OF_A_FILE = 600
"""Bytes that a manifest says of a file, about."""


def tarfile() -> ModuleType:
    """The module, imported when the first archive is opened: an audit opens none."""
    import tarfile

    return tarfile


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
    def root(self) -> Path:
        """The directory it was found under."""
        return Path(self.manifest.get("root") or self.workspace.parent)

    @property
    def names_root(self) -> bool:
        """Whether the run has noted that; earlier ones did not."""
        return "root" in self.manifest

    @property
    def undoes(self) -> tuple[str, ...]:
        """Keys of the archives whose work this one took back."""
        return tuple(self.manifest["undoes"])

    @property
    def complete(self) -> bool:
        return is_complete(self.path)

    @property
    def planned(self) -> list[Item]:
        """What the run was about to change."""
        from stateheal.commit.manifest_input import items_in

        return items_in(self.manifest)

    @property
    def items(self) -> list[Item]:
        """What was changed; of an interrupted run, what may have been."""
        path = self.path.with_suffix(_END)
        try:
            with open_directory(path.parent) as folder, folder.regular(path.name) as (fd, info):
                data = os.read(fd, info.size)
        except FileNotFoundError:
            return self.planned
        if not data:
            return self.planned
        written = json.loads(data)
        if not isinstance(written, list):
            raise ValueError(f"{path.name} is no list")
        return [item for number, item in enumerate(self.planned) if number in written]

    def originals(self, items: Sequence[Item]) -> dict[str, bytes]:
        """The bytes that these items' files had, by name; the archive is gone through once.

        Raises ``DamagedArchive`` where they are not what was recorded.
        """
        found: dict[str, bytes] = {}
        try:
            with _opened(self.path) as archive:
                members = {member.name: member for member in archive}
                for item in items:
                    member = members[(item.before.member if item.before else None) or ""]
                    found[item.name] = _bytes_of(archive, member)
        except _BAD_ARCHIVE as error:
            raise _unreadable(self.path, error) from error
        for item in items:
            if item.before is None or sha256(found[item.name]) != item.before.sha256:
                raise DamagedArchive(f"{self.path}: the original of {item.name} is damaged")
        return found


def is_complete(path: Path) -> bool:
    """Whether the run came to its end in the workspace of an archive."""
    try:
        return path.with_suffix(_END).lstat().st_size > 0
    except OSError:
        return False


def finish(path: Path, numbers: Collection[int]) -> None:
    """Note which of the planned files of an archive were written. Raises ``OSError``."""
    end = path.with_suffix(_END)
    temp = end.with_name(end.name + ".tmp")
    _write(temp, json.dumps(sorted(numbers)).encode(), durably=False)
    os.replace(temp, end)


_BAD_ARCHIVE = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, EOFError),
    *(ArithmeticError, MemoryError, RecursionError),
)
"""What a file that is no archive of ours can make its readers raise; tarfile's own errors are among them."""
_LARGEST_MANIFEST = 64 << 20


def load(path: Path) -> Archive:
    """Read an archive's manifest. Raises ``DamagedArchive`` where it is none of ours."""
    try:
        with _opened(path) as tar:
            first = tar.next()  # the manifest stands first: the originals need not be walked over
            if first is None or first.name != MANIFEST or first.size > _LARGEST_MANIFEST:
                raise ValueError("it does not begin with a manifest")
            archive = Archive(path, json.loads(_bytes_of(tar, first)))
        from stateheal.commit.manifest_input import check_head

        check_head(archive.manifest)
        _ = archive.items
    except _BAD_ARCHIVE as error:
        raise _unreadable(path, error) from error
    return archive


def _bytes_of(tar: TarFile, member: TarInfo) -> bytes:
    """A member's bytes: of a plain file only, which cannot be larger than the archive is."""
    file = tar.extractfile(member) if member.isreg() and not member.issparse() else None
    if file is None:
        raise ValueError(f"{member.name!a} is no plain file in it")
    return file.read()


def _unreadable(path: Path, error: BaseException) -> DamagedArchive:
    why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
    return DamagedArchive(f"{path} is no readable archive of the journal: {why.splitlines()[0][:200]}")


@contextmanager
def _opened(path: Path) -> Iterator[TarFile]:
    """A plain tar file, never compressed; no link is followed, and nothing that blocks is opened."""
    with (
        open_directory(path.parent) as folder,
        folder.regular(path.name) as (fd, _),
        os.fdopen(fd, "rb", closefd=False) as file,
    ):
        try:
            with tarfile().open(fileobj=file, mode="r:") as tar:
                yield tar
        except tarfile().TarError as error:
            raise ValueError(str(error) or "it is no tar archive") from error


def pack(head: dict[str, Any], items: Sequence[Item]) -> bytes:
    """The bytes of an archive: the manifest (``head`` and the items), then the originals."""
    manifest = {**head, "files": [as_json(item) for item in items]}
    originals = [(item.name, item.original) for item in items if item.original is not None]
    return packed([(MANIFEST, _text_of(manifest, len(items))), *originals])


def _text_of(manifest: dict[str, Any], files: int) -> bytes:
    """What ``json`` makes of a manifest, indented; in pure Python, so that a quicker one is asked first."""
    quick = plain_text(manifest, files * _OF_A_FILE)
    if quick is not None and quick.isascii() and b"\x7f" not in quick:  # all else is escaped here
        return quick
    return (json.dumps(manifest, indent=2) + "\n").encode()


def write_durably(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and make it survive a power cut. Raises ``OSError``."""
    temp = path.with_name(path.name + ".tmp")
    _write(temp, data, durably=True)
    try:
        os.replace(temp, path)
    except OSError:
        temp.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _write(path: Path, data: bytes, durably: bool) -> None:
    try:
        fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
        try:
            open_to_owner(fd)
            write_all(fd, data)
            if durably:
                sync(fd)
        finally:
            os.close(fd)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises ``OSError``."""
    if os.name != "posix":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        sync(fd)
    finally:
        os.close(fd)
