"""Records of another system: whose pids are not this one's (field guide section 4, "foreign").

A day after the last sign of life it is over, whatever it was; ``--assume-local`` says at once that it is not so.
"""

from __future__ import annotations

from stateheal.diagnosis.case import Case
from stateheal.formats.times import DAY

_SLASHES = ("/", "\\")
_HINT = "; --assume-local if it was this one"
_YOUNG = 1.0
"""Seconds by which a creation time may be off."""


def foreign(case: Case) -> str | None:
    """Why the record's pid may be no pid of this system, unless its last sign of life is known to be a day old."""
    if case.settings.assume_local or case.is_own or case.silent_for_a_day:
        return None
    reason = of_another_system(case) or _other_files(case) or inside(case)
    return reason + _HINT if reason else None


def of_another_system(case: Case) -> str | None:
    """What in the record only another system can have written, whenever that was."""
    return _other_system(case) or _other_kernel(case)


def _other_system(case: Case) -> str | None:
    is_theirs = _is_posix_path if case.host.windows else _is_windows_path
    if any(map(is_theirs, case.owner.paths)):
        return f"it names a path of {'another operating system' if case.host.windows else 'Windows'}"
    return None


def _is_windows_path(path: str) -> bool:
    r"""A drive, ``\\server\share``, ``\\?\C:``, and as git says it: ``//wsl.localhost/…``, ``//wsl$/…``."""
    first, second, third = path[:1], path[1:2], path[2:3]
    if second == ":":
        return first.isascii() and first.isalpha() and third in _SLASHES
    return first in _SLASHES and second in _SLASHES and third not in ("", *_SLASHES)


def _is_posix_path(path: str) -> bool:
    return path[:1] == "/" and not (path[1:2] == "/" and path[2:3] not in ("", "/"))


def _other_kernel(case: Case) -> str | None:
    pid, most = case.pid, case.host.pid_max
    if pid is None or most is None or pid <= most:
        return None
    return f"pid {pid} is above what this kernel gives out ({most}): another machine's"


def _other_files(case: Case) -> str | None:
    """A dev container's record, seen from its host: Docker may run in a VM, where no process can be seen."""
    word = case.owner.last_word
    if not case.owner.elsewhere or (word is not None and case.host.now - word >= DAY):
        return None
    return "its project directory is not here and its log is recorded elsewhere: it may run in a container"


def inside(case: Case) -> str | None:
    """We are in a sandbox or container, and the job may be outside."""
    if case.host.initial_namespace or _is_whole_container(case):
        return None
    if case.owner.shared_storage:
        return "this is a container and the state lies on storage shared with its host"
    return "this is a sandbox or container, and processes outside it cannot be seen"


def another_machine(case: Case) -> str | None:
    """Several machines write here, and which one's the job is cannot be told: nothing shows those of another."""
    if case.look is None or case.settings.assume_local or case.is_own or case.silent_for_a_day:
        return None
    reason = on_shared_kind(case)
    return reason + _HINT if reason else None


def on_shared_kind(case: Case) -> str | None:
    """Why a record may be another machine's by where it lies; one that names this host is none."""
    kind = case.owner.shared_kind
    if kind is None or case.owner.hostname == case.host.hostname:
        return None
    return f"it lies on {kind}, to which other machines write as well: it may run on one of them"


def _is_whole_container(case: Case) -> bool:
    """Whether the job can only have run in here: our process 1 is older, and the state lies on our own root."""
    began = [moment for moment in (case.owner.created_at, case.owner.started_at) if moment is not None]
    init = case.host.init_created
    older = bool(began) and init is not None and init + _YOUNG < min(began)
    return older and case.host.own_root and not case.owner.shared_storage
