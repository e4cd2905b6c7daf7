"""What can go wrong in a way the user must be told about: one class per exit status."""

from __future__ import annotations


class StatehealError(Exception):
    """Base of every error this package raises on purpose. ``str(error)`` is one clear line."""

    exit_status = 3


class UsageError(StatehealError):
    """The request itself makes no sense: a path that is not there, a rule that does not exist."""

    exit_status = 2


class ReadError(StatehealError):
    """What the whole answer depends on could not be read."""


class JournalError(StatehealError):
    """The journal cannot be made, read or written. Nothing may be repaired without one."""


class DamagedArchive(JournalError):
    """An archive of the journal is not what a run has written."""


class WriteError(StatehealError):
    """A file could not be replaced; it still holds its old bytes."""


class Conflict(StatehealError):
    """A file changed between reading and replacing it: read again and decide again."""


class Overwritten(Conflict):
    """A file was replaced, and somebody else wrote over it at once: its old bytes are in the journal alone."""


class Refused(StatehealError):
    """A promise would be broken by going on (owner cannot be kept, a link, a live process)."""


class Busy(StatehealError):
    """Another stateheal holds the workspace, and did not let go within the waiting time."""
