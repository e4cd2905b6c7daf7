"""The configuration file and environment variables: options set for good, and what is wrong with them said clearly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import stateheal
from stateheal import cli
from stateheal.cli import group
from stateheal.cli.defaults import EACH_TIME, Defaults, _options
from stateheal.engine.configuration import configuration_path, configured_settings
from stateheal.errors import UsageError
from tests.reference import commands
from tests.support import DRIVE, Tree, job


@pytest.fixture
def config(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if os.name == "nt":  # there the system says where, and no variable of a test's is asked
        monkeypatch.setattr("platformdirs.user_config_dir", lambda name, **_: str(isolated / "xdg-config" / name))
    path = configuration_path()
    assert path == isolated / "xdg-config/stateheal/config.toml"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree").add(job("task-1", pid=0)).add(job("task-2", status="crashed"))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.run([*words])
    return (status, *capsys.readouterr())


def test_a_key_is_an_option_of_the_same_name(config: Path, tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text('format = "json"\nignore = ["unsafe-pid"]\nexit-zero = true\n')
    status, out, _ = run(capsys, "audit", str(tree.root))
    assert status == 0 and out.startswith("{") and '"unsafe-pid"' not in out
    config.write_text('format = "ndjson"\n[audit]\nformat = "json"\nexit_zero = true\n')
    status, out, _ = run(capsys, "audit", str(tree.root))
    assert status == 0 and out.startswith("{\n"), "a command's own table goes before the top"
    assert run(capsys, "heal", "-n", str(tree.root))[0] == 1
    assert run(capsys, "audit", str(tree.root), "--format", "text")[1].startswith(f"{DRIVE}/home"), (
        "what is typed goes before all"
    )


def test_the_environment_goes_before_the_file(
    config: Path, tree: Tree, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('select = ["schema"]\n')
    assert run(capsys, "audit", str(tree.root))[0] == 0
    monkeypatch.setenv("STATEHEAL_SELECT", "dead-pid,unsafe-pid")
    assert run(capsys, "audit", str(tree.root))[0] == 1
    monkeypatch.setenv("STATEHEAL_EXIT_ZERO", "true")
    assert run(capsys, "audit", str(tree.root))[0] == 0
    monkeypatch.setenv("STATEHEAL_CONFIG", "")
    monkeypatch.delenv("STATEHEAL_SELECT")
    config.write_text("broken")
    assert run(capsys, "audit", str(tree.root))[0] == 0, "an empty STATEHEAL_CONFIG: no file"


@pytest.mark.posix("FIFOs and devices")
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "directory", "large"])
def test_what_is_no_small_file_is_refused_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("/dev/zero") if kind == "/dev/zero" else tmp_path / kind
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "large":
        path.write_text("# much\n" * 200_000)
    monkeypatch.setenv("STATEHEAL_CONFIG", str(path))
    status, out, err = run(capsys, "audit", str(tree.root))
    assert (status, out) == (3, "") and f"{path}: cannot be read: it is" in err.replace("\n", " ")
    monkeypatch.setenv("STATEHEAL_CONFIG", os.devnull)
    assert run(capsys, "audit", str(tree.root))[0] == 1, "as none"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("grace = ", "is no TOML"),
        ("\udcff", "is no UTF-8"),
        ("grase = '2h'", "there is no option 'grase'; did you mean grace?"),
        ("grace = 'soon'", "grace: 'soon' is not a duration"),
        ("grace = true", "grace: True is no value for it"),
        ("grace = [1]", "grace: [1] is no value for it"),
        ("color = 'pink'", "color: 'pink' is not one of"),
        ("assume-local = 3", "assume-local: it is true or false"),
        ("select = 3", "select: it is a list of texts"),
        ("[audti]\ngrace = '1h'", "[audti] is no command; did you mean audit?"),
        ("[audit]\nkeep = 3", "[audit] there is no option 'keep'"),
        ("[hook]\nverbose = true", "[hook] is no command"),
        ("purge = true", "purge is said each time anew"),
        ("[history]\npurge = true", "[history] purge is said each time anew"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    config: Path, tree: Tree, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    config.write_bytes(text.encode("utf-8", "surrogateescape"))
    status, out, err = run(capsys, "audit", str(tree.root))
    assert (
        (status, out) == (2, "") and err.startswith(f"stateheal: {config}: ") and says in err and err.count("\n") == 1
    )
    status, out, err = run(capsys, "doctor")
    assert status == 0 and "limited  configuration" in out, "the doctor still sees its patients"
    assert run(capsys, "help", "configuration")[0] == 0


def test_a_wrong_variable_is_named(
    tree: Tree, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATEHEAL_GRACE", "soon")
    status, _, err = run(capsys, "audit", str(tree.root))
    assert status == 2 and err.startswith("stateheal: $STATEHEAL_GRACE: grace: 'soon' is not a duration")


def test_doctor_shows_it(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "(none there)" in " ".join(run(capsys, "doctor")[1].split())
    config.write_text("grace = '2h'\n[heal]\nkeep = 9\n")
    monkeypatch.setenv("STATEHEAL_COLOR", "never")
    said = " ".join(run(capsys, "doctor")[1].split())
    assert str(config) in said and "grace = 2h; heal.keep = 9; $STATEHEAL_COLOR = never" in said


def test_what_must_be_said_each_time_is_no_default() -> None:
    for name in ("yes", "purge", "archive", "output", "html", "cwd", "job"):
        assert name in EACH_TIME
    for command in commands().values():
        assert not EACH_TIME & _options(command).keys()


def test_every_default_fits_its_option(config: Path) -> None:
    """Whatever an option's own default is, it may be set for good."""
    config.write_text("\n".join(["grace = '90s'", "keep = 7", "quiet = true", "verbose = false"]))
    found = {name: Defaults(group).get(name) for name in commands() if " " not in name}
    assert found["heal"] == {"grace": "90s", "keep": "7", "quiet": True, "verbose": False}
    assert found["hook"] is None
    with group.make_context("stateheal", ["heal"], default_map=Defaults(group)) as context:
        command = group.get_command(context, "heal")
        assert isinstance(command, click.Command)
        inner = command.make_context("heal", [], parent=context)
        assert (inner.params["keep"], inner.params["grace"]) == (7, 90.0)


