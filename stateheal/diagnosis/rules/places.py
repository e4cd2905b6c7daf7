"""What is wrong with a place as a whole: state that nobody here reads, roots that somebody else may have planted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding
from stateheal.diagnosis.view import View
from stateheal.model.findings import Finding, Severity
from stateheal.model.request import Settings


def find_unread(view: View) -> Iterator[Diagnosed]:
    """A workspace whose companion is not known."""
    if view.evidence.recognition is None:
        yield Diagnosed(file_finding(view, UNREAD_STATE, "", _unread(str(view.evidence.place.directory))))


def _unread(path: str) -> str:
    return f"state of a plugin that stateheal does not read: {path}"


UNREAD_STATE = Rule(
    "unread-state",
    Severity.NOTICE,
    "A directory among the plugins' data holds a state.json or jobs, and no companion is known that writes such. "
    "Nothing in it was looked at: whether all is well there cannot be told. The same of a workspace that is a link.",
    "None.",
    find_unread,
)
PLANTED_ROOT = Rule(
    "planted-root",
    Severity.NOTICE,
    "A plugin's directory in the shared temp directory belongs to another user, or others may write to it. A plugin "
    "that falls back to it would trust what stands there, signal the processes it names and delete the paths it names.",
    "None. One that belongs to somebody else is not read. Set CLAUDE_PLUGIN_DATA, or remove the directory.",
    lambda view: (),
)
ROOT_RULES = (PLANTED_ROOT,)
"""Rules about roots, not about what stands in them."""


def place_findings(
    unread: Iterable[Path],
    planted: Iterable[tuple[Path, str]],
    settings: Settings,
    links: Iterable[Path] = (),
) -> tuple[Finding, ...]:
    """The notices about whole places that a request came upon, as far as their rules are switched on."""
    found = [_finding(UNREAD_STATE, path, _unread(str(path))) for path in unread]
    for path in links:
        message = f"{path} is a link, and links are not followed: what it leads to was not looked at"
        found.append(_finding(UNREAD_STATE, path, message)._replace(evidence="name its target to look there"))
    for path, why in planted:
        message = f"{path} lies where anybody can put a directory, and {why}"
        helps = "the plugin would trust it, signal the processes and delete the paths that it names"
        found.append(_finding(PLANTED_ROOT, path, message)._replace(evidence=helps))
    return tuple(each for each in found if _is_on(each.rule, settings))


def _is_on(rule: str, settings: Settings) -> bool:
    return rule not in settings.ignore and (not settings.select or rule in settings.select)


def _finding(rule: Rule, path: Path, message: str) -> Finding:
    return Finding(rule.name, rule.severity, os.path.basename(path), str(path), message)
