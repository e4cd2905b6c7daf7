"""Other bytes for a file that is there.

Without second names (FAT, some FUSE) an update that a writer was about to make is read from the old file's descriptor
and put back in place: nothing acknowledged is lost unless this process is killed within that moment, or the writer
takes longer than ``_PATIENCE``.
"""

from __future__ import annotations

import time

from stateheal.commit import closed
from stateheal.commit.attributes import read_attributes
from stateheal.commit.files import Target, ensure_same_file, opened, read_again, read_rest
from stateheal.commit.swap import SYSTEM_FAILED, Swap
from stateheal.commit.watch import Watch
from stateheal.errors import Conflict, Overwritten
from stateheal.fs.directory import Directory
from stateheal.fs.lease import is_open_for_writing, read_lease

_PATIENCE = 2.0
"""Seconds to wait for a writer that holds a file without a second name."""
_PAUSE = 0.002


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
        with Watch(self.folder, expected.name) as old:
            ensure_same_file(self.folder, expected, old.fd, old.info, self.attributes)
            self.landed = True
            self.folder.replace(newcomer, expected.name)
        self._old = old, expected.data
        if old.writer_waits():
            self._look_back()

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
            back.settle()


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
