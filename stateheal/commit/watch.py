"""The old self of a file that was replaced or removed, watched for a writer that comes late (field guide section 6).

A writer looks a name up and then opens what it has found; held up in between, it opens the old file after the new one
has taken its place. So the old file stays open, under its lease where there are leases, while what else there is to do
in the workspace is done, and for a moment more where it was written a moment ago.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from stateheal.commit.files import opened, read_again
from stateheal.fs.directory import Directory
from stateheal.fs.lease import is_open_for_writing, read_lease
from stateheal.model.disk import FileStat

MOST = 64
"""Files that are watched at once: each takes a descriptor."""
LONGER = 0.02
"""Seconds for which a file is watched at least that was written within the last ``_LATELY``: a few slices of time."""
_LATELY = 2.0


class Watch:
    """A file that is open, under a lease if possible. A context manager: where its block fails, the watch is over.

    Raises ``Conflict`` where a writer has the file open right now, or where there is none under the name any more.
    """

    __slots__ = ("_file", "_lease", "_until", "fd", "info", "writer_waits")

    fd: int
    info: FileStat
    writer_waits: Callable[[], bool]
    """Whether a writer waits for the lease."""

    def __init__(self, folder: Directory, name: str) -> None:
        self._file = opened(folder, name)
        self._lease: read_lease | None = None
        self.fd, self.info = self._file.__enter__()
        self._until = time.monotonic() + LONGER if abs(time.time() - self.info.mtime) < _LATELY else 0.0
        try:
            lease = read_lease(self.fd, name)
            self.writer_waits = lease.__enter__()
            self._lease = lease
        except BaseException as error:
            self._close(error)
            raise

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        if error is not None:
            self.let_go()
            self._close(error)

    def linger(self) -> None:
        """Wait until it has been watched for as long as it should be."""
        left = self._until - time.monotonic()
        if left > 0:
            time.sleep(left)

    def let_go(self) -> None:
        """Give the lease up: whoever waits goes on. The file stays open."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.__exit__(None, None, None)

    def is_untouched(self, data: bytes) -> bool:
        """Whether nobody has the file open for writing and it holds what it did."""
        return not is_open_for_writing(self.fd) and read_again(self.fd, len(data)) == data

    def end(self) -> None:
        """Let the file go."""
        self.let_go()
        self._close(None)

    def _close(self, error: object) -> None:
        self._file.__exit__(None, error, None)
