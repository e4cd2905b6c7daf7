"""Reports for people: what is wrong by workspace, worst first, a summary, and what to run next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from stateheal.model.findings import Finding, Outcome, Severity
from stateheal.model.report import Diff, Report
from stateheal.model.request import Scope
from stateheal.report.diff import painted_diff
from stateheal.report.helps import apart
from stateheal.report.paint import Paint, cut, folded, painter, width_of
from stateheal.report.places import looked_lines
from stateheal.report.summary import WHOLE, directory_of, in_one_line, summary, worst_first
from stateheal.report.vanished import split_vanished, vanished_lines
from stateheal.text import printable

_STYLES = {Severity.DAMAGE: "red", Severity.UNSURE: "yellow", Severity.NOTICE: "cyan"}
_OUTCOMES = {
    Outcome.WOULD_HEAL: ("would be healed", "green"),
    Outcome.HEALED: ("healed", "green"),
    Outcome.REFUSED: ("not healed: refused", "red"),
    Outcome.FAILED: ("not healed: failed", "red"),
}
_MIN_WHY = 30
"""Columns below which the reason is not put beside the job but under it."""
_INDENT = "  "


def print_report(
    console: Console,
    report: Report,
    *,
    quiet: bool,
    verbose: bool,
    journal: str,
    scope: Scope = Scope(),  # noqa: B008
) -> None:
    """The whole report of ``audit`` and ``heal``; ``scope`` is for the command to run next."""
    paint = painter(console)
    if quiet:
        told = [in_one_line(report)] if report.workspaces else list(summary(report, journal, scope))[:1]
        write_lines(console, told)
        return
    several = len(report.roots) > 1
    shown = list(_gathered(report.findings)) if report.command == "recover" else report.findings
    each_told, vanished = (shown, []) if verbose else split_vanished(shown)
    for directory, findings in _workspaces(each_told):
        name = findings[0].workspace
        place = short_path(directory) if several else name
        lines = _workspace_lines(place, report.homes.get(name), findings, console.width, verbose, paint)
        write_lines(console, [*lines, ""])
    narrowed = "--job " in scope.places  # which prune does not know
    write_lines(console, vanished_lines(vanished, "" if narrowed else scope.places))
    print_diffs(console, report.diffs)
    if verbose and report.workspaces and report.looked:
        write_lines(console, ["Looked at:", *looked_lines(report.looked)])
    for line in summary(report, journal, scope):
        fits = iter((line,)) if line.startswith(WHOLE) else folded(line, max(_MIN_WHY, console.width))
        write_lines(console, [paint(each, "yellow" if each.startswith("Interrupted") else "") for each in fits])


def write_lines(console: Console, lines: Iterable[str]) -> None:
    """Lines as they are: whoever made them has painted and folded them."""
    try:
        console.file.write("".join(f"{line}\n" for line in lines))
        console.file.flush()
    except BrokenPipeError:
        console.on_broken_pipe()


def print_diffs(console: Console, diffs: Iterable[Diff]) -> None:
    """Each diff, an empty line after it."""
    paint = painter(console)
    for diff in diffs:
        write_lines(console, [*painted_diff(diff, paint), ""])


def _gathered(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Of a recovery: the jobs without an answer by the reason, each reason once in a workspace."""
    without: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.repair is None and finding.severity is Severity.NOTICE and finding.job:
            without.setdefault((finding.path.partition(f"{os.sep}jobs{os.sep}")[0], finding.message), []).append(
                finding
            )
        else:
            yield finding
    for same in without.values():
        ids = ", ".join(str(finding.job) for finding in same)
        why = same[0].message.replace("not recoverable, left as it is", "left as it is")
        yield same[0]._replace(rule="no answer", job=None, title=None, message=f"{why}: {ids}")


def _workspaces(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings by directory of their workspace, the worst first, and in each the worst first."""
    by_place: dict[str, list[Finding]] = {}
    for finding in findings:
        by_place.setdefault(directory_of(finding), []).append(finding)
    for found in by_place.values():
        found.sort(key=worst_first)
    return sorted(by_place.items(), key=lambda item: worst_first(item[1][0]))


def _workspace_lines(
    place: str, home: str | None, findings: Sequence[Finding], width: int, verbose: bool, paint: Paint
) -> Iterator[str]:
    yield from heading(printable(place), home and printable(home), width, paint)
    rules = max(len(finding.rule) for finding in findings)
    jobs = max(width_of(printable(finding.job or "")) for finding in findings)
    for finding in findings:
        job = printable(finding.job or "")
        rule = paint(finding.rule.ljust(rules), _STYLES[finding.severity])
        head = f"{_INDENT}{rule}  {job}"
        lead = len(_INDENT) + rules + 2 + (jobs + 2 if job else 0)
        beside = width - lead >= _MIN_WHY
        margin = " " * (lead if beside else 2 * len(_INDENT))
        lines = list(_why(finding, max(_MIN_WHY, width - len(margin)), verbose, paint))
        if beside:
            yield head + " " * (jobs + 2 - width_of(job) if job else 0) + lines.pop(0)[0]
        else:
            yield head.rstrip(" ")
        if finding.resume:
            lines.append((paint(finding.resume, "dim"), width_of(finding.resume)))
        yield from ((margin if len(margin) + needs <= width else 2 * _INDENT) + line for line, needs in lines)


def heading(place: str, home: str | None, width: int, paint: Paint) -> Iterator[str]:
    """The project, and the directory of its state; neither is ever broken."""
    if not home:
        yield paint(place, "bold")
    elif width_of(home) + 2 + width_of(place) <= width:
        yield f"{paint(short_path(home), 'bold')}  {paint(place, 'dim')}"
    else:
        yield paint(short_path(home), "bold")
        yield paint(place, "dim")


def short_path(path: str) -> str:
    """A path below the home directory as people write it."""
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if len(home) > 1 and path.startswith(home + os.sep) else path


def _why(finding: Finding, width: int, verbose: bool, paint: Paint) -> Iterator[tuple[str, int]]:
    """The reason, the repair, what became of it; on one line where it fits. Beside each line the columns it must have:
    of a command, which is not to be broken, all of its own.
    """
    word = "" if finding.severity is Severity.DAMAGE else f"{finding.severity.value}: "
    message, evidence = word + printable(finding.message), printable(finding.evidence)
    if finding.title:
        yield paint(f'"{cut(printable(finding.title), width - 2)}"', "italic"), 0
    parts = [(message + (f"; {evidence}" if evidence else ""), "")]
    if finding.repair:
        parts.append((f"→ {printable(finding.repair)}", "dim"))
    if finding.outcome in _OUTCOMES:
        parts.append(_OUTCOMES[finding.outcome])
    if sum(width_of(text) + 3 for text, _ in parts) <= width:
        line = " ".join(paint(text, style) for text, style in parts[: 2 if finding.repair else 1])
        yield line + "".join(f" ({paint(text, style)})" for text, style in parts[2 if finding.repair else 1 :]), 0
    else:
        yield from apart(message, evidence, width)
        for text, style in parts[1:]:
            yield from ((paint(line, style), 0) for line in folded(text, width))
    if verbose:
        where = printable(finding.path) + (f" at {printable(finding.pointer)}" if finding.pointer else "")
        yield paint(where, "dim"), 0


def print_lines(console: Console, lines: Iterable[str | Text]) -> None:
    """Plain lines, never wrapped: what follows may be piped."""
    for line in lines:
        console.print(line if isinstance(line, Text) else Text(line), soft_wrap=True)
