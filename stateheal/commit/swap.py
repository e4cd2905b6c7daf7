"""One file of a workspace on its way from its old self to its new one: prepared beside its place, then put there.

DESIGN.md promises 3 and 4; field guide section 6. ``prepare`` writes the new bytes into a temporary file in the same
directory, ``sync`` makes them durable (of many files, once all are written), ``perform`` reads the old file once more
and swaps only if it still is what the change was concluded from, ``settle`` looks for a writer that came late,
``revert`` takes the swap back, ``close`` removes what is left lying about. Until it is settled the old file keeps a
second name, and nobody can open it for writing unseen: a read lease sees to that, where the system has one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from stateheal.commit import closed
from stateheal.commit.attributes import give_attributes
from stateheal.commit.files import Target, named_errors
from stateheal.commit.watch import Watch
from stateheal.errors import Conflict, Overwritten, Refused, StatehealError
from stateheal.fs.directory import Directory, file_stat
from stateheal.fs.own_names import own_name
from stateheal.model.disk import FileStat
from stateheal.system.disk import start_sync, sync, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    SwapT = TypeVar("SwapT", bound="Swap")

SECOND_SUFFIX = ".old"
"""Of the second name that a file keeps while it is swapped."""
_PERMISSIONS = 0o7777
SYSTEM_FAILED = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.ENOMEM)
"""What is no sign of a file system without hard links."""


class Swap:
    """What replacing, making and removing a file have in common. A context manager closes it."""

    _participle = "replaced"
    landed = False
    """Whether the change is in place, as far as can be told: where it cannot, it counts as in place."""

    def __init__(
        self, folder: Directory, target: Target, data: bytes | None, tag: str, mtime_ns: int | None = None
    ) -> None:
        self.folder = folder
        self.target = target
        self.attributes: Mapping[str, bytes] = {}
        self._data = data
        self._tag = tag
        self._mtime_ns = mtime_ns
        self._temp = own_name(tag, target.name, ".tmp")
        self._second = own_name(tag, target.name, SECOND_SUFFIX)
        self._made: FileStat | None = None
        self._has_temp = False
        self._has_second = False
        self._old: tuple[Watch, bytes] | None = None
        """The old file once another is in its place, and what it must hold."""

    def __enter__(self: SwapT) -> SwapT:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def prepare(self) -> None:
        """Write the new bytes beside the file's place, with the owner, mode, attributes and age that they are to have.

        Raises ``Conflict``, ``Refused`` or ``WriteError``.
        """
        with named_errors(self.target.name):
            self._look()
            if self._data is not None:
                self._write(self._data)

    def sync(self) -> None:
        """Make what was written durable. Raises ``WriteError``."""
        if self._data is not None:
            with named_errors(self.target.name):
                self._sync()

    def perform(self) -> None:
        """Swap. Raises as ``prepare``, or ``Overwritten``; ``landed`` tells whether the change is in place."""
        try:
            with named_errors(self.target.name):
                self._swap()
        except StatehealError as error:
            if not isinstance(error, Overwritten):
                self.landed = self.landed and self._is_in_place()
            raise

    def settle(self) -> None:
        """The last look at the old file. Raises ``Conflict`` where somebody has opened it for writing since.

        Then it has its place again, with whatever its writer makes of it, and ``landed`` says so; or ``Overwritten``.
        """
        if self._old is not None:
            self._old[0].linger()
            self._look_back()

    def revert(self) -> None:
        """Put back what was there before ``perform``. Raises ``Conflict`` where somebody has written since."""
        with suppress(Conflict):
            self._look_back()
        if self.landed:
            with named_errors(self.target.name):
                self._take_back()
            self.landed = False

    def close(self) -> None:
        """Remove what is left of it: the temporary file, and the second name unless it is still needed."""
        with suppress(StatehealError):  # what has not been settled has failed otherwise
            self._look_back()
        for held, name in ((self._has_temp, self._temp), (self._has_second, self._second)):
            if held:
                with suppress(OSError):
                    closed.remove(self.folder, name)
        self._has_temp = self._has_second = False

    def _look(self) -> None:
        """Note what the old file has besides its bytes."""

    def _swap(self) -> None:
        raise NotImplementedError

    def _look_back(self) -> None:
        """Give the old file its place again where a writer has it; the watch over it ends."""
        if self._old is None:
            return
        (old, data), self._old = self._old, None
        with named_errors(self.target.name):
            try:
                waits = old.writer_waits()
                if waits and self._has_second:  # while it waits: it cannot look the name up again in between
                    self._give_back(old.fd)
                old.let_go()
                if waits or not old.is_untouched(data):
                    if self.landed:
                        self._give_back(old.fd)
                    raise Conflict(f"{self.target.name} was written by somebody else while it was {self._participle}")
            finally:
                old.end()

    def _give_back(self, fd: int | None) -> None:
        raise NotImplementedError

    def _take_back(self) -> None:
        raise NotImplementedError

    def _is_in_place(self) -> bool:
        try:
            return self._made is not None and self.folder.stat(self.target.name).st_ino == self._made.inode
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def _write(self, data: bytes) -> None:
        fd = self.folder.open(self._temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._has_temp = True
        try:
            write_all(fd, data)
            _keep_owner_and_mode(fd, self.target)
            self._give_attributes(fd)
            if self._mtime_ns is not None:
                self.folder.set_mtime(self._temp, self._mtime_ns, fd)
            start_sync(fd)
        finally:
            os.close(fd)

    def _sync(self) -> None:
        fd = self.folder.open(self._temp, os.O_RDWR if closed.REQUIRED else os.O_RDONLY)
        try:
            sync(fd)
            closed.keep_read_only(self.folder, self._temp, self.target.stat.mode)
            self._made = file_stat(os.fstat(fd))
        finally:
            os.close(fd)

    def _give_attributes(self, fd: int) -> None:
        give_attributes(fd, self.attributes, self.target.name)


def _keep_owner_and_mode(fd: int, target: Target) -> None:
    if not hasattr(os, "fchown"):  # Windows: the file inherits what its directory says
        return
    made = os.fstat(fd)
    if (made.st_uid, made.st_gid) != (target.stat.uid, target.stat.gid):
        try:
            os.fchown(fd, target.stat.uid, target.stat.gid)
        except PermissionError as error:
            owner = f"{target.stat.uid}:{target.stat.gid}"
            raise Refused(f"{target.name} belongs to {owner}, and that owner could not be kept") from error
    os.fchmod(fd, target.stat.mode & _PERMISSIONS)
