"""Move state between roots, or after a project directory that has moved; field guide section 8.

The source stays as it was unless it is archived. What is written is planned from both workspaces under both locks, goes
to the journal first, and is carried out as a heal is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from stateheal.commit.journal import KEEP, Journal
from stateheal.commit.location import journal_path
from stateheal.engine.world import World
from stateheal.errors import Conflict, ReadError, Refused, StatehealError, UsageError
from stateheal.evidence.discover import discover, is_workspace
from stateheal.evidence.hashes import workspace_hash
from stateheal.evidence.roots import FALLBACK, temp_root
from stateheal.migrate.workspace import Mover, Options, Pair
from stateheal.model.problems import Problem
from stateheal.model.report import Moved, Report
from stateheal.system.paths import config_dir
from stateheal.text import did_you_mean
from stateheal.values import NamedTuple
from stateheal.version import __version__

__all__ = ["Moves", "Options", "Pair", "migrate", "pairs_between", "pairs_in_place", "pairs_of_move", "root_named"]


class Moves(NamedTuple):
    """What is to be moved, and what could not be looked into on the way to it."""

    pairs: tuple[Pair, ...]
    errors: tuple[Problem, ...] = ()


def root_named(text: str, environ: Mapping[str, str] | None = None) -> Path:
    """The ``state`` directory behind a ROOT: a path, ``temp``, or a plugin's name such as ``codex-openai-codex``.

    It need not exist yet where its plugin has a data directory. Raises ``UsageError`` where the answer is not one
    directory, ``ReadError`` where it cannot be known.
    """
    env = os.environ if environ is None else environ
    try:
        path = Path(text).expanduser()
        path.exists()
    except PermissionError as error:
        raise ReadError(f"{text[:80]}: {error.strerror}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{text[:80]}: {getattr(error, 'strerror', None) or error}") from error
    if text == "temp":
        return temp_root(env) / FALLBACK
    try:
        return _plugin_named(text, env) if path.name == text and not path.exists() else _state_of(text, path.absolute())
    except OSError as error:
        raise ReadError(f"{error.filename or text}: {error.strerror or error}") from error


def _plugin_named(name: str, env: Mapping[str, str]) -> Path:
    """The ``state`` directory of a plugin that keeps data in the config directory."""
    data = Path(config_dir(env)) / "plugins" / "data"
    if (data / name).is_dir():
        return data / name / "state"
    there = sorted(each.name for each in data.iterdir() if each.is_dir()) if data.is_dir() else []
    near = did_you_mean(name, there) or (f"; the plugins there: {', '.join(there)}" if there else "")
    raise UsageError(f"{name}: no plugin of that name keeps data in {data}" + near)


def _state_of(text: str, path: Path) -> Path:
    """The ``state`` directory behind a path."""
    if path.is_dir() and is_workspace(path):
        raise UsageError(f"{text}: this is one workspace; name its root, and the project with --cwd")
    if path.name in ("state", FALLBACK):
        if not path.parent.is_dir() and not path.parent.parent.is_dir() and path.parent.parent.name != "data":
            raise UsageError(f"{text}: there is no {path.parent.parent}; only the last two directories may be new")
        return path
    if path.parent.name == "data" and path.parent.is_dir():
        return path / "state"
    if not path.is_dir():
        raise UsageError(
            f"{text}: there is no such directory (of --to a plugin's data dir and its 'state' dir may be new)"
        )
    found = discover([path])
    if len(found.roots) != 1 and found.errors:
        raise ReadError(f"{found.errors[0].path}: {found.errors[0].message}")
    if len(found.roots) != 1:
        raise UsageError(f"{text}: {len(found.roots)} plugins keep state below it; name one of them")
    return found.roots[0].path


def pairs_between(source: str, target: str, cwd: str | None = None) -> Moves:
    """Every workspace of one root, or that of a directory, with its place under another root."""
    from_root, to_root = root_named(source), root_named(target)
    if not from_root.is_dir():
        raise UsageError(f"{from_root}: there is no such directory")
    if os.path.realpath(from_root) == os.path.realpath(to_root):
        raise UsageError(f"{from_root}: source and target are the same")
    found = discover([from_root], cwd)
    if any(place.directory in (to_root.resolve(), *to_root.resolve().parents) for place in found.places):
        raise UsageError(f"{to_root}: this lies in the source")
    return Moves(tuple(Pair(place.directory, to_root / place.name) for place in found.places), found.errors)


def pairs_of_move(old: str, new_root: str, name: str, source: str | None = None) -> Moves:
    """The workspaces of a project directory that is now another, each beside where it is; in every root, or in one.

    ``new_root`` and ``name``: what the plugin calls the new directory, and its state.
    """
    names = frozenset({old, os.path.abspath(old), os.path.realpath(old)})
    hashes = {workspace_hash(each) for each in names}
    found = discover(None if source is None else [root_named(source)])
    pairs = [
        Pair(place.directory, place.directory.parent / name, names, new_root)
        for place in found.places
        if place.hash in hashes and place.name != name
    ]
    if not pairs and not found.errors:
        raise UsageError(f"{old}: no state of that directory")
    return Moves(tuple(pairs), found.errors)


def pairs_in_place(source: str, cwd: str | None = None) -> Moves:
    """Every workspace of one root as it is."""
    found = discover([root_named(source)], cwd)
    return Moves(tuple(Pair(place.directory, place.directory) for place in found.places), found.errors)


def migrate(moves: Moves, options: Options, journal: Journal | None = None, world: World | None = None) -> Report:
    """Merge each source into its target. A pair that must not be moved is refused and named; the others go on."""
    world, journal = world or World(), journal or Journal(journal_path(), KEEP)
    run = journal.begin("migrate", __version__, world.processes.host().now)
    mover = Mover(world, journal, run, options)
    moved: list[Moved] = []
    errors = list(moves.errors)
    interrupted = False
    try:
        for pair in moves.pairs:
            if world.stop():
                interrupted = True
                break
            try:
                moved.append(mover.move(pair))
            except (Refused, Conflict) as error:
                moved.append(Moved(pair.source, pair.target, refusal=str(error)))
            except (StatehealError, OSError) as error:
                errors.append(Problem(str(pair.source), str(getattr(error, "strerror", None) or error)))
    finally:
        run.close()
    return Report(
        "migrate",
        options.dry_run,
        run.id if run.wrote else None,
        workspaces=len(moved),
        moved=tuple(moved),
        diffs=tuple(mover.diffs),
        errors=(*errors, *mover.problems),
        interrupted=interrupted,
    )
