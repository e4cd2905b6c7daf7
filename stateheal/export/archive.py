"""A tar.gz that is the same for the same content, and a new file that appears whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from stateheal.errors import WriteError
from stateheal.model.disk import FileStat

_PERMISSIONS = 0o777


class Packer:
    """A context manager that writes members to a binary stream. Nobody's name or id is written; ages and modes are."""

    def __init__(self, out: IO[bytes]) -> None:
        self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 (see close)

        self.failed = False
        """Whether the stream could not be written: the error that is on its way is that one."""

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self._give_up()
            return
        try:
            self._tar.close()
            self._gzip.close()
        except OSError:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Close without writing where it failed, which would fail again, or when nobody looks."""
        self._gzip.fileobj = io.BytesIO()
        with suppress(Exception):
            self._gzip.close()

    def file(self, name: str, data: bytes, stat: FileStat) -> None:
        """A regular file."""
        info = _member(name, tarfile.REGTYPE, stat)
        info.size = len(data)
        self._add(info, io.BytesIO(data))

    def directory(self, name: str, stat: FileStat) -> None:
        """A directory, without what is in it."""
        self._add(_member(name, tarfile.DIRTYPE, stat))

    def link(self, name: str, target: str, stat: FileStat) -> None:
        """A symbolic link."""
        info = _member(name, tarfile.SYMTYPE, stat)
        info.linkname = target
        self._add(info)

    def _add(self, info: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        try:
            self._tar.addfile(info, content)
        except OSError:
            self.failed = True
            raise


def _member(name: str, kind: bytes, stat: FileStat) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, stat.mode & _PERMISSIONS, stat.mtime
    return info


@contextmanager
def new_file(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
    """A file to write, readable by its owner alone, and what to call for it to get its name: without that it vanishes.

    Raises ``WriteError``, also where the name is taken: nothing is ever overwritten.
    """
    temp: str | None = None
    try:
        _ensure_free(path)
        fd, temp = tempfile.mkstemp(prefix=".stateheal-export-", suffix=".tmp", dir=path.parent)
        with os.fdopen(fd, "wb") as file:

            def keep() -> None:
                file.flush()
                os.fsync(file.fileno())
                _take(str(temp), path)

            yield file, keep
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if temp is not None:
            with suppress(OSError):
                os.unlink(temp)


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
