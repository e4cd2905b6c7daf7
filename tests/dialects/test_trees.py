"""Trees that each companion wrote itself, whole and killed: nothing found, healed, left, and read back by its own code.

``trees/NAME/{healthy,killed}`` are workspaces' directories; ``@STATE@`` and ``@PROJECT@`` stand for paths. The last
test runs where STATEHEAL_TEST_FORKS names a directory of checkouts, ``<owner>+<name>``, and node and git are there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stateheal.engine.api import audit, heal, settings_of
from stateheal.engine.commands import undo
from stateheal.engine.explain import explain
from stateheal.evidence.hashes import workspace_hash
from stateheal.formats.times import parse_time
from stateheal.model.findings import Outcome, Severity
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.report.explanation import explanation_lines
from tests.support import NATIVE_HOST, FakeProcesses, files_in, in_json, journal_in, world

TREES = Path(__file__).parent / "trees"
FORKS = os.environ.get("STATEHEAL_TEST_FORKS", "")
NOW = parse_time("2026-11-28T08:00:00.000Z") or 0.0
WRITTEN = NOW - 86400


class Fork(NamedTuple):
    """How one companion's tree is laid out, and how its own code is asked about it."""

    plugin: str
    form: str = "slug-16"
    heals: bool = True
    checkout: str = ""
    script: str = "plugins/codex/scripts/codex-companion.mjs"
    variable: str = "CLAUDE_PLUGIN_DATA"
    words: tuple[str, str] = ("status", "result")
    says_why: bool = True
    rebuilds: bool = True


GROK = "plugins/{}/scripts/grok-bridge.mjs"
OPENCODE = "plugins/opencode/scripts/opencode-companion.mjs"
FORKS_OF: dict[str, Fork] = {
    "openai": Fork("codex-openai-codex", checkout="openai+codex-plugin-cc"),
    "alanjwong": Fork("codex-alanjwong", checkout="alanjwong+codex-plugin-cc", rebuilds=False),
    "lucasmcht": Fork(
        "codex-lucasmcht",
        checkout="lucasmcht-corp+codex-plugin-cc",
        variable="CODEX_COMPANION_PLUGIN_DATA",
        rebuilds=False,
    ),
    "patriyang": Fork("codex-patriyang", checkout="patriyang+codex-plugin-cc", variable="CODEX_COMPANION_PLUGIN_DATA"),
    "CBEPX-codex": Fork("codex-cbepx", heals=False),
    "sakib-gemini": Fork(
        "gemini-sakib",
        "slug-12",
        checkout="sakibsadmanshajib+gemini-plugin-cc",
        script="plugins/gemini/scripts/gemini-companion.mjs",
    ),
    "xai-grok-build": Fork(
        "grok-build-xai",
        checkout="xai-org+grok-build-plugin-cc",
        script=GROK.format("grok-build"),
        words=("runs", "show"),
    ),
    "danmsheets-turbo": Fork(
        "turbo-build-plugin-x",
        "git-16",
        checkout="danmsheets-dev+grok-build-plugin-cc",
        script=GROK.format("turbo-build-plugin"),
        words=("runs", "show"),
    ),
    "unlikelyzero-agy": Fork(
        "agy-x", checkout="unlikelyzero+agy-companion", script="scripts/agy-companion.mjs", rebuilds=False
    ),
    "handong66-agy": Fork(
        "agy-y",
        checkout="handong66+agy-plugin-cc",
        script="plugins/agy/scripts/agy-companion.mjs",
        variable="AGY_COMPANION_DATA_DIR",
        says_why=False,
        rebuilds=False,
    ),
    "handong66-opencode": Fork("opencode-y", heals=False),
    "kozaksv-antigravity": Fork(
        "antigravity-x",
        checkout="kozaksv+antigravity-plugin-cc",
        script="plugins/antigravity/scripts/antigravity-companion.mjs",
    ),
    "tasict-opencode": Fork("opencode-x", "16", checkout="tasict+opencode-plugin-cc", script=OPENCODE, rebuilds=False),
    "JohnnyVicious-opencode": Fork(
        "opencode-x", "16", checkout="JohnnyVicious+opencode-plugin-cc", script=OPENCODE, rebuilds=False
    ),
    "kim1232aa-opencode": Fork(
        "opencode-x", "16", checkout="kim1232aa+opencode-companion-cc", script=OPENCODE, rebuilds=False
    ),
    "sendbird": Fork(
        "cc",
        "12",
        checkout="sendbird+cc-plugin-codex",
        script="scripts/claude-companion.mjs",
        variable="CODEX_HOME",
        rebuilds=False,
    ),
    "CBEPX-cc": Fork(
        "cc",
        "12",
        checkout="CBEPX+cc-plugin-codex",
        script="scripts/claude-companion.mjs",
        variable="CODEX_HOME",
        rebuilds=False,
    ),
}
HEALED = sorted(name for name, fork in FORKS_OF.items() if fork.heals)


