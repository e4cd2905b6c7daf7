"""What else stands around a workspace's records: stray names, the project directory, where logs are said to be."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from stateheal.digests import sha256
from stateheal.evidence.hashes import workspace_hash
from stateheal.evidence.snapshot import read_snapshot
from stateheal.formats.jsontext import Json, ParseFailure
from stateheal.fs.directory import Directory, folder_of
from stateheal.fs.own_names import own_name, parse_own_name
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import Name, Place, Snapshot
from stateheal.model.records import pid_of, text_of
from stateheal.patterns import pattern
from stateheal.system.paths import real_path

_JOB_IS_OVER = 60.0
"""Seconds after which a tracked job's temporary file is no write in progress: one takes milliseconds."""
Originals = Callable[[str, Path], Mapping[str, "frozenset[str]"]]
"""By run and workspace: the digests of the bytes that each file had before that run."""
_RECORDS = (".json", ".log")
_FIRST_PID = pattern(rb"\s*(?:pid\s*[=:]\s*)?([1-9][0-9]{0,9})(?![0-9.])")
_TEMPORARY = (".tmp", ".temp", "~", ".swp")


def stray_names(folder: Directory, listing: Mapping[str, bool], prefix: str) -> Iterator[Name]:
    """Possible temporary files among the names in the workspace directory, or (``prefix``) in its ``jobs/``.

    There, directories too: a record may name one as its log.
    """
    for name, is_directory in listing.items():
        if name.endswith(_RECORDS) and not is_directory and ".tmp" not in name:
            continue
        ours = parse_own_name(name)
        if not (ours or _is_temporary(name) or (is_directory and prefix)):
            continue
        try:
            info = folder.stat(name)
        except OSError:
            continue
        yield Name(prefix + name, stat.S_ISDIR(info.st_mode), info.st_mtime, ours.run if ours else None)


def _is_temporary(name: str) -> bool:
    return name.endswith(_TEMPORARY) or ".tmp." in name or ".tmp-" in name


def read_leftovers(
    directory: Directory, names: Iterable[Name], runs: frozenset[str], originals: Originals, now: float
) -> dict[str, Snapshot]:
    """The temporary files among the names that a run or a tracked job of ours has left, and that nobody needs any more.

    The second name of a file that was being replaced is needed unless the journal holds those very bytes: a live
    writer's last update may stand in it alone.
    """
    found: dict[str, Snapshot] = {}
    for each in names:
        if each.run is None or each.is_directory:
            continue
        ours = parse_own_name(each.name.rpartition("/")[2])
        of_job = ours is not None and ours.of_job
        if now - each.mtime < _JOB_IS_OVER if of_job else each.run not in runs:
            continue
        head, _, tail = each.name.rpartition("/")
        with folder_of(directory, each.name) as (folder, base):
            snapshot = read_snapshot(folder, base, each.name)
        if not isinstance(snapshot, Snapshot):
            continue
        of_these = runs if of_job else (each.run,)
        if (
            tail.endswith(".tmp")
            or _is_second_name(directory, head, tail, each.run)
            or any(_is_known(each, snapshot, originals(run, directory.path)) for run in of_these)
        ):
            found[each.name] = snapshot
    return found


def _is_second_name(directory: Directory, head: str, tail: str, run: str) -> bool:
    """Whether this is but another name of the file that was about to be replaced."""
    name = tail[len(own_name(run, "", "")) : -len(".old")]
    target = directory.path / head / name
    try:
        return (directory.path / head / tail).lstat().st_ino == target.lstat().st_ino
    except OSError:
        return False


def _is_known(second: Name, snapshot: Snapshot, originals: Mapping[str, frozenset[str]]) -> bool:
    """Whether the journal holds these very bytes, as what the file of this second name was before the run."""
    digest = sha256(snapshot.data)
    for target, known in originals.items():
        head, _, name = target.rpartition("/")
        own = own_name(str(second.run), name, ".old")
        if second.name == (f"{head}/{own}" if head else own):
            return digest in known
    return False


def real_parents(records: Iterable[Mapping[str, Json]], dialect: Dialect = CODEX) -> dict[str, str]:
    """The directories of the files that records name, each with every link resolved."""
    files = {text_of(record, key) for record in records for key in dialect.deletes}
    parents = {os.path.dirname(file) for file in files if file and _is_path(file)}
    return {parent: os.path.realpath(parent) for parent in parents}


def _is_path(text: str) -> bool:
    """Whether it is an absolute path that a file system can have: no NUL, no half of a surrogate pair."""
    if text.isascii():
        return os.path.isabs(text) and "\0" not in text
    try:
        return os.path.isabs(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def size_of(directory: str) -> int:
    """Bytes of all files in a workspace's state."""
    total = 0
    for base, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_size
            except OSError:
                continue
    return total


def home_of(place: Place, records: Iterable[Mapping[str, Json]]) -> tuple[str | None, bool | None]:
    """The project directory that a record names, and whether it is there; ``None`` where it cannot be told.

    One that fits the workspace's hash comes first; of several the first by name, so that the answer does not depend on
    the order of a set.
    """
    homes = sorted(home for home in {text_of(record, "workspaceRoot") for record in records} if home and _is_path(home))
    for home in homes:
        spelt = (spelling(home) for spelling in (str, real_path))
        if place.hash and any(workspace_hash(path).startswith(place.hash) for path in spelt):
            return home, _is_directory(home)
    return next(((home, True) for home in homes if os.path.isdir(home)), (None, None))


def _is_directory(path: str) -> bool | None:
    """Whether a directory is there; ``None`` where nobody can tell, for example because its parent may not be read."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return None


def absent_homes(records: Iterable[Mapping[str, Json]]) -> frozenset[str]:
    """The project directories that records name and that are not there."""
    named = {text_of(record, key) for record in records for key in ("workspaceRoot", "cwd")}
    return frozenset(home for home in named if home and not (_is_path(home) and os.path.isdir(home)))


def read_pid(jobs: Directory, name: str) -> int | None:
    """The pid in a fork's ``<id>.pid``: a number that may stand before other words or behind ``pid=``, or
    ``{"pid": N, …}``.
    """
    snapshot = read_snapshot(jobs, name, name)
    if not isinstance(snapshot, Snapshot):
        return None
    if isinstance(snapshot.document, ParseFailure):
        first = _FIRST_PID.match(snapshot.data)
        return pid_of(int(first[1])) if first else None
    value = snapshot.value
    return pid_of(value.get("pid") if isinstance(value, dict) else value)