def test_the_hook_goes_by_what_heal_would(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("grace = '2h'\nselect = 'dead-pid'\n[heal]\nassume-local = true\n")
    assert configured_settings("heal") == stateheal.settings_of("dead-pid", (), "2h", True)
    monkeypatch.setenv("STATEHEAL_GRACE", "30m")
    assert configured_settings("heal").grace == 1800
    monkeypatch.setenv("STATEHEAL_SELECT", "nonsense")
    with pytest.raises(UsageError, match="nonsense"):
        configured_settings("heal")


@pytest.mark.processes
def test_the_hook_s_short_path_reads_none(config: Path, tmp_path: Path) -> None:
    config.write_text("this is no TOML")
    event = f'{{"cwd": "{tmp_path}", "hook_event_name": "SessionStart"}}'
    done = subprocess.run([sys.executable, "-m", "stateheal", "hook"], input=event, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- rules, several at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["--select dead-pid,unsafe-pid", "--select dead-pid --select unsafe-pid"])
def test_rules_may_stand_behind_each_other(tree: Tree, capsys: pytest.CaptureFixture[str], options: str) -> None:
    assert run(capsys, "audit", str(tree.root), *options.split())[0] == 1
    assert run(capsys, "audit", str(tree.root), "--ignore", "unsafe-pid, dead-pid,")[0] == 0


def test_the_api_takes_rules_directly(tree: Tree) -> None:
    def rules(**more: Any) -> set[str]:
        return {finding.rule for finding in stateheal.audit([tree.root], **more).findings}

    everything = rules()
    assert "unsafe-pid" in everything
    assert rules(select="unsafe-pid") == {"unsafe-pid"} == rules(select=["unsafe-pid", "dead-pid"])
    assert rules(ignore="unsafe-pid") == everything - {"unsafe-pid"}
    settings = stateheal.Settings(ignore=frozenset({"unsafe-pid"}))
    assert rules(settings=settings) == everything - {"unsafe-pid"}
    assert rules(settings=settings, ignore=["schema"]) == everything - {"schema"}
    with pytest.raises(UsageError, match="did you mean unsafe-pid"):
        rules(select="unsave-pid")
    assert stateheal.heal([tree.root], dry_run=True, select=["unsafe-pid"]).findings
