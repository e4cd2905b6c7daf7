"""What is called of Windows itself, declared once. Imported on Windows only (field guide section 12).

Sources: the pages of these functions at learn.microsoft.com; each caller says what it relies on.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes as w

assert sys.platform == "win32"

GENERIC_READ, GENERIC_WRITE, DELETE = 0x80000000, 0x40000000, 0x10000
SHARE_ALL = 1 | 2 | 4
OPEN_EXISTING = 3
TERMINATE, QUERY_LIMITED, SYNCHRONIZE = 0x1, 0x1000, 0x100000
NOT_FOUND = (2, 3)
ACCESS_DENIED, ALREADY_EXISTS, INVALID_PARAMETER, TIMED_OUT = 5, 183, 87, 121
STILL_RUNNING = 0x102
"""WAIT_TIMEOUT: an object that is not signalled yet."""

SNAPSHOT_OF_PROCESSES = 0x2


class ProcessEntry(ctypes.Structure):
    """PROCESSENTRY32W."""

    _fields_ = (
        ("dwSize", w.DWORD),
        ("cntUsage", w.DWORD),
        ("th32ProcessID", w.DWORD),
        ("th32DefaultHeapID", ctypes.c_size_t),
        ("th32ModuleID", w.DWORD),
        ("cntThreads", w.DWORD),
        ("th32ParentProcessID", w.DWORD),
        ("pcPriClassBase", w.LONG),
        ("dwFlags", w.DWORD),
        ("szExeFile", w.WCHAR * 260),
    )


dll = ctypes.WinDLL("kernel32", use_last_error=True)
_INVALID = w.HANDLE(-1).value

_SIGNATURES = {
    "CreateFileW": (w.HANDLE, [w.LPCWSTR, w.DWORD, w.DWORD, w.LPVOID, w.DWORD, w.DWORD, w.HANDLE]),
    "CloseHandle": (w.BOOL, [w.HANDLE]),
    "MoveFileExW": (w.BOOL, [w.LPCWSTR, w.LPCWSTR, w.DWORD]),
    "GetFileAttributesW": (w.DWORD, [w.LPCWSTR]),
    "SetFileAttributesW": (w.BOOL, [w.LPCWSTR, w.DWORD]),
    "OpenProcess": (w.HANDLE, [w.DWORD, w.BOOL, w.DWORD]),
    "GetProcessId": (w.DWORD, [w.HANDLE]),
    "GetProcessTimes": (w.BOOL, [w.HANDLE, *[ctypes.POINTER(w.FILETIME)] * 4]),
    "TerminateProcess": (w.BOOL, [w.HANDLE, w.UINT]),
    "WaitForSingleObject": (w.DWORD, [w.HANDLE, w.DWORD]),
    "WaitNamedPipeW": (w.BOOL, [w.LPCWSTR, w.DWORD]),
    "CreateEventW": (w.HANDLE, [w.LPVOID, w.BOOL, w.BOOL, w.LPCWSTR]),
    "OpenEventW": (w.HANDLE, [w.DWORD, w.BOOL, w.LPCWSTR]),
    "CreateToolhelp32Snapshot": (w.HANDLE, [w.DWORD, w.DWORD]),
    "Process32FirstW": (w.BOOL, [w.HANDLE, w.LPVOID]),
    "Process32NextW": (w.BOOL, [w.HANDLE, w.LPVOID]),
    "CreateJobObjectW": (w.HANDLE, [w.LPVOID, w.LPCWSTR]),
    "SetInformationJobObject": (w.BOOL, [w.HANDLE, ctypes.c_int, w.LPVOID, w.DWORD]),
    "QueryInformationJobObject": (w.BOOL, [w.HANDLE, ctypes.c_int, w.LPVOID, w.DWORD, w.LPVOID]),
    "AssignProcessToJobObject": (w.BOOL, [w.HANDLE, w.HANDLE]),
    "TerminateJobObject": (w.BOOL, [w.HANDLE, w.UINT]),
    "GenerateConsoleCtrlEvent": (w.BOOL, [w.DWORD, w.DWORD]),
    "GetConsoleProcessList": (w.DWORD, [ctypes.POINTER(w.DWORD), w.DWORD]),
    "AttachConsole": (w.BOOL, [w.DWORD]),
    "FreeConsole": (w.BOOL, []),
    "SetConsoleCtrlHandler": (w.BOOL, [w.LPVOID, w.BOOL]),
}
for _name, (_result, _arguments) in _SIGNATURES.items():
    _function = getattr(dll, _name)
    _function.restype, _function.argtypes = _result, _arguments


def last_error() -> OSError:
    """What the last call complained of."""
    return ctypes.WinError(ctypes.get_last_error())


def checked(result: int | None) -> int:
    """A call's result; raises ``OSError`` where it says that the call failed."""
    if not result or result == _INVALID:
        raise last_error()
    return result


def close(handle: int) -> None:
    """Let go of a handle."""
    dll.CloseHandle(handle)


def open_file(path: str, access: int, flags: int = 0) -> int:
    """A handle on an existing file or directory that keeps nobody from anything. Raises ``OSError``."""
    return checked(dll.CreateFileW(path, access, SHARE_ALL, None, OPEN_EXISTING, flags, None))
