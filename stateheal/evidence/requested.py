"""What a PATH argument names, and what plugins keep beside their workspaces in a shape that is not read here.

A hook asks for neither, and does not import it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from stateheal.dialects.names import BELOW
from stateheal.errors import UsageError
from stateheal.evidence.discover import holds_state, is_workspace
from stateheal.evidence.roots import (
    DATA,
    Root,
    children,
    data_dirs,
    is_temp_root,
    root_at,
    roots_in_data,
    roots_of_plugin,
)
from stateheal.model.disk import INDEX, JOBS, Place, hash_in
from stateheal.model.problems import Problem
from stateheal.system.paths import config_dir
from stateheal.text import nearest, quoted


def unread_beside(
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
        return holds_state(place)
    except OSError:
        return False


def _is_unread_root(state: Path) -> bool:
    return any(hash_in(each.name) and _may_hold_state(each) for each in children(state, []))


def requested(
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
