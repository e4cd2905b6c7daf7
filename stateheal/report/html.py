"""The report as one HTML page: no script, no address, nothing fetched. Values in, text out.

What stands on it: a summary, the findings, when the jobs ran, and what a heal would change.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath

from stateheal.model.findings import Finding, Severity
from stateheal.model.page import DiffText, PageData
from stateheal.model.report import Report
from stateheal.model.request import Scope
from stateheal.report.markup import folded, listed, moment, tag, text, untrusted
from stateheal.report.page_findings import Ground, findings_section, severities, title_of
from stateheal.report.style import STYLE
from stateheal.report.summary import WORST_FIRST, counts, directory_of, repairable, worst_first
from stateheal.report.timeline import drawn_pages, timeline
from stateheal.text import count_of
from stateheal.version import __version__

Glossary = Mapping[str, tuple[str, str]]
"""By a rule's name: what it means, what its repair does."""
GENERATOR = f'<meta name="generator" content="stateheal {__version__}">'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LABELS = {Severity.DAMAGE: "Damage", Severity.UNSURE: "Unsure", Severity.NOTICE: "Notices"}
_DIFF_ROOM = 700_000
"""Characters of diffs on a whole page; beyond it files are only named."""
_MEANING = {
    0: "Nothing is wrong",
    1: "Damage found",
    3: "Something could not be read",
}


def page(
    report: Report,
    now: float,
    scope: Scope = Scope(),  # noqa: B008 (it cannot be changed)
    rules: Mapping[str, tuple[str, str]] | None = None,
) -> str:
    """The whole page of an audit that was made with ``page``; ``scope`` is for the commands to run next.

    ``rules``: what each rule means and what its repair does, for a reader without stateheal.
    """
    names = {finding.rule for finding in report.findings}
    known = {name: said for name, said in (rules or {}).items() if name in names}
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
        *_summary(report, said, now, scope, known),
        *_errors(report),
        *findings_section(grounds, frozenset(known), frozenset(drawn_pages(_pages(grounds)))),
        *_glossary(known),
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
    return sorted(grounds, key=lambda ground: tuple(-count for count in severities(ground.findings)))


# --- summary -------------------------------------------------------------------------------------------------------


def _summary(report: Report, said: str, now: float, scope: Scope, known: Glossary) -> Iterator[str]:
    yield "<header>"
    yield tag("p", f"stateheal audit, {moment(now)} UTC", "kicker")
    yield tag("h1", text(f"{said[:1].upper()}{said[1:]}."))
    if report.interrupted:
        yield tag("p", "Interrupted: the rest was not looked at.", "verdict bad")
    status = report.exit_status
    verdict = tag("span", _MEANING[status], f"verdict {'bad' if status else 'good'}")
    yield tag("p", f"{verdict} {tag('span', f'exit status {status}', 'soft')}")
    yield listed("dl", _tiles(report), "tiles")
    yield listed("div", (listed("div", each, "panel") for each in (_roots(report), _next(report, scope))), "panels")
    yield listed("ul", _by_rule(report, known), "chips", aria_label="Findings by rule") if report.findings else ""
    meant = (("rules", "What the rules mean"),) if known else ()
    links = (("findings", "Findings"), *meant, ("timeline", "Timeline"), ("changes", "What a heal would change"))
    yield tag("nav", "".join(tag("a", title, href=f"#{place}") for place, title in links))
    yield "</header>"


def _tiles(report: Report) -> Iterator[str]:
    numbers = {
        "Workspaces": report.workspaces,
        "Jobs": report.jobs,
        **{_LABELS[severity]: report.count(severity) for severity in WORST_FIRST},
        "Could not be read": len(report.errors),
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


def _by_rule(report: Report, known: Glossary) -> Iterator[str]:
    for rule, number in Counter(finding.rule for finding in report.findings).most_common():
        name = tag("a", text(rule), href=f"#rule-{rule}") if rule in known else text(rule)
        yield tag("li", f"{name} {tag('b', f'{number:,}')}")


def _glossary(known: Glossary) -> Iterator[str]:
    """What each rule that found something means, and what its repair does."""
    if not known:
        return
    yield tag("h2", "What the rules mean", id="rules")
    for name, (means, repair) in known.items():
        said = tag("dt", untrusted(name, "rule"), id=f"rule-{name}") + tag("dd", text(means))
        yield tag("dl", said + tag("dd", f"→ {text(repair)}", "fix"), "meaning")


def _errors(report: Report) -> Iterator[str]:
    if report.errors:
        yield tag("h2", "Could not be read")
        lines = (tag("li", f"{untrusted(each.path)} {text(each.message)}") for each in report.errors)
        yield listed("ul", lines, "panel")


# --- times and changes ---------------------------------------------------------------------------------------------


def _pages(grounds: Sequence[Ground]) -> list[PageData]:
    nothing = PageData("", None, (), {})
    return [ground.page or nothing for ground in grounds]


def _times(grounds: Sequence[Ground], now: float) -> Iterator[str]:
    yield tag("h2", "Timeline", id="timeline")
    pages = _pages(grounds)
    if any(page.spans for page in pages):
        yield from timeline(pages, [title_of(ground) for ground in grounds], now)
    else:
        yield tag("p", "No jobs.")


def _changes(grounds: Sequence[Ground]) -> Iterator[str]:
    yield tag("h2", "What a heal would change", id="changes")
    told, room = False, _DIFF_ROOM
    for number, ground in enumerate(grounds):
        page = ground.page
        if page and (page.diffs or page.refusal):
            told = True
            room -= sum(len(line) + 1 for diff in page.diffs for line in diff.lines)
            title = tag("div", title_of(ground), "title")
            yield listed("div", (title, *(_files(page) if room >= 0 else _names(page))), "ws", id=f"c{number}")
    if not told:
        yield tag("p", "Nothing.")


def _files(page: PageData) -> Iterator[str]:
    if page.refusal:
        yield tag("p", text(f"A heal would change nothing here: {page.refusal}"), "ends")
    for diff in page.diffs:
        yield folded(_file(diff), _diff(diff), "diff")
    if page.logs:
        yield tag("p", f"Besides, one line is added to {count_of(page.logs, 'job log')}.", "ends")


def _names(page: PageData) -> Iterator[str]:
    """Of a page that would grow too large: how many files would change, and how much."""
    if page.diffs:
        signs = Counter(line[:1] for diff in page.diffs for line in diff.lines[2:])
        lines = f"+{signs['+']:,} -{signs['-']:,} lines"
        yield tag("p", f"{count_of(len(page.diffs), 'file')}, {lines}; 'stateheal heal -n' shows how.", "ends-text")
    if page.refusal:
        yield tag("p", text(f"A heal would change nothing here: {page.refusal}"), "ends")


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
