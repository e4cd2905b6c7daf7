"""Reports for people: a table per workspace, a summary, and what to run next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stateheal.model import Finding, Outcome, Report, Severity
from stateheal.report.diff import render_diff
from stateheal.safe import printable

_STYLES = {Severity.DAMAGE: "red", Severity.UNSURE: "yellow", Severity.NOTICE: "cyan"}
_OUTCOMES = {
    Outcome.WOULD_HEAL: ("would be healed", "green"),
    Outcome.HEALED: ("healed", "green"),
    Outcome.REFUSED: ("not healed: refused", "red"),
    Outcome.FAILED: ("not healed: failed", "red"),
}
_MIN_WHY = 24


def print_report(console: Console, report: Report, *, quiet: bool, verbose: bool, journal: str) -> None:
    """The whole report of ``audit`` and ``heal``."""
    if not quiet:
        for name, findings in groupby(report.findings, lambda finding: finding.workspace):
            _print_workspace(console, name, report.homes.get(name), list(findings), verbose)
        for diff in report.diffs:
            for line in render_diff(diff):
                console.print(line, soft_wrap=True)
            console.print()
    for text in summary(report, journal):
        console.print(text, soft_wrap=True)


def _print_workspace(console: Console, name: str, home: str | None, findings: Sequence[Finding], verbose: bool) -> None:
    heading = Text(printable(name), style="bold")
    if home:
        heading.append(f"  {printable(home)}", style="not bold dim")
    console.print(heading, soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    jobs = [printable(finding.job or "-") for finding in findings]
    pids = ["-" if finding.pid is None else str(finding.pid) for finding in findings]
    widths = [max(map(cell_len, [title, *cells])) for title, cells in (("job", jobs), ("pid", pids))]
    rule_width = max(len(finding.rule) for finding in findings)
    # Ids are never wrapped or cut (DESIGN.md): where they leave no room, the table grows beyond the window.
    table.add_column("rule", no_wrap=True, min_width=rule_width)
    table.add_column("job", no_wrap=True, min_width=widths[0])
    table.add_column("pid", no_wrap=True, min_width=widths[1], justify="right")
    table.add_column("why and repair", overflow="fold")
    for finding, job, pid in zip(findings, jobs, pids, strict=True):
        rule = Text(finding.rule, style=_STYLES[finding.severity])
        table.add_row(rule, Text(job), Text(pid), _why(finding, verbose))
    needed = rule_width + sum(widths) + _MIN_WHY + 8
    window, console.width = console.width, max(console.width, needed)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():  # a pipe has no use for columns filled up with spaces
        console.out(line if console.is_terminal else line.rstrip(), highlight=False)
    console.width = window
    console.print()


def _why(finding: Finding, verbose: bool) -> Text:
    text = Text(printable(finding.message))
    if finding.severity is not Severity.DAMAGE:
        text = Text(f"{finding.severity.value}: ", style=_STYLES[finding.severity]).append_text(text)
    if finding.evidence:
        text.append(f"; {printable(finding.evidence)}", style="dim")
    if finding.repair:
        text.append(f"\n→ {printable(finding.repair)}", style="dim")
    if finding.outcome in _OUTCOMES:
        word, style = _OUTCOMES[finding.outcome]
        text.append(f"\n{word}", style=style)
    if verbose:
        text.append(f"\n{printable(finding.path)}{printable(finding.pointer or '')}", style="dim")
    return text


def summary(report: Report, journal: str) -> Iterator[Text]:
    """What was looked at, what was found and done, and what to run next."""
    if not report.workspaces:
        where = ", ".join(printable(str(root)) for root in report.roots)
        yield Text(f"No workspaces found in {where}." if where else "No plugin state found on this machine.")
        return
    yield Text(
        f"{count_of(report.workspaces, 'workspace')}, {count_of(report.jobs, 'job')}: {', '.join(counts(report))}."
    )
    if report.interrupted:
        yield Text("Interrupted: the rest was not looked at.", style="yellow")
    if report.dry_run and repairable(report):
        if report.logs:
            yield Text(f"Besides, one line is added to {count_of(report.logs, 'job log')}.")
        yield Text("Dry run: nothing was written. The same without -n makes the repair.")
    elif report.command == "audit" and repairable(report):
        yield Text("Next: the same with 'heal -n' shows the diff, with 'heal' it makes the repair.")
    elif report.run:
        yield Text(f"The originals are in {printable(journal)}/runs/{report.run}")
        yield Text("'stateheal undo' puts them back.")


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


def repairable(report: Report) -> int:
    """How much of the damage has a repair."""
    return sum(1 for finding in report.findings if finding.repair and finding.severity is Severity.DAMAGE)


def count_of(count: int, noun: str) -> str:
    """A number and its noun: ``1 job``, ``2,500 jobs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def print_lines(console: Console, lines: Iterable[str | Text]) -> None:
    """Plain lines, never wrapped: what follows may be piped."""
    for line in lines:
        console.print(line if isinstance(line, Text) else Text(line), soft_wrap=True)
