"""Roots: where plugins keep state, whose they are, and which of these places are there (field guide sections 1 and 11).

No git and no other process is ever started here.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from stateheal.dialects.names import BELOW, HOMES, TEMP, VARIABLES
from stateheal.model.dialect import CODEX
from stateheal.model.places import Looked
from stateheal.model.problems import Problem
from stateheal.system.paths import config_dir
from stateheal.values import NamedTuple

FALLBACK = CODEX.temp[0]
DATA = Path("plugins") / "data"
_SANDBOXES = ("claude-{uid}", "claude")
"""Below the shared temp directory: what sandboxed commands of Claude Code are given as theirs, now and before."""


class Root(NamedTuple):
    """One ``state`` directory, real path, and the plugin it belongs to as far as its path tells."""

    path: Path
    plugin: str | None
    in_temp: bool = False
    """It lies in a temp directory, where others may have put it."""


def default_roots(environ: Mapping[str, str] | None = None, problems: list[Problem] | None = None) -> list[Root]:
    """Every root that exists and belongs to this user, each real path once.

    What is there and cannot be looked into is added to ``problems``.
    """
    return own_roots(all_roots(environ, problems))


def own_roots(roots: Iterable[Root]) -> list[Root]:
    """Those that belong to this user."""
    return [root for root in roots if _is_mine(root.path)]


def all_roots(environ: Mapping[str, str] | None = None, problems: list[Problem] | None = None) -> list[Root]:
    """The same, those that belong to somebody else included."""
    env = os.environ if environ is None else environ
    noted = [] if problems is None else problems
    found = [root for data in data_dirs(env) for root in roots_in_data(data, noted)]
    for place in _named(env):
        found += root_at(place, noted)
    for place in temp_places(env, (base for base in temp_bases(env) if not _is_missing(base))):
        found += [root._replace(in_temp=True) for each in _globbed(place) for root in root_at(each, noted)]
    return unique(found)


def looked_at(environ: Mapping[str, str] | None = None) -> tuple[Looked, ...]:
    """Every place where state is looked for, and whether it is there."""
    env = os.environ if environ is None else environ
    named = [(place, False) for place in (*data_dirs(env), *_named(env))]
    shown = [(place.parent if place.name == "*" else place, True) for place in temp_places(env)]
    places = dict([*shown, *named])  # what is named is no mere fallback
    order = dict.fromkeys(place for place, _ in (*named, *shown))
    return tuple(Looked(place, os.path.lexists(place), places[place]) for place in order)


# --- the places ----------------------------------------------------------------------------------------------------


def data_dirs(env: Mapping[str, str]) -> Iterator[Path]:
    """The directories in which every plugin has one of its own."""
    yield Path(config_dir(env)) / DATA
    if env.get("CLAUDE_CODE_PLUGIN_CACHE_DIR"):
        yield Path(env["CLAUDE_CODE_PLUGIN_CACHE_DIR"]) / "data"


def _named(env: Mapping[str, str]) -> Iterator[Path]:
    """State directories that a variable names, or a companion keeps elsewhere."""
    named = [Path(env[name]) for name in ("CLAUDE_PLUGIN_DATA", *VARIABLES) if env.get(name)]
    yield from (data / below for data in named for below in BELOW)
    for home in HOMES:
        first, _, rest = home.partition("/")
        base = Path(os.path.expanduser("~")) if first == "~" else Path(env[first[1:]]) if env.get(first[1:]) else None
        if base is not None and base.is_absolute():
            yield base / rest.format(uid=user())


SYSTEM_TEMP = Path("/tmp")
"""Where the plugin falls back to on POSIX without TMPDIR, whatever this process has; tests put their own here."""


_TEMP_VARIABLES = ("TMPDIR", "TEMP", "TMP", "CLAUDE_CODE_TMPDIR", "CLAUDE_TMPDIR")
"""The last two are Claude Code's and its sandbox's own: commands are given these, or a directory below, as TMPDIR."""


def temp_places(env: Mapping[str, str], bases: Iterable[Path] | None = None) -> Iterator[Path]:
    """Every directory that a companion may fall back to; ``bases``: the temp directories to name, else all."""
    names = [name.format(uid=user()) for name in TEMP]
    yield from (base / name for base in (temp_bases(env) if bases is None else bases) for name in names)


def temp_bases(env: Mapping[str, str]) -> tuple[Path, ...]:
    """The temp directories: this process's, the system's, and what sandboxed commands are given below them.

    Whichever of its variables a program takes first; ``tempfile`` is not asked, since it writes a file to find out.
    """
    sandboxes = _sandboxes()
    bases = [temp_root(env), *(Path(env[name]) for name in _TEMP_VARIABLES if env.get(name))]
    bases += [] if sys.platform == "win32" else [SYSTEM_TEMP]
    bases += [base.parent for base in bases if base.name in sandboxes]
    return tuple(dict.fromkeys(place for base in bases for place in (base, *(base / name for name in sandboxes))))


def _sandboxes() -> tuple[str, ...]:
    return tuple(name.format(uid=user()) for name in _SANDBOXES)


def temp_root(env: Mapping[str, str]) -> Path:
    """The temp directory as node names it, which is where the plugin falls back to: it need not exist."""
    if sys.platform == "win32":
        windows = env.get("SystemRoot") or env.get("windir") or ""
        return Path(env.get("TEMP") or env.get("TMP") or windows + "\\temp")
    return Path(env.get("TMPDIR") or env.get("TMP") or env.get("TEMP") or "/tmp")


def user() -> str:
    """What stands for this user in the names of temp directories."""
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _is_missing(path: Path) -> bool:
    """Whether nothing can stand in a directory; what cannot be looked into is no such place."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _globbed(place: Path) -> list[Path]:
    return children(place.parent, []) if place.name == "*" else [place]


