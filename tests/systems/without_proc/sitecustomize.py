"""In every interpreter of such a run: psutil looks where the real /proc was bound, leases are refused, and the process
table is looked at as on macOS. That Linux with an empty /proc proves nothing is another matter (tests/engine)."""

import errno
import fcntl
import importlib.util
import os
import sys

import psutil

psutil.PROCFS_PATH = os.environ["STATEHEAL_TEST_PROC"]
_fcntl = fcntl.fcntl
_TABLE = "stateheal.evidence.processes"


def _without_leases(fd, command, *rest):
    if command in (fcntl.F_SETLEASE, fcntl.F_GETLEASE):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return _fcntl(fd, command, *rest)


class _LooksByPsutil:
    """Lets the module of the process table look as it does where no /proc belongs to the system."""

    def find_spec(self, name, path=None, target=None):
        if name != _TABLE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module.SystemProcesses.look = lambda self: module._look_by_psutil()

        spec.loader.exec_module = exec_module
        return spec


fcntl.fcntl = _without_leases
sys.meta_path.insert(0, _LooksByPsutil())
