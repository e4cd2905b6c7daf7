"""The report as one HTML page: no script, no address, nothing fetched. Values in, text out.

What stands on it: a summary, the findings, when the jobs ran, and what a heal would change.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import NamedTuple

from stateheal.model.findings import Finding, Severity
from stateheal.model.page import DiffText, PageData
from stateheal.model.report import Report
from stateheal.model.request import Scope
from stateheal.report.markup import folded, listed, moment, tag, text, untrusted
from stateheal.report.style import STYLE
from stateheal.report.summary import WORST_FIRST, counts, directory_of, repairable, worst_first
from stateheal.report.timeline import timeline
from stateheal.text import count_of
from stateheal.version import __version__

GENERATOR = f'<meta name="generator" content="stateheal {__version__}">'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_SIGNS = {Severity.DAMAGE: "✖ damage", Severity.UNSURE: "? unsure", Severity.NOTICE: "i notice"}
_MEANING = {
    0: "nothing is wrong",
    1: "damage was found",
    3: "something could not be read",
}


class Ground(NamedTuple):
    """One workspace on the page."""

    name: str
    """``<slug>-<hash>``"""
    home: str | None
    findings: tuple[Finding, ...]
    page: PageData | None


def page(report: Report, now: float, scope: Scope = Scope()) -> str:  # noqa: B008 (it cannot be changed)
    """The whole page of an audit that was made with ``page``; ``scope`` is for the commands to run next."""
    grounds = _grounds(report)
    said = ", ".join(counts(report))
    head = (
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        GENERATOR,
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>stateheal audit: {text(said)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
    )
    body = (
        *_summary(report, said, now, scope),
        *_errors(report),
        *_findings(grounds),
        *_times(grounds, now),
        *_changes(grounds),
        tag("footer", f"Made by stateheal {text(__version__)}. All times are UTC. Nothing here was changed on disk."),
        "</body>",
        "</html>",
    )
    return "\n".join((*head, *body)) + "\n"


def _grounds(report: Report) -> list[Ground]:
    """Every workspace that has anything to show, worst first."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        found[directory_of(finding)].append(finding)
    pages = {page.directory: page for page in report.pages}
    grounds = []
    for directory in dict.fromkeys((*found, *pages)):
        page, name = pages.get(directory), PurePath(directory).name
        findings = tuple(sorted(found[directory], key=worst_first))
        home = report.homes.get(name) or (page.home if page else None)
        if findings or (page and (page.spans or page.diffs)):
            grounds.append(Ground(name, home, findings, page))
    return sorted(grounds, key=lambda ground: tuple(-count for count in _severities(ground.findings)))


def _severities(findings: Sequence[Finding]) -> list[int]:
    told = Counter(finding.severity for finding in findings)
    return [told[severity] for severity in WORST_FIRST]


# --- summary -------------------------------------------------------------------------------------------------------


def _summary(report: Report, said: str, now: float, scope: Scope) -> Iterator[str]:
    yield "<header>"
    yield tag("p", f"stateheal audit, {moment(now)} UTC", "kicker")
    yield tag("h1", text(f"{said[:1].upper()}{said[1:]}."))
    if report.interrupted:
        yield tag("p", "Interrupted: the rest was not looked at.", "verdict bad")
    status = report.exit_status
    verdict = tag("span", f"Exit status {status}: {_MEANING[status]}", f"verdict {'bad' if status else 'good'}")
    yield tag("p", verdict)
    yield listed("dl", _tiles(report), "tiles")
    yield listed("div", (listed("div", each, "panel") for each in (_roots(report), _next(report, scope))), "panels")
    yield listed("ul", _by_rule(report), "chips", aria_label="Findings by rule") if report.findings else ""
    links = (("findings", "Findings"), ("timeline", "Timeline"), ("changes", "What a heal would change"))
    yield tag("nav", "".join(tag("a", title, href=f"#{place}") for place, title in links))
    yield "</header>"


def _tiles(report: Report) -> Iterator[str]:
    numbers = {
        "workspaces": report.workspaces,
        "jobs": report.jobs,
        **{severity.value: report.count(severity) for severity in WORST_FIRST},
        "errors": len(report.errors),
    }
    for name, number in numbers.items():
        yield tag("div", tag("dt", name) + tag("dd", f"{number:,}"))


def _roots(report: Report) -> Iterator[str]:
    yield tag("h2", "Looked at")
    yield (
        listed("ul", (tag("li", untrusted(str(root))) for root in report.roots))
        if report.roots
        else tag("p", "No root.")
    )


def _next(report: Report, scope: Scope) -> Iterator[str]:
    """What to run next, each command with what it does."""
    both = f"{scope.rules} {scope.places}".strip()
    commands = []
    if repairable(report):
        repairs = count_of(repairable(report), "repair")
        commands += [
            (f"heal -n {both}", "shows once more what would be changed, and writes nothing"),
            (f"heal {both}", f"makes {repairs}; 'stateheal undo' takes them back"),
        ]
    if any(finding.rule == "recoverable" for finding in report.findings):
        commands.append((f"recover -n {scope.places}", "shows the answers that can be had from Codex rollouts"))
    yield tag("h2", "Next")
    for command, does in commands:
        yield tag("p", text(f"This {does}:")) + tag("pre", text(f"stateheal {command}".rstrip()))
    if not commands:
        yield tag("p", "There is nothing that a heal would repair.")
    if report.findings:
        yield tag("p", "'stateheal rules RULE' says what a rule means, 'stateheal explain JOB' what was seen of a job.")


def _by_rule(report: Report) -> Iterator[str]:
    for rule, number in Counter(finding.rule for finding in report.findings).most_common():
        yield tag("li", f"{text(rule)} {tag('b', f'{number:,}')}")


