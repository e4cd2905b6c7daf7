"""Roots and workspaces: where plugins keep state, and which directories of it were asked for.

Field guide section 1. No git and no other process is ever started here: a workspace is known by its hash alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stateheal.errors import UsageError
from stateheal.model import INDEX, JOBS, Place, Trouble

FALLBACK = "codex-companion"
_NAME = re.compile(r"(?s).*-[0-9a-f]{16}")
_DATA = Path("plugins") / "data"


@dataclass(frozen=True)
class Root:
    """One ``state`` directory, real path, and the plugin it belongs to as far as its path tells."""

    path: Path
    plugin: str | None


@dataclass(frozen=True)
class Survey:
    """What a request came to: the roots looked at, the workspaces found, what could not be listed."""

    roots: tuple[Root, ...]
    places: tuple[Place, ...]
    errors: tuple[Trouble, ...] = ()


def slug(path: str) -> str:
    """The readable part of a workspace's directory name."""
    base = path.rstrip("/").rpartition("/")[2] or "workspace"
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", base).strip("-") or "workspace"


def workspace_hash(path: str) -> str:
    """First 16 hex digits of the sha256 of a path, taken as it stands."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def hashes_of(cwd: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Every hash under which the plugin may keep the state of a directory.

    The directory itself, each of its physical ancestors, and ``$GIT_WORK_TREE``; of the raw path too, which the
    plugin takes where ``realpath`` fails.
    """
    real = Path(os.path.realpath(cwd))
    paths = {str(real), *(str(parent) for parent in real.parents), os.path.abspath(cwd)}
    tree = environ.get("GIT_WORK_TREE")
    if tree:
        paths |= {os.path.realpath(os.path.join(cwd, tree))}
    return frozenset(workspace_hash(path) for path in paths)


# --- roots ---------------------------------------------------------------------------------------------------------


def default_roots(environ: Mapping[str, str] | None = None) -> list[Root]:
    """Every root of field guide section 1 that exists and belongs to this user, each real path once."""
    env = os.environ if environ is None else environ
    found = [root for data in _data_dirs(env) for root in _roots_in_data(data)]
    if env.get("CLAUDE_PLUGIN_DATA"):
        found += _root(Path(env["CLAUDE_PLUGIN_DATA"]) / "state")
    found += _root(Path(tempfile.gettempdir()) / FALLBACK)
    return _unique(root for root in found if _is_mine(root.path))


def _data_dirs(env: Mapping[str, str]) -> Iterator[Path]:
    config = env.get("CLAUDE_CONFIG_DIR")
    yield (Path(config) if config else Path.home() / ".claude") / _DATA
    if env.get("CLAUDE_CODE_PLUGIN_CACHE_DIR"):
        yield Path(env["CLAUDE_CODE_PLUGIN_CACHE_DIR"]) / "data"


def _roots_in_data(data: Path) -> list[Root]:
    try:
        plugins = sorted(data.iterdir())
    except OSError:
        return []
    return [root for plugin in plugins for root in _root(plugin / "state")]


def _root(state: Path) -> list[Root]:
    if not state.is_dir():
        return []
    real = state.resolve()
    plugin = FALLBACK if real.name == FALLBACK else state.parent.name
    return [Root(real, plugin if real.name in ("state", FALLBACK) else None)]


def _is_mine(path: Path) -> bool:
    try:
        return not hasattr(os, "geteuid") or path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _unique(roots: Iterable[Root]) -> list[Root]:
    return list({root.path: root for root in roots}.values())


# --- workspaces ----------------------------------------------------------------------------------------------------


def is_workspace(path: Path) -> bool:
    """A real directory named ``…-<16 hex>`` that holds an index or a ``jobs`` directory."""
    if not _NAME.fullmatch(path.name):
        return False
    try:
        real = stat.S_ISDIR(path.lstat().st_mode)
        return real and (_there(path / INDEX) or _there(path / JOBS))
    except OSError:
        return False


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _places_in(root: Root) -> list[Place]:
    return [Place(root.path, path, root.plugin) for path in sorted(root.path.iterdir()) if is_workspace(path)]