class Laid(NamedTuple):
    """A tree where a companion would have it."""

    box: Path
    project: Path
    state: Path
    """The workspace's directory."""

    @property
    def data(self) -> Path:
        return self.box / "plugins" / "data"

    def report(self, do: Any, **more: Any) -> Report:
        table = world(FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400)))
        return do([self.data], settings=settings_of(), world=table, journal=journal_in(self.box), **more)


def lay_out(name: str, case: str, box: Path) -> Laid:
    fork = FORKS_OF[name]
    project = (box / "proj").resolve()
    project.mkdir(parents=True)
    digest = workspace_hash(str(project / ".git" if fork.form == "git-16" else project))
    names = {"slug-16": f"proj-{digest}", "git-16": f"proj-{digest}", "slug-12": f"proj-{digest[:12]}"}
    directory = {**names, "16": digest, "12": digest[:12]}[fork.form]
    state = box.resolve() / "plugins/data" / fork.plugin / "state" / directory
    shutil.copytree(TREES / name / case, state)
    for path in (state, *state.rglob("*")):
        if path.is_file():
            path.write_text(filled(path.read_text("utf-8"), STATE=state, PROJECT=project), "utf-8")
            path.chmod(0o600)
        else:
            path.chmod(0o700)
        os.utime(path, (WRITTEN, WRITTEN))
    return Laid(box, project, state)


def filled(text: str, **places: Path) -> str:
    """The text with its places filled in, as JSON on this system spells their paths."""
    for name, place in places.items():
        way = in_json(place)
        text = re.sub(f'@{name}@([^"@]*)', lambda found, way=way: way + found[1].replace("/", in_json(os.sep)), text)
    return text


def test_every_tree_is_told_of() -> None:
    assert {path.name for path in TREES.iterdir()} == FORKS_OF.keys()


@pytest.mark.parametrize("name", sorted(FORKS_OF))
def test_of_a_healthy_tree_nothing_is_found(name: str, tmp_path: Path) -> None:
    report = lay_out(name, "healthy", tmp_path).report(audit)
    assert not report.errors and report.jobs and not report.findings, report.findings


