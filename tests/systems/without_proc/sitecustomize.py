"""In every interpreter of such a run: psutil looks where the real /proc was bound, leases are refused.

The look at the whole process table is psutil's, as where there never was a /proc: an empty one is trouble on Linux.
"""

import errno
import fcntl
import importlib.abc
import importlib.util
import os
import sys

import psutil

psutil.PROCFS_PATH = os.environ["STATEHEAL_TEST_PROC"]
_fcntl = fcntl.fcntl


def _without_leases(fd, command, *rest):
    if command in (fcntl.F_SETLEASE, fcntl.F_GETLEASE):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return _fcntl(fd, command, *rest)


fcntl.fcntl = _without_leases


class _LookByPsutil(importlib.abc.MetaPathFinder):
    """Imports stateheal's module of processes as ever, then replaces its look."""

    def find_spec(self, name, path, target=None):
        if name != "stateheal.evidence.processes":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module.SystemProcesses.look = lambda self: module._look_by_psutil()

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _LookByPsutil())
