"""A pytest plugin for runs under Wine: a test that signals the run itself fails, instead of ending the whole run.

There are no signals on Windows: ``os.kill`` of one's own pid is TerminateProcess (field guide section 12). And what a
process's standard input is goes stale there in a long run, while descriptor 0 stays what it was (seen after some four
thousand tests): each test begins with the one set to the other.
"""

from __future__ import annotations

import os
import sys

import pytest

_kill = os.kill
_STANDARD_INPUT = -10


def _guarded(pid: int, signum: int) -> None:
    if pid in (0, os.getpid()):
        raise AssertionError(f"os.kill(own pid, {signum}) would end the test run: there are no signals on Windows")
    _kill(pid, signum)


os.kill = _guarded


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Descriptor 0 is the process's standard input, for programs that a test starts without saying what theirs is."""
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        ctypes.windll.kernel32.SetStdHandle(_STANDARD_INPUT, ctypes.c_void_p(msvcrt.get_osfhandle(0)))
