"""Notices about projects that are gone, put together: there may be hundreds, and one command helps with all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stateheal.model.findings import Finding, Severity
from stateheal.report.summary import COMMAND, directory_of
from stateheal.text import printable, size_of

_FEW = 3
"""Up to as many are told one by one."""
_GONE = "gone-workspace"
_BESIDE = (_GONE, "moved-log", "gate-lost")
"""Notices that say nothing more where the project is gone."""


def split_vanished(findings: Sequence[Finding]) -> tuple[Sequence[Finding], list[Finding]]:
    """What is told one by one, and what is put together: workspaces of which nothing else is to be said."""
    by_place: dict[str, list[Finding]] = {}
    for finding in findings:
        by_place.setdefault(directory_of(finding), []).append(finding)
    gone = {place for place, found in by_place.items() if _is_vanished(found)}
    if len(gone) <= _FEW:
        return findings, []
    apart = [finding for finding in findings if directory_of(finding) not in gone]
    return apart, [finding for finding in findings if directory_of(finding) in gone]


def _is_vanished(found: Sequence[Finding]) -> bool:
    rules = {finding.rule for finding in found}
    return _GONE in rules and rules <= {*_BESIDE} and all(each.severity is Severity.NOTICE for each in found)


def vanished_lines(findings: Sequence[Finding], places: str = "") -> Iterator[str]:
    """How many projects are gone, how much they left, and what clears it away; nothing for none.

    ``places``: where the command is to look, as a shell takes it.
    """
    gone = [finding for finding in findings if finding.rule == _GONE]
    if gone:
        size = size_of(sum(each.size or 0 for each in gone))
        yield f"{len(gone):,} projects that are gone left {size} (-v lists them):"
        yield f"{COMMAND}prune --gone -n" + (f" {printable(places)}" if places else "")
        yield ""
