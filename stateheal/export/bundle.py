"""``stateheal export``: the state of workspaces in one archive for a bug report, without what is private in it.

The damage is kept and everything that a person or a model has written is not; ``redact_rules`` says which is which.
What an audit finds here it finds in the unpacked archive too, on a machine with the same processes.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from stateheal.engine.commands import asked_for, audit
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.export.archive import Packer
from stateheal.export.layout import TOP, UNPACK_IN, Layout, shown_finding
from stateheal.export.workspace import Packed, pack_workspace
from stateheal.formats.times import format_time
from stateheal.model.disk import FileStat, Place
from stateheal.model.liveness import HostFacts
from stateheal.model.problems import Problem, internal_problem
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.values import dataclass, replace
from stateheal.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

MANIFEST = f"{TOP}/MANIFEST.json"
_REDACTION = (
    "Every text is replaced by consonants of the same length, equal texts by equal ones, except the plugin's own words"
    " (statuses, phases, kinds, its fixed titles and messages), times, job ids and ids of this boot. Paths are replaced"
    " part by part. Numbers but pids, versions and start ticks keep their length only, unless they have one digit. Keys"
    " that are not known are replaced below request, result and unknown objects. Of logs the times, the line lengths"
    " and the plugin's own phrases stay. Directories are renamed; equal ones stay equal. Layout, duplicate keys and"
    " damage are as they were."
)


@dataclass(frozen=True)
class Found:
    """What is to be packed, and what an audit says about it."""

    places: tuple[Place, ...]
    audit: Report
    errors: tuple[Problem, ...]


@dataclass(frozen=True)
class Exported:
    """What was packed."""

    report: Report
    files: int


def find(request: Request, *, world: World | None = None) -> Found:
    """The workspaces that a request names.

    Raises ``UsageError``, also where there is nothing to pack and nothing was in the way of seeing it.
    """
    seen = audit(request, world=world)
    found = asked_for(request)
    if not found.places and not found.errors:
        where = ", ".join(str(root.path) for root in found.roots)
        raise UsageError(f"nothing to pack: there is no workspace in {where or 'any place where plugins keep state'}")
    return Found(found.places, replace(seen, roots=tuple(root.path for root in found.roots)), found.errors)


def pack(found: Found, out: IO[bytes], *, redact: bool = True, world: World | None = None) -> Exported:
    """Write the archive to a binary stream. What cannot be read stands in the report's errors; the rest is packed.

    Raises ``OSError`` where the stream cannot be written.
    """
    world = world or World()
    layout = Layout(found.places, _gone(found.audit), secrets.token_bytes(32) if redact else None)
    packed: dict[Place, Packed] = {}
    errors = list(found.errors)
    with Packer(out) as packer:
        for place in found.places:
            if world.stop():
                break
            each = _pack_one(packer, place, layout, world, errors)
            if each is not None:
                packed[place] = each
        manifest = _manifest(found, layout, packed, world.processes.host())
        data = (json.dumps(manifest, indent=2) + "\n").encode()
        now = int(world.processes.host().now * 1e9)
        packer.file(MANIFEST, data, FileStat(0, 0, 0o600, 0, 0, 1, len(data), now))
    report = Report(
        "export",
        roots=found.audit.roots,
        workspaces=len(packed),
        jobs=found.audit.jobs,
        errors=(*errors, *(error for each in packed.values() for error in each.errors)),
        interrupted=world.stop(),
    )
    return Exported(report, sum(each.files for each in packed.values()))


def _pack_one(packer: Packer, place: Place, layout: Layout, world: World, errors: list[Problem]) -> Packed | None:
    try:
        return pack_workspace(packer, place, layout, world.stop)
    except OSError as error:
        if packer.failed:
            raise
        errors.append(Problem(str(place.directory), f"cannot be opened: {error.strerror or error}"))
    except Exception as error:  # one hostile record must not keep the other workspaces from being packed
        errors.append(internal_problem(str(place.directory), error))
    return None


def _gone(seen: Report) -> dict[str, str]:
    """Project directories that are not there any more, by workspace."""
    names = {finding.workspace for finding in seen.findings if finding.rule == "gone-workspace"}
    return {name: home for name, home in seen.homes.items() if name in names}


# --- the manifest --------------------------------------------------------------------------------------------------


def _manifest(found: Found, layout: Layout, packed: Mapping[Place, Packed], host: HostFacts) -> dict[str, Any]:
    redacted = layout.pseudonyms is not None
    return {
        "stateheal": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "exported": format_time(host.now),
        "booted": None if host.boot_time is None else format_time(host.boot_time),
        "pid_max": host.pid_max,
        "initial_pid_namespace": host.initial_namespace,
        "redacted": redacted,
        "redaction": _REDACTION if redacted else "None: every file is as it was.",
        "unpack": f"tar xzf FILE -C {UNPACK_IN}: there the paths of logs in the records fit"
        if redacted
        else "anywhere",
        "workspaces": [each.entry for each in packed.values()],
        "findings": _findings(found.audit, layout, packed),
        "audit_errors": list(_audit_errors(found.audit.errors, layout, packed)),
    }


def _place_of(path: str, places: Iterable[Place]) -> tuple[Place, str] | None:
    """The workspace that a path lies in, and the rest of the path."""
    for place in places:
        directory = str(place.directory)
        if path == directory or path.startswith(directory + os.sep):
            return place, Path(path[len(directory) :].lstrip(os.sep)).as_posix()
    return None


def _findings(seen: Report, layout: Layout, packed: Mapping[Place, Packed]) -> list[dict[str, object]]:
    found = []
    for finding in seen.findings:
        at = _place_of(finding.path, packed)
        if at is not None:
            place, name = at
            named = "" if name == "." else name
            found.append(shown_finding(finding, layout.directory(place), named, packed[place].pseudonyms))
    return found


def _audit_errors(
    errors: Iterable[Problem], layout: Layout, packed: Mapping[Place, Packed]
) -> Iterable[dict[str, Any]]:
    """Where the audit itself had trouble; of an error in stateheal its kind and where it happened, never its text."""
    for error in errors:
        at = _place_of(error.path, packed)
        if at is not None:
            yield {
                "workspace": layout.directory(at[0]),
                "internal_error": error.origin or None,
            }
