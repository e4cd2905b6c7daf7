"""Roots and workspaces: where plugins keep state, and which directories of it were asked for.

Field guide section 1. No git and no other process is ever started here: a workspace is known by its hash alone.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from stateheal.errors import UsageError
from stateheal.formats.digest import sha256
from stateheal.model.disk import INDEX, JOBS, Place
from stateheal.model.report import Problem
from stateheal.text import nearest

FALLBACK = "codex-companion"
_NAME = re.compile(r"(?s).*-[0-9a-f]{16}")
_DATA = Path("plugins") / "data"


class Root(NamedTuple):
    """One ``state`` directory, real path, and the plugin it belongs to as far as its path tells."""

    path: Path
    plugin: str | None


class Discovery(NamedTuple):
    """What a request came to: the roots looked at, the workspaces found, what could not be listed."""

    roots: tuple[Root, ...]
    places: tuple[Place, ...]
    errors: tuple[Problem, ...] = ()


def slug(path: str) -> str:
    """The readable part of a workspace's directory name."""
    base = path.rstrip("/").rpartition("/")[2] or "workspace"
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", base).strip("-") or "workspace"


def workspace_hash(path: str) -> str:
    """First 16 hex digits of the sha256 of a path, taken as it stands."""
    return sha256(os.fsencode(path))[:16]


