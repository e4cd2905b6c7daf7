"""The command line as a user meets it: output, exit statuses, formats (DESIGN.md, commands)."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import stateheal
from stateheal.diagnosis.catalogue import RULES
from stateheal.evidence.schema import NAMES, violations
from stateheal.model.findings import Severity
from stateheal.text import quoted
from tests.support import DRIVE, PROJECT, Tree, done, entry_of, files_in, job, write_json

LONG_AGO = {"createdAt": "2020-01-01T00:00:00.000Z", "startedAt": "2020-01-01T00:00:01.000Z"}
GONE = 2**22 + 7  # above any default pid_max: nobody has it


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One orphan, one finished job, all long ago."""
    made = Tree(tmp_path / "tree")
    for record in (job("task-orphan", pid=GONE, **LONG_AGO), done("task-done")):
        made.add(record)
        os.utime(made.path / "jobs" / f"{record['id']}.log", (1577836802, 1577836802))
    return made


def test_the_whole_way(run: Any, tree: Tree) -> None:
    before = files_in(tree.path)
    assert run("audit", tree.root).status == 1
    assert run("heal", "-n", tree.root).status == 1
    assert files_in(tree.path) == before
    assert run("heal", tree.root).status == 0
    assert run("audit", tree.root).status == 0
    assert run("heal", tree.root).status == 0
    assert run("undo").status == 0
    assert files_in(tree.path) == before
    said = run("undo")
    assert (said.status, said.out) == (0, "There is nothing to undo.\n")


def test_audit_text_at_80_columns(run: Any, tree: Tree) -> None:
    said = run("audit", tree.root)
    *lines, following = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert following.endswith(f"stateheal heal -n {quoted(str(tree.root))}"), "a command is never broken"
    assert tree.path.name in said.out and "/home/dev/projects/somewhere" in said.out
    for word in ("dead-pid", "task-orphan", str(GONE), "1 finding of damage"):
        assert word in said.out, word
    assert "task-done" not in said.out
    assert said.err == ""


@pytest.mark.parametrize("columns", [1, 20, 40, 80, 200])
def test_ids_are_never_wrapped_or_cut(run: Any, tmp_path: Path, columns: int) -> None:
    ident = "task-" + "x" * 115
    made = Tree(tmp_path / "tree").add(job(ident, pid=GONE, **LONG_AGO))
    for command in (["audit"], ["heal", "-n"]):
        said = run(*command, made.root, columns=columns)
        assert any(ident in line for line in said.out.splitlines() if "dead-pid" in line)
        assert any(made.path.name in line for line in said.out.splitlines())


def test_one_workspace_under_two_roots_is_told_apart(run: Any, tmp_path: Path) -> None:
    trees = [Tree(tmp_path / "tree", plugin=plugin).add(job("task-1", pid=0)) for plugin in ("codex-a", "codex-b")]
    said = run("audit", tmp_path / "tree", columns=300)
    for made in trees:
        (line,) = (line for line in said.out.splitlines() if line.endswith(str(made.path)))
        assert line.startswith(f"{DRIVE}/home/dev/projects/somewhere")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"title": "Codex Task", "summary": "find  the\nslow query"}, '"Codex Task: find the slow query"'),
        ({"title": "\x1b[31mred\u202e", "summary": ...}, '"\\x1b[31mred\\u202e"'),
        ({"title": ["no text"], "summary": "only this"}, '"only this"'),
        ({"title": "T", "summary": "x" * 500}, '"T: xxxx'),
        ({"title": "make test", "summary": "make test"}, '"make test"'),
        ({"title": "T", "summary": "\u6f22" * 90}, '"T: \u6f22'),
    ],
)
def test_what_a_job_is_stands_beside_its_id(run: Any, tmp_path: Path, fields: dict[str, Any], shown: str) -> None:
    made = Tree(tmp_path / "tree").add(job("task-orphan", pid=0, **fields))
    said = run("audit", made.root)
    (line,) = (line for line in said.out.splitlines() if "unsafe-pid  task-orphan" in line)
    assert shown in line and cell_len(line) <= 80
    page = tmp_path / "page.html"
    run("audit", made.root, "--html", page)
    assert "\x1b" not in page.read_text("utf-8") and 'class="title"' in page.read_text("utf-8")


