"""A workspace's directory name: the slug and the hash of its path (field guide section 1). No git is ever started."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from stateheal.digests import sha256
from stateheal.system.paths import real_path, spellings


def slug(path: str) -> str:
    """The readable part of a workspace's directory name."""
    if os.sep == "\\":  # git says C:/x there, the directory itself is C:\x; a drive has no name
        path = os.path.splitdrive(path)[1].replace("\\", "/")
    base = path.rstrip("/").rpartition("/")[2] or "workspace"
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", base).strip("-") or "workspace"


def workspace_hash(path: str) -> str:
    """First 16 hex digits of the sha256 of a path, taken as it stands."""
    return sha256(os.fsencode(path))[:16]


def hashes_of(cwd: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Every hash, of 16 digits, under which a plugin may keep the state of a directory; some keep 12 of them.

    The directory itself, each of its physical ancestors, and ``$GIT_WORK_TREE``; of the raw path too, which the
    plugin takes where ``realpath`` fails; and of the git directories found there, which one companion takes.
    """
    real = Path(real_path(cwd))
    paths = {str(real), *(str(parent) for parent in real.parents), os.path.abspath(cwd)}
    # git's answer is trimmed, and what is no UTF-8 in a path is replaced by node.
    paths |= {path.strip() for path in paths}
    paths |= {os.fsencode(path).decode("utf-8", "replace") for path in paths}
    tree = environ.get("GIT_WORK_TREE")
    if tree:
        paths |= {real_path(os.path.join(cwd, tree))}
    paths |= {common for path in paths for common in git_directories(path)}
    return frozenset(workspace_hash(each) for path in paths for each in spellings(path))


def git_directories(path: str) -> Iterator[str]:
    """The git directory that worktrees of a repository share, where one begins here: told by its files alone."""
    dot = os.path.join(path, ".git")
    yield dot
    try:
        with open(dot, encoding="utf-8") as file:
            named = file.read(4096)
        own = os.path.join(path, named.partition("gitdir:")[2].strip())
        with open(os.path.join(own, "commondir"), encoding="utf-8") as file:
            yield os.path.realpath(os.path.join(own, file.read(4096).strip()))
    except (OSError, ValueError):
        return  # a plain repository, or none
