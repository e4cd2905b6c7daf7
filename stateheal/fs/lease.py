"""A read lease on a file that a live plugin may write at any moment (Linux; field guide section 6).

The plugin takes no lock and writes in place. While we hold a read lease, whoever opens the file for writing waits in
the kernel, and the lease tells us so: then the replacement is taken back and the writer goes on as if nothing had been.
Where there are no leases (another system, another owner, a network file system) comparing must do.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress

from stateheal.errors import Conflict

try:
    import fcntl

    _HAS_LEASES = hasattr(fcntl, "F_SETLEASE") and hasattr(fcntl, "F_SETSIG")
    _SIGURG = __import__("_signal").SIGURG  # the C module: "signal" itself makes an enum of every signal there is
except ImportError:  # Windows
    _HAS_LEASES = False

_NO_LEASE_HERE = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def _never_broken() -> bool:
    return False


class read_lease:
    """Hold a lease for the length of the block, which gets a function that says whether a writer is waiting.

    Raises ``Conflict`` where a writer has the file open right now.
    """

    __slots__ = ("_fd", "_held", "_name")

    def __init__(self, fd: int, name: str) -> None:
        self._fd, self._name = fd, name

    def __enter__(self) -> Callable[[], bool]:
        self._held = _HAS_LEASES and _take(self._fd, self._name)
        return self._writer_waits if self._held else _never_broken

    def __exit__(self, kind: object, error: object, at: object) -> None:
        if self._held:
            _let_go(self._fd)

    def _writer_waits(self) -> bool:
        return fcntl.fcntl(self._fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK


def is_open_for_writing(fd: int) -> bool:
    """Whether somebody has the file open for writing, as far as a lease can tell; ``False`` where there are none."""
    try:
        if _HAS_LEASES and _take(fd, "a file"):
            _let_go(fd)
    except Conflict:
        return True
    return False


def can_lease(fd: int) -> bool:
    """Whether this system, and this file system, has leases for us. One that a writer holds just now has them."""
    if not _HAS_LEASES:
        return False
    try:
        with read_lease(fd, "a file") as waits:
            return waits is not _never_broken
    except Conflict:
        return True
    except OSError:
        return False


def _take(fd: int, name: str) -> bool:
    try:
        # A broken lease sends a signal; this one is ignored unless somebody asks for it.
        fcntl.fcntl(fd, fcntl.F_SETSIG, _SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            raise Conflict(f"{name} is being written by somebody else") from error
        if error.errno in _NO_LEASE_HERE:
            return False
        raise
    return True


def _let_go(fd: int) -> None:
    with suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
