"""Windows: a command and every process that it starts, as one thing that can be ended and that ends with its runner.

A job object with KILL_ON_JOB_CLOSE: however the runner ends, its handle is closed and the kernel ends what is in the
job. It takes the place of a process group and of the parent-death signal. Imported on Windows only. Sources:
learn.microsoft.com, "Job Objects"; field guide section 12.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes as w
from types import TracebackType

from stateheal.system import kernel32

assert sys.platform == "win32"

_KILL_ON_JOB_CLOSE = 0x2000
_EXTENDED_LIMITS, _PROCESS_IDS = 9, 3
_MORE_DATA = 234
CREATE_SUSPENDED = 4


class _BasicLimits(ctypes.Structure):
    _fields_ = [
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", w.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", w.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", w.DWORD),
        ("SchedulingClass", w.DWORD),
    ]


class _ExtendedLimits(ctypes.Structure):
    _fields_ = [
        ("Basic", _BasicLimits),
        ("IoCounters", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    ]


class JobObject:
    """Made empty; a process that is added takes along whatever it starts from then on."""

    def __init__(self) -> None:
        self._handle = kernel32.checked(kernel32.dll.CreateJobObjectW(None, None))
        self._limit(_KILL_ON_JOB_CLOSE)

    def _limit(self, flags: int) -> None:
        limits = _ExtendedLimits()
        limits.Basic.LimitFlags = flags
        kernel32.checked(
            kernel32.dll.SetInformationJobObject(
                self._handle, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
            )
        )

    def __enter__(self) -> JobObject:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def add(self, process: int) -> None:
        """Put a process in, by its handle. Raises ``OSError``."""
        kernel32.checked(kernel32.dll.AssignProcessToJobObject(self._handle, process))

    def pids(self) -> frozenset[int]:
        """Who is in it and has not ended."""
        room = 64
        while True:
            ids = _ids(room)
            if kernel32.dll.QueryInformationJobObject(
                self._handle, _PROCESS_IDS, ctypes.byref(ids), ctypes.sizeof(ids), None
            ):
                return frozenset(ids.Pids[: ids.Listed])
            if kernel32.last_error().winerror != _MORE_DATA or room > 1 << 20:
                raise kernel32.last_error()
            room *= 4

    def end(self, status: int) -> None:
        """End everybody in it at once, with an exit status."""
        kernel32.dll.TerminateJobObject(self._handle, status)

    def spare(self) -> None:
        """Whoever is still in it may outlive it."""
        self._limit(0)

    def close(self) -> None:
        """Let go of it; whoever is still in it is ended, unless it was to be spared."""
        kernel32.close(self._handle)


def _ids(room: int) -> ctypes.Structure:
    class ProcessIds(ctypes.Structure):
        _fields_ = [("Assigned", w.DWORD), ("Listed", w.DWORD), ("Pids", ctypes.c_size_t * room)]

    return ProcessIds()


def resume(process: int) -> None:
    """Let a process run that was started suspended, by its handle."""
    function = ctypes.WinDLL("ntdll").NtResumeProcess
    function.argtypes = [w.HANDLE]
    function(process)
