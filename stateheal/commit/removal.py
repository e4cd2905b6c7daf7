"""A file that goes, and a leftover of ours that goes."""

from __future__ import annotations

from stateheal.commit import closed
from stateheal.commit.attributes import read_attributes
from stateheal.commit.files import ensure_same_file, opened
from stateheal.commit.swap import SYSTEM_FAILED, Swap
from stateheal.commit.watch import Watch
from stateheal.errors import Conflict
from stateheal.fs.lease import read_lease


class Removal(Swap):
    """A file goes: first to a second name, and for good when it is certain that nobody has written to it."""

    _participle = "removed"

    def _look(self) -> None:
        with opened(self.folder, self.target.name) as (fd, _):
            self.attributes = read_attributes(fd)

    def _swap(self) -> None:
        name = self.target.name
        if closed.REQUIRED:
            self._swap_closed()
            return
        with Watch(self.folder, name) as old:
            ensure_same_file(self.folder, self.target, old.fd, old.info, self.attributes)
            self.landed = True
            self.folder.replace(name, self._second)
            self._has_second = True
        self._old = old, self.target.data
        if old.writer_waits():
            self._look_back()

    def _swap_closed(self) -> None:
        name = self.target.name
        closed.check(self.folder, self.target, self.attributes)
        self.landed = True
        closed.move(self.folder, name, self._second, (name, self.target.stat))
        self._has_second = True
        if not closed.is_still(self.folder, self._second, self.target.data):
            self._give_back(None)
            raise Conflict(f"{name} was written by somebody else while it was removed")

    def _give_back(self, fd: int | None) -> None:
        self._take_back()
        self.landed = False

    def _is_in_place(self) -> bool:
        try:
            self.folder.stat(self.target.name)
        except FileNotFoundError:
            return True
        except OSError:
            return True
        return False

    def _take_back(self) -> None:
        """Back under its name, unless somebody has made a new file there: then it keeps the second one."""
        self._has_second = False
        try:
            self.folder.link(self._second, self.target.name)
        except FileExistsError as error:
            raise Conflict(f"{self.target.name} was made by somebody else meanwhile") from error
        except OSError as error:
            if error.errno in SYSTEM_FAILED:
                raise
            self.folder.replace(self._second, self.target.name)
            return
        self.folder.unlink(self._second)


class Discard(Swap):
    """A temporary file or second name that a killed run of ours has left goes; what it holds is known elsewhere."""

    def _look(self) -> None:
        with opened(self.folder, self.target.name) as (fd, _):
            self.attributes = read_attributes(fd)

    def _swap(self) -> None:
        name = self.target.name
        if closed.REQUIRED:
            closed.check(self.folder, self.target, self.attributes)
            closed.remove(self.folder, name)
            self.landed = True
            return
        with opened(self.folder, name) as (fd, info), read_lease(fd, name):
            ensure_same_file(self.folder, self.target, fd, info, self.attributes)
            self.folder.unlink(name)
            self.landed = True

    def _take_back(self) -> None:
        """Nobody misses it."""