def _errors(report: Report) -> Iterator[str]:
    if report.errors:
        yield tag("h2", "Could not be read")
        lines = (tag("li", f"{untrusted(each.path)} {text(each.message)}") for each in report.errors)
        yield listed("ul", lines, "panel")


# --- findings ------------------------------------------------------------------------------------------------------


def _findings(grounds: Sequence[Ground]) -> Iterator[str]:
    yield tag("h2", "Findings", id="findings")
    if not any(ground.findings for ground in grounds):
        yield tag("p", "None.")
    for number, ground in enumerate(grounds):
        if ground.findings:
            tally = tag("span", text(_tally(ground.findings)), "tally")
            inside = listed("ol", (_finding(finding) for finding in ground.findings))
            links = tag("p", _elsewhere(number, ground), "ends")
            yield tag("div", folded(f"{_title(ground)} {tally}", inside + links, "ws", is_open=True), id=f"w{number}")


def _title(ground: Ground) -> str:
    """The project where it is known, and always the state's own name."""
    if ground.home is None:
        return tag("h3", untrusted(ground.name))
    return tag("h3", untrusted(ground.home)) + " " + untrusted(ground.name, "hash")


def _tally(findings: Sequence[Finding]) -> str:
    numbers = zip(_severities(findings), WORST_FIRST, strict=True)
    told = (
        (count_of(number, "notice") if severity is Severity.NOTICE else f"{number:,} {severity.value}")
        for number, severity in numbers
        if number
    )
    return ", ".join(told)


def _elsewhere(number: int, ground: Ground) -> str:
    links = []
    if ground.page and ground.page.spans:
        links.append(tag("a", "its jobs in time", href=f"#t{number}"))
    if ground.page and (ground.page.diffs or ground.page.refusal):
        links.append(tag("a", "what a heal would change", href=f"#c{number}"))
    return " ".join(links)


def _finding(finding: Finding) -> str:
    severity = finding.severity
    about = [tag("span", _SIGNS[severity], f"mark {severity.value}"), untrusted(finding.rule, "rule")]
    if finding.job is not None:
        about.append(untrusted(finding.job, "job"))
    if finding.pid is not None:
        about.append(tag("span", f"pid {finding.pid}", "soft"))
    evidence = tag("span", f"; {text(finding.evidence)}", "soft") if finding.evidence else ""
    where = untrusted(finding.path) + (f" at {untrusted(finding.pointer)}" if finding.pointer else "")
    paragraphs = (
        tag("p", " ".join(about), "about"),
        tag("p", untrusted(finding.title), "title") if finding.title else "",
        tag("p", text(finding.message) + evidence),
        tag("p", f"→ {text(finding.repair)}", "fix") if finding.repair else "",
        tag("p", where, "at"),
    )
    return tag("li", "".join(paragraphs), f"finding {severity.value}")


# --- times and changes ---------------------------------------------------------------------------------------------


def _times(grounds: Sequence[Ground], now: float) -> Iterator[str]:
    yield tag("h2", "Timeline", id="timeline")
    nothing = PageData("", None, (), {})
    pages = [ground.page or nothing for ground in grounds]
    if any(page.spans for page in pages):
        yield from timeline(pages, [_title(ground) for ground in grounds], now)
    else:
        yield tag("p", "No jobs.")


def _changes(grounds: Sequence[Ground]) -> Iterator[str]:
    yield tag("h2", "What a heal would change", id="changes")
    told = False
    for number, ground in enumerate(grounds):
        page = ground.page
        if page and (page.diffs or page.refusal):
            told = True
            title = tag("div", _title(ground), "title")
            yield listed("div", (title, *_files(page)), "ws", id=f"c{number}")
    if not told:
        yield tag("p", "Nothing.")


def _files(page: PageData) -> Iterator[str]:
    if page.refusal:
        yield tag("p", text(f"A heal would change nothing here: {page.refusal}"), "ends")
    for diff in page.diffs:
        yield folded(_file(diff), _diff(diff), "diff")
    if page.logs:
        yield tag("p", f"Besides, one line is added to {count_of(page.logs, 'job log')}.", "ends")


def _file(diff: DiffText) -> str:
    """The file's name and how many lines change."""
    if diff.too_large:
        return f"{untrusted(diff.name)} {tag('span', f'{diff.left_out:,} lines', 'soft')}"
    signs = Counter(line[:1] for line in diff.lines[2:])
    kind = {"--- /dev/null": " new", "+++ /dev/null": " removed"}
    said = next((kind[line] for line in diff.lines[:2] if line in kind), "")
    plus, minus = tag("span", f"+{signs['+']:,}", "plus"), tag("span", f"-{signs['-']:,}", "minus")
    return f"{untrusted(diff.name)} {plus} {minus}{tag('b', said) if said else ''}"


def _diff(diff: DiffText) -> str:
    if diff.too_large:
        return tag("p", "Too large to be compared here; 'stateheal heal -n' shows it.", "ends")
    # Neighbours of one kind share an element; their signs are still there for those who do not see colours.
    kinds = groupby(enumerate(diff.lines), lambda each: _element(*each))
    shown = tag("pre", "".join(tag(name, "".join(f"{text(line)}\n" for _, line in each)) for name, each in kinds))
    left = f"{count_of(diff.left_out, 'further line')} left out; 'stateheal heal -n' shows all."
    return shown + (tag("p", left, "ends") if diff.left_out else "")


def _element(number: int, line: str) -> str:
    return "b" if number < 2 else {"+": "ins", "-": "del", "@": "b"}.get(line[:1], "span")
