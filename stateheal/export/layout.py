"""What an export calls things: where each workspace stands in the archive, and what stands for a file or a finding.

Field guide section 1: the name of a workspace's directory is that of the project, and its hash can be turned back into
a path by guessing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stateheal.dialects.names import PLUGINS, SLASH
from stateheal.dialects.table import DIALECTS, kin_of
from stateheal.evidence.hashes import workspace_hash
from stateheal.export.pseudonyms import OF_A_JOB, Pseudonyms
from stateheal.export.redact_rules import KNOWN_KEYS, LONGEST_PID
from stateheal.model.disk import JOBS, Place
from stateheal.model.findings import Finding
from stateheal.model.records import NOT_RECORDS
from stateheal.values import replace

TOP = "stateheal-export"
UNPACK_IN = "/tmp"
"""Where the archive is to be unpacked for the paths in its records to fit."""
_KNOWN_PLUGINS = frozenset(PLUGINS).union(*(each.published for each in DIALECTS))


def _family(plugin: str) -> str:
    """A plugin's name without what its owner has added: it says which companion keeps such a tree."""
    kin = kin_of(plugin)
    names = ("claude-code", *(f"{name}-plugin" for name in SLASH))
    return next((name for name in names if kin and kin_of(name) == kin), "plugin")


class Layout:
    """The places of one export. Without a salt nothing is renamed."""

    def __init__(self, places: Sequence[Place], gone: Mapping[str, str], salt: bytes | None) -> None:
        """``gone``: the project directory by workspace, where it is not there any more."""
        self.pseudonyms = None if salt is None else Pseudonyms(salt)
        self.names: dict[str, str] = {}
        self.roots: dict[Path, str] = {}
        hashes: dict[str, str] = {}
        for place in places:
            self._add_root(place)
            if place.hash not in hashes:
                hashes[place.hash] = self._hash(place, gone.get(place.name))
            slug = "" if place.name == place.hash else f"workspace-{len(self.names) + 1}-"
            name = slug + hashes[place.hash]
            self.names.setdefault(place.name, place.name if self.pseudonyms is None else name)

    def _add_root(self, place: Place) -> None:
        if place.root in self.roots:
            return
        base = place.plugin or "codex-unknown"
        if self.pseudonyms is not None and base not in _KNOWN_PLUGINS:
            base = _family(base)
        name, number = base, 1
        while name in self.roots.values():
            number += 1
            name = f"{base}-{number}"
        self.roots[place.root] = name

    def _hash(self, place: Place, gone: str | None) -> str:
        """A hash of chance; of a project that is gone the one that fits what its path is replaced by."""
        if self.pseudonyms is None:
            return place.hash
        digits = len(place.hash) or 16
        if gone is not None and workspace_hash(gone)[:digits] == place.hash:
            return workspace_hash(self.pseudonyms.path(gone))[:digits]
        return self.pseudonyms.digest(place.hash).hex()[:digits]

    def directory(self, place: Place) -> str:
        """Where the archive keeps this workspace."""
        return f"{TOP}/plugins/data/{self.roots[place.root]}/state/{self.names[place.name]}"

    def pseudonyms_for(self, known: frozenset[str]) -> Pseudonyms | None:
        """The pseudonyms for a workspace, of which these ids are shown."""
        return None if self.pseudonyms is None else replace(self.pseudonyms, known=known, directories=self.names)

    def at_home(self, place: Place, pseudonyms: Pseudonyms, spellings: Sequence[str]) -> Pseudonyms:
        """The pseudonyms for one of its files, which spells the workspace's own ``jobs/`` like this."""
        own = f"{UNPACK_IN}/{self.directory(place)}/{JOBS}"
        return replace(pseudonyms, jobs=dict.fromkeys(spellings, own))


def shown_name(name: str, pseudonyms: Pseudonyms | None) -> str:
    """What stands for a name in the workspace."""
    if pseudonyms is None:
        return name
    folder, _, base = name.rpartition("/")
    if not folder:
        return pseudonyms.other_file(base)
    if "/" in folder:
        jobs, _, ident = folder.partition("/")
        return f"{jobs}/{pseudonyms.ident(ident)}/{base if base in OF_A_JOB else pseudonyms.other_file(base)}"
    of_job = base.endswith((".json", ".log")) and not base.endswith(NOT_RECORDS)
    return f"{folder}/{pseudonyms.file(base) if of_job else pseudonyms.other_file(base)}"


def shown_pointer(pointer: str | None, pseudonyms: Pseudonyms | None) -> str | None:
    """What stands for a JSON pointer: positions and the plugin's own keys stay."""
    if pointer is None or pseudonyms is None:
        return pointer
    parts = pointer.split("/")
    return "/".join(
        part if part in KNOWN_KEYS or part.isdigit() or not part else pseudonyms.key(part) for part in parts
    )


def shown_finding(finding: Finding, workspace: str, name: str, pseudonyms: Pseudonyms | None) -> dict[str, object]:
    """A finding without its texts; ``name`` is that of its file in the workspace."""
    job = finding.job if pseudonyms is None or finding.job is None else pseudonyms.ident(finding.job)
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "workspace": workspace,
        "file": shown_name(name, pseudonyms) if name else "",
        "pointer": shown_pointer(finding.pointer, pseudonyms),
        "job": job,
        "pid": finding.pid if pseudonyms is None or len(str(finding.pid)) <= LONGEST_PID else None,
    }
