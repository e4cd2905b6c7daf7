"""``stateheal hook install``, ``uninstall``, ``status``: the hook in Claude Code's settings, nothing else changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stateheal
from stateheal import cli
from stateheal.commit.location import journal_path
from stateheal.errors import Refused
from stateheal.hook import program
from stateheal.hook.config import config_text, exec_handler
from stateheal.hook.install import install, plugin_installed, uninstall
from stateheal.hook.main import stamp_path
from stateheal.hook.merge import is_own, own_handlers, with_hook, without_hook
from tests.support import PROJECT, has_mode

WANTED = json.loads(config_text("settings"))["hooks"]
THEIRS = {"type": "command", "command": "echo hi"}
LAYOUTS = {
    "compact": b'{"b":1.0e0,"a":"\\u00e9"}',
    "two spaces": b'{\n  "b": 1.0e0,\n  "hooks": {\n    "Stop": []\n  }\n}\n',
    "four spaces": b'{\n    "hooks": {\n        "SessionStart": [\n            {"hooks": []}\n        ]\n    }\n}',
    "tabs": b'{\n\t"b": [1, 2],\n\t"model": "opus"\n}\n',
    "windows": b'{\r\n  "b": 1,\r\n  "permissions": {"allow": ["Bash(ls:*)"]}\r\n}\r\n',
    "hooks of others": json.dumps(
        {"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [THEIRS]}]}}, indent=2
    ).encode(),
}


@pytest.fixture
def settings(isolated: Path) -> Path:
    path = isolated / "home/.claude/settings.json"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


# --- the merge -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "own"),
    [
        ({"type": "command", "command": "stateheal", "args": ["hook"]}, True),
        ({"type": "command", "command": "/home/dev/.local/bin/stateheal", "args": ["hook"]}, True),
        ({"type": "command", "command": r"C:\Users\dev\bin\stateheal.exe", "args": ["hook"]}, True),
        ({"type": "command", "command": "/v/bin/python", "args": ["-I", "-m", "stateheal", "hook"]}, True),
        ({"type": "command", "command": "stateheal hook"}, True),
        ({"type": "command", "command": "exec '/a b/stateheal' hook -v"}, True),
        (json.loads(config_text("plugin"))["hooks"]["SessionStart"][0]["hooks"][0], True),
        ({"type": "command", "command": "sh -c 'stateheal hook -v 2>/dev/null || true'"}, True),
        ({"type": "command", "command": "if command -v stateheal >/dev/null 2>&1; then stateheal hook; fi"}, True),
        ({"type": "command", "command": ". ~/v/bin/activate && python -I -m stateheal hook &>/dev/null"}, True),
        ({"type": "command", "command": "my-lint --fix; stateheal hook"}, False),
        ({"type": "command", "command": "stateheal hook && notify-send healed"}, False),
        ({"type": "command", "command": "tee ~/calls.jsonl | stateheal hook"}, False),
        ({"type": "command", "command": "stateheal hook status >> ~/hook.log"}, False),
        ({"type": "command", "command": "stateheal", "args": ["heal"]}, False),
        ({"type": "command", "command": "stateheal heal --cwd ."}, False),
        ({"type": "command", "command": "my-stateheal hook"}, False),
        ({"type": "command", "command": "git", "args": ["hook"]}, False),
        ({"type": "prompt", "prompt": "stateheal hook"}, False),
        ("stateheal hook", False),
        (None, False),
    ],
)
def test_which_hooks_are_ours(handler: object, own: bool) -> None:
    assert is_own(handler) is own


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"hooks": {}},
        {"model": "opus", "hooks": {"Stop": [{"hooks": [THEIRS]}]}},
        {"hooks": {"SessionStart": [{"hooks": [THEIRS]}, "odd", {"hooks": None}]}},
    ],
)
def test_put_in_twice_it_stands_there_once_and_taken_out_nothing_is_left(value: dict[str, Any]) -> None:
    once = with_hook(value, WANTED)
    assert {event for event, _ in own_handlers(once)} == set(WANTED)
    assert with_hook(once, WANTED) == once
    left = without_hook(once)
    assert {**left, "hooks": left.get("hooks", {})} == {**value, "hooks": value.get("hooks", {})}


def test_an_earlier_form_is_replaced_where_it_stood_and_their_hooks_stay() -> None:
    old = {"type": "command", "command": "stateheal hook"}
    value = {
        "hooks": {
            "PreToolUse": [{"hooks": [old]}, {"matcher": "Bash", "hooks": [THEIRS, old]}],
            "Stop": [{"hooks": [old]}],
        }
    }
    hooks = with_hook(value, WANTED)["hooks"]
    assert hooks["PreToolUse"] == [*WANTED["PreToolUse"], {"matcher": "Bash", "hooks": [THEIRS]}]
    assert "Stop" not in hooks


def test_a_command_that_does_more_than_start_the_hook_stays_and_is_named(
    settings: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = {"type": "command", "command": "my-lint --fix; stateheal hook"}
    before = json.dumps({"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [theirs]}]}}, indent=2).encode()
    settings.write_bytes(before)
    assert cli.run(["hook", "install"]) == 0
    told = capsys.readouterr().err
    assert "'my-lint --fix; stateheal hook' does more than to start the hook" in told and "run twice" in told
    assert theirs in json.loads(settings.read_bytes())["hooks"]["PreToolUse"][0]["hooks"]
    assert cli.run(["hook", "uninstall"]) == 0
    assert settings.read_bytes() == before and "take it out by hand" in capsys.readouterr().err


@pytest.mark.parametrize("value", [[], "x", None, {"hooks": []}, {"hooks": {"PreToolUse": {}}}])
def test_where_hooks_cannot_stand_nothing_is_guessed(value: object) -> None:
    for change in (lambda: with_hook(value, WANTED), lambda: without_hook(value)):
        with pytest.raises(Refused):
            change()


# --- the file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_byte_of_the_rest_stays(settings: Path, here: Path, layout: str) -> None:
    before = LAYOUTS[layout]
    settings.write_bytes(before)
    settings.chmod(0o640)
    done = install()
    after = settings.read_bytes()
    assert done.changes and done.backup is not None and done.backup.read_bytes() == before
    assert has_mode(done.backup, 0o600) and journal_path() in done.backup.parents
    assert len({event for event, _ in own_handlers(json.loads(after))}) == 3
    assert {**json.loads(after), "hooks": 0} == {**json.loads(before), "hooks": 0}
    assert not install().changes and settings.read_bytes() == after, "a second install changes nothing"
    assert uninstall().changes and settings.read_bytes() == before
    assert has_mode(settings, 0o640)
    assert os.listdir(settings.parent) == ["settings.json"], "nothing is left beside it"
    assert not uninstall().changes


@pytest.mark.parametrize("there", [None, b"", b" \n"])
def test_settings_that_are_not_there_or_empty_are_made(settings: Path, here: Path, there: bytes | None) -> None:
    if there is None:
        settings.parent.rmdir()
    else:
        settings.write_bytes(there)
    install()
    assert settings.read_text().startswith('{\n  "hooks": {\n    "PreToolUse": [') and settings.read_text().endswith(
        "}\n"
    )


@pytest.mark.parametrize("broken", [b"{", b'{"a": 1} // x', b"\xef\xbb\xbf{}", b"[]", b'{"hooks": 7}'])
def test_settings_that_cannot_be_understood_are_left_alone(settings: Path, here: Path, broken: bytes) -> None:
    settings.write_bytes(broken)
    with pytest.raises(Refused, match=r"settings\.json"):
        install()
    assert settings.read_bytes() == broken and not journal_path().exists()


def test_settings_too_large_to_be_any_are_not_read(
    settings: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with settings.open("wb") as file:
        file.truncate(17 << 20)
    for words, status in (["install"], 3), (["uninstall"], 3), (["status"], 0):
        assert (cli.run(["hook", *words]), "too large" in capsys.readouterr().err) == (status, True), words
    assert settings.stat().st_size == 17 << 20


@pytest.mark.posix("umask")
def test_the_copy_of_the_settings_can_be_read_whatever_the_umask_takes(settings: Path, here: Path) -> None:
    settings.write_bytes(LAYOUTS["tabs"])
    old = os.umask(0o777)
    try:
        assert cli.run(["hook", "install"]) == 0
    finally:
        os.umask(old)
    (copy,) = (journal_path() / "settings").iterdir()
    assert has_mode(copy, 0o600) and has_mode(copy.parent, 0o700) and copy.read_bytes() == LAYOUTS["tabs"]


@pytest.mark.links("settings that are a link")
def test_a_link_into_dotfiles_stays_a_link(settings: Path, here: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles/claude.json"
    real.parent.mkdir()
    real.write_bytes(b"{}\n")
    settings.symlink_to(real)
    install()
    assert settings.is_symlink() and len({event for event, _ in own_handlers(json.loads(real.read_bytes()))}) == 3


def test_what_a_killed_install_has_left_goes_but_no_update_that_it_holds(settings: Path, here: Path) -> None:
    temp, second = (settings.with_name(f".stateheal-settings-settings.json.{end}") for end in ("tmp", "old"))
    settings.write_bytes(b"{}\n")
    temp.write_bytes(b'{"hooks"')
    os.link(settings, second)
    install()
    assert not temp.exists() and not second.exists()
    second.write_bytes(b"{}\n")  # as the run before has kept it
    uninstall()
    assert not second.exists()
    second.write_bytes(b'{"model": "opus"}\n')
    install()
    assert second.read_bytes() == b'{"model": "opus"}\n' and own_handlers(json.loads(settings.read_bytes()))
    os.link(settings, temp)
    install(dry_run=True)
    assert temp.exists()
    install()
    assert not temp.exists(), "though there was nothing else to do"


def test_a_dry_run_writes_nothing(settings: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings.write_bytes(LAYOUTS["tabs"])
    assert cli.run(["hook", "install", "-n"]) == 0
    said = capsys.readouterr().out
    assert "+++ b/settings.json" in said and '+\t"hooks": {' in said and "nothing was written" in said
    assert settings.read_bytes() == LAYOUTS["tabs"] and not journal_path().exists()


@pytest.mark.parametrize(("scope", "name"), [("project", "settings.json"), ("local", "settings.local.json")])
def test_a_project_s_scopes(here: Path, scope: str, name: str) -> None:
    done = install(scope)
    assert done.path == here / ".claude" / name
    commands = {handler["command"] for _, handler in own_handlers(json.loads(done.path.read_bytes()))}
    assert all(os.path.isabs(command) for command in commands) is (scope == "local")


def test_what_would_run_twice_is_said(settings: Path, here: Path) -> None:
    write = settings.write_text
    write(json.dumps({"enabledPlugins": {"stateheal@stateheal": True, "codex@openai": True}}))
    assert plugin_installed() == "stateheal@stateheal"
    assert any("plugin stateheal@stateheal" in each for each in install().warnings)
    assert any(str(settings) in each for each in install("local").warnings)
    write(json.dumps({"enabledPlugins": {"stateheal@stateheal": False}}))
    (settings.parent / "plugins").mkdir()
    listed = {"version": 2, "plugins": {"stateheal@stateheal": [{"scope": "user"}]}}
    (settings.parent / "plugins/installed_plugins.json").write_text(json.dumps(listed))
    assert plugin_installed() is None, "it is switched off"
    write("{}")
    assert plugin_installed() == "stateheal@stateheal"


# --- what it starts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/home/dev/.cache/uv/archive-v0/8xK/bin/stateheal",
        "/ci/cache/environments-v2/3f/bin/stateheal",
        "/home/dev/.local/share/pipx/.cache/0b7/bin/stateheal",
        "/home/dev/.cache/pipx/0b7/bin/stateheal",
    ],
)
def test_an_environment_for_one_run_is_known(path: str) -> None:
    assert program.passing_place(path) is not None


@pytest.mark.parametrize(
    "path",
    [
        "/home/dev/.local/bin/stateheal",
        "/home/dev/.local/share/uv/tools/stateheal/bin/stateheal",
        "/home/dev/.local/share/pipx/venvs/stateheal/bin/stateheal",
        "/home/dev/work/.venv/bin/stateheal",
    ],
)
def test_an_environment_that_stays_is_not_warned_of(path: str) -> None:
    assert program.passing_place(path) is None


@pytest.mark.links("a link on PATH")
def test_the_name_on_path_is_kept_rather_than_the_environment_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pipx and uv install it: a link in a directory on PATH, which stays when the environment is made anew."""
    monkeypatch.setattr(program, "passing_place", lambda path: None)
    own = tmp_path / "venv/bin/stateheal"
    other = tmp_path / "other/stateheal"
    for path in (own, other):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    link = tmp_path / "bin/stateheal"
    link.parent.mkdir()
    link.symlink_to(own)
    monkeypatch.setattr(sys, "argv", [str(own)])
    monkeypatch.setenv("PATH", f"{other.parent}:{link.parent}")
    assert program.own_program().words == (str(link), "hook")
    monkeypatch.setenv("PATH", str(other.parent))
    assert program.own_program().words == (str(own), "hook")


