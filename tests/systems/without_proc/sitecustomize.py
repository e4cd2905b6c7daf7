"""In every interpreter of such a run: psutil looks where the real /proc was bound, leases are refused."""

import errno
import fcntl
import os

import psutil

psutil.PROCFS_PATH = os.environ["STATEHEAL_TEST_PROC"]
_fcntl = fcntl.fcntl


def _without_leases(fd, command, *rest):
    if command in (fcntl.F_SETLEASE, fcntl.F_GETLEASE):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return _fcntl(fd, command, *rest)


fcntl.fcntl = _without_leases
