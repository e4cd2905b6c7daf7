"""Access control lists and extended attributes: what a file has besides owner, mode and bytes (DESIGN.md promise 4).

On Linux an ACL is the extended attribute ``system.posix_acl_access``, so that one way of keeping serves for both. Where
the system tells of none (another system, a file system without them) there is nothing to keep.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from stateheal.errors import Refused

_NONE_HERE = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EINVAL)
_NOT_KEPT = ("security.ima", "security.evm", "security.capability", "trusted.")
"""Digests and signatures of the bytes, wrong for other bytes; powers of programs; what only the system sets."""


def read_attributes(fd: int) -> dict[str, bytes]:
    """The extended attributes of an open file, by name; empty where there are none to be told of."""
    if not hasattr(os, "listxattr"):
        return {}
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in _NONE_HERE:
            return {}
        raise
    return {name: value for name in names if not name.startswith(_NOT_KEPT) and (value := _value(fd, name)) is not None}


def _value(fd: int, name: str) -> bytes | None:
    """``None`` for one that has gone meanwhile, or that this user may not read."""
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EPERM, errno.EACCES):
            return None
        raise


def give_attributes(fd: int, wanted: Mapping[str, bytes], name: str) -> None:
    """Give an open file exactly these. ``name`` is for the message.

    What it has from its directory (a default ACL) and is not wanted goes. Raises ``Refused`` where one cannot be given
    or taken: an ACL that is lost would open the file to others, or close it.
    """
    has = read_attributes(fd)
    try:
        for each in has.keys() - wanted.keys():
            os.removexattr(fd, each)
        for each, value in wanted.items():
            if has.get(each) != value:
                os.setxattr(fd, each, value)
    except OSError as error:
        raise Refused(f"{name} has the attribute {each}, and that could not be kept: {error.strerror}") from error
