"""Which workspaces a request names, and which places hold state that nobody here can read (field guide section 1).

A workspace is known by its hash alone.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from stateheal.dialects.names import BELOW
from stateheal.errors import UsageError
from stateheal.evidence.hashes import hashes_of
from stateheal.evidence.roots import (
    DATA,
    Root,
    all_roots,
    children,
    data_dirs,
    is_temp_root,
    looked_at,
    own_roots,
    root_at,
    roots_in_data,
    roots_of_plugin,
    unique,
    why_not_ones_own,
)
from stateheal.model.disk import INDEX, JOBS, Place, hash_in
from stateheal.model.places import Looked
from stateheal.model.problems import Problem
from stateheal.system.paths import config_dir
from stateheal.text import nearest, quoted
from stateheal.values import NamedTuple, replace


class Discovery(NamedTuple):
    """What a request came to: the roots looked at, the workspaces found, what could not be listed."""

    roots: tuple[Root, ...]
    places: tuple[Place, ...]
    errors: tuple[Problem, ...] = ()
    unread: tuple[Path, ...] = ()
    """Directories that hold state of a shape that is not read here."""
    planted: tuple[tuple[Path, str], ...] = ()
    """Roots in a shared temp directory that may be somebody else's doing, and why."""
    looked: tuple[Looked, ...] = ()
    """Where was looked, where no path was given."""
    links: tuple[Path, ...] = ()
    """Links named as workspaces are, which are not followed."""


def is_workspace(path: Path) -> bool:
    """A real directory named ``…-<hash>``, or by the hash alone, that holds an index or a ``jobs`` directory.

    Raises ``OSError`` where the directory cannot be looked into.
    """
    return bool(hash_in(path.name)) and _holds_state(path)


def _holds_state(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode) and (_there(path / INDEX) or _there(path / JOBS))


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def discover(
    paths: Iterable[str | os.PathLike[str]] | None, cwd: str | None = None, environ: Mapping[str, str] | None = None
) -> Discovery:
    """The workspaces that a request names: the given paths, or every default root for ``None``.

    Raises ``UsageError`` for a path that does not exist or is nothing that holds state.
    """
    env = os.environ if environ is None else environ
    found = _found(paths, cwd, env)
    return found if paths is not None else found._replace(looked=looked_at(env))


def _found(paths: Iterable[str | os.PathLike[str]] | None, cwd: str | None, env: Mapping[str, str]) -> Discovery:
    """The same without a word of the places that were looked at, and hold nothing."""
    roots: list[Root] = []
    places: dict[Path, Place] = {}
    errors: list[Problem] = []
    unread: list[Path] = []
    wanted = None if cwd is None else _with_short(hashes_of(cwd, env))
    everybodys = all_roots(env, errors) if paths is None else []
    for root, place in _requested(paths, env, errors) if paths is not None else _whole(own_roots(everybodys)):
        roots.append(root)
        for found in [place] if place else _places_in(root, wanted, errors, unread):
            if wanted is None or found.hash in wanted:
                _merge(places, found)
    if cwd is None:
        unread += _unread_beside(paths, env, roots)
    return Discovery(
        tuple(unique(roots)),
        tuple(places.values()),
        tuple(dict.fromkeys(errors)),
        tuple(dict.fromkeys(unread)),
        tuple(_planted(everybodys or roots)),
        links=tuple(_links(roots, wanted)),
    )


def discover_in(paths: Iterable[str | os.PathLike[str]] | None, cwds: Sequence[str]) -> Discovery:
    """The workspaces of several directories, each once, as ``discover`` finds those of one.

    Who asks for several tells nobody where there was nothing: ``looked`` stays empty, which costs a hook 0.6 ms less.
    """
    found = [_found(paths, cwd, os.environ) for cwd in cwds]
    places = {place.directory: place for each in found for place in each.places}
    errors = dict.fromkeys(error for each in found for error in each.errors)
    return found[0]._replace(places=tuple(places.values()), errors=tuple(errors))


def _links(roots: Iterable[Root], wanted: frozenset[str] | None) -> Iterator[Path]:
    """Links among a root's workspaces to what would be one."""
    for root in unique(roots):
        for path in children(root.path, []):
            place = Place(root.path, path, root.plugin)
            if path.is_symlink() and hash_in(path.name) and (wanted is None or place.hash in wanted):
                yield path


def _with_short(hashes: frozenset[str]) -> frozenset[str]:
    """Some companions keep twelve digits of a hash."""
    return hashes | {each[:12] for each in hashes}


def _planted(roots: Iterable[Root]) -> Iterator[tuple[Path, str]]:
    for root in unique(roots):
        if root.in_temp or is_temp_root(root.path):
            why = why_not_ones_own(root.path)
            if why is not None:
                yield root.path, why


def _places_in(root: Root, wanted: frozenset[str] | None, problems: list[Problem], unread: list[Path]) -> list[Place]:
    places: list[Place] = []
    for path in children(root.path, problems):
        place = Place(root.path, path, root.plugin)
        if wanted is not None and place.hash not in wanted:
            continue
        try:
            if not is_workspace(path):
                unread += [path] if not hash_in(path.name) and _holds_state(path) else []
            elif is_temp_root(root.path) and _others_may_write(path):
                message = "belongs to another user and others may write to it: left alone"
                problems.append(Problem(str(path), message))
            else:
                places.append(place)
        except OSError as error:
            problems.append(Problem(str(path), f"cannot be looked into: {error.strerror or error}"))
    return places


