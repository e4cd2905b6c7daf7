"""An archive's manifest as input like any other: nothing is taken that stateheal would not say (DESIGN.md promise 7).

The archive may have been restored from elsewhere, or tampered with. A name that leaves the workspace, or that no run of
ours writes, makes it unreadable; of a mode only the permissions count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from stateheal.commit.manifest import OF_FOLDERS, PERMISSIONS, Folder, Item, State, attributes_of
from stateheal.fs.own_names import TEMP_PREFIX
from stateheal.model.disk import JOBS
from stateheal.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


def folder_in(manifest: Mapping[str, Any], name: str) -> Folder | None:
    """What a manifest says of a directory; ``None`` where it says nothing that can be used."""
    folders = manifest.get("folders")
    raw = folders.get(name) if isinstance(folders, dict) else None
    if not isinstance(raw, dict) or not all(_is_count(raw.get(key)) for key in ("mode", "uid", "gid")):
        return None
    folder = Folder(raw["mode"] & OF_FOLDERS, raw["uid"], raw["gid"], raw.get("attributes"))
    try:
        _check_attributes(folder, name)
    except ValueError:
        return None
    return folder


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
