"""Which workspaces a request names, and which places hold state that nobody here can read (field guide section 1).

A workspace is known by its hash alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from stateheal.evidence.hashes import hashes_of
from stateheal.evidence.roots import (
    Root,
    all_roots,
    children,
    is_temp_root,
    looked_at,
    own_roots,
    unique,
    why_not_ones_own,
)
from stateheal.model.disk import INDEX, JOBS, Place, hash_in
from stateheal.model.places import Looked
from stateheal.model.problems import Problem
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
    return bool(hash_in(path.name)) and holds_state(path)


def holds_state(path: Path) -> bool:
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
    if paths is None:
        return found._replace(looked=looked_at(env))
    known = {os.path.realpath(root.path) for root in own_roots(all_roots(env))} if found.places else set()
    places = (replace(each, apart=os.path.realpath(each.root) not in known) for each in found.places)
    return found._replace(places=tuple(places))


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
        from stateheal.evidence.requested import unread_beside

        unread += unread_beside(paths, env, roots)
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
                unread += [path] if not hash_in(path.name) and holds_state(path) else []
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


def _merge(places: dict[Path, Place], found: Place) -> None:
    """A workspace named twice is looked at once; two of its job files make one narrowed place."""
    known = places.get(found.directory)
    if known is None:
        places[found.directory] = found
    elif known.jobs is not None:
        both = None if found.jobs is None else known.jobs | found.jobs
        places[found.directory] = replace(known, jobs=both)


def _requested(
    paths: Iterable[str | os.PathLike[str]], env: Mapping[str, str], problems: list[Problem]
) -> Iterator[tuple[Root, Place | None]]:
    from stateheal.evidence.requested import requested  # a hook names no path

    return requested(paths, env, problems)


def _whole(roots: Iterable[Root]) -> Iterator[tuple[Root, Place | None]]:
    yield from ((root, None) for root in roots)