@pytest.mark.parametrize("name", sorted(FORKS_OF))
def test_a_killed_job_is_found_and_closed_or_left(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    before = files_in(laid.state)
    seen = [each for each in laid.report(audit).findings if each.job]
    assert [each.severity for each in seen] == [Severity.DAMAGE], seen
    report = laid.report(heal)
    assert not report.errors
    if not FORKS_OF[name].heals:
        assert files_in(laid.state) == before and report.healed == 0 and "has not been seen" in seen[0].evidence
        return
    assert all(each.outcome is Outcome.HEALED for each in report.findings if each.repair) and report.healed
    for side in sides(laid.state, seen[0].job or ""):
        assert (side["status"], side["phase"], side.get("pid")) == ("failed", "orphaned", None)
        assert side["errorMessage"].startswith("Orphaned: ")
    assert laid.report(heal).run is None, "a second heal wrote something"
    undo(journal=journal_in(laid.box))
    assert files_in(laid.state) == before


def sides(state: Path, ident: str) -> list[dict[str, Any]]:
    index = state / "state.json"
    entries = json.loads(index.read_bytes())["jobs"] if index.exists() else []
    found = [entry for entry in entries if entry["id"] == ident]
    files = (state / f"jobs/{ident}.json", state / f"jobs/{ident}/job.json")
    return found + [
        each for path in files if path.exists() and (each := json.loads(path.read_bytes())).get("id") == ident
    ]


@pytest.mark.parametrize("name", sorted(name for name in FORKS_OF if (TREES / name / "healthy/state.json").exists()))
def test_a_torn_index_is_rebuilt_or_left_and_named(name: str, tmp_path: Path) -> None:
    fork, laid = FORKS_OF[name], lay_out(name, "healthy", tmp_path)
    index = laid.state / "state.json"
    index.write_bytes(index.read_bytes()[:-9])
    os.utime(index, (WRITTEN, WRITTEN))
    before = files_in(laid.state)
    report = laid.report(heal)
    torn = [each for each in report.findings if each.rule == "torn-index"]
    if fork.heals and fork.rebuilds:
        assert [each.outcome for each in torn] == [Outcome.HEALED]
        assert json.loads(index.read_bytes())["jobs"]
    else:
        assert files_in(laid.state) == before
        assert all(each.repair is None for each in report.findings) and report.findings


@pytest.mark.parametrize(("name", "said"), [("xai-grok-build", "grok-build"), ("lucasmcht", "codex (lucasmcht")])
def test_explain_says_whose_tree_it_is_and_why(name: str, said: str, tmp_path: Path) -> None:
    laid = lay_out(name, "killed", tmp_path)
    job = next(each.job for each in laid.report(audit).findings if each.job) or ""
    (told,) = explain(job, Request((str(laid.data),)), world=world()).jobs
    lines = [str(line) for line in explanation_lines(told)]
    assert any(line.startswith(f"  kept by {said}") and ": its " in line for line in lines), lines


@pytest.mark.processes
@pytest.mark.skipif(not FORKS, reason="needs STATEHEAL_TEST_FORKS: a directory of checkouts, <owner>+<name>")
@pytest.mark.parametrize("name", HEALED)
def test_its_own_companion_reads_it_back(name: str, tmp_path: Path) -> None:
    fork = FORKS_OF[name]
    script = Path(FORKS) / fork.checkout / fork.script
    if not script.exists() or not shutil.which("node") or not shutil.which("git"):
        pytest.skip(f"needs {script}, node and git")
    laid = lay_out(name, "killed", tmp_path / "b")
    subprocess.run(["git", "init", "-q", "-b", "main", str(laid.project)], check=True)
    job = next(each.job for each in laid.report(heal).findings if each.job and each.outcome is Outcome.HEALED)
    healed = files_in(laid.state)

    listed, told, result = (
        ask(name, laid, *words) for words in ((fork.words[0],), (fork.words[0], job), (fork.words[1], job))
    )
    assert listed.returncode == told.returncode == 0, (listed, told)
    assert "| running |" not in listed.stdout.lower()
    assert (result.returncode == 0 and "Orphaned: " in result.stdout) is fork.says_why, result
    if fork.variable == "CODEX_HOME":  # reading a result is noted in the record, as of any finished job
        (record,) = sides(laid.state, job)
        assert record["status"] == "failed" and record["errorMessage"].startswith("Orphaned: ")
    else:
        assert files_in(laid.state) == healed


def ask(name: str, laid: Laid, *words: str) -> subprocess.CompletedProcess[str]:
    """What a companion's own code answers to a command, its tree being laid out there."""
    fork = FORKS_OF[name]
    data = laid.box.resolve() if fork.variable == "CODEX_HOME" else laid.state.parent.parent
    for folder in ("home", "t"):
        (laid.box / folder).mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(laid.box / "home"), "TMPDIR": str(laid.box / "t")}
    env[fork.variable] = str(data)
    command = ["node", str(Path(FORKS) / fork.checkout / fork.script), *words]
    return subprocess.run(command, cwd=laid.project, env=env, capture_output=True, text=True, timeout=60)
