"""A pytest plugin for runs under Wine: a test that signals the run itself fails, instead of ending the whole run.

There are no signals on Windows: ``os.kill`` of one's own pid is TerminateProcess (field guide section 12).
"""

from __future__ import annotations

import os

_kill = os.kill


def _guarded(pid: int, signum: int) -> None:
    if pid in (0, os.getpid()):
        raise AssertionError(f"os.kill(own pid, {signum}) would end the test run: there are no signals on Windows")
    _kill(pid, signum)


os.kill = _guarded
