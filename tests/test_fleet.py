"""The fleet sample under the real Ansible, its hosts being local directories with homes of their own."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.packages import tool
from tests.support import PROJECT, Tree, files_in, job, write_json

SAMPLE = PROJECT / "samples" / "fleet"
PROGRAM = Path(sys.executable).parent / "stateheal"

pytestmark = pytest.mark.processes


@dataclass
class Fleet:
    """Hosts, an inventory of them, and what a play said."""

    path: Path
    ansible: str
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def home(self, name: str) -> Path:
        return self.path / name

    def environment(self, name: str) -> dict[str, str]:
        home = self.home(name)
        return {
            "HOME": str(home),
            "CLAUDE_CONFIG_DIR": str(home / ".claude"),
            "STATEHEAL_STATE_DIR": str(home / "journal"),
        }

    def add(self, name: str, sample: str | None = None, **variables: Any) -> Fleet:
        """A host with a home of its own, and in it a copy of a sample."""
        self.home(name).mkdir()
        if sample:
            shutil.copytree(PROJECT / "samples" / sample, self.home(name) / ".claude")
        self.hosts[name] = {"stateheal_environment": self.environment(name), **variables}
        return self

    def script(self, name: str, text: str) -> str:
        path = self.path / f"{name}.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def play(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the playbook in the fleet's directory, where the report goes."""
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "stateheal": str(PROGRAM),
        }
        write_json(self.path / "inventory.json", {"all": {"vars": common, "hosts": self.hosts}})
        (self.path / "ansible.cfg").write_text("")
        for old in self.path.glob("fleet-report.*"):
            old.unlink()
        return subprocess.run(
            [self.ansible, "-i", "inventory.json", str(SAMPLE / "fleet.yml"), *options],
            cwd=self.path,
            env={**os.environ, "PWD": str(self.path), "ANSIBLE_CONFIG": "ansible.cfg", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def report(self) -> Any:
        return json.loads((self.path / "fleet-report.json").read_text())

    @property
    def table(self) -> list[dict[str, str]]:
        with (self.path / "fleet-report.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def states(self) -> dict[str, str]:
        return {host["host"]: host["state"] for host in self.report["hosts"]}

    def undo(self, name: str) -> int:
        environment = {**os.environ, **self.environment(name)}
        return subprocess.run([str(PROGRAM), "undo", "-q"], env=environment, check=False).returncode


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    ansible = tool("ansible-playbook")
    (tmp_path / "fleet").mkdir()
    return Fleet(tmp_path / "fleet", ansible)


def recap(said: str) -> dict[str, dict[str, int]]:
    """What Ansible counted for each host."""
    lines = said.split("PLAY RECAP")[1].splitlines()[1:]
    rows = (line.partition(":") for line in lines if ":" in line)
    return {
        name.strip(): {key: int(count) for key, _, count in (pair.partition("=") for pair in counts.split())}
        for name, _, counts in rows
    }


def test_one_report_of_all_hosts_whatever_becomes_of_them(fleet: Fleet) -> None:
    fleet.add("gone", ansible_remote_tmp="/dev/null/none")  # first, since it is the first that gathers
    fleet.add("clean", "healthy").add("dirty", "polluted").add("empty")
    fleet.add("partly", "healthy")
    (next(fleet.home("partly").rglob("superbem-*")) / "jobs" / "x.json").mkdir()
    fleet.add("missing", stateheal="/no/such/stateheal")
    fleet.add("misused", stateheal_options=["--select", "nonsense"])
    fleet.add("broken", stateheal=fleet.script("broken", "echo 'No module named x' >&2; exit 1"))
    fleet.add("chatty", stateheal=fleet.script("chatty", "echo Welcome"))
    fleet.add("slow", stateheal=fleet.script("slow", "exec sleep 30"), stateheal_timeout=1)
    before = {name: files_in(fleet.home(name)) for name in ("clean", "dirty")}

    play = fleet.play()

    assert play.returncode == 2, play.stdout
    assert fleet.states() == {
        "gone": "unreachable",
        "clean": "clean",
        "dirty": "damaged",
        "empty": "clean",
        "partly": "partial",
        "missing": "failed",
        "misused": "failed",
        "broken": "failed",
        "chatty": "failed",
        "slow": "failed",
    }
    failed = {name for name, counts in recap(play.stdout).items() if counts["failed"]}
    assert failed == {"gone", "missing", "misused", "broken", "chatty", "slow"}
    assert not any(counts["changed"] for counts in recap(play.stdout).values())
    assert {name: files_in(fleet.home(name)) for name in before} == before

    report = fleet.report
    hosts = {host["host"]: host for host in report["hosts"]}
    assert hosts["clean"]["exit_status"] == 0 and hosts["dirty"]["exit_status"] == 1
    assert hosts["partly"]["exit_status"] == 3 and "x.json" in hosts["partly"]["errors"][0]["path"]
    assert "/no/such/stateheal audit" in hosts["missing"]["message"]
    assert "there is no rule 'nonsense'" in hosts["misused"]["message"]
    assert hosts["broken"]["message"] == "No module named x"
    assert hosts["chatty"]["message"] == "the output is no report"
    assert "1" in hosts["slow"]["message"] and hosts["slow"]["exit_status"] is None
    assert hosts["gone"]["message"]

    assert report["command"] == "audit"
    counted = {"hosts": 10, "clean": 2, "damaged": 1, "partial": 1, "failed": 5, "unreachable": 1, "remaining": 12}
    assert report["summary"].items() >= counted.items()
    damage = [each for each in report["findings"] if each["severity"] == "damage"]
    assert len(damage) == 12 and {each["host"] for each in damage} == {"dirty"}
    rows = fleet.table
    assert {row["host"] for row in rows} == hosts.keys()
    assert [row["job"] for row in rows if row["rule"] == "dead-pid"] == [
        each["job"] for each in report["findings"] if each["rule"] == "dead-pid"
    ]
    for name in ("fleet-report.json", "fleet-report.csv"):
        assert (fleet.path / name).stat().st_mode & 0o777 == 0o600


def test_a_dry_run_a_heal_a_second_heal_and_undo(fleet: Fleet) -> None:
    fleet.add("clean", "healthy").add("dirty", "polluted").add("broken", stateheal="/no/such/stateheal")
    config = fleet.home("dirty") / ".claude"
    before = files_in(config)

    play = fleet.play("-e", "heal=true", "--check", "--limit", "clean,dirty")
    assert play.returncode == 0, play.stdout
    assert fleet.report["command"] == "heal --dry-run" and fleet.states() == {"clean": "clean", "dirty": "damaged"}
    assert files_in(config) == before and recap(play.stdout)["dirty"]["changed"] == 1

    play = fleet.play("-e", "heal=true")
    assert play.returncode == 2 and fleet.states() == {"clean": "clean", "dirty": "clean", "broken": "failed"}
    assert fleet.report["summary"]["healed"] == 12 and fleet.report["summary"]["remaining"] == 0
    assert {name for name, counts in recap(play.stdout).items() if counts["changed"]} == {"dirty"}
    healed = files_in(config)
    assert healed != before

    play = fleet.play("-e", "heal=true", "--limit", "clean,dirty")
    assert play.returncode == 0 and fleet.report["summary"]["healed"] == 0
    assert not any(counts["changed"] for counts in recap(play.stdout).values())
    assert files_in(config) == healed

    assert fleet.undo("dirty") == 0
    assert files_in(config) == before
    fleet.play("-e", "heal=false", "--limit", "dirty")
    assert fleet.report["command"] == "audit" and fleet.states() == {"dirty": "damaged"}


def test_text_from_records_is_never_rendered(fleet: Fleet) -> None:
    """What Jinja, YAML, a spreadsheet or a terminal would act on arrives as it was written."""
    owned = fleet.path / "owned"
    evil = f"{{{{ lookup('pipe', 'touch {owned}') }}}}{{% set x = lookup('pipe', 'touch {owned}') %}}"
    texts = {"title": evil, "errorMessage": evil, "summary": evil}
    ids = [evil, "=1+1", '{{ 7 * 7 }}","x', "a\nb\x1b[31m", "!unsafe x"]
    fleet.add("dirty")
    tree = Tree(fleet.home("dirty") / ".claude")
    entries = [job(each, pid=0, **texts) for each in ids]
    tree.index(*entries, job("task-odd", status=evil, **texts), job("task-host", owner={"hostname": evil}, **texts))
    (tree.state / "{{ 7 * 7 }}-0123456789abcdef" / "state.json").mkdir(parents=True)
    fleet.add("loud", stateheal=fleet.script("loud", f'cat >&2 <<"END"\n{evil}\nEND\nexit 9'))

    for options in (), ("-e", "heal=true", "--check"), ("-e", "heal=true"):
        play = fleet.play(*options)
        assert not owned.exists(), options
        hosts = {host["host"]: host for host in fleet.report["hosts"]}
        assert hosts["loud"]["message"] == evil and hosts["loud"]["state"] == "failed"
        assert "{{ 7 * 7 }}-0123456789abcdef" in hosts["dirty"]["errors"][0]["path"]
        assert set(ids) <= {each["job"] for each in fleet.report["findings"]}
        assert "{{ lookup('pipe'" in " ".join(each["message"] for each in fleet.report["findings"])
        for name in ("fleet-report.json", "fleet-report.csv"):
            assert (fleet.path / name).read_text().isascii() and "\x1b" not in (fleet.path / name).read_text()
        cells = {row["job"] for row in fleet.table}
        assert {evil, "'=1+1", '{{ 7 * 7 }}","x', "a\\nb\\u001b[31m", "!unsafe x"} <= cells
        assert "\x1b[31m" not in play.stdout
