"""Moving names where nothing may be open meanwhile: Windows (field guide section 12).

There, a file that anybody has open, however shared, cannot be renamed over: error 5. So the old file is read, compared
and closed before its name moves, and looked at once more under its second name. A writer that has it open makes the
move fail, which is what the lease is on Linux; a scanner lets go within moments. ``ReplaceFile`` is no way: for a
moment there is no file under the name, and the plugin takes that for an empty state (measured).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from stateheal.commit.files import Target, ensure_same_entry, ensure_same_file, opened, read_again
from stateheal.errors import Conflict
from stateheal.fs.directory import Directory
from stateheal.model.disk import FileStat
from stateheal.system.disk import is_busy, patiently
from stateheal.system.paths import unlimited

REQUIRED = sys.platform == "win32"
_WRITABLE = 0o200


def check(folder: Directory, expected: Target, attributes: Mapping[str, bytes]) -> None:
    """Raise ``Conflict`` unless the file is still the expected one; it is closed again."""
    with opened(folder, expected.name) as (fd, info):
        ensure_same_file(folder, expected, fd, info, attributes)


def ensure_free(folder: Directory, name: str) -> None:
    """Raise ``Conflict`` where somebody has a file open for over a second: its second name could not go again."""
    if sys.platform == "win32":
        from stateheal.system.files import ensure_removable

        try:
            patiently(lambda: ensure_removable(unlimited(str(folder.path / name))))
        except OSError as error:
            if is_busy(error):
                raise Conflict(f"{name} is open in another program") from error
            raise


def move(folder: Directory, old: str, new: str, standing: tuple[str, FileStat]) -> None:
    """Rename, again and again for a second. Right before each try a name must still have the file that is given.

    Raises ``Conflict`` where it has not (whoever had it open has written), or where one is open for longer.
    """

    def try_once() -> None:
        ensure_same_entry(folder, *standing)
        folder.replace(old, new)

    try:
        patiently(try_once)
    except OSError as error:
        if is_busy(error):
            raise Conflict(f"{new} is open in another program") from error
        raise


def remove(folder: Directory, name: str) -> None:
    """Remove a name, again and again for a second."""
    patiently(lambda: folder.unlink(name))


def keep_read_only(folder: Directory, name: str, mode: int) -> None:
    """Give a file the read-only attribute where a mode says that it had one: all that a mode is there."""
    if REQUIRED and not mode & _WRITABLE:
        os.chmod(unlimited(str(folder.path / name)), mode & 0o777)


def is_still(folder: Directory, second: str, data: bytes) -> bool:
    """Whether the old file, under its second name, holds what it did; a moment is given to whoever writes it."""
    try:
        with opened(folder, second) as (fd, _):
            return read_again(fd, len(data)) == data
    except OSError as error:
        if is_busy(error):
            return False
        raise
