"""The findings of a page: a workspace after the other, worst first; of very many, what is alike told once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence

from stateheal.model.findings import Finding, Severity
from stateheal.model.page import PageData
from stateheal.report.markup import folded, listed, tag, text, untrusted
from stateheal.report.summary import WORST_FIRST
from stateheal.text import count_of
from stateheal.values import NamedTuple

SIGNS = {Severity.DAMAGE: "✖ damage", Severity.UNSURE: "? unsure", Severity.NOTICE: "i notice"}
INDEX_FROM = 12
"""Workspaces with findings from which on there is an index of them."""
OPEN = 30
"""Workspaces that are unfolded to begin with."""
DETAILED = 60
"""Workspaces whose findings are told with all they say; of further ones each is a line."""
LARGE = 200
"""Findings of a whole page from which on those that are alike are told together."""


class Ground(NamedTuple):
    """One workspace on the page."""

    name: str
    """``<slug>-<hash>``"""
    home: str | None
    findings: tuple[Finding, ...]
    page: PageData | None


def findings_section(grounds: Sequence[Ground], rules: Container[str], drawn: Container[int]) -> Iterator[str]:
    """The section's lines; ``rules``: those that the page explains; ``drawn``: the workspaces in the timeline."""
    yield tag("h2", "Findings", id="findings")
    found = [(number, ground) for number, ground in enumerate(grounds) if ground.findings]
    if not found:
        yield tag("p", "None.")
    if len(found) >= INDEX_FROM:
        yield from _index(found)
    is_large = sum(len(ground.findings) for _, ground in found) >= LARGE
    for place, (number, ground) in enumerate(found):
        tally = tag("span", text(tally_of(ground.findings)), "tally")
        items = _brief(ground.findings) if place >= DETAILED else _items(ground.findings, rules, is_large)
        inside = listed("ol", items)
        links = tag("p", _elsewhere(number, ground, number in drawn), "ends")
        section = folded(f"{title_of(ground)} {tally}", inside + links, "ws", is_open=place < OPEN)
        yield tag("div", section, id=f"w{number}")


def _items(findings: Sequence[Finding], rules: Container[str], is_large: bool) -> Iterator[str]:
    alike = _alike(findings) if is_large else [[finding] for finding in findings]
    for each in alike:
        yield _finding(each[0], rules) if len(each) == 1 else _several(each, rules)


def _brief(findings: Sequence[Finding]) -> Iterator[str]:
    """A line each: what the repair does stands with what the rule means."""
    for finding in findings:
        said = f"{untrusted(finding.rule)} {_line(finding._replace(title=None), text(finding.message))}"
        yield tag("li", said, f"finding brief {finding.severity.value}")


def _index(found: Sequence[tuple[int, Ground]]) -> Iterator[str]:
    lines = (
        tag(
            "li",
            tag("a", untrusted(ground.home or ground.name), href=f"#w{number}") + f" {text(tally_of(ground.findings))}",
        )
        for number, ground in found
    )
    yield folded(f"Index of {count_of(len(found), 'workspace')}", listed("ol", lines, "index"), "ws")


def title_of(ground: Ground) -> str:
    """The project where it is known, and always the state's own name."""
    if ground.home is None:
        return tag("h3", untrusted(ground.name))
    return tag("h3", untrusted(ground.home)) + " " + untrusted(ground.name, "hash")


def severities(findings: Sequence[Finding]) -> list[int]:
    """How many there are of each, the worst first."""
    told = Counter(finding.severity for finding in findings)
    return [told[severity] for severity in WORST_FIRST]


def tally_of(findings: Sequence[Finding]) -> str:
    """The same in words."""
    numbers = zip(severities(findings), WORST_FIRST, strict=True)
    told = (
        (count_of(number, "notice") if severity is Severity.NOTICE else f"{number:,} {severity.value}")
        for number, severity in numbers
        if number
    )
    return ", ".join(told)


def _elsewhere(number: int, ground: Ground, is_drawn: bool) -> str:
    links = []
    if is_drawn:
        links.append(tag("a", "its jobs in time", href=f"#t{number}"))
    if ground.page and (ground.page.diffs or ground.page.refusal):
        links.append(tag("a", "what a heal would change", href=f"#c{number}"))
    return " ".join(links)


def rule_name(rule: str, rules: Container[str]) -> str:
    """A rule's name, leading to what it means where the page says that."""
    name = untrusted(rule, "rule")
    return tag("a", name, "plain", href=f"#rule-{rule}") if rule in rules else name


def _finding(finding: Finding, rules: Container[str]) -> str:
    severity = finding.severity
    about = [tag("span", SIGNS[severity], f"mark {severity.value}"), rule_name(finding.rule, rules)]
    if finding.job is not None:
        about.append(untrusted(finding.job, "job"))
    if finding.pid is not None:
        about.append(tag("span", f"pid {finding.pid}", "soft"))
    where = untrusted(finding.path) + (f" at {untrusted(finding.pointer)}" if finding.pointer else "")
    paragraphs = (
        tag("p", " ".join(about), "about"),
        tag("p", untrusted(finding.title), "what") if finding.title else "",
        tag("p", _message(finding)),
        tag("p", f"→ {text(finding.repair)}", "fix") if finding.repair else "",
        tag("p", f"to go on with it: {untrusted(finding.resume)}", "soft") if finding.resume else "",
        tag("p", where, "at"),
    )
    return tag("li", "".join(paragraphs), f"finding {severity.value}")


def _message(finding: Finding) -> str:
    return text(finding.message) + (tag("span", f"; {text(finding.evidence)}", "soft") if finding.evidence else "")


def _alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one rule with one repair together, in the order of the first of each."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.severity, finding.repair, finding.job is None), []).append(finding)
    return list(groups.values())


def _several(findings: Sequence[Finding], rules: Container[str]) -> str:
    """What is alike, told once: the rule and the repair, and a line for each job or file."""
    first = findings[0]
    mark = tag("span", SIGNS[first.severity], f"mark {first.severity.value}")
    about = tag("p", f"{mark} {rule_name(first.rule, rules)} {tag('b', f'{len(findings):,} times')}", "about")
    same = len({_message(finding) for finding in findings}) == 1
    lines = (tag("li", _line(finding, "" if same else _message(finding))) for finding in findings)
    shown = (tag("p", _message(first)) if same else "") + listed("ul", lines, "alike")
    fix = tag("p", f"→ {text(first.repair)}", "fix") if first.repair else ""
    return tag("li", about + shown + fix, f"finding {first.severity.value}")


def _line(finding: Finding, message: str) -> str:
    name = finding.job or os.path.basename(finding.path)
    what = tag("bdi", f"“{text(finding.title)}”") if finding.title else ""
    resume = f"({untrusted(finding.resume)})" if finding.resume else ""
    return " ".join(filter(None, (untrusted(name), what, message, resume)))
