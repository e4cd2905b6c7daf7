"""One file of a workspace on its way from its old self to its new one: prepared beside its place, then put there.

DESIGN.md promises 3 and 4; field guide section 6. ``prepare`` writes the new bytes into a temporary file in the same
directory, ``sync`` makes them durable (of many files, once all are written), ``perform`` reads the old file once more
and swaps only if it still is what the change was concluded from, ``revert`` takes that back, ``close`` removes what is
left lying about. While a file is swapped its old self keeps a second name, and nobody can open it for writing unseen: a
read lease sees to that, where the system has one.

Without second names (FAT, some FUSE) an update that a writer was about to make is read from the old file's descriptor
and put back in place: nothing acknowledged is lost unless this process is killed within that moment, or the writer
takes longer than ``_PATIENCE``.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from stateheal.commit import closed
from stateheal.commit.attributes import give_attributes, read_attributes
from stateheal.commit.files import Target, ensure_same_file, named_errors, opened, read_again, read_rest
from stateheal.errors import Conflict, Overwritten, Refused, StatehealError
from stateheal.fs.directory import Directory, file_stat
from stateheal.fs.lease import is_open_for_writing, read_lease
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
_PATIENCE = 2.0
"""Seconds to wait for a writer that holds a file without a second name."""
_PAUSE = 0.002
SYSTEM_FAILED = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.ENOMEM)
"""What is no sign of a file system without hard links."""


class Swap:
    """What replacing, making and removing a file have in common. A context manager closes it."""

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

    def revert(self) -> None:
        """Put back what was there before ``perform``. Raises ``Conflict`` where somebody has written since."""
        if self.landed:
            with named_errors(self.target.name):
                self._take_back()
            self.landed = False

    def close(self) -> None:
        """Remove what is left of it: the temporary file, and the second name unless it is still needed."""
        for held, name in ((self._has_temp, self._temp), (self._has_second, self._second)):
            if held:
                with suppress(OSError):
                    closed.remove(self.folder, name)
        self._has_temp = self._has_second = False

    def _look(self) -> None:
        """Note what the old file has besides its bytes."""

    def _swap(self) -> None:
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


class Replacement(Swap):
    """Other bytes for a file that is there."""

    def _look(self) -> None:
        with opened(self.folder, self.target.name) as (fd, _):
            self.attributes = read_attributes(fd)

    def _swap(self) -> None:
        assert self._data is not None
        closed.ensure_free(self.folder, self.target.name)
        self._has_second = _has_links(self.folder, self.target.name, self._second)
        self._exchange(self.target, self._temp)
        self._has_temp = False
        self._read_back(self._data)

    def _exchange(self, expected: Target, newcomer: str) -> None:
        """Rename a file over the target; take it back where a writer got hold of the old one meanwhile."""
        if closed.REQUIRED:
            self._exchange_closed(expected, newcomer)
            return
        with opened(self.folder, expected.name) as (fd, info):
            with read_lease(fd, expected.name) as writer_waits:
                ensure_same_file(self.folder, expected, fd, info, self.attributes)
                self.landed = True
                self.folder.replace(newcomer, expected.name)
                waits = writer_waits()
                if waits and self._has_second:  # while it waits: it cannot look the name up again in between
                    self._give_back(fd)
            if waits or is_open_for_writing(fd) or read_again(fd, info.size) != expected.data:
                if self.landed:
                    self._give_back(fd)
                raise Conflict(f"{expected.name} was written by somebody else while it was replaced")

    def _exchange_closed(self, expected: Target, newcomer: str) -> None:
        closed.check(self.folder, expected, self.attributes)
        self.landed = True
        closed.move(self.folder, newcomer, expected.name, (expected.name, expected.stat))
        if self._has_second and not closed.is_still(self.folder, self._second, expected.data):
            self._give_back(None)
            raise Conflict(f"{expected.name} was written by somebody else while it was replaced")

    def _give_back(self, fd: int | None) -> None:
        """The old file, with whatever its writer makes of it, takes its place again."""
        by_two = Overwritten(f"{self.target.name} was written by two others while it was replaced")
        has_second, self._has_second = self._has_second, False  # from here on it may hold the only copy of an update
        if self._made is None or not self._is_in_place() or not self._is_untouched():
            raise by_two
        if not has_second and fd is not None:
            self._rescue(fd)
        elif closed.REQUIRED:
            try:
                closed.move(self.folder, self._second, self.target.name, (self.target.name, self._made))
            except Conflict as error:
                raise by_two from error
            closed.keep_read_only(self.folder, self.target.name, self.target.stat.mode)
        else:
            self.folder.replace(self._second, self.target.name)
        self.landed = False

    def _is_untouched(self) -> bool:
        """Whether nobody has written into the new file: whoever read it may have gone on from there."""
        try:
            return self._bytes_in_place() == self._data
        except OSError:
            return False

    def _bytes_in_place(self) -> bytes | None:
        """What stands under the target's name now; ``None`` where nothing does. Raises ``OSError``."""
        try:
            with self.folder.regular(self.target.name) as (fd, info):
                return read_rest(fd, info.size)
        except FileNotFoundError:
            return None

    def _rescue(self, fd: int) -> None:
        """Where the old file has no second name: what its writer leaves in it is written anew under its name."""
        deadline = time.monotonic() + _PATIENCE
        while is_open_for_writing(fd) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        self._has_temp = False
        self._mtime_ns = None
        self._write(read_again(fd, len(self.target.data)))
        self._sync()
        self.folder.replace(self._temp, self.target.name)
        self._has_temp = False

    def _read_back(self, data: bytes) -> None:
        if self._bytes_in_place() != data:
            raise Overwritten(f"{self.target.name} was written by somebody else right after it was replaced")

    def _take_back(self) -> None:
        if not self._has_second:
            self._write_old_bytes()
            return
        assert self._made is not None and self._data is not None
        ours = Target(self.target.name, self._data, self._made)
        if closed.REQUIRED:
            closed.check(self.folder, ours, self.attributes)
            closed.move(self.folder, self._second, ours.name, (ours.name, self._made))
            self._has_second = False
            return
        with opened(self.folder, ours.name) as (fd, info), read_lease(fd, ours.name) as writer_waits:
            ensure_same_file(self.folder, ours, fd, info, self.attributes)
            if writer_waits():
                raise Conflict(f"{ours.name} is being written by somebody else")
            self.folder.replace(self._second, ours.name)
        self._has_second = False

    def _write_old_bytes(self) -> None:
        assert self._made is not None and self._data is not None
        ours, old = Target(self.target.name, self._data, self._made), self.target
        with Replacement(self.folder, ours, old.data, self._tag, old.stat.mtime_ns) as back:
            back.prepare()
            back.sync()
            back.perform()


def _has_links(folder: Directory, name: str, second: str) -> bool:
    """Give a file a second name; ``False`` where the file system has none to give."""
    try:
        folder.link(name, second)
    except FileNotFoundError as error:
        raise Conflict(f"{name} is not there any more") from error
    except OSError as error:
        if error.errno in SYSTEM_FAILED:
            raise
        return False
    return True


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