def test_the_worst_comes_first(run: Any, tmp_path: Path) -> None:
    notice = Tree(tmp_path / "tree", "/home/dev/projects/a").add(job("task-odd", status="crashed"))
    unsure = Tree(tmp_path / "tree", "/home/dev/projects/b").add(job("task-far", owner={"hostname": "elsewhere"}))
    damage = Tree(tmp_path / "tree", "/home/dev/projects/c").add(job("task-odd", status="crashed"))
    damage.add(job("task-bad", pid=0))
    out = run("audit", tmp_path / "tree").out
    places = [out.index(each.path.name) for each in (damage, unsure, notice)]
    assert places == sorted(places) and out.index("task-bad") < out.index("task-odd")


def test_a_dry_run_shows_a_diff_of_each_file(run: Any, tree: Tree) -> None:
    said = run("heal", "--dry-run", tree.root)
    lines = said.out.splitlines()
    for name in ("jobs/task-orphan.json", "state.json"):
        assert f"--- a/{tree.path.name}/{name}" in lines and f"+++ b/{tree.path.name}/{name}" in lines
    assert '-  "status": "running",' in lines and '+  "status": "failed",' in lines
    assert '+  "errorMessage": "Orphaned: pid 4194311 no longer alive"' in lines
    assert "Dry run: nothing was written." in said.out and "one line is added to 1 job log." in said.out
    assert "\x1b" not in said.out, "no colour into a pipe"


def test_heal_says_what_it_did_and_how_to_take_it_back(run: Any, tree: Tree) -> None:
    said = run("heal", tree.root)
    assert "1 healed" in said.out and "'stateheal undo' puts them back." in said.out
    (folder,) = re.findall(r"The originals are in (\S+)", said.out)
    assert (Path(folder) / "0001.tar").exists()
    listed = run("history").out
    assert Path(folder).name in listed and "4 files" not in listed
    assert "3 files in 1 workspace" in listed
    assert "3 files put back" in run("undo").out
    assert "undone" in run("history").out


