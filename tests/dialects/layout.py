"""A companion's tree laid out where it would have it, and its own code run on it.

``trees/NAME/{healthy,killed}`` are workspaces' directories, written by that companion's own code; ``@STATE@`` and
``@PROJECT@`` stand for paths. STATEHEAL_TEST_FORKS names a directory of checkouts, ``<owner>+<name>``; node and git are
needed, and for some a newer node than there may be: STATEHEAL_TEST_NODE names another.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from stateheal.engine.api import settings_of
from stateheal.evidence.hashes import workspace_hash
from stateheal.formats.times import parse_time
from stateheal.model.report import Report
from tests.dialects.forks import FORKS_OF, Fork
from tests.support import NATIVE_HOST, FakeProcesses, in_json, journal_in, world

FORKS = os.environ.get("STATEHEAL_TEST_FORKS", "")
TREES = Path(__file__).parent / "trees"
NOW = parse_time("2026-11-28T08:00:00.000Z") or 0.0
WRITTEN = NOW - 86400


class Laid(NamedTuple):
    """A tree where a companion would have it."""

    box: Path
    project: Path
    state: Path
    """The workspace's directory."""

    @property
    def data(self) -> Path:
        """What is given to a command."""
        return self.box / "plugins" / "data" if self.state.parent.name == "state" else self.state.parent

    def report(self, do: Any, **more: Any) -> Report:
        table = world(FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400)))
        return do([self.data], settings=settings_of(), world=table, journal=journal_in(self.box), **more)


def lay_out(name: str, case: str, box: Path) -> Laid:
    fork = FORKS_OF[name]
    project = (box / "proj").resolve()
    project.mkdir(parents=True)
    digest = workspace_hash(str(project / ".git" if fork.form == "git-16" else project))
    names = {"slug-12": f"proj-{digest[:12]}", "16": digest, "12": digest[:12]}
    directory = names.get(fork.form, f"proj-{digest}")
    root = Path("t", fork.plugin) if fork.form == "temp-16" else Path("plugins/data", fork.plugin, "state")
    state = box.resolve() / root / directory
    shutil.copytree(TREES / name / case, state)
    for path in (state.parent.parent, state.parent, state, *state.rglob("*")):
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


def sides(state: Path, ident: str) -> list[dict[str, Any]]:
    index = state / "state.json"
    entries = json.loads(index.read_bytes())["jobs"] if index.exists() else []
    found = [entry for entry in entries if entry["id"] == ident]
    files = (state / f"jobs/{ident}.json", state / f"jobs/{ident}/job.json")
    return found + [
        each for path in files if path.exists() and (each := json.loads(path.read_bytes())).get("id") == ident
    ]


def ask(name: str, laid: Laid, *words: str, checkout: str = "") -> subprocess.CompletedProcess[str]:
    """What a companion's own code answers to a command, its tree being laid out there; or what its kin's does."""
    fork, box = FORKS_OF[name], laid.box
    for folder in ("home", "t"):
        (box / folder).mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(box / "home"), "TMPDIR": str(box / "t")}
    env[fork.variable] = str(box.resolve() if fork.variable == "CODEX_HOME" else laid.state.parent.parent)
    command = [node_for(fork) or "node", str(Path(FORKS) / (checkout or fork.checkout) / fork.script), *words]
    return subprocess.run(command, cwd=laid.project, env=env, capture_output=True, text=True, timeout=60)


def node_for(fork: Fork) -> str | None:
    """A node that is new enough for its code."""
    known = (shutil.which("node"), os.environ.get("STATEHEAL_TEST_NODE"))
    return next((each for each in known if each and major(each) >= fork.node), None)


@lru_cache
def major(node: str) -> int:
    """The first number of a node's version."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.removeprefix("v").split(".")[0])


def files_of(state: Path) -> list[Path]:
    """The job files of a workspace, wherever its companion keeps them."""
    return [*state.glob("jobs/*.json"), *state.glob("jobs/*/job.json")]


def tear(path: Path) -> None:
    """Cut a file as a full disk or a kill in the middle of a write leaves it, a day ago."""
    path.write_bytes(path.read_bytes()[:-9])
    os.utime(path, (WRITTEN, WRITTEN))
