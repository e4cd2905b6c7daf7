"""Audit and repair the state files that Claude Code plugins leave behind, and run jobs that never get stuck.

The public Python API: ``audit``, ``heal`` and ``undo`` return a ``Report``; ``tracked_job`` records a program's own
work as a job that is closed at every end. Names are imported when they are first used, and nothing else is: the hook
runs before every command of the user's, and a runner should not wait for what only an audit needs.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.engine.api import audit, heal, recover, settings_of
    from stateheal.engine.commands import undo
    from stateheal.engine.history import PastRun, history
    from stateheal.errors import JournalError, StatehealError, UsageError
    from stateheal.model.findings import Finding, Outcome, Severity
    from stateheal.model.report import Report
    from stateheal.model.request import Settings
    from stateheal.runner.job import TrackedJob
    from stateheal.runner.tracked import current_job, tracked_job
    from stateheal.version import __version__

__all__ = [
    "Finding",
    "JournalError",
    "Outcome",
    "PastRun",
    "Report",
    "Settings",
    "Severity",
    "StatehealError",
    "TrackedJob",
    "UsageError",
    "__version__",
    "audit",
    "current_job",
    "heal",
    "history",
    "recover",
    "settings_of",
    "tracked_job",
    "undo",
]

_HOMES = {
    "engine.api": ("audit", "heal", "recover", "settings_of"),
    "engine.commands": ("undo",),
    "engine.history": ("PastRun", "history"),
    "errors": ("JournalError", "StatehealError", "UsageError"),
    "model.findings": ("Finding", "Outcome", "Severity"),
    "model.report": ("Report",),
    "model.request": ("Settings",),
    "runner.job": ("TrackedJob",),
    "runner.tracked": ("current_job", "tracked_job"),
    "version": ("__version__",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'stateheal' has no attribute {name!r}")
    module = __import__(f"stateheal.{_HOME_OF[name]}", fromlist=[name])
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