# --- what is there -------------------------------------------------------------------------------------------------


def roots_in_data(data: Path, problems: list[Problem]) -> list[Root]:
    """The roots of every plugin in a data directory."""
    return [root for plugin in children(data, problems) for root in roots_of_plugin(plugin, problems)]


def roots_of_plugin(plugin: Path, problems: list[Problem]) -> list[Root]:
    """The roots in a plugin's data directory."""
    return [root for below in BELOW for root in root_at(plugin / below, problems)]


def children(path: Path, problems: list[Problem]) -> list[Path]:
    """What stands in a directory; nothing where there is none."""
    try:
        return sorted(path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be listed: {error.strerror or error}"))
        return []


def root_at(state: Path, problems: list[Problem]) -> list[Root]:
    """The root at a path, if a directory is there."""
    try:
        if not stat.S_ISDIR(state.stat().st_mode):
            return []
        real = state.resolve()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, RuntimeError) as error:
        problems.append(Problem(str(state), f"cannot be looked into: {getattr(error, 'strerror', None) or error}"))
        return []
    return [Root(real, plugin_of(real))]


def plugin_of(real: Path) -> str | None:
    """The plugin, or what a companion calls its temp root; ``None`` where the path tells neither."""
    if real.name == "state":
        return real.parent.name
    if real.name in _TEMP_NAMES:
        return real.name
    return real.parent.name if real.parent.name in _TEMP_NAMES else None


_TEMP_NAMES = frozenset(name.partition("/")[0].format(uid=user()) for name in TEMP)


def is_temp_root(path: Path) -> bool:
    """Whether a companion falls back to a directory of this name."""
    return path.name in _TEMP_NAMES


def _is_mine(path: Path) -> bool:
    return why_not_ones_own(path, strictly=False) is None


def why_not_ones_own(path: Path, strictly: bool = True) -> str | None:
    """Who else may have put something here: its owner, and (``strictly``) whoever may write to it."""
    try:
        info = path.stat()
    except OSError as error:
        return f"cannot be looked into: {error.strerror or error}"
    if not hasattr(os, "geteuid"):
        return None
    if info.st_uid != os.geteuid():
        return f"it belongs to user {info.st_uid}, not to you"
    if strictly and info.st_mode & 0o022:
        return "everybody may write to it" if info.st_mode & 0o002 else f"group {info.st_gid} may write to it"
    return None


def is_in_sandbox(path: Path) -> bool:
    """Whether only sandboxed commands fall back to it: below the temp directory that they are given."""
    names = _sandboxes()
    if temp_root(os.environ).name in names:
        return False
    bases = {os.path.realpath(base) for base in temp_bases(os.environ) if base.name in names}
    return any(str(above) in bases for above in path.parents)


def unique(roots: Iterable[Root]) -> list[Root]:
    """Each real path once."""
    return list({root.path: root for root in roots}.values())
