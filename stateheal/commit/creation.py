"""A file under a name that nobody has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from stateheal.commit.attributes import read_attributes
from stateheal.commit.files import Target
from stateheal.commit.removal import Removal
from stateheal.commit.replacement import Replacement
from stateheal.commit.swap import SYSTEM_FAILED
from stateheal.errors import Conflict, StatehealError
from stateheal.fs.directory import Directory, file_stat


class Creation(Replacement):
    """A file under a name that nobody has; the target's stat says whose it is to be and with which mode."""

    def __init__(
        self,
        folder: Directory,
        target: Target,
        data: bytes,
        tag: str,
        mtime_ns: int | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__(folder, target, data, tag, mtime_ns)
        self._given = attributes

    def _look(self) -> None:
        self.attributes = self._given or {}

    def _give_attributes(self, fd: int) -> None:
        if self._given is not None:
            super()._give_attributes(fd)

    def _swap(self) -> None:
        name = self.target.name
        try:
            self.landed = True
            self.folder.link(self._temp, name)
        except FileExistsError as error:
            self.landed = False
            raise Conflict(f"{name} was made by somebody else meanwhile") from error
        except OSError as error:
            if error.errno in SYSTEM_FAILED:
                raise
            self._swap_with_nothing()

    def _swap_with_nothing(self) -> None:
        """Without hard links: an empty file of our own, which nobody had, is replaced as any other."""
        name = self.target.name
        try:
            fd = self.folder.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError as error:
            self.landed = False
            raise Conflict(f"{name} was made by somebody else meanwhile") from error
        try:
            empty = Target(name, b"", file_stat(os.fstat(fd)))
            self.attributes = read_attributes(fd)
        finally:
            os.close(fd)
        try:
            self._exchange(empty, self._temp)
            self._look_back()
        except (StatehealError, OSError):
            with suppress(OSError):
                now = self.folder.stat(name)
                if (now.st_ino, now.st_size) == (empty.stat.inode, 0):
                    self.folder.unlink(name)
            raise
        self._has_temp = False

    def _take_back(self) -> None:
        assert self._made is not None and self._data is not None
        ours = Target(self.target.name, self._data, self._made)
        with Removal(self.folder, ours, None, self._tag) as back:
            back.prepare()
            back.perform()
            back.settle()