def _others_may_write(path: Path) -> bool:
    """In the shared temp directory: somebody else's directory that is open to more than its owner."""
    info = path.lstat()
    return hasattr(os, "geteuid") and info.st_uid != os.geteuid() and bool(info.st_mode & 0o022)


def _unread_beside(
    paths: Iterable[str | os.PathLike[str]] | None, env: Mapping[str, str], roots: Iterable[Root]
) -> Iterator[Path]:
    """What plugins keep elsewhere than in ``state/<slug>-<hash>``: in their data directory, or one directory below."""
    if paths is None:
        plugins = [plugin for data in data_dirs(env) for plugin in children(data, [])]
    else:
        plugins = [root.path.parent for root in roots if root.path.name == "state"]
        given = [data for path in paths for data in (Path(path).expanduser(), Path(path).expanduser() / DATA)]
        plugins += [
            plugin for data in given if data.parts[-2:] == DATA.parts for plugin in children(data.resolve(), [])
        ]
    for plugin in dict.fromkeys(plugins):
        for place in (plugin, *children(plugin, [])):
            if place.name != JOBS and _may_hold_state(place):
                yield place
            elif place != plugin and place.name != "state" and _is_unread_root(place / "state"):
                yield from [place / "state"] if f"{place.name}/state" not in BELOW else []


def _may_hold_state(place: Path) -> bool:
    try:
        return _holds_state(place)
    except OSError:
        return False


def _is_unread_root(state: Path) -> bool:
    return any(hash_in(each.name) and _may_hold_state(each) for each in children(state, []))


def _merge(places: dict[Path, Place], found: Place) -> None:
    """A workspace named twice is looked at once; two of its job files make one narrowed place."""
    known = places.get(found.directory)
    if known is None:
        places[found.directory] = found
    elif known.jobs is not None:
        both = None if found.jobs is None else known.jobs | found.jobs
        places[found.directory] = replace(known, jobs=both)


# --- PATH arguments ------------------------------------------------------------------------------------------------


def _whole(roots: Iterable[Root]) -> Iterator[tuple[Root, Place | None]]:
    yield from ((root, None) for root in roots)


def _requested(
    paths: Iterable[str | os.PathLike[str]], env: Mapping[str, str], problems: list[Problem]
) -> Iterator[tuple[Root, Place | None]]:
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
    if path.suffix in (".json", ".log") and path.parent.name == JOBS and is_workspace(path.parent.parent):
        return [_workspace(path.parent.parent, frozenset({path.stem}))]
    if path.name == "job.json" and path.parent.parent.name == JOBS and is_workspace(path.parent.parent.parent):
        return [_workspace(path.parent.parent.parent, frozenset({path.parent.name}))]
    if not path.is_dir():
        raise UsageError(f"{given}: this is no {INDEX}, no job file and no log of a workspace")
    if is_workspace(path):
        return [_workspace(path)]
    if path.name == JOBS and is_workspace(path.parent):
        return [_workspace(path.parent)]
    before = len(problems)
    roots = _roots_under(path, problems)
    if not roots and len(problems) == before and not _may_be_empty(path, env):
        raise UsageError(
            f"{given}: no plugin state here; give a config dir (such as ~/.claude), a plugins/data dir, a plugin's"
            " data dir, a state dir, a workspace's state dir or its jobs dir, a state.json, a job file or its log;"
            f" for the state of a project directory: --cwd {quoted(str(given))}"
        )
    return [(root, None) for root in roots]


def _nearest_path(given: Path) -> str:
    """What a mistyped path may have meant: the name nearest to its first part that does not exist."""
    missing = next(path for path in reversed([given, *given.parents]) if not path.exists())
    near = nearest(missing.name, (path.name for path in children(missing.parent, [])))
    if near is None:
        return ""
    meant = missing.with_name(near)
    whole = meant / given.relative_to(missing)
    return f"; did you mean {whole if whole.exists() else meant}?"


def _workspace(path: Path, jobs: frozenset[str] | None = None) -> tuple[Root, Place]:
    root = (root_at(path.parent, []) or [Root(path.parent, None)])[0]
    return root, Place(root.path, path, root.plugin, jobs)


def _roots_under(path: Path, problems: list[Problem]) -> list[Root]:
    if path.name == "state" or is_temp_root(path) or _has_workspaces(path, problems):
        return root_at(path, problems)
    if any((path / below).is_dir() for below in BELOW):
        return roots_of_plugin(path, problems)
    if (path / DATA).is_dir():
        return roots_in_data(path / DATA, problems)
    return roots_in_data(path, problems)


def _has_workspaces(path: Path, problems: list[Problem]) -> bool:
    """Whether names such as workspaces have stand here; short ones may be anything, and must hold state as well."""
    for child in children(path, problems):
        if re.fullmatch(r"(?s).*-[0-9a-f]{16}", child.name) or (hash_in(child.name) and _may_hold_state(child)):
            return True
    return False


def _may_be_empty(path: Path, env: Mapping[str, str]) -> bool:
    """A config or data directory in which no plugin has written yet is fine, and empty."""
    named = {config_dir(env), *(env.get(key) for key in ("CLAUDE_CODE_PLUGIN_CACHE_DIR", "CLAUDE_PLUGIN_DATA"))}
    return path.name in (".claude", "data") or (path / "plugins").is_dir() or str(path) in named