def survey(
    paths: Iterable[str | os.PathLike[str]] | None, cwd: str | None = None, environ: Mapping[str, str] | None = None
) -> Survey:
    """The workspaces that a request names: the given paths, or every default root for ``None``.

    Raises ``UsageError`` for a path that does not exist or is nothing that holds state.
    """
    env = os.environ if environ is None else environ
    roots: list[Root] = []
    places: dict[Path, Place] = {}
    errors: list[Trouble] = []
    for root, place in _requested(paths, env):
        roots.append(root)
        try:
            for found in [place] if place else _places_in(root):
                _merge(places, found)
        except OSError as error:
            errors.append(Trouble(str(root.path), f"cannot be listed: {error.strerror or error}"))
    chosen = list(places.values())
    if cwd is not None:
        wanted = hashes_of(cwd, env)
        chosen = [place for place in chosen if place.hash in wanted]
    return Survey(tuple(_unique(roots)), tuple(chosen), tuple(errors))


def _merge(places: dict[Path, Place], found: Place) -> None:
    """A workspace named twice is looked at once; two of its job files make one narrowed place."""
    known = places.get(found.directory)
    if known is None:
        places[found.directory] = found
    elif known.jobs is not None:
        both = None if found.jobs is None else known.jobs | found.jobs
        places[found.directory] = replace(known, jobs=both)


def _requested(
    paths: Iterable[str | os.PathLike[str]] | None, env: Mapping[str, str]
) -> Iterator[tuple[Root, Place | None]]:
    if paths is None:
        yield from ((root, None) for root in default_roots(env))
        return
    for path in paths:
        yield from _classify(Path(path).expanduser(), env)


def _classify(given: Path, env: Mapping[str, str]) -> list[tuple[Root, Place | None]]:
    """What a PATH argument names (DESIGN.md, commands)."""
    if not given.exists():
        raise UsageError(f"{given}: there is no such file or directory")
    path = given.resolve()
    if path.name == INDEX and is_workspace(path.parent):
        return [_workspace(path.parent)]
    if path.suffix == ".json" and path.parent.name == JOBS and is_workspace(path.parent.parent):
        return [_workspace(path.parent.parent, frozenset({path.stem}))]
    if not path.is_dir():
        raise UsageError(f"{given}: this is no {INDEX} and no job file of a workspace")
    if is_workspace(path):
        return [_workspace(path)]
    roots = _roots_under(path)
    if not roots and not _may_be_empty(path, env):
        raise UsageError(
            f"{given}: no plugin state here; give a config dir (such as ~/.claude), a plugins/data dir, a plugin's"
            " data dir, a state dir, a workspace's state dir, a state.json or a job file"
        )
    return [(root, None) for root in roots]


def _workspace(path: Path, jobs: frozenset[str] | None = None) -> tuple[Root, Place]:
    root = (_root(path.parent) or [Root(path.parent, None)])[0]
    return root, Place(root.path, path, root.plugin, jobs)


def _roots_under(path: Path) -> list[Root]:
    if path.name in ("state", FALLBACK) or any(map(is_workspace, _children(path))):
        return _root(path)
    if (path / "state").is_dir():
        return _root(path / "state")
    if (path / _DATA).is_dir():
        return _roots_in_data(path / _DATA)
    return _roots_in_data(path)


def _children(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _may_be_empty(path: Path, env: Mapping[str, str]) -> bool:
    """A config or data directory in which no plugin has written yet is fine, and empty."""
    named = {env.get(key) for key in ("CLAUDE_CONFIG_DIR", "CLAUDE_CODE_PLUGIN_CACHE_DIR", "CLAUDE_PLUGIN_DATA")}
    return path.name in (".claude", "data") or (path / "plugins").is_dir() or str(path) in named
