"""Claude Code's settings files: where they are, what stands in them, how one is replaced.

A settings file may be a link (into a directory of dotfiles, mostly): the file it leads to is replaced, the link stays.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from stateheal.commit.archive import sync_directory
from stateheal.commit.atomic import create_file, replace_file
from stateheal.commit.files import Target, new_stat, read_plain
from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.commit.lock import workspace_lock
from stateheal.commit.swap import SECOND_SUFFIX
from stateheal.errors import Conflict, Refused, StatehealError, WriteError
from stateheal.formats.jsonedit import rewrite
from stateheal.formats.jsontext import Document, Json, parse, stringify
from stateheal.fs.directory import Directory, open_directory
from stateheal.fs.own_names import own_name
from stateheal.fs.private import make_private, open_to_owner
from stateheal.model.disk import FileStat
from stateheal.system.disk import sync
from stateheal.system.paths import config_dir
from stateheal.values import NamedTuple

_TAG = "settings"
"""In the names of temporary files."""
SCOPES = ("user", "project", "local")
_LARGEST = 16 << 20
"""Bytes of a settings file; people's are a few thousand long."""
_BOM = b"\xef\xbb\xbf"


class SettingsFile(NamedTuple):
    """One settings file as it was read."""

    path: Path
    """As people name it."""
    real: Path
    """Where it leads to."""
    stat: FileStat | None
    """``None`` where there is none yet."""
    data: bytes = b""
    document: Document | None = None
    """``None`` where there is nothing in it."""

    @property
    def value(self) -> Json:
        return {} if self.document is None else self.document.value


def settings_path(scope: str, cwd: str | None = None) -> Path:
    """The settings file of a scope; those of a project stand in the directory given."""
    if scope == "user":
        return Path(config_dir(os.environ)) / "settings.json"
    name = "settings.json" if scope == "project" else "settings.local.json"
    return Path(cwd or os.getcwd()) / ".claude" / name


def read_settings(path: Path) -> SettingsFile:
    """What is there. Raises ``Refused`` where it is no settings file that can be read."""
    real = Path(os.path.realpath(path))
    try:
        with (
            open_directory(real.parent) as folder,
            folder.regular(real.name) as (fd, info),
            os.fdopen(fd, "rb", closefd=False) as file,
        ):
            if info.size > _LARGEST:
                raise Refused(f"{path}: is too large for a settings file ({info.size >> 20} MiB)")
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return SettingsFile(path, real, None)
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data.strip():
        return SettingsFile(path, real, info, data)
    found = parse(data)
    if not isinstance(found, Document):
        why = "it begins with a byte order mark" if data.startswith(_BOM) else found.reason
        raise Refused(f"{path}: is no JSON ({why}): mend it first, nothing was changed")
    return SettingsFile(path, real, info, data, found)


def settings_bytes(file: SettingsFile, value: Json) -> bytes:
    """The file's text saying another value, its layout and all the rest of it kept."""
    if file.document is None:
        return (stringify(value) + "\n").encode()
    return rewrite(file.document, value)


def replace_settings(file: SettingsFile, data: bytes) -> Path | None:
    """Put new bytes in the file's place, whole or not at all. Returns where the old ones are kept.

    Raises ``Refused`` or ``WriteError``; where somebody else wrote meanwhile ``Conflict``.
    """
    kept = None if file.stat is None else _back_up(file)
    try:
        file.real.parent.mkdir(parents=True, exist_ok=True)
        with open_directory(file.real.parent) as folder, workspace_lock(folder):
            _remove_leftovers(folder, file.real.name)
            _put(folder, file, data)
    except OSError as error:
        raise WriteError(f"{file.path}: cannot be written: {error.strerror or error}") from error
    except Conflict as error:
        raise Conflict(f"{file.path}: {error}; try again") from error
    return kept


def remove_leftovers(file: SettingsFile) -> None:
    """Remove what a killed run has left beside a file that stays as it is, as far as that is possible."""
    with (
        suppress(OSError, StatehealError),
        open_directory(file.real.parent) as folder,
        workspace_lock(folder),
    ):
        _remove_leftovers(folder, file.real.name)


def _put(folder: Directory, file: SettingsFile, data: bytes) -> None:
    if file.stat is None:
        create_file(folder, Target(file.real.name, b"", new_stat(folder)), data, _TAG)
    else:
        replace_file(folder, Target(file.real.name, file.data, file.stat), data, _TAG)


def _remove_leftovers(folder: Directory, name: str) -> None:
    """Remove what a killed run has left beside the file, under the directory's lock.

    A second name only where it is but another name of the file, or where its bytes are kept: an editor may have written
    into it last, and then it stays.
    """
    temp, second = own_name(_TAG, name, ".tmp"), own_name(_TAG, name, SECOND_SUFFIX)
    with suppress(OSError):
        folder.unlink(temp)
    with suppress(OSError, Conflict):
        info, data = read_plain(folder, second)
        if folder.stat(name).st_ino == info.inode or data in map(Path.read_bytes, _backups().iterdir()):
            folder.unlink(second)


def _backups() -> Path:
    return journal_path() / "settings"


def _back_up(file: SettingsFile) -> Path:
    """Keep the old bytes beside the journal, readable by nobody else: settings may hold keys."""
    Journal(journal_path()).make()
    folder = _backups()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 1
    try:
        make_private(folder)
        while True:
            path = folder / (f"{stamp}-{file.real.name}" if number == 1 else f"{stamp}-{number}-{file.real.name}")
            try:
                fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except FileExistsError:
                number += 1
                continue
            with os.fdopen(fd, "wb") as copy:
                open_to_owner(fd)
                copy.write(file.data)
                copy.flush()
                sync(copy.fileno())
            sync_directory(folder)
            return path
    except OSError as error:
        raise WriteError(f"{folder}: no copy of the settings can be kept there: {error.strerror or error}") from error
