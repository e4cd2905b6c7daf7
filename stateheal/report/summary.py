"""A report in numbers and in words, for whatever shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stateheal.model import Finding, Outcome, Report, Scope, Severity
from stateheal.safe import printable

WORST_FIRST = (Severity.DAMAGE, Severity.UNSURE, Severity.NOTICE)
MANY = 10
"""Findings from which on they are counted by rule."""


def worst_first(finding: Finding) -> int:
    """A key to sort findings by."""
    return WORST_FIRST.index(finding.severity)


def count_of(count: int, noun: str) -> str:
    """A number and its noun: ``1 job``, ``2,500 jobs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def repairable(report: Report) -> int:
    """How much of the damage has a repair."""
    return sum(1 for finding in report.findings if finding.repair and finding.severity is Severity.DAMAGE)


def counts(report: Report) -> Iterator[str]:
    """What was found, counted, and what became of it: ``12 findings of damage, 12 can be repaired``, ``5 notices``."""
    damage = report.count(Severity.DAMAGE)
    foretold = sum(finding.outcome is Outcome.WOULD_HEAL for finding in report.findings)
    if report.command == "audit" and damage:
        yield f"{count_of(damage, 'finding')} of damage, {repairable(report):,} can be repaired"
    elif foretold:
        yield f"{foretold} would be healed"
    elif report.healed:
        yield f"{report.healed} healed"
    left = report.remaining - foretold
    if report.command != "audit" and left:
        yield f"{left} left"
    if not damage:
        yield "nothing to repair"
    for severity, word in ((Severity.UNSURE, "unsure"), (Severity.NOTICE, "notice")):
        count = report.count(severity)
        if count:
            yield f"{count} unsure" if severity is Severity.UNSURE else count_of(count, word)
    if report.errors:
        yield count_of(len(report.errors), "error")


def summary(report: Report, journal: str, scope: Scope) -> Iterator[str]:
    """What was looked at, what was found and done, and what to run next, a sentence or two a line."""
    if not report.workspaces:
        where = ", ".join(printable(str(root)) for root in report.roots)
        yield f"No workspaces found in {where}." if where else "No plugin state found on this machine."
        return
    if len(report.findings) > MANY:
        by_rule = Counter(finding.rule for finding in report.findings).most_common()
        yield "By rule: " + ", ".join(f"{count:,} {rule}" for rule, count in by_rule) + "."
    yield f"{count_of(report.workspaces, 'workspace')}, {count_of(report.jobs, 'job')}: {', '.join(counts(report))}."
    if report.interrupted:
        yield _interrupted(report)
    yield from _next(report, journal, scope)


def _interrupted(report: Report) -> str:
    left = max(0, report.workspaces - report.reached)
    rest = f"; {count_of(left, 'workspace')} not looked at" if left else ""
    return f"Interrupted after {report.reached:,} of {count_of(report.workspaces, 'workspace')}{rest}."


def _next(report: Report, journal: str, scope: Scope) -> Iterator[str]:
    same = scope.command
    if report.run:
        yield f"The originals are in {printable(journal)}/runs/{report.run}"
        yield "'stateheal undo' puts them back."
    if report.interrupted and report.command != "audit":
        yield "What was begun is whole; the same command goes on with the rest."
    elif report.dry_run and repairable(report):
        if report.logs:
            yield f"Besides, one line is added to {count_of(report.logs, 'job log')}."
        yield f"Dry run: nothing was written. Next, for the repair: stateheal {report.command}{same}"
    elif report.command == "audit" and repairable(report):
        yield f"Next, for the diff (and without -n for the repair): stateheal heal -n{same}"