def hashes_of(cwd: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Every hash under which the plugin may keep the state of a directory.

    The directory itself, each of its physical ancestors, and ``$GIT_WORK_TREE``; of the raw path too, which the
    plugin takes where ``realpath`` fails.
    """
    real = Path(os.path.realpath(cwd))
    paths = {str(real), *(str(parent) for parent in real.parents), os.path.abspath(cwd)}
    # git's answer is trimmed, and what is no UTF-8 in a path is replaced by node.
    paths |= {path.strip() for path in paths}
    paths |= {os.fsencode(path).decode("utf-8", "replace") for path in paths}
    tree = environ.get("GIT_WORK_TREE")
    if tree:
        paths |= {os.path.realpath(os.path.join(cwd, tree))}
    return frozenset(workspace_hash(path) for path in paths)


# --- roots ---------------------------------------------------------------------------------------------------------


def default_roots(environ: Mapping[str, str] | None = None, problems: list[Problem] | None = None) -> list[Root]:
    """Every root of field guide section 1 that exists and belongs to this user, each real path once.

    What is there and cannot be looked into is added to ``problems``.
    """
    env = os.environ if environ is None else environ
    noted = [] if problems is None else problems
    found = [root for data in _data_dirs(env) for root in _roots_in_data(data, noted)]
    if env.get("CLAUDE_PLUGIN_DATA"):
        found += _root(Path(env["CLAUDE_PLUGIN_DATA"]) / "state", noted)
    from tempfile import gettempdir  # only where no path was given

    for temp in dict.fromkeys((temp_root(env), Path(gettempdir()))):
        found += _root(temp / FALLBACK, noted)
    return _unique(root for root in found if _is_mine(root.path))


def temp_root(env: Mapping[str, str]) -> Path:
    """The temp directory as node names it, which is where the plugin falls back to: it need not exist."""
    if sys.platform == "win32":
        windows = env.get("SystemRoot") or env.get("windir") or ""
        return Path(env.get("TEMP") or env.get("TMP") or windows + "\\temp")
    return Path(env.get("TMPDIR") or env.get("TMP") or env.get("TEMP") or "/tmp")


def _data_dirs(env: Mapping[str, str]) -> Iterator[Path]:
    config = env.get("CLAUDE_CONFIG_DIR")
    yield (Path(config) if config else Path.home() / ".claude") / _DATA
    if env.get("CLAUDE_CODE_PLUGIN_CACHE_DIR"):
        yield Path(env["CLAUDE_CODE_PLUGIN_CACHE_DIR"]) / "data"


def _roots_in_data(data: Path, problems: list[Problem]) -> list[Root]:
    return [root for plugin in _children(data, problems) for root in _root(plugin / "state", problems)]


def _children(path: Path, problems: list[Problem]) -> list[Path]:
    """What stands in a directory; nothing where there is none."""
    try:
        return sorted(path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be listed: {error.strerror or error}"))
        return []


def _root(state: Path, problems: list[Problem]) -> list[Root]:
    try:
        if not stat.S_ISDIR(state.stat().st_mode):
            return []
        real = state.resolve()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, RuntimeError) as error:
        problems.append(Problem(str(state), f"cannot be looked into: {getattr(error, 'strerror', None) or error}"))
        return []
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
    """A real directory named ``…-<16 hex>`` that holds an index or a ``jobs`` directory.

    Raises ``OSError`` where the directory cannot be looked into.
    """
    if not _NAME.fullmatch(path.name):
        return False
    return stat.S_ISDIR(path.lstat().st_mode) and (_there(path / INDEX) or _there(path / JOBS))


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _places_in(root: Root, wanted: frozenset[str] | None, problems: list[Problem]) -> list[Place]:
    places: list[Place] = []
    for path in _children(root.path, problems):
        if wanted is not None and path.name[-16:] not in wanted:
            continue
        try:
            if is_workspace(path) and root.path.name == FALLBACK and _others_may_write(path):
                message = "belongs to another user and others may write to it: left alone"
                problems.append(Problem(str(path), message))
            elif is_workspace(path):
                places.append(Place(root.path, path, root.plugin))
        except OSError as error:
            problems.append(Problem(str(path), f"cannot be looked into: {error.strerror or error}"))
    return places


def _others_may_write(path: Path) -> bool:
    """In the shared temp directory: somebody else's directory that is open to more than its owner."""
    info = path.lstat()
    return hasattr(os, "geteuid") and info.st_uid != os.geteuid() and bool(info.st_mode & 0o022)


def discover(
    paths: Iterable[str | os.PathLike[str]] | None, cwd: str | None = None, environ: Mapping[str, str] | None = None
) -> Discovery:
    """The workspaces that a request names: the given paths, or every default root for ``None``.

    Raises ``UsageError`` for a path that does not exist or is nothing that holds state.
    """
    env = os.environ if environ is None else environ
    roots: list[Root] = []
    places: dict[Path, Place] = {}
    errors: list[Problem] = []
    wanted = None if cwd is None else hashes_of(cwd, env)
    for root, place in _requested(paths, env, errors):
        roots.append(root)
        for found in [place] if place else _places_in(root, wanted, errors):
            if wanted is None or found.hash in wanted:
                _merge(places, found)
    return Discovery(tuple(_unique(roots)), tuple(places.values()), tuple(dict.fromkeys(errors)))


def _merge(places: dict[Path, Place], found: Place) -> None:
    """A workspace named twice is looked at once; two of its job files make one narrowed place."""
    known = places.get(found.directory)
    if known is None:
        places[found.directory] = found
    elif known.jobs is not None:
        both = None if found.jobs is None else known.jobs | found.jobs
        places[found.directory] = replace(known, jobs=both)


def _requested(
    paths: Iterable[str | os.PathLike[str]] | None, env: Mapping[str, str], problems: list[Problem]
) -> Iterator[tuple[Root, Place | None]]:
    if paths is None:
        yield from ((root, None) for root in default_roots(env, problems))
        return
    for path in paths:
        try:
            yield from _classify(Path(path).expanduser(), env, problems)
        except (OSError, RuntimeError, ValueError) as error:
            shown = os.fspath(path) if len(os.fspath(path)) < 300 else os.fspath(path)[:300] + "…"
            raise UsageError(f"{shown}: {getattr(error, 'strerror', None) or error}") from error


def _classify(given: Path, env: Mapping[str, str], problems: list[Problem]) -> list[tuple[Root, Place | None]]:
    """What a PATH argument names (DESIGN.md, commands)."""
    if not given.exists():
        raise UsageError(f"{given}: there is no such file or directory{_nearest_path(given)}")
    path = given.resolve()
    if path.name == INDEX and is_workspace(path.parent):
        return [_workspace(path.parent)]
    if path.suffix == ".json" and path.parent.name == JOBS and is_workspace(path.parent.parent):
        return [_workspace(path.parent.parent, frozenset({path.stem}))]
    if not path.is_dir():
        raise UsageError(f"{given}: this is no {INDEX} and no job file of a workspace")
    if is_workspace(path):
        return [_workspace(path)]
    before = len(problems)
    roots = _roots_under(path, problems)
    if not roots and len(problems) == before and not _may_be_empty(path, env):
        raise UsageError(
            f"{given}: no plugin state here; give a config dir (such as ~/.claude), a plugins/data dir, a plugin's"
            " data dir, a state dir, a workspace's state dir, a state.json or a job file; for the state of a project"
            f" directory: --cwd {given}"
        )
    return [(root, None) for root in roots]


def _nearest_path(given: Path) -> str:
    """What a mistyped path may have meant: the name nearest to its first part that does not exist."""
    missing = next(path for path in reversed([given, *given.parents]) if not path.exists())
    near = nearest(missing.name, (path.name for path in _children(missing.parent, [])))
    if near is None:
        return ""
    meant = missing.with_name(near)
    whole = meant / given.relative_to(missing)
    return f"; did you mean {whole if whole.exists() else meant}?"


def _workspace(path: Path, jobs: frozenset[str] | None = None) -> tuple[Root, Place]:
    root = (_root(path.parent, []) or [Root(path.parent, None)])[0]
    return root, Place(root.path, path, root.plugin, jobs)


def _roots_under(path: Path, problems: list[Problem]) -> list[Root]:
    if path.name in ("state", FALLBACK) or any(_NAME.fullmatch(child.name) for child in _children(path, problems)):
        return _root(path, problems)
    if (path / "state").is_dir():
        return _root(path / "state", problems)
    if (path / _DATA).is_dir():
        return _roots_in_data(path / _DATA, problems)
    return _roots_in_data(path, problems)


def _may_be_empty(path: Path, env: Mapping[str, str]) -> bool:
    """A config or data directory in which no plugin has written yet is fine, and empty."""
    named = {env.get(key) for key in ("CLAUDE_CONFIG_DIR", "CLAUDE_CODE_PLUGIN_CACHE_DIR", "CLAUDE_PLUGIN_DATA")}
    return path.name in (".claude", "data") or (path / "plugins").is_dir() or str(path) in named
