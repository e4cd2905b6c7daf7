"""Files and directories of our own: readable by their owner, and by nobody else, whatever the umask says.

A umask takes the owner's bits, too: what was made under it could then not be read again, an original least of all.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_FILE, _FOLDER, _ANY = 0o600, 0o700, 0o777


def open_to_owner(fd: int) -> None:
    """Give the owner of a file that we have made what the umask took. Raises ``OSError``."""
    if os.name == "posix" and os.fstat(fd).st_mode & _FILE != _FILE:
        os.fchmod(fd, _FILE)


def make_private(path: Path, exist_ok: bool = True) -> None:
    """Make a directory of our own, and those above it as far as they are missing. Raises ``OSError``."""
    _make(path, _FOLDER, exist_ok)


def _make(path: Path, mode: int, exist_ok: bool = True) -> None:
    try:
        path.mkdir(mode)
    except FileNotFoundError:
        if path.parent == path:
            raise
        _make(path.parent, _ANY)
        _make(path, mode, exist_ok)
    except FileExistsError:
        if not exist_ok or not path.is_dir():
            raise
    else:
        _open_folder(path)


def _open_folder(path: Path) -> None:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if os.name == "posix" and mode & _FOLDER != _FOLDER:
        path.chmod(mode | _FOLDER)