def test_from_an_environment_for_one_run_another_is_taken_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passing = tmp_path / "archive-v0/x/bin" / program._NAME
    lasting = tmp_path / "bin" / program._NAME
    for path in (passing, lasting):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setattr(program, "passing_place", lambda path: "there" if "archive-v0" in path else None)
    monkeypatch.setattr(program, "_own_scripts", lambda: iter([str(passing)]))
    monkeypatch.setenv("PATH", f"{passing.parent}{os.pathsep}{lasting.parent}")
    assert program.own_program() == program.Program((str(lasting), "hook"))
    monkeypatch.setenv("PATH", str(passing.parent))
    assert program.own_program() == program.Program((str(passing), "hook"), "there")


@pytest.mark.posix("a script that is a text")
def test_a_script_that_starts_slowly_gives_way_to_its_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pip writes before 25.2 imports ``re``; what pip writes since then, and uv, does not."""
    script, python = tmp_path / "venv/bin/stateheal", tmp_path / "venv/bin/python3"
    script.parent.mkdir(parents=True)
    script.write_text(
        f"#!{python}\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom stateheal.__main__ import main\n"
    )
    monkeypatch.setattr(program, "passing_place", lambda path: None)
    monkeypatch.setattr(program, "_scripts", lambda: iter([str(script)]))
    monkeypatch.setattr(sys, "executable", str(python))
    words = (str(python), "-I", "-m", "stateheal", "hook")
    assert program.own_program().words == words and is_own(exec_handler(words))
    assert program.is_same_program(words[:1]) and not program.is_same_program([str(tmp_path / "other/python3")])
    script.write_text(f"#!{python}\nimport sys\nfrom stateheal.__main__ import main\n")
    assert program.own_program().words == (str(script), "hook")
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    script.write_text("#!/usr/bin/python3\nimport re\nimport sys\n")
    assert program.own_program().words == (str(script), "hook"), "in a place of its own, which stays"


@pytest.mark.processes
def test_what_is_installed_runs_with_an_empty_path(settings: Path, here: Path, tmp_path: Path) -> None:
    install()
    ((_, handler), *_) = own_handlers(json.loads(settings.read_bytes()))
    event = json.dumps({"cwd": str(tmp_path), "hook_event_name": "SessionStart"})
    done = subprocess.run(
        [handler["command"], *handler["args"]],
        input=event,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": "", "PYTHONPATH": ""},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- status --------------------------------------------------------------------------------------------------------


def status(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert cli.run(["hook", "status", "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)["hook"]  # type: ignore[no-any-return]


def test_status_before_and_after(settings: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = status(capsys)
    assert (told["works"], told["places"], told["last_ran"], told["last_healed"]) == (False, [], None, None)
    install()
    told = status(capsys)
    (place,) = told["places"]
    assert told["works"] and place["version"] == stateheal.__version__ and place["path"] == str(settings)
    assert sorted(place["events"]) == sorted(WANTED)
    assert cli.run(["doctor"]) == 0
    assert f"would run, stateheal {stateheal.__version__} ({settings})" in " ".join(capsys.readouterr().out.split())


def test_status_of_what_is_not_there_any_more(settings: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = {"type": "command", "command": "/no/such/stateheal", "args": ["hook"]}
    settings.write_text(json.dumps({"hooks": {"SessionStart": [{"hooks": [handler]}]}, "disableAllHooks": True}))
    told = status(capsys)
    assert not told["works"] and "not there any more" in told["places"][0]["trouble"]
    assert any("disableAllHooks" in each for each in told["warnings"])
    assert cli.run(["hook", "status"]) == 0
    assert "would not run" in capsys.readouterr().out


@pytest.mark.processes
@pytest.mark.posix("a script as a program")
def test_status_starts_nothing_that_a_project_names(
    settings: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever looks at a strange project must not run what its settings name; one's own settings are another matter."""
    planted = here / "stateheal"
    planted.write_text("#!/bin/sh\ntouch planted-ran\necho stateheal 9.9\n")
    planted.chmod(0o755)
    text = json.dumps(
        {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": str(planted), "args": ["hook"]}]}]}}
    )
    (here / ".claude").mkdir()
    (here / ".claude/settings.json").write_text(text)
    (place,) = status(capsys)["places"]
    assert place["version"] is None and not (here / "planted-ran").exists()
    settings.write_text(text)
    assert [place["version"] for place in status(capsys)["places"]] == ["9.9", None]


def test_the_stamp_lies_in_the_journal_directory(monkeypatch: pytest.MonkeyPatch, isolated: Path) -> None:
    assert Path(stamp_path(os.environ)).parent == journal_path()
    monkeypatch.delenv("STATEHEAL_STATE_DIR")
    assert Path(stamp_path(os.environ)).parent == journal_path()
    monkeypatch.delenv("XDG_STATE_HOME")
    assert Path(stamp_path(os.environ)).parent == journal_path()


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize(
    "words", [["--install"], ["foo"], ["--confg"], ["install", "--scope", "all"], ["-x"], ["status", "x"]]
)
def test_wrong_words_are_usage_errors(words: list[str]) -> None:
    command = [sys.executable, "-m", "stateheal", "hook", *words]
    done = subprocess.run(command, input=b"{}", capture_output=True, cwd=PROJECT)
    assert done.returncode == 2 and done.stdout == b"" and b"Error: " in done.stderr


@pytest.mark.processes
def test_at_a_terminal_it_explains_itself() -> None:
    if shutil.which("script") is None:
        pytest.skip("needs script")
    command = f"{sys.executable} -m stateheal hook"
    done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "stateheal hook install" in done.stdout
