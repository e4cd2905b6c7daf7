"""What an archive's manifest says, as values; ``manifest_input`` is what reads one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from stateheal.commit.attributes import read_attributes
from stateheal.digests import sha256
from stateheal.fs.directory import WrongKind, open_directory
from stateheal.model.disk import JOBS, FileStat
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PERMISSIONS = 0o777
"""Of a mode, what is recorded and put back: no file of a workspace needs a setuid bit."""
OF_FOLDERS = 0o3777
"""The same of a directory's, where the set-group-id and the sticky bit have their use."""


class State(NamedTuple):
    """A file's bytes at one moment, by digest; ``member`` is where the archive keeps them."""

    sha256: str
    size: int
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    member: str | None = None
    attributes: Mapping[str, str] | None = None
    """Extended attributes, in base64."""


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

    @property
    def added(self) -> bytes:
        """The bytes that an ``append`` adds."""
        return (self.line or "").encode("utf-8", "surrogateescape")


def state_of(
    data: bytes,
    info: FileStat | None = None,
    member: str | None = None,
    mtime_ns: int | None = None,
    attributes: Mapping[str, bytes] | None = None,
) -> State:
    """The state of a file with these bytes; with ``info``, including what identifies its owner and age."""
    kept = _in_base64(attributes or {})
    if info is None:
        return State(sha256(data), len(data), mtime_ns=mtime_ns)
    mode, age = info.mode & PERMISSIONS, info.mtime_ns if mtime_ns is None else mtime_ns
    return State(sha256(data), len(data), mode, info.uid, info.gid, age, member, kept)


def _in_base64(attributes: Mapping[str, bytes]) -> dict[str, str] | None:
    if not attributes:
        return None
    from binascii import b2a_base64  # few files have any

    return {name: b2a_base64(value, newline=False).decode("ascii") for name, value in attributes.items()}


def attributes_of(state: State | Folder) -> dict[str, bytes]:
    """The extended attributes as they were."""
    from binascii import a2b_base64

    return {name: a2b_base64(value) for name, value in (state.attributes or {}).items()}


class Folder(NamedTuple):
    """Whose a directory is, and who may go into it."""

    mode: int
    uid: int
    gid: int
    attributes: Mapping[str, str] | None = None
    """Extended attributes, in base64; access control lists are among them."""


def folders_above(items: Iterable[Item]) -> list[str]:
    """The directories that removed files stood in, by name, the outer ones first; the workspace's own is empty."""
    names = {item.name for item in items if item.action == "remove" and item.before}
    inner = {str(above) for name in names for above in PurePosixPath(name).parents} - {"."}
    return sorted({"", JOBS, *inner} if names else ())


def folders_of(workspace: Path, items: Iterable[Item]) -> dict[str, dict[str, Any]]:
    """The directories of removed files as the manifest holds them, by name. Raises ``OSError``."""
    found: dict[str, dict[str, Any]] = {}
    for name in folders_above(items) if os.name == "posix" else ():
        with suppress(FileNotFoundError, WrongKind):
            info, kept = (workspace / name).lstat(), _in_base64(_attributes_at(workspace / name))
            folder = Folder(info.st_mode & OF_FOLDERS, info.st_uid, info.st_gid, kept)
            found[name] = {key: value for key, value in folder._asdict().items() if value is not None}
    return found


def _attributes_at(path: Path) -> dict[str, bytes]:
    try:
        with open_directory(path) as folder:
            return {} if folder.fd is None else read_attributes(folder.fd)
    except PermissionError:  # whoever may not open it cannot be told of any
        return {}


def as_json(item: Item) -> dict[str, Any]:
    """An item as the manifest holds it."""
    before, after = (_state_json(state) for state in (item.before, item.after))
    return {"name": item.name, "action": item.action, "before": before, "after": after, "line": item.line}


def _state_json(state: State | None) -> dict[str, Any] | None:
    return None if state is None else {key: value for key, value in state._asdict().items() if value is not None}
