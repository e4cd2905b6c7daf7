"""What an archive's manifest says, as values; and nothing that stateheal would not say itself (DESIGN.md promise 7).

The journal is input like any other: an archive may have been restored from elsewhere, or tampered with. A name that
leaves the workspace, or that no run of ours writes, makes the archive unreadable; of a mode only the permissions count.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stateheal.commit.attributes import read_attributes
from stateheal.digests import sha256
from stateheal.fs.directory import TEMP_PREFIX, WrongKind, open_directory
from stateheal.model.disk import JOBS, FileStat
from stateheal.patterns import pattern
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PERMISSIONS = 0o777
"""Of a mode, what is recorded and put back: no file of a workspace needs a setuid bit."""
_OF_FOLDERS = 0o3777
"""The same of a directory's, where the set-group-id and the sticky bit have their use."""
_ACTIONS = ("replace", "append", "cut", "create", "remove", "keep")
_ENDINGS = (".json", ".log", ".lock")
_OF_WHOLE_WORKSPACES = ("migrate", "prune", "undo")
"""Commands that take away, or bring back, whatever stands in a workspace's two directories."""
_KEPT = "kept/"
_OF_THE_SYSTEM = ("security.capability", "trusted.")
"""Attributes that no file of a workspace needs."""
_DEEPEST = 3
_LONGEST = 255
_DIGEST = pattern(r"[0-9a-f]{64}")


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


def folders_of(workspace: Path) -> dict[str, dict[str, Any]]:
    """A workspace's two directories as the manifest holds them, by name; the workspace's own is empty. Raises
    ``OSError``."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("", JOBS) if os.name == "posix" else ():
        with suppress(FileNotFoundError, WrongKind):
            info, kept = (workspace / name).lstat(), _in_base64(_attributes_at(workspace / name))
            folder = Folder(info.st_mode & _OF_FOLDERS, info.st_uid, info.st_gid, kept)
            found[name] = {key: value for key, value in folder._asdict().items() if value is not None}
    return found


def _attributes_at(path: Path) -> dict[str, bytes]:
    try:
        with open_directory(path) as folder:
            return {} if folder.fd is None else read_attributes(folder.fd)
    except PermissionError:  # whoever may not open it cannot be told of any
        return {}


def folder_in(manifest: Mapping[str, Any], name: str) -> Folder | None:
    """What a manifest says of a directory; ``None`` where it says nothing that can be used."""
    folders = manifest.get("folders")
    raw = folders.get(name) if isinstance(folders, dict) else None
    if not isinstance(raw, dict) or not all(_is_count(raw.get(key)) for key in ("mode", "uid", "gid")):
        return None
    folder = Folder(raw["mode"] & _OF_FOLDERS, raw["uid"], raw["gid"], raw.get("attributes"))
    try:
        _check_attributes(folder, name)
    except ValueError:
        return None
    return folder


def as_json(item: Item) -> dict[str, Any]:
    """An item as the manifest holds it."""
    before, after = (_state_json(state) for state in (item.before, item.after))
    return {"name": item.name, "action": item.action, "before": before, "after": after, "line": item.line}


def _state_json(state: State | None) -> dict[str, Any] | None:
    return None if state is None else {key: value for key, value in state._asdict().items() if value is not None}


def check_head(manifest: Any) -> None:
    """Raise ``ValueError`` unless a manifest is an object with what every archive has."""
    if not isinstance(manifest, dict):
        raise ValueError("its manifest is no object")
    for key in ("workspace", "command", "started"):
        if not isinstance(manifest.get(key), str):
            raise ValueError(f"its manifest names no {key}")
    workspace = Path(manifest["workspace"])
    if not workspace.is_absolute() or ".." in workspace.parts or "\0" in manifest["workspace"]:
        raise ValueError("its workspace is no absolute path")
    if not isinstance(manifest.get("root", ""), str):
        raise ValueError("its root is no path")
    undoes = manifest.get("undoes")
    if not isinstance(undoes, list) or not all(isinstance(key, str) for key in undoes):
        raise ValueError("what it undoes is no list of archives")


def items_in(manifest: Mapping[str, Any]) -> list[Item]:
    """The items of a manifest. Raises ``ValueError`` for one that no run of ours would write."""
    files = manifest.get("files")
    if not isinstance(files, list):
        raise ValueError("its files are no list")
    return [_item(raw, str(manifest.get("command"))) for raw in files]


def _item(raw: Any, command: str) -> Item:
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        raise ValueError("one of its files has no name")
    name, action, line = raw["name"], raw.get("action"), raw.get("line")
    if action not in _ACTIONS or not isinstance(line, (str, type(None))):
        raise ValueError(f"{name!a} is changed in no known way")
    if not _is_ours_to_write(name.removeprefix(_KEPT) if action == "keep" else name, command):
        raise ValueError(f"{name[:80]!a} is no name that a run writes")
    before, after = _state(raw.get("before"), name), _state(raw.get("after"), name)
    wanted = {"create": (False, True), "remove": (True, False)}.get(action, (True, True))
    if (before is not None, after is not None) != wanted:
        raise ValueError(f"{name!a}: what it was and what became of it do not fit together")
    return Item(name, action, before, after, line)


def _is_ours_to_write(name: str, command: str) -> bool:
    """Whether a name is one in a workspace's directory or below its ``jobs/`` that a run of this command may change, or
    a companion's lock."""
    parts = name.split("/")
    if len(parts) > _DEEPEST:
        return False
    if any(part in ("", ".", "..") or "\0" in part or "\\" in part or len(part) > _LONGEST for part in parts):
        return False
    if len(parts) > 1 and parts[0] != JOBS:
        return _is_lock(name)
    last = parts[-1]
    known = last.startswith(TEMP_PREFIX) or last.endswith(_ENDINGS)
    return known or command in _OF_WHOLE_WORKSPACES or _is_lock(name)


def _is_lock(name: str) -> bool:
    from stateheal.dialects.table import DIALECTS  # few archives name one

    return any(re.fullmatch(lock.path, name) for dialect in DIALECTS for lock in dialect.locks)


def _state(raw: Any, name: str) -> State | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise ValueError(f"a state of {name!a} is no object")
    state = State(**raw)
    numbers = (state.mode, state.uid, state.gid, state.mtime_ns)
    if not isinstance(state.sha256, str) or not _DIGEST.fullmatch(state.sha256) or not _is_count(state.size):
        raise ValueError(f"a state of {name!a} has no digest or size")
    if not all(number is None or isinstance(number, int) for number in numbers):
        raise ValueError(f"a state of {name!a} has an odd mode, owner or age")
    if not isinstance(state.member, (str, type(None))):
        raise ValueError(f"a state of {name!a} names no member")
    _check_attributes(state, name)
    return state._replace(mode=None if state.mode is None else state.mode & PERMISSIONS)


def _check_attributes(state: State | Folder, name: str) -> None:
    """Raise ``ValueError`` for attributes that no run of ours would have kept."""
    attributes = state.attributes
    if attributes is None:
        return
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise ValueError(f"a state of {name!a} has odd attributes")
    attributes_of(state)  # or they do not decode
    if any(key.startswith(_OF_THE_SYSTEM) for key in attributes):
        raise ValueError(f"a state of {name!a} has attributes that give powers")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
