"""A report in numbers and in words, for whatever shows it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

from stateheal.model.findings import Finding, Outcome, Severity
from stateheal.model.report import Report
from stateheal.model.request import Scope
from stateheal.report.places import looked_lines
from stateheal.text import count_of, printable

WORST_FIRST = (Severity.DAMAGE, Severity.UNSURE, Severity.NOTICE)
COMMAND = "  stateheal "
ORIGINALS = "The originals are in "
WHOLE = (COMMAND, ORIGINALS, "  there ", "  not there ")
"""How lines begin that are never folded: what is to be typed, and where something lies."""
MANY = 10
"""Findings from which on they are counted by rule."""


def worst_first(finding: Finding) -> int:
    """A key to sort findings by."""
    return WORST_FIRST.index(finding.severity)


def directory_of(finding: Finding) -> str:
    """The workspace's directory: its name may stand under several roots."""
    between = f"{os.sep}{finding.workspace}{os.sep}"
    head, found, _ = (finding.path + os.sep).rpartition(between)
    return f"{head}{os.sep}{finding.workspace}" if found else finding.workspace


def repairable(report: Report) -> int:
    """How much of the damage has a repair."""
    return sum(finding.repairable for finding in report.findings)


def counts(report: Report) -> Iterator[str]:
    """What was found, counted, and what became of it: ``12 findings of damage, 12 can be repaired``, ``5 notices``."""
    if report.command == "recover":
        yield from _recovered(report)
        return
    damage = report.count(Severity.DAMAGE)
    foretold = sum(finding.outcome is Outcome.WOULD_HEAL for finding in report.findings)
    if report.command == "audit" and damage:
        yield f"{count_of(damage, 'finding')} of damage, {repairable(report):,} can be repaired"
    elif foretold:
        yield f"{foretold:,} would be healed"
    elif report.healed:
        yield f"{report.healed:,} healed"
    left = report.remaining - foretold
    if report.command != "audit" and left:
        yield f"{left:,} left"
    if not damage:
        yield "nothing to repair"
    for severity, word in ((Severity.UNSURE, "unsure"), (Severity.NOTICE, "notice")):
        count = report.count(severity)
        if count:
            yield f"{count:,} unsure" if severity is Severity.UNSURE else count_of(count, word)
    if report.errors:
        yield count_of(len(report.errors), "error")


def _recovered(report: Report) -> Iterator[str]:
    """Of a recovery, where every finding is a lost job: what there was to be had."""
    would = sum(finding.outcome is Outcome.WOULD_HEAL for finding in report.findings)
    had = report.healed + would
    yield f"{had:,} would be recovered" if would else f"{had:,} recovered"
    left = len(report.findings) - had
    if left:
        yield f"{left:,} cannot be"
    if report.errors:
        yield count_of(len(report.errors), "error")


def in_one_line(report: Report) -> str:
    """What was looked at, what was found and done, in numbers."""
    places = f"{count_of(report.workspaces, 'workspace')}, {count_of(report.jobs, 'job')}"
    return f"{places}: {', '.join(counts(report))}" + (", interrupted." if report.interrupted else ".")


def summary(report: Report, journal: str, scope: Scope) -> Iterator[str]:
    """What was looked at, what was found and done, and what to run next, a sentence or two a line."""
    if not report.workspaces:
        where = ", ".join(printable(str(root)) for root in report.roots)
        what = "No workspaces found" if scope.cwd is None else f"No workspace of {printable(scope.cwd)} found"
        yield f"{what} in {where}." if where else "No plugin state found."
        if report.looked:
            yield "Looked at:"
            yield from looked_lines(report.looked, whole=False)
        return
    if len(report.findings) > MANY and report.command != "recover":
        yield " ".join(_by_rule(report.findings))
    yield f"{count_of(report.workspaces, 'workspace')}, {count_of(report.jobs, 'job')}: {', '.join(counts(report))}."
    if report.interrupted:
        yield _interrupted(report)
    yield from _next(report, journal, scope)


def _by_rule(findings: Iterable[Finding]) -> Iterator[str]:
    """Damage and what is only worth knowing, each counted by rule."""
    found = list(findings)
    for severity, word in ((Severity.DAMAGE, "Damage"), (Severity.UNSURE, "Unsure"), (Severity.NOTICE, "Notices")):
        by_rule = Counter(finding.rule for finding in found if finding.severity is severity).most_common()
        if by_rule:
            yield f"{word}: " + ", ".join(f"{count:,} {rule}" for rule, count in by_rule) + "."


def _interrupted(report: Report) -> str:
    left = max(0, report.workspaces - report.reached)
    rest = f"; {count_of(left, 'workspace')} not looked at" if left else ""
    return f"Interrupted after {report.reached:,} of {count_of(report.workspaces, 'workspace')}{rest}."


def _next(report: Report, journal: str, scope: Scope) -> Iterator[str]:
    same = printable(scope.command)
    waiting = sum(finding.rule == "recoverable" and not finding.repair for finding in report.findings)
    if waiting and report.command in ("audit", "heal") and "--recover" not in same:
        answers = "1 answer waits" if waiting == 1 else f"{waiting:,} answers wait"
        yield f"{answers} in Codex rollouts; to put them into their jobs:"
        yield f"{COMMAND}heal --recover{same}"
    if report.run:
        yield f"{ORIGINALS}{printable(journal)}/runs/{report.run}"
        yield "'stateheal undo' puts them back."
    if report.interrupted and report.dry_run:
        yield "Dry run: nothing was written."
    elif report.interrupted and report.command != "audit":
        yield "Every file is whole; the same command goes on with the rest."
    elif report.dry_run and repairable(report):
        if report.logs:
            yield f"Besides, one line is added to {count_of(report.logs, 'job log')}."
        yield "Dry run: nothing was written. Next, for the repair:"
        yield f"{COMMAND}{report.command}{same}"
    elif report.command == "audit" and repairable(report):
        yield "Next, for the diff, and without -n for the repair:"
        yield f"{COMMAND}heal -n{same}"
    elif report.command == "heal" and report.remaining:
        yield "What is left has no repair that is proven safe, or was not healed for the reason given."
