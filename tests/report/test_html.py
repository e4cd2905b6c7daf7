"""The page of ``audit --html``: whatever stands in the records is text on it, and nothing is fetched for it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateheal.engine.api import audit, heal
from stateheal.model.findings import Finding, Severity
from stateheal.model.page import DiffText, JobSpan, PageData
from stateheal.model.problems import Problem
from stateheal.model.report import Report
from stateheal.model.request import Scope
from stateheal.report.diff import diff_lines
from stateheal.report.html import page
from stateheal.report.markup import LIMIT, text
from stateheal.report.page_data import NEWEST
from stateheal.report.timeline import ROWS, STRIPS, Axis
from stateheal.text import printable
from stateheal.values import replace
from tests.support import NOW, PROJECT, FakeProcesses, Tree, at, done, entry_of, job, journal_in, settle, world

HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x=\'',
    "' style='position:fixed' y=\"",
    "]]>--><!-- <!doctype html>",
    "&lt;b&gt; &amp &#60; &copy",
    "</code></li></ol></details></title></svg><svg onload=alert(1)>",
    "a\x1b[31mred\x07\r\n\x9bc\u202egnp.exe\u2066x\u200b\u2028\ud800\x00",
    "javascript:alert(1) url(x) @import",
)
ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "footer",
        "nav",
        "div",
        "span",
        "p",
        "h1",
        "h2",
        "h3",
    ),
    *("dl", "dt", "dd", "ul", "ol", "li", "code", "pre", "ins", "del", "b", "i", "a", "details", "summary"),
    *("svg", "path", "bdi"),
}
ATTRIBUTES = {
    *("class", "id", "href", "style", "open", "aria-label", "aria-hidden", "d", "viewbox", "preserveaspectratio"),
    *("lang", "charset", "name", "content", "http-equiv"),
}
STYLES = re.compile(
    r"left: min\([\d.]+%, 100% - 4px\); width: [\d.]+%"
    r"|(?:--cuts: (?:(?:, )?repeating-linear-gradient\(135deg, var\(--cut\) 0 2px, transparent 2px 5px\)"
    r" [\d.]+% 0 / [\d.]+% 100% no-repeat)+)?"
)


class Reader(HTMLParser):
    """Reads a page and holds it to be nothing but balanced, known, harmless markup."""

    def __init__(self, made: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.said: list[str] = []
        self.feed(made)
        self.close()
        assert self.open == []
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        links = [attributes["href"] for _, attributes in self.tags if "href" in attributes]
        assert len(ids) == len(set(ids)) and {link[1:] for link in links} <= set(ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        assert tag in ALLOWED and attributes.keys() <= ATTRIBUTES, (tag, attributes)
        assert len(attributes) == len(attrs)
        assert STYLES.fullmatch(attributes.get("style", "")), attributes
        assert attributes.get("href", "#").startswith("#")
        blocks = ("p", "div", "ul", "ol", "dl", "li", "h1", "h2", "h3", "details", "pre")
        assert not ("p" in self.open and tag in blocks), "a browser would end the paragraph here"
        self.tags.append((tag, attributes))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    @property
    def text(self) -> str:
        return "".join(self.said)

    def of(self, tag: str, kind: str) -> list[dict[str, str]]:
        """The elements of a class."""
        return [each for name, each in self.tags if name == tag and kind in each.get("class", "").split()]


def made_up(value: str) -> Report:
    """A report in which every text is the same."""
    finding = Finding("rule" + value, Severity.DAMAGE, value, "/" + value, value, value, value, value, 7, value)
    spans = (JobSpan(value, value, NOW - 60, None, Severity.DAMAGE), JobSpan(value, value, None, None))
    diff = DiffText(value, (f"--- a/{value}", f"+++ b/{value}", "@@ -1 +1 @@", f"-{value}", f"+{value}", f" {value}"))
    page = PageData("/" + value, value, spans, {"other": 2}, (diff,), 1, value)
    return Report(
        "audit",
        roots=(Path("/" + value.replace("\0", "")),),
        workspaces=1,
        jobs=2,
        findings=(finding, finding._replace(severity=Severity.UNSURE), finding._replace(severity=Severity.NOTICE)),
        errors=(Problem(value, value),),
        homes={value: value},
        pages=(page,),
    )


def polluted(tmp_path: Path, *records: dict[str, object]) -> Report:
    """An audit of one workspace with these records."""
    made = Tree(tmp_path / "tree")
    for record in records:
        made.add(record)
    settle(made.root)
    return audit([made.root], world=world(), journal=journal_in(tmp_path), page=True)


# --- text is text --------------------------------------------------------------------------------------------------


def test_hostile_text_in_every_field_of_a_report_is_text() -> None:
    for value in HOSTILE:
        made = page(made_up(value), NOW, Scope(value, value))
        reader = Reader(made)
        assert reader.text.count(printable(value)) > 20
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", made)


@given(st.text())
def test_any_text_is_text(value: str) -> None:
    shown = printable(value)
    assert Reader(f"<b>{text(value)}</b>").text == shown
    assert Reader(f'<i class="{text(value)}"></i>').tags == [("i", {"class": shown})]
    assert printable(value) in Reader(page(made_up(value), NOW)).text


def test_hostile_records_on_disk(tmp_path: Path) -> None:
    fields = ("title", "summary", "workspaceRoot", "errorMessage", "phase", "logFile", "status", "createdAt", "request")
    hostile = [value.replace("\ud800", "") for value in HOSTILE]  # which no file in UTF-8 can hold
    records = [
        job(f"task-{number}-{field}", pid=0, **{field: value})
        for number, value in enumerate(hostile)
        for field in fields
    ]
    made = Tree(tmp_path / "tree")
    for record in records:
        made.add(record)
    made.index(*(entry_of(record) for record in records), *({"id": value, "status": "running"} for value in hostile))
    settle(made.root)
    report = audit([made.root], world=world(), journal=journal_in(tmp_path), page=True)
    assert len(report.findings) > len(records) and report.pages[0].diffs
    reader = Reader(page(report, NOW))
    assert len(reader.of("li", "finding")) == len(report.findings)


def test_nothing_is_fetched_and_no_script_may_run(tmp_path: Path) -> None:
    made = page(polluted(tmp_path, job("task-1", pid=0)), NOW)
    assert "default-src &#x27;none&#x27;" in made or "default-src 'none'" in made
    assert not re.search(r"https?:|url\(|@import|<script|<link|src=|srcset|<base|<form", made)


def test_a_text_without_end_is_cut_and_says_so() -> None:
    made = page(made_up("x" * 1_000_000), NOW)
    assert len(made) < 300_000 and f"… and {1_000_000 - LIMIT:,} characters more" in Reader(made).text


@pytest.mark.parametrize("number", [50, 300])
def test_what_it_draws_is_drawn_whole(tmp_path: Path, number: int) -> None:
    """As many cuts and boxes as there are jobs far apart make attributes longer than any text is shown."""
    tree = Tree(tmp_path / "tree")
    days = [-86400.0 * each - 7200 for each in range(number)]
    made = [done(f"task-{n}", pid=0, startedAt=at(day), completedAt=at(day + 60)) for n, day in enumerate(days)]
    tree.index(*map(entry_of, made))
    for each in made:
        tree.file(each)
    report = audit([tree.root], world=world(), journal=journal_in(tmp_path), page=True)
    reader = Reader(page(report, NOW))
    cuts = [each["style"].count("gradient") for each in reader.of("ol", "jobs")]
    boxes = [each["d"].count("z") for name, each in reader.tags if name == "path"]
    assert max(cuts) >= 49 and max(boxes) >= min(number, 250)
    assert all(re.fullmatch(r"(M\d+ \d+h\d+v\d+h-\d+z)+", each["d"]) for name, each in reader.tags if name == "path")


# --- what is on it -------------------------------------------------------------------------------------------------


def test_every_finding_with_all_it_says_and_every_diff_of_a_dry_run(tmp_path: Path) -> None:
    sample = [PROJECT / "samples/polluted"]
    report = audit(sample, world=world(), journal=journal_in(tmp_path), page=True)
    reader = Reader(page(report, NOW))
    assert len(report.findings) > 10 and len(reader.of("li", "finding")) == len(report.findings)
    for finding in report.findings:
        for said in (finding.rule, finding.job, finding.message, finding.evidence, finding.repair, finding.path):
            assert printable(said or "") in reader.text
        assert finding.pointer is None or f"at {finding.pointer}" in reader.text
        assert finding.pid is None or f"pid {finding.pid}" in reader.text
    foretold = heal(sample, dry_run=True, world=world(), journal=journal_in(tmp_path))
    assert len(foretold.diffs) > 10
    for diff in foretold.diffs:
        assert "".join(f"{line}\n" for line in diff_lines(diff)) in reader.text
    assert f"one line is added to {foretold.logs} job log" in reader.text or len(report.pages) > 1
    assert sum(page.logs for page in report.pages) == foretold.logs


def test_the_summary_says_what_was_found_and_what_to_run(tmp_path: Path) -> None:
    report = polluted(tmp_path, job("task-1", pid=0), done("task-2"))
    reader = Reader(page(report, NOW, Scope("--grace 60s", "--cwd '/a b'")))
    for said in (
        *("2026-11-23 08:00 UTC", "1 finding of damage, 1 can be repaired", "Damage found exit status 1"),
        *("stateheal heal -n --grace 60s --cwd '/a b'", "stateheal undo", str(report.roots[0]), "unsafe-pid 1"),
    ):
        assert said in reader.text.replace("Unsafe", "unsafe"), said
    assert "<title>stateheal audit: 1 finding of damage" in page(report, NOW)


def test_a_clean_tree_says_so(tmp_path: Path) -> None:
    report = polluted(tmp_path, done("task-1"))
    said = Reader(page(report, NOW)).text
    assert "Nothing to repair." in said and "Nothing is wrong exit status 0" in said and "task-1" in said
    assert "stateheal heal" not in said
    assert "No root." in Reader(page(Report("audit"), NOW)).text


def test_trouble_refusals_and_interruptions_are_told() -> None:
    drawn = PageData(str(Path("/s/a")), None, (), {}, refusal="it would not cure it")
    finding = Finding("schema", Severity.DAMAGE, "a", str(Path("/s/a/state.json")), "odd")
    problem = Problem("/s/b", "cannot be opened")
    report = Report("audit", findings=(finding,), errors=(problem,), pages=(drawn,), interrupted=True)
    said = Reader(page(report, NOW)).text
    for each in (
        "Something could not be read exit status 3",
        "/s/b cannot be opened",
        "Interrupted",
        "change nothing here: it would not cure it",
    ):
        assert each in said


def test_the_worst_comes_first_and_the_project_is_named() -> None:
    def found(workspace: str, *severities: Severity) -> list[Finding]:
        return [Finding("schema", each, workspace, f"/s/{workspace}/state.json", each.value) for each in severities]

    calm = found("calm-1", Severity.NOTICE)
    bad = found("bad-2", Severity.NOTICE, Severity.UNSURE, Severity.DAMAGE)
    report = Report("audit", findings=(*calm, *bad), homes={"bad-2": "/home/dev/bad"})
    reader = Reader(page(report, NOW))
    kinds = [each["class"].split()[1] for each in reader.of("li", "finding")]
    assert kinds == ["damage", "unsure", "notice", "notice"]
    assert reader.text.index("/home/dev/bad") < reader.text.index("calm-1")
    for sign in ("✖ damage", "? unsure", "i notice"):
        assert sign in reader.text


def test_workspaces_of_one_name_under_two_roots_stay_apart() -> None:
    findings = tuple(
        Finding("schema", Severity.DAMAGE, "a-1", str(Path(f"/{root}/a-1/state.json")), "odd") for root in "xy"
    )
    spans = (JobSpan("task-1", "completed", NOW - 9, NOW),)
    pages = tuple(PageData(str(Path(f"/{root}/a-1")), None, spans, {"completed": 1}) for root in "xy")
    reader = Reader(page(Report("audit", findings=findings, pages=pages), NOW))
    assert len(reader.of("details", "ws")) == 4


def test_the_same_report_makes_the_same_page(tmp_path: Path) -> None:
    report = polluted(tmp_path, job("task-1", pid=0), job("task-2", pid=5, status="crashed"), done("task-3"))
    assert page(report, NOW) == page(report, NOW)


# --- the timeline --------------------------------------------------------------------------------------------------


def test_a_bar_and_its_words_for_each_job(tmp_path: Path) -> None:
    alive = FakeProcesses().live(7, "node", "codex-companion.mjs", "task", created=NOW - 7200)
    made = Tree(tmp_path / "tree").add(job("task-live", pid=7)).add(job("task-gone", pid=8)).add(done("task-done"))
    settle(made.root)
    report = audit([made.root], world=world(alive), journal=journal_in(tmp_path), page=True)
    reader = Reader(page(report, NOW))
    rows = {each["class"] for each in reader.of("li", "job-row")}
    assert rows == {"job-row running", "job-row running bad", "job-row completed"}
    assert "running since 2026-11-23 06:00, for 2 h" in reader.text
    assert "completed, 2026-11-23 06:00, 1 h" in reader.text
    assert "3 jobs: 1 completed, 2 running" in reader.text


def test_a_page_stays_small_with_thousands_of_jobs(tmp_path: Path) -> None:
    spans = tuple(JobSpan(f"task-{n:05}", "completed", NOW - n * 3600, NOW - n * 3600 + 60) for n in range(NEWEST))
    bad = JobSpan("task-bad", "running", NOW - 10**8, None, Severity.DAMAGE)
    finding = Finding("dead-pid", Severity.DAMAGE, "w-0", str(Path("/s/w-0/state.json")), "gone", job="task-bad")
    pages = tuple(
        PageData(str(Path(f"/s/w-{n}")), f"/home/{n}", (*spans, *((bad,) if n == 0 else ())), {"completed": 1000})
        for n in range(3000)
    )
    made = page(Report("audit", findings=(finding,), pages=pages), NOW)
    reader = Reader(made)
    assert len(made) < 2_500_000
    assert len(reader.of("li", "job-row")) <= ROWS + STRIPS and reader.text.count("task-bad") == 2
    assert "Not drawn: 2,699 more workspaces with 2,699,000 jobs and no damage." in reader.text
    assert "jobs without damage left out" in reader.text


def test_an_axis_keeps_what_is_near_to_scale_and_cuts_what_is_far() -> None:
    hour, day = 3600.0, 86400.0
    even = Axis([0, hour, 3 * hour, 4 * hour])
    assert [even.at(each * hour) for each in (0, 1, 3, 4)] == [0, 0.25, 0.75, 1] and not even.cuts
    far = Axis([0, 60, 120, 180, 200 * day])
    assert far.cuts == [(180, 200 * day)] and 0.7 < far.at(180) < 0.8 and far.at(200 * day) == 1
    nightly = Axis([moment for n in range(30) for moment in (n * day, n * day + 240)])
    assert len(nightly.cuts) == 29
    assert nightly.at(240) - nightly.at(0) > 0.02
    assert Axis([]).at(5) == 0 and Axis([5]).at(5) == 0


@given(st.lists(st.floats(-1e11, 1e12), max_size=40))
def test_an_axis_never_turns_back(moments: list[float]) -> None:
    axis = Axis(moments)
    places = [axis.at(moment) for moment in sorted(moments)]
    assert places == sorted(places) and all(0 <= place <= 1 for place in places)


# --- large pages, and readers without stateheal ----------------------------------------------------------------------


def many(workspaces: int, jobs: int) -> Report:
    """So many workspaces with so many orphans and a torn index each."""
    findings = []
    for number in range(workspaces):
        name = f"project-{number:04}-{'0' * 16}"
        path = f"/home/dev/.claude/plugins/data/codex-openai-codex/state/{name}/state.json"
        for n in range(jobs):
            message = f"running, but pid {n} is gone"
            findings.append(
                Finding("dead-pid", Severity.DAMAGE, name, path, message, job=f"task-{n}", repair="mark it failed")
            )
        findings.append(Finding("torn-index", Severity.DAMAGE, name, path, "it is empty", repair="rebuild it"))
    return Report("audit", workspaces=workspaces, findings=tuple(findings))


def test_what_each_rule_means_stands_on_the_page() -> None:
    rules = {"dead-pid": ("its process is <gone>", "mark it failed"), "schema": ("odd", "none")}
    made = page(many(2, 2), NOW, Scope(), rules)
    reader = Reader(made)
    assert "What the rules mean" in reader.text and "its process is <gone>" in reader.text and "odd" not in reader.text
    assert made.count('id="rule-dead-pid"') == 1 and 'href="#rule-dead-pid"' in made
    assert "What the rules mean" not in Reader(page(many(2, 2), NOW)).text


def test_hundreds_of_workspaces_have_an_index_and_tell_once_what_is_alike() -> None:
    made = page(many(300, 5), NOW)
    reader = Reader(made)
    assert "Index of 300 workspaces" in reader.text and "5 times" in reader.text
    for number in range(300):
        assert made.count(f'id="w{number}"') == 1 == made.count(f'href="#w{number}"')
    assert reader.text.count("running, but pid 3 is gone") == 300, "nothing is left out"
    assert "Index of" not in Reader(page(many(3, 2), NOW)).text


def test_how_to_go_on_with_a_job_is_told_alone_and_among_many() -> None:
    def found(workspaces: int, jobs: int) -> Report:
        report = many(workspaces, jobs)
        told = (each._replace(resume="codex resume thr_7", title="Codex Task: fix") for each in report.findings)
        return replace(report, findings=tuple(told))

    assert "<code>codex resume thr_7</code>" in page(found(1, 1), NOW)
    among_many = page(found(300, 5), NOW)
    assert "<bdi>“Codex Task: fix”</bdi> running, but pid 3 is gone (<code>codex resume thr_7</code>)" in among_many


def test_a_thousand_damaged_workspaces_stay_below_five_megabytes() -> None:
    report = many(1000, 6)
    spans = tuple(
        JobSpan(f"task-{n}", "running", NOW - n * 9000, NOW, Severity.DAMAGE if n < 6 else None, "x" * 80)
        for n in range(31)
    )
    lines = ("--- a/x", "+++ b/x", *(f"{sign}{'y' * 60}" for sign in "+- " * 10))
    names = dict.fromkeys(finding.workspace for finding in report.findings)
    pages = tuple(
        PageData(
            str(Path(report.findings[0].path).parent.parent / name),
            f"/home/dev/projects/{name}",
            spans,
            {"completed": 44, "running": 6},
            tuple(DiffText(f"{name}/jobs/task-{n}.json", lines) for n in range(7)),
        )
        for name in names
    )
    made = page(replace(report, pages=pages), NOW)
    assert len(made) < 5_000_000
    assert "'stateheal heal -n' shows how." in Reader(made).text