def test_colour_only_when_asked_or_on_a_terminal(run: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in run("audit", tree.root).out
    assert "\x1b[31m" in run("audit", "--color", "always", tree.root).out
    assert "\x1b[" not in run("audit", "--color", "never", tree.root).out


@pytest.mark.processes
@pytest.mark.parametrize(("env", "colours"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_on_a_terminal(tree: Tree, env: dict[str, str], colours: bool) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "stateheal", "audit", str(tree.root)],
        stdout=slave,
        env={**os.environ, "TERM": "xterm-256color", **env},
    )
    os.close(slave)
    out = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        out += chunk
    os.close(master)
    assert child.wait(timeout=60) == 1
    assert (b"\x1b[31m" in out) is colours
    assert b"task-orphan" in out


# --- JSON ----------------------------------------------------------------------------------------------------------


def test_every_json_report_is_what_its_schema_says(run: Any, tree: Tree) -> None:
    """In the order in which a user would run them; a trailing newline, and nothing but the report on stdout."""
    commands = [
        ["audit", tree.root],
        ["heal", "-n", tree.root],
        ["heal", tree.root],
        ["history"],
        ["undo"],
        ["history"],
        ["rules"],
        ["rules", "dead-pid"],
        ["explain", "task-orphan", tree.root],
        ["history", "--purge"],
        ["audit", tree.root, "--select", "schema"],
    ]
    for command in commands:
        said = run(*command, "--format", "json")
        assert violations("report", said.json) == (), command
        assert said.json["command"] == command[0]
        assert said.out.endswith("}\n") and said.err == ""


def test_the_json_report_of_an_audit(run: Any, tree: Tree) -> None:
    report = run("audit", tree.root, "--format", "json").json
    assert report["schema_version"] == 1 and report["dry_run"] is False and report["run"] is None
    assert report["roots"] == [str(tree.state)]
    assert report["summary"] == {
        "workspaces": 1,
        "jobs": 2,
        "findings": 1,
        "repairable": 1,
        "healed": 0,
        "remaining": 1,
        "notices": 0,
        "unsure": 0,
        "errors": 0,
        "by_rule": {"dead-pid": 1},
    }
    (finding,) = report["findings"]
    assert finding["outcome"] == "found" and finding["severity"] == "damage"
    assert (finding["rule"], finding["job"], finding["pid"]) == ("dead-pid", "task-orphan", GONE)
    assert (finding["workspace"], finding["pointer"]) == (tree.path.name, "/jobs/0")
    assert finding["path"] == str(tree.path / "state.json") and finding["repair"]
    assert finding["project"] == f"{DRIVE}/home/dev/projects/somewhere" and finding["root"] == str(tree.state)
    assert finding["title"] == "Codex Task: map the failing tests" and finding["repairable"] is True
    assert finding["last_sign"] == "2020-01-01T00:00:02.000Z" and "edits" not in finding
    assert report["tool"] == f"stateheal {stateheal.__version__}" and report["time"].endswith("Z")


@pytest.mark.parametrize("dry_run", [["-n"], []])
def test_a_heal_says_each_edit(run: Any, tree: Tree, dry_run: list[str]) -> None:
    (finding,) = run("heal", *dry_run, tree.root, "--format", "json").json["findings"]
    told = {(each["file"], each["pointer"]): (each["op"], each["before"], each["after"]) for each in finding["edits"]}
    for name, lead in (("state.json", "/jobs/0"), ("jobs/task-orphan.json", "")):
        assert told[name, f"{lead}/status"] == ("replace", "running", "failed")
        assert told[name, f"{lead}/pid"] == ("replace", GONE, None)
        assert told[name, f"{lead}/completedAt"] == ("add", None, "2020-01-01T00:00:02.000Z")
    assert told["jobs/task-orphan.log", ""][0] == "append"
    assert len(told) == len(finding["edits"])


def test_the_edits_are_the_difference_of_the_files(run: Any, tmp_path: Path) -> None:
    """Each damaged case: the edits applied to what was there give what a heal leaves there."""
    made = Tree(tmp_path / "tree").add(job("task-1", pid=0)).add(done("task-2"), status="running", pid=GONE, **LONG_AGO)
    made.index(*made.read_index()["jobs"], None)
    for path in made.path.rglob("*.log"):
        os.utime(path, (1577836802, 1577836802))
    before = {name: json.loads(data) for name, data in files_in(made.path).items() if name.endswith(".json")}
    findings = run("heal", made.root, "--format", "json").json["findings"]
    for edit in (edit for finding in findings for edit in finding["edits"] if edit["op"] in ("replace", "add")):
        at = before[edit["file"]]
        *parents, key = edit["pointer"].split("/")[1:]
        for parent in parents:
            at = at[int(parent) if isinstance(at, list) else parent]
        assert at.get(key) == edit["before"]
        at[key] = edit["after"]
    removed = [edit["pointer"] for finding in findings for edit in finding["edits"] if edit["op"] == "remove"]
    assert removed == ["/jobs/2"]
    del before["state.json"]["jobs"][2]
    assert before == {name: json.loads(data) for name, data in files_in(made.path).items() if name.endswith(".json")}


def test_what_finds_nothing_counts_what_it_did(run: Any, tree: Tree) -> None:
    run("heal", tree.root)
    told = run("history", "--format", "json").json
    counts = {key: told["summary"][key] for key in ("runs", "workspaces", "jobs", "files")}
    assert counts == {"runs": 1, "workspaces": 1, "jobs": 1, "files": 3}
    assert told["runs"][0]["jobs"] == 1
    told = run("undo", "--format", "json").json
    assert {key: told["summary"][key] for key in ("workspaces", "files", "refused")} == {
        "workspaces": 1,
        "files": 3,
        "refused": 0,
    }
    assert told["restored"][0]["files"] == 3


@pytest.mark.parametrize(
    "command", [["rules"], ["doctor"], ["history"], ["undo"], ["jobs", "-a"], ["explain", "task-"]]
)
def test_ndjson_is_a_record_a_line_for_every_command(run: Any, tree: Tree, command: list[str]) -> None:
    run("heal", tree.root)
    where = [tree.root] if command[0] in ("jobs", "explain") else []
    whole = run(*command, *where, "--format", "json").json if command != ["undo"] else None
    *records, last = map(json.loads, run(*command, *where, "--format", "ndjson").out.splitlines())
    assert violations("report", last) == () and records
    if whole is not None:
        (key,) = (
            key
            for key, value in whole.items()
            if isinstance(value, list) and value and key not in ("roots", "looked", "findings")
        )
        assert len(records) == len(whole[key]) and last[key] == []


def test_a_report_in_python_is_the_same_as_json_and_short_to_look_at(run: Any, tree: Tree) -> None:
    report = stateheal.audit([tree.root])
    printed = run("audit", tree.root, "--format", "json").json
    assert {**report.to_dict(), "time": None} == {**printed, "time": None} and violations(
        "report", report.to_dict()
    ) == ()
    assert repr(report) == "<Report audit: 1 workspace, 2 jobs, 1 finding>"
    assert repr(report.findings[0]) == f"<Finding dead-pid task-orphan in {tree.path.name}: damage, found>"
    assert stateheal.history() == []
    healed = stateheal.heal([tree.root])
    (past,) = stateheal.history()
    assert (past.run, past.jobs, past.files, past.undone) == (healed.run, 1, 3, "no")
    assert isinstance(stateheal.Settings(), tuple)


def test_outcomes_follow_the_command(run: Any, tree: Tree) -> None:
    def outcome(*args: str) -> tuple[str, int, int]:
        report = run("heal", *args, tree.root, "--format", "json").json
        return report["findings"][0]["outcome"], report["summary"]["healed"], report["summary"]["remaining"]

    assert outcome("-n") == ("would-heal", 0, 1)
    assert outcome() == ("healed", 1, 0)


def test_ndjson_is_one_finding_a_line_and_then_the_summary(run: Any, tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(job("task-1", pid=0)).add(job("task-2", pid=0))
    lines = [json.loads(line) for line in run("audit", made.root, "--format", "ndjson").out.splitlines()]
    assert [line.get("job") for line in lines] == ["task-1", "task-2", None]
    assert violations("report", lines[-1]) == ()
    assert lines[-1]["summary"]["findings"] == 2 and lines[-1]["findings"] == []


# --- exit statuses -------------------------------------------------------------------------------------------------


@pytest.mark.links("a link in the place of a job file")
def test_exit_zero_turns_one_into_zero_and_nothing_else(run: Any, tree: Tree) -> None:
    assert run("audit", "--exit-zero", tree.root).status == 0
    (tree.path / "jobs/x.json").symlink_to("nowhere")
    assert run("audit", "--exit-zero", tree.root).status == 3


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["audit", "/no/such/place"], f"{Path('/no/such/place')}: there is no such file or directory"),
        (["audit", "/"], "no plugin state here"),
        (["heal", "--select", "dead-pit"], "did you mean dead-pid?"),
        (["rules", "nothing-like-it"], "'stateheal rules' lists them"),
        (["schema", "job.json"], "state, job, broker"),
        (["audit", "--grace", "soon"], "is not a duration"),
        (["audit", "--format", "xml"], "xml"),
        (["undo", "0815"], "there is no run"),
        (["explain", "task-nobody"], "no job 'task-nobody'"),
        (["audti"], "audti"),
        (["heal", "--keep", "0"], "0"),
    ],
)
def test_a_usage_error_is_one_clear_message_and_status_2(run: Any, args: list[str], says: str) -> None:
    said = run(*args)
    assert said.status == 2
    assert says in said.err
    assert said.out == "" and "Traceback" not in said.err


