"""A hold on one process that no other can be taken for, however its pid is used again.

Linux: a pidfd. Windows: a handle, for as long as it is open the pid is not given to another. macOS: a kqueue that was
told of the process, asked directly before each signal whether it has ended. Where a system offers none of them nothing
is signalled. DESIGN.md promise 1; field guide sections 4 and 12.

Whoever opens one must check *afterwards* that the process is still the one that was meant: what is checked before may
be another by the time of the opening.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from abc import ABC, abstractmethod
from types import TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    from stateheal.system import kernel32


_ENDING = frozenset(int(getattr(signal, name, signal.SIGTERM)) for name in ("SIGTERM", "SIGINT", "SIGKILL", "SIGHUP"))


class ProcessHandle(ABC):
    """One process. A context manager; ``close`` lets go of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @abstractmethod
    def wait(self, seconds: float) -> bool:
        """Wait for its end. Returns whether it has ended (a zombie has)."""

    @abstractmethod
    def send(self, signum: int) -> bool:
        """Send it a signal; Windows has but an end. Returns whether it was there. Raises ``PermissionError``."""

    @property
    @abstractmethod
    def reaped(self) -> bool:
        """Whether its pid may be somebody else's by now."""

    @property
    def created(self) -> float | None:
        """When it was created, in seconds since the epoch, where the handle itself tells that."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""

    @property
    def lives(self) -> bool:
        """Whether it has not ended yet."""
        return not self.wait(0)

    def __enter__(self) -> ProcessHandle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


if sys.platform == "linux":

    class Pidfd(ProcessHandle):
        """Linux."""

        def __init__(self, pid: int) -> None:
            super().__init__(pid)
            self.fd = os.pidfd_open(pid)

        def wait(self, seconds: float) -> bool:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            return bool(poll.poll(max(0, int(seconds * 1000))))

        def send(self, signum: int) -> bool:
            try:
                signal.pidfd_send_signal(self.fd, signum)
            except ProcessLookupError:
                return False
            return True

        @property
        def reaped(self) -> bool:
            try:
                return not self.send(0)
            except PermissionError:
                return False

        def close(self) -> None:
            os.close(self.fd)


class Watched(ProcessHandle):
    """macOS and the BSDs: a kqueue with NOTE_EXIT. ``kernel`` is the module ``select``; tests bring their own."""

    def __init__(self, pid: int, kernel: Any = select) -> None:
        super().__init__(pid)
        self._kernel = kernel
        self._ended = False
        self._queue = kernel.kqueue()
        watch = kernel.kevent(
            pid,
            filter=kernel.KQ_FILTER_PROC,
            flags=kernel.KQ_EV_ADD | kernel.KQ_EV_ONESHOT,
            fflags=kernel.KQ_NOTE_EXIT,
        )
        try:
            self._queue.control([watch], 0, 0)
        except BaseException:
            self._queue.close()
            raise

    def wait(self, seconds: float) -> bool:
        if not self._ended:
            self._ended = bool(self._queue.control(None, 1, max(0.0, seconds)))
        return self._ended

    def send(self, signum: int) -> bool:
        if self.wait(0):
            return False
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            return False
        return True

    @property
    def reaped(self) -> bool:
        return self.wait(0)  # when its end was reported, its parent may have reaped it

    def close(self) -> None:
        self._queue.close()


if sys.platform == "win32":

    class WindowsHandle(ProcessHandle):
        """Windows. There is no gentle way to end a process that shares no console with us, and nothing but an end."""

        def __init__(self, pid: int) -> None:
            super().__init__(pid)
            rights = kernel32.TERMINATE | kernel32.QUERY_LIMITED | kernel32.SYNCHRONIZE
            self.handle = kernel32.checked(kernel32.dll.OpenProcess(rights, False, pid))
            # The low two bits of a pid are ignored there: 4713 opens 4712.
            if kernel32.dll.GetProcessId(self.handle) != pid:
                self.close()
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))

        @property
        def created(self) -> float:
            times = [wintypes.FILETIME() for _ in range(4)]
            kernel32.checked(kernel32.dll.GetProcessTimes(self.handle, *map(ctypes.byref, times)))
            return float((times[0].dwHighDateTime << 32 | times[0].dwLowDateTime) / 1e7 - 11644473600)

        def wait(self, seconds: float) -> bool:
            waited = kernel32.dll.WaitForSingleObject(self.handle, max(0, int(seconds * 1000)))
            return bool(waited != kernel32.STILL_RUNNING)

        @property
        def reaped(self) -> bool:
            return False  # as long as somebody has a handle on it, nobody gets its pid

        def send(self, signum: int) -> bool:
            if self.wait(0):
                return False
            if signum not in _ENDING:
                return True
            try:
                kernel32.checked(kernel32.dll.TerminateProcess(self.handle, 1))
            except PermissionError:
                if self.wait(0):  # it ended by itself: terminating what is ending is denied
                    return False
                raise
            return True

        def close(self) -> None:
            kernel32.close(self.handle)


if sys.platform == "win32":

    def parents() -> dict[int, int]:
        """The pid that started each process there is; it may have ended long since, and be another's by now."""
        entry = kernel32.ProcessEntry(dwSize=ctypes.sizeof(kernel32.ProcessEntry))
        snapshot = kernel32.checked(kernel32.dll.CreateToolhelp32Snapshot(kernel32.SNAPSHOT_OF_PROCESSES, 0))
        found = {}
        try:
            more = kernel32.dll.Process32FirstW(snapshot, ctypes.byref(entry))
            while more:
                found[entry.th32ProcessID] = entry.th32ParentProcessID
                more = kernel32.dll.Process32NextW(snapshot, ctypes.byref(entry))
        finally:
            kernel32.close(snapshot)
        return found


def open_process(pid: int) -> ProcessHandle | None:
    """A hold on the process that has this pid now; ``None`` where there is none, or one that has ended.

    Raises ``PermissionError`` where it is there and not ours, ``OSError`` (ENOSYS) where this system offers no hold.
    """
    if pid <= 0:
        return None
    try:
        handle = _open(pid)
        if handle.lives:
            return handle
        handle.close()  # Windows keeps what has ended for as long as somebody has a handle on it
        return None
    except (ProcessLookupError, OverflowError):
        return None
    except OSError as error:
        if sys.platform == "win32" and error.winerror == kernel32.INVALID_PARAMETER:
            return None
        raise


def _open(pid: int) -> ProcessHandle:
    if sys.platform == "win32":
        return WindowsHandle(pid)
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        return Pidfd(pid)
    if hasattr(select, "kqueue"):
        return Watched(pid)
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def exists(pid: int) -> bool:
    """Windows: whether a process with exactly this pid has not ended; when in doubt, yes."""
    try:
        handle = open_process(pid)
    except OSError:
        return True  # access denied: it is there, and not ours (or its neighbour is: in doubt it lives)
    if handle is not None:
        handle.close()
    return handle is not None
