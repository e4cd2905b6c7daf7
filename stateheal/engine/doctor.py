"""What this machine can promise: the same means that a heal uses, tried out where it would use them.

Field guide sections 4 and 6; DESIGN.md, promises. Nothing of any workspace is written: leases are tried on files that
are opened to be read, and otherwise on files of the journal directory, which leave no trace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stateheal.commit.journal import Journal
from stateheal.errors import StatehealError
from stateheal.evidence.host import boot_id, on_shared_storage, start_ticks
from stateheal.evidence.processes import ProcessTable, SystemProcesses
from stateheal.evidence.roots import Root, all_roots, default_roots, why_not_ones_own
from stateheal.fs.directory import HAS_OPENAT
from stateheal.fs.lease import can_lease
from stateheal.model.problems import Problem
from stateheal.text import count_of
from stateheal.values import NamedTuple

_TESTED = {
    "linux": "",
    "win32": "stateheal's tests run under Wine, nobody has run them on Windows itself yet",
    "darwin": "tested with macOS's calls replaced, nobody has run the tests on a Mac yet",
}
"""What limits the word "tested", by platform."""
_WITHOUT_LEASES = (
    "no leases: a window of microseconds remains",
    "no leases: what somebody has open is not replaced, a window of microseconds remains",
)


class Promise(NamedTuple):
    """One thing that was tried."""

    name: str
    kept: bool
    detail: str


def examine(journal: Journal, processes: ProcessTable | None = None, platform: str = sys.platform) -> list[Promise]:
    """Try everything out. Never raises for what is not there."""
    found = [*_system(platform), *_processes(processes or SystemProcesses(), platform), _journal(journal)]
    problems: list[Problem] = []
    roots = default_roots(problems=problems)
    found += [_root(root, journal) for root in roots]
    found += [Promise("root", False, f"{problem.path} {problem.message}") for problem in problems]
    found += _planted(all_roots())
    if not roots:
        found.append(Promise("root", True, "no plugin keeps state here yet"))
    return found


def _planted(roots: list[Root]) -> Iterator[Promise]:
    """What lies in a shared temp directory and may be somebody else's doing: a plugin would trust it."""
    for root in roots:
        why = why_not_ones_own(root.path) if root.in_temp else None
        if why is not None:
            yield Promise("root", False, f"{root.path}: it lies where anybody can put a directory, and {why}")


def _system(platform: str) -> Iterator[Promise]:
    version = ".".join(map(str, sys.version_info[:3]))
    limit = _TESTED.get(platform, "nobody has run stateheal's tests here yet")
    yield Promise("platform", not limit, f"{platform}, Python {version}" + (f"; {limit}" if limit else ""))
    detail = "names are looked up in the open directory" if HAS_OPENAT else "no openat: names are joined to paths"
    yield Promise("paths", HAS_OPENAT, detail)


def _processes(processes: ProcessTable, platform: str) -> Iterator[Promise]:
    host = processes.host()
    if host.initial_namespace:
        yield Promise("pid-namespace", True, "pids are this machine's own")
    else:
        detail = "a container's: a record on storage shared with the host may name a process that cannot be seen here"
        yield Promise("pid-namespace", False, detail)
    whole = host.boot_id is not None and start_ticks(os.getpid()) is not None
    detail = "boot id and start ticks tell processes apart" if whole else "told apart by their creation time alone"
    yield Promise("process-identity", whole, detail)
    yield _table(processes, platform)


def _table(processes: ProcessTable, platform: str) -> Promise:
    if platform != "linux":
        return Promise("process-table", False, "what another user's process runs may not be seen: it counts as alive")
    seen = processes.facts(os.getpid()).argv is not None and (start_ticks(1) is not None or boot_id() is None)
    detail = "other users' processes can be seen" if seen else "hidden (hidepid): they count as alive"
    return Promise("process-table", seen, detail)


def _journal(journal: Journal) -> Promise:
    import tempfile

    try:
        journal.make()
        with tempfile.TemporaryFile(dir=journal.path):
            pass
        runs = len(journal.runs())
    except (StatehealError, OSError) as error:
        return Promise("journal", False, f"{error}; nothing can be repaired without it")
    damaged = f"; {len(journal.damaged)} damaged" if journal.damaged else ""
    return Promise("journal", not journal.damaged, f"{journal.path}, {count_of(runs, 'run')}{damaged}")


def _root(root: Root, journal: Journal) -> Promise:
    """A lease is tried on a file of the root's own, read only; where it holds none, on the journal's file system."""
    own = next(root.path.glob("*/state.json"), None)
    lease = _lease_on(own) if own is not None else _lease_in(journal.path)
    writable = os.access(root.path, os.W_OK)
    parts = ["read leases: a writer waits and nothing is lost" if lease else _WITHOUT_LEASES[os.name == "nt"]]
    parts += [] if writable else ["not writable"]
    parts += ["another mount than the root file system"] if on_shared_storage(root.path) else []
    return Promise("root", lease and writable, f"{root.path}: {'; '.join(parts)}")


def _lease_on(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return can_lease(fd)
    finally:
        os.close(fd)


def _lease_in(folder: Path) -> bool:
    import tempfile

    with suppress(OSError), tempfile.NamedTemporaryFile(dir=folder) as file:
        return _lease_on(Path(file.name))
    return False