def test_trouble_is_status_3_said_on_stderr_and_the_rest_is_done(run: Any, tree: Tree) -> None:
    other = Tree(tree.root, "/home/dev/projects/other").add(job("task-2", pid=0))
    (other.path / "state.json").unlink()
    (other.path / "state.json").mkdir()
    said = run("heal", tree.root)
    assert said.status == 3
    assert (
        said.err == f"stateheal: {other.path / 'state.json'}: cannot be read: it is a directory, not a regular file\n"
    )
    assert tree.entry("task-orphan")["status"] == "failed"


def test_notices_and_unsure_verdicts_do_not_change_it(run: Any, tmp_path: Path) -> None:
    made = (
        Tree(tmp_path / "tree")
        .add(job("task-odd", status="crashed"))
        .add(job("task-far", owner={"hostname": "elsewhere"}))
    )
    said = run("audit", made.root)
    assert said.status == 0
    assert "1 unsure" in said.out and "1 notice" in said.out and "nothing to repair" in said.out


def test_an_internal_error_is_one_line(run: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.engine import collect as book

    monkeypatch.setattr(book, "_job_ids", lambda evidence: 1 // 0)
    said = run("audit", tree.root)
    assert said.status == 3
    assert said.err.startswith("stateheal: internal error: ZeroDivisionError") and said.err.count("\n") == 1


@pytest.mark.posix("signals")
@pytest.mark.processes
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_between_two_files(tmp_path: Path, number: int, status: int) -> None:
    made = Tree(tmp_path / "tree")
    for n in range(3):
        Tree(made.root, f"/home/dev/projects/p{n}").add(job(f"task-{n}", pid=0))
    code = (
        "import os, sys; from stateheal import cli; from stateheal.commit.replacement import Replacement as R\n"
        "real = R.perform\n"
        f"def once(*a): R.perform = real; os.kill(os.getpid(), {int(number)}); real(*a)\n"
        "R.perform = once; sys.exit(cli.run(sys.argv[1:]))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, "heal", str(made.root)], capture_output=True, text=True, timeout=60
    )
    assert child.returncode == status
    assert "Interrupted" in child.stdout and "stopping after this file" in child.stderr
    phases = [
        entry["status"] for path in made.state.glob("*/state.json") for entry in json.loads(path.read_text())["jobs"]
    ]
    assert "running" in phases


@pytest.mark.posix("head")
@pytest.mark.processes
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree")
    for n in range(30):
        Tree(made.root, f"/home/dev/projects/p{n}").add(job(f"task-{n}", pid=0))
    command = [sys.executable, "-m", "stateheal", "heal", "-n", str(made.root)]
    child = subprocess.run(
        ["sh", "-c", f"{shlex.join(command)} | head -n 1"], capture_output=True, text=True, timeout=60
    )
    assert child.stderr == "" and len(child.stdout.splitlines()) == 1
    for options in ([], ["--format", "json"], ["--format", "ndjson"]):
        reading, writing = os.pipe()
        os.close(reading)
        gone = subprocess.run([*command, *options], stdout=writing, stderr=subprocess.PIPE, timeout=60)
        os.close(writing)
        assert (gone.returncode, gone.stderr) == (141, b"")


@pytest.mark.processes
def test_a_reader_of_errors_that_goes_away_is_no_damage(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(done("task-1"))
    (made.path / "jobs" / "task-2.json").mkdir()
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "stateheal", "audit", str(made.root)]
    trouble = subprocess.run(command, capture_output=True, timeout=60)
    gone = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=writing, timeout=60)
    os.close(writing)
    assert (trouble.returncode, gone.returncode) == (3, 141), trouble


@pytest.mark.processes
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_a_report_is_not_lost_for_what_the_output_cannot_show(tmp_path: Path, encoding: str) -> None:
    """Windows writes into a pipe in its code page: that of Western Europe lacks the arrow, too."""
    made = Tree(tmp_path / "tree").add(job("task-1", pid=0))
    child = subprocess.run(
        [sys.executable, "-m", "stateheal", "heal", str(made.root)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=60,
    )
    assert child.returncode == 0 and b"-> mark it" in child.stdout and b"1 healed" in child.stdout


@pytest.mark.processes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_said(tmp_path: Path) -> None:
    made = Tree(tmp_path / "tree").add(job("task-1", pid=0))
    command = [sys.executable, "-m", "stateheal", "heal", str(made.root)]
    with Path("/dev/full").open("w") as full:
        child = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert child.returncode == 3 and "the report cannot be written" in child.stderr
    assert "Traceback" not in child.stderr and made.entry("task-1")["phase"] == "orphaned"


# --- text from records is data -------------------------------------------------------------------------------------

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\rb\x9bc\u202egnp.exe\u2066x\u200by[bold]markup[/bold]\ud800:smile:"


@pytest.mark.parametrize(
    "field", ["errorMessage", "status", "phase", "workspaceRoot", "id", "title", "createdAt", "pid"]
)
def test_hostile_text_is_shown_escaped(run: Any, tmp_path: Path, field: str) -> None:
    record = job("task-1", pid=0, **LONG_AGO)
    record[field] = HOSTILE
    made = Tree(tmp_path / "tree")
    (made.path / "jobs").mkdir(parents=True)
    (made.path / "state.json").write_text(json.dumps({"version": 1, "jobs": [record, job("task-2", pid=0)]}))
    (made.path / "jobs/task-2.json").write_text(json.dumps({**record, "id": "task-2"}))
    for args in (["audit", "-v"], ["heal", "-n"], ["explain", "task-2"], ["heal"]):
        said = run(*args, made.root)
        for text in (said.out, said.err):
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)
            assert "😄" not in text
    assert run("audit", made.root, "--format", "json").out.isascii()


# --- commands ------------------------------------------------------------------------------------------------------


def test_version(run: Any) -> None:
    assert run("--version").out == f"stateheal {stateheal.__version__}\n"


def test_rules_prints_the_catalogue(run: Any) -> None:
    everything = run("rules").out
    for rule in RULES:
        one = run("rules", rule.name).out
        kind = "" if rule.severity is Severity.DAMAGE else "  a notice"
        assert one in everything and one.startswith(f"{rule.name}{kind}\n")
        assert rule.repair.split()[0] in one
    assert run("rules", "-q").out.split() == [rule.name for rule in RULES]
    assert [rule["name"] for rule in run("rules", "--format", "json").json["rules"]] == [rule.name for rule in RULES]


def test_schema_prints_a_schema(run: Any) -> None:
    assert run("schema").out.split() == list(NAMES)
    for name in NAMES:
        assert run("schema", name).out == (PROJECT / "schemas" / f"{name}.schema.json").read_text()


def test_explain_shows_the_facts_and_the_row_that_decided(run: Any, tree: Tree) -> None:
    said = run("explain", "task-orph", "--assume-local", tree.root)
    assert said.status == 0
    for word in ("index entry:", "job file:", "last sign of life: 2020-01-01T00:00:02.000Z", "YES  gone: dead."):
        assert word in said.out, word
    assert "no   foreign-host" in said.out and "finding dead-pid" in said.out
    finished = run("explain", "task-done", tree.root).out
    assert "no process is judged" in finished and "nothing is wrong with it" in finished
    (told,) = run("explain", "task-orphan", tree.root, "--format", "json").json["jobs"]
    assert told["trials"][0]["verdict"] == "dead" and told["trials"][0]["rows"][-1]["row"] == "gone"


def test_quiet_and_verbose(run: Any, tree: Tree) -> None:
    quiet, verbose = run("audit", "-q", tree.root).out, run("audit", "-v", tree.root, columns=300).out
    assert "task-orphan" not in quiet and "1 finding of damage" in quiet
    assert f"{tree.path / 'state.json'} at /jobs/0" in verbose


def test_cwd_and_job_narrow(run: Any, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    made = Tree(tmp_path / "config", str(project.resolve())).add(job("task-1", pid=0)).add(job("task-2", pid=0))
    Tree(made.root, "/home/dev/elsewhere").add(job("task-3", pid=0))

    def jobs(*args: str | Path) -> list[str]:
        return [f["job"] for f in run("audit", made.root, *args, "--format", "json").json["findings"]]

    assert jobs("--cwd", project / "src") == ["task-1", "task-2"]
    assert jobs("--job", "task-3") == ["task-3"]
    assert run("audit", "--job", "task-1", made.root, "-q").out.startswith("1 workspace, 1 job: ")
    nobody = run("audit", made.root, "--job", "task-3", "--cwd", project)
    assert nobody.status == 2 and "no job 'task-3' in 1 workspace; did you mean task-2?" in nobody.err
    assert run("audit", made.root, "--cwd", tmp_path / "nowhere").status == 2


def test_without_a_path_the_default_roots_are_healed(run: Any, isolated: Path) -> None:
    assert "No plugin state found" in run("audit").out
    made = Tree(isolated / "home/.claude").add(job("task-1", pid=0))
    assert run("heal").status == 0
    assert made.entry("task-1")["phase"] == "orphaned"


def test_grace(run: Any, tree: Tree) -> None:
    record = job("task-null", pid=None, createdAt="2020-01-01T00:00:00.000Z", startedAt="2020-01-01T00:00:00.000Z")
    write_json(tree.path / "jobs/task-null.json", record)
    tree.index(entry_of(record))
    assert run("audit", "--grace", "9999d", "--select", "missing-pid", tree.root).status == 0
    assert run("audit", "--grace", "1s", "--select", "missing-pid", tree.root).status == 1


@pytest.mark.processes
def test_python_dash_m() -> None:
    child = subprocess.run([sys.executable, "-m", "stateheal", "--version"], capture_output=True, text=True, timeout=60)
    assert child.stdout == f"stateheal {stateheal.__version__}\n"


# --- what was meant ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["adit"], "'audit'"),
        (["audit", "--select", "dead-pdi"], "dead-pid"),
        (["audit", "TREE/plugins/dtaa"], "TREE/plugins/data?"),
        (["audit", "TREE/plugin/data"], "TREE/plugins/data?"),
        (["audit", "TREE/plugin/elsewhere"], "TREE/plugins?"),
        (["audit", "TREE", "--job", "task-orphn"], "task-orphan"),
        (["audit", "--formt", "json"], "'--format'"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_is_nearest(run: Any, tree: Tree, typed: list[str], meant: str) -> None:
    said = run(*(each.replace("TREE", str(tree.root)) for each in typed))
    assert said.status == 2 and meant.replace("TREE/", f"{tree.root}/").replace("/", os.sep) in said.err, said.err


@pytest.mark.parametrize("typed", [["audit", "/nowhere-at-all/x"], ["audit", "TREE", "--job", "zzz"]])
def test_nothing_is_suggested_where_nothing_is_near(run: Any, tree: Tree, typed: list[str]) -> None:
    said = run(*(each.replace("TREE", str(tree.root)) for each in typed))
    assert said.status == 2 and "did you mean" not in said.err


# --- completion ----------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("stateheal au", {"audit"}),
        ("stateheal audit --select dead", {"dead-pid"}),
        ("stateheal rules st", {"stub-entry", "stale-broker", "stale-lock", "stuck-worker"}),
        ("stateheal schema ", {"state", "job", "broker", "report", "journal"}),
        ("stateheal undo 0", {"RUN"}),
        ("stateheal audit --form", {"--format"}),
    ],
)
def test_a_shell_is_offered_what_fits(run: Any, tree: Tree, words: str, offered: set[str]) -> None:
    made = Path(re.findall(r"The originals are in (\S+)", run("heal", tree.root).out)[0]).name
    typed = words.split(" ")
    environ = {**os.environ, "_STATEHEAL_COMPLETE": "bash_complete", "COMP_WORDS": words}
    environ["COMP_CWORD"] = str(len(typed) - 1)
    code = "import sys; sys.argv[0] = 'stateheal'; from stateheal.__main__ import main; main()"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, timeout=60)
    found = {line.partition(",")[2] for line in child.stdout.splitlines()}
    assert found == {made if each == "RUN" else each for each in offered}, child.stderr
