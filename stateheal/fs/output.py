"""Files for the user: a page, an archive, an answer. Each appears whole or not at all, readable by its owner alone.

What a workspace holds is written by ``commit``, never by this module.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from stateheal.errors import WriteError
from stateheal.fs.private import make_private, open_to_owner
from stateheal.system.disk import patiently, sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

PRIVATE = 0o600
"""Records hold prompts."""
_PREFIX, _SUFFIX = ".stateheal-output-", ".tmp"
_OLD = 60.0
"""Seconds after which a temporary file that nobody holds was left by somebody who was killed."""


@contextmanager
def new_file(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
    """A file to write, and what to call for it to get its name: without that call it vanishes.

    Raises ``WriteError``, also where the name is taken: nothing is ever overwritten.
    """
    try:
        _ensure_free(path)
        with _temporary(path) as (file, temp):

            def keep() -> None:
                _sync(file)
                file.close()  # Windows moves nothing that is open
                _take(temp, path)

            yield file, keep
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error


def replace_file(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Put bytes where there is nothing, or in the place of what is there. Raises ``OSError``.

    Whether what is there may be replaced is the caller's to know.
    """
    with _temporary(path) as (file, temp):
        file.write(data)
        _sync(file)
        file.close()  # Windows moves nothing that is open
        os.chmod(temp, mode)
        patiently(lambda: os.replace(temp, path))


def write_numbered(folder: Path, stem: str, suffix: str, data: bytes) -> Path:
    """Write a file under a name that nobody has; one of the same bytes that is there already is left as it is.

    ``stem`` is made a plain file name. Returns the path. Raises ``WriteError``.
    """
    plain = stem.replace("/", "_").replace(os.sep, "_").replace("\0", "_").lstrip(".")
    try:
        make_private(folder)
        _remove_leftovers(folder)
        for number in count(1):
            path = folder / (f"{plain}{suffix}" if number == 1 else f"{plain}-{number}{suffix}")
            if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
                return path
            if os.path.lexists(path):
                continue
            with new_file(path) as (file, keep):
                file.write(data)
                keep()
            return path
        raise AssertionError("numbers do not run out")
    except OSError as error:
        raise WriteError(f"{error.filename or folder}: {error.strerror or error}") from error


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[IO[bytes], str]]:
    """A temporary file beside a path; it is gone at the end unless it was given a name of its own."""
    import tempfile  # only where something is written

    _remove_leftovers(path.parent)
    fd, temp = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            open_to_owner(fd)
            _hold(fd)
            yield file, temp
    finally:
        with suppress(OSError):
            os.unlink(temp)


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed runs have left in a directory; nobody holds it any more, whoever they were."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(_PREFIX) and name.endswith(_SUFFIX):
                with suppress(OSError):
                    _remove_leftover(folder / name)


def _remove_leftover(path: Path) -> None:
    if time.time() - path.lstat().st_mtime < _OLD:
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        held = _hold(fd)
    finally:
        os.close(fd)  # Windows removes nothing that is open here or elsewhere
    if held:
        path.unlink()


def _hold(fd: int) -> bool:
    """Hold an open file until it is closed; ``False`` where another process holds it."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _sync(file: IO[bytes]) -> None:
    file.flush()
    sync(file.fileno())


def _ensure_free(path: Path) -> None:
    if os.path.lexists(path):
        raise WriteError(f"{path}: is there already, and nothing is overwritten; -o FILE names another")


def _take(temp: str, path: Path) -> None:
    """Give the file its name, unless somebody else has it by now."""
    try:
        os.link(temp, path)
    except FileExistsError:
        _ensure_free(path)
        raise
    except OSError:  # a file system without hard links
        _ensure_free(path)
        os.rename(temp, path)
