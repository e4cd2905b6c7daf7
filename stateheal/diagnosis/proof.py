"""Is this process proven to be this job's own, or this workspace's broker? Stricter than what counts as a sign of life.

Field guide section 4. A job that may live is left alone on the slightest sign; a process is ended only on proof: its
command line is a companion's own with this job's id, or the record holds its identity.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise

from stateheal.diagnosis.case import values_of
from stateheal.model.liveness import HostFacts, Owner, ProcessFacts
from stateheal.model.records import pid_of
from stateheal.patterns import pattern

_SCRIPT = pattern(r".*\.(?:mjs|js|cjs|ts)")
_SAME_MOMENT = 0.05
"""Seconds: a record tells milliseconds, systems reckon in less."""
_COMMANDS = frozenset({"task", "review", "adversarial-review", "run", "rescue", "delegate"})


def names_job(argv: tuple[str, ...], job: str) -> bool:
    """Whether this is the command line of the job's own worker: a companion or script, a job's subcommand, its id.

    Some give the id as ``--job-id``, some right behind ``task-worker``.
    """
    for position, word in enumerate(argv):
        base = _base(word)
        if base.removesuffix(".exe") == "stateheal":
            return False  # what a ``stateheal run`` was given is not that run's own work
        rest = argv[position + 1 :]
        if ("companion" in base or _SCRIPT.fullmatch(base)) and any(map(_is_job_command, rest[:1])):
            given = f"--job-id={job}" in rest or ("--job-id", job) in pairwise(rest)
            return given or (rest[0].endswith("-worker") and rest[1:2] == (job,))
    return False


def _is_job_command(word: str) -> bool:
    return word in _COMMANDS or word.endswith("-worker")


def works_in(argv: tuple[str, ...], cwd: str | None, projects: Collection[str]) -> bool:
    """Whether a process works in one of these directories: by its ``--cwd``, else by the directory it is in."""
    at = values_of(argv, "--cwd") or ([] if cwd is None else [cwd])
    return any(path == each or path.startswith(each.rstrip("/") + "/") for path in at for each in projects)


def has_identity(process: ProcessFacts, owner: Owner, host: HostFacts) -> bool:
    """Whether the record identifies this very process: by boot, pid namespace and start, or by its start since boot.

    Where there are no ticks, by the moment of its creation.
    """
    if not process.exists or pid_of(owner.pid) != process.pid:
        return False
    if process.ticks is None:
        created = (process.created, owner.process_created)
        return None not in created and abs(created[0] - created[1]) < _SAME_MOMENT  # type: ignore[operator]
    own = owner.identity
    if own is not None:
        return (own.boot_id, own.pid_namespace, own.ticks) == (host.boot_id, host.pid_namespace, process.ticks)
    since_boot = None not in (owner.last_sign, host.boot_time) and owner.last_sign > host.boot_time  # type: ignore[operator]
    return owner.fork_ticks == process.ticks and since_boot


def serves(argv: tuple[str, ...], endpoint: str) -> bool:
    """Whether this is the command line of the broker that listens at an endpoint."""
    broker = any("broker" in _base(word) and _SCRIPT.fullmatch(_base(word)) for word in argv)
    return broker and (f"--endpoint={endpoint}" in argv or ("--endpoint", endpoint) in pairwise(argv))


def _base(path: str) -> str:
    return re.split(r"[\\/]", path)[-1]
