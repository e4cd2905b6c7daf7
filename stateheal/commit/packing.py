"""Archives for good, beside the runs: what a command removes whole is packed first."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from stateheal.commit.archive import sync_directory, tarfile
from stateheal.commit.journal import Journal
from stateheal.errors import JournalError, WriteError
from stateheal.fs.output import new_file
from stateheal.fs.private import make_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarFile


def pack_for_good(journal: Journal, stem: str, fill: Callable[[TarFile], None]) -> Path:
    """A tar.gz under a name that nobody has: whole and durable, or not there. Raises ``JournalError``."""
    import gzip  # only where something goes

    journal.make()
    folder = journal.path / "archives"
    try:
        make_private(folder)
        path = _free(folder, stem)
        with new_file(path) as (file, keep):
            # No time in it: gzip has room for those from 1970 to 2106 only, whatever the clock says.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed, tarfile().open(None, "w", packed) as archive:
                fill(archive)
            keep()
        sync_directory(folder)
    except WriteError as error:
        raise JournalError(str(error)) from error
    except OSError as error:
        raise JournalError(f"{folder} cannot be written: {error.strerror or error}") from error
    return path


def _free(folder: Path, stem: str) -> Path:
    names = (f"{stem}{'' if number == 1 else f'-{number}'}.tar.gz" for number in count(1))
    return next(folder / name for name in names if not os.path.lexists(folder / name))
