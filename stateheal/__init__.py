"""Audit and repair the state files that Claude Code plugins leave behind.

The public Python API: ``audit``, ``heal`` and ``undo`` return a ``Report``; ``as_json`` turns it into the JSON object
that the command line prints.
"""

from __future__ import annotations

from stateheal.engine import audit, heal, settings_of, undo
from stateheal.errors import JournalError, StatehealError, UsageError
from stateheal.model import Finding, Outcome, Report, Severity
from stateheal.version import __version__

__all__ = [
    "Finding",
    "JournalError",
    "Outcome",
    "Report",
    "Severity",
    "StatehealError",
    "UsageError",
    "__version__",
    "audit",
    "heal",
    "settings_of",
    "undo",
]
