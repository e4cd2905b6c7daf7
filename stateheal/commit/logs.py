"""Logs: one line more, or one line less; compared by length and digest, never held in memory whole.

Field guide section 3. A log may be of any size: what an earlier stateheal wrote into it is told by the digest of what
stood before and by the few bytes behind that.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from stateheal.commit.files import named_errors
from stateheal.digests import new_sha256
from stateheal.errors import Conflict, WriteError
from stateheal.fs.directory import Directory
from stateheal.model.disk import FileStat
from stateheal.system.disk import sync, write_all
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib

_CHUNK = 1 << 20
_LONGEST_TAIL = 1 << 20
"""Bytes behind the known beginning of a log that may be ours; no line of ours is longer."""


class LogState(NamedTuple):
    """A log at one moment."""

    info: FileStat
    digest: hashlib._Hash
    last: bytes
    """Its last byte; a newline for an empty one."""

    @property
    def sha256(self) -> str:
        return self.digest.hexdigest()

    def sha256_with(self, added: bytes) -> str:
        """The digest that it has with some bytes behind it."""
        longer = self.digest.copy()
        longer.update(added)
        return longer.hexdigest()


def records_beside(log: str) -> tuple[str, ...]:
    """Where the record of a log's job may stand: ``jobs/<id>.json``, or in the job's own directory (field guide 11)."""
    own = (f"{log.rpartition('/')[0]}/job.json",) if log.count("/") > 1 else ()
    return (log.removesuffix(".log") + ".json", *own)


def log_state(folder: Directory, name: str) -> LogState:
    """A log's identity and digest. Raises ``OSError``."""
    last = b"\n"
    with folder.regular(name) as (fd, info):
        sha, left = new_sha256(info.size), info.size
        while left and (chunk := os.read(fd, min(_CHUNK, left))):
            sha.update(chunk)
            last = chunk[-1:]
            left -= len(chunk)
    return LogState(info, sha, last)


def tail_after(folder: Directory, name: str, size: int, sha256: str) -> tuple[FileStat, bytes | None]:
    """What stands in a log behind its first ``size`` bytes; ``None`` where those are not the ones of that digest.

    Raises ``OSError``.
    """
    sha = new_sha256(size)
    with folder.regular(name) as (fd, info):
        if not size <= info.size <= size + _LONGEST_TAIL:
            return info, None
        left = size
        while left and (chunk := os.read(fd, min(_CHUNK, left))):
            sha.update(chunk)
            left -= len(chunk)
        if left or sha.hexdigest() != sha256:
            return info, None
        with os.fdopen(fd, "rb", closefd=False) as file:
            return info, file.read(_LONGEST_TAIL)


def append_line(
    directory: Directory, name: str, expected: FileStat, line: bytes, mtime_ns: int | None = None
) -> FileStat:
    """Append one line to a log and put its mtime back: a heal is no sign of life (field guide section 3).

    The line is not flushed: should a power cut take it, what stood there before is there, and the record says as much.
    Raises ``Conflict`` where the log is not what it was, ``WriteError`` where the line does not fit whole or the age
    could not be put back; the log is then as it was. ``mtime_ns``: another age than it has. Returns what it is now.
    """
    with named_errors(name), directory.regular(name, os.O_RDWR | os.O_APPEND) as (fd, before):
        if before != expected:
            raise Conflict(f"{name} was written to meanwhile")
        age = before.mtime_ns if mtime_ns is None else mtime_ns
        directory.set_mtime(name, before.mtime_ns, fd)  # whoever may not do this afterwards must not write
        wrote = 0
        try:
            wrote = os.write(fd, line)
            if wrote != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            directory.set_mtime(name, age, fd)
        except OSError:
            _cut_back(directory, name, fd, before, wrote)
            raise
        return before._replace(size=before.size + len(line), mtime_ns=age)


def _cut_back(directory: Directory, name: str, fd: int, before: FileStat, wrote: int) -> None:
    """Take back what was appended, unless somebody has appended behind it."""
    if os.fstat(fd).st_size == before.size + wrote:
        os.ftruncate(fd, before.size)
        with suppress(OSError):
            directory.set_mtime(name, before.mtime_ns, fd)


def may_append(folder: Directory, name: str) -> bool:
    """Whether a log is a plain file of one name whose age this user could put back. Raises ``OSError``."""
    info = folder.stat(name)
    mine = not hasattr(os, "geteuid") or os.geteuid() in (0, info.st_uid)
    return stat.S_ISREG(info.st_mode) and info.st_nlink == 1 and mine


class Cut:
    """A line taken off a log again. As a ``Swap``: prepared, performed, perhaps reverted."""

    landed = False

    def __init__(self, folder: Directory, name: str, expected: FileStat, size: int, mtime_ns: int) -> None:
        self.folder = folder
        self.name = name
        self._expected = expected
        self._size = size
        self._mtime_ns = mtime_ns
        self._tail = b""

    def prepare(self) -> None:
        """See that the log is what it was. Raises ``Conflict`` or ``WriteError``."""
        with named_errors(self.name), self.folder.regular(self.name) as (fd, info):
            self._ensure_expected(info)
            os.lseek(fd, self._size, os.SEEK_SET)
            with os.fdopen(fd, "rb", closefd=False) as file:
                self._tail = file.read(_LONGEST_TAIL + 1)
        if len(self._tail) > _LONGEST_TAIL:
            raise WriteError(f"{self.name}: more than a line would be cut off")

    def perform(self) -> None:
        """Cut it to the size it had, and give it its old age. Raises as ``prepare``."""
        with named_errors(self.name), self.folder.regular(self.name, os.O_RDWR) as (fd, info):
            self._ensure_expected(info)
            self.folder.set_mtime(self.name, info.mtime_ns, fd)
            os.ftruncate(fd, self._size)
            self.landed = True
            sync(fd)
            self.folder.set_mtime(self.name, self._mtime_ns, fd)

    def revert(self) -> None:
        """Append the line again. Raises ``Conflict`` where the log has gone on since."""
        if not self.landed:
            return
        with named_errors(self.name), self.folder.regular(self.name, os.O_RDWR | os.O_APPEND) as (fd, info):
            if (info.inode, info.size) != (self._expected.inode, self._size):
                raise Conflict(f"{self.name} was written to meanwhile")
            write_all(fd, self._tail)
            self.folder.set_mtime(self.name, self._expected.mtime_ns, fd)
        self.landed = False

    def _ensure_expected(self, info: FileStat) -> None:
        if info != self._expected:
            raise Conflict(f"{self.name} was written to meanwhile")
