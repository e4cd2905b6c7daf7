"""Audit and repair the state files that Claude Code plugins leave behind, and run jobs that never get stuck.

The public Python API: ``audit``, ``heal`` and ``undo`` return a ``Report``; ``tracked_job`` records a program's own
work as a job that is closed at every end. Names are imported when they are first used: a hook or a runner should not
wait for what only an audit needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stateheal.engine import audit, heal, settings_of, undo
    from stateheal.errors import JournalError, StatehealError, UsageError
    from stateheal.model import Finding, Outcome, Report, Severity
    from stateheal.runner import TrackedJob, current_job, tracked_job
    from stateheal.version import __version__

__all__ = [
    "Finding",
    "JournalError",
    "Outcome",
    "Report",
    "Severity",
    "StatehealError",
    "TrackedJob",
    "UsageError",
    "__version__",
    "audit",
    "current_job",
    "heal",
    "settings_of",
    "tracked_job",
    "undo",
]

_HOMES = {
    "stateheal.engine": ("audit", "heal", "settings_of", "undo"),
    "stateheal.errors": ("JournalError", "StatehealError", "UsageError"),
    "stateheal.model": ("Finding", "Outcome", "Report", "Severity"),
    "stateheal.runner": ("TrackedJob", "current_job", "tracked_job"),
    "stateheal.version": ("__version__",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'stateheal' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
