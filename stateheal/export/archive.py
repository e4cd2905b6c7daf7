"""A tar.gz that is the same for the same content."""

from __future__ import annotations

import gzip
import io
import tarfile
from contextlib import suppress

from stateheal.model.disk import FileStat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

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
