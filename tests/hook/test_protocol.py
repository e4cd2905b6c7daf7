"""``stateheal hook`` as Claude Code calls it: an event on stdin, one JSON object or nothing on stdout, status 0."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import stateheal
from stateheal.dialects.names import NAMED
from stateheal.hook import deadline
from stateheal.hook.config import NAMES, config_text
from stateheal.hook.launches import concerned, launches
from stateheal.hook.main import EVENTS
from stateheal.hook.merge import is_own
from tests.support import PROJECT, Tree, done, files_in, job, stats_in

HOOK = (sys.executable, "-m", "stateheal", "hook")
PATIENT = "import sys, stateheal.hook.deadline as d; d.OWN = 60; from stateheal.__main__ import main; main()"
CALLED = (sys.executable, "-c", PATIENT, "hook")
"""With more than its second of own time: Wine takes that for the imports alone, and a machine may be stolen from us."""
COMPANION = "/plugins/cache/codex/scripts/codex-companion.mjs"
LAUNCH = f'node "{COMPANION}" task "map the tests"'
ORPHAN = "task-mnyhf4jy-1mnkv1"
with subprocess.Popen([sys.executable, "-c", ""]) as _ended:
    DEAD = _ended.pid
"""A pid that was somebody's, just now."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested is what the hook does, not whether this machine is busy: its own time counts all the same."""
    monkeypatch.setenv("STATEHEAL_HOOK_TIMEOUT", "600")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def tree(project: Path, isolated: Path) -> Tree:
    """The project's workspace under the default root, with a finished job and an orphan."""
    tree = Tree(isolated / "home/.claude", project=str(project.resolve()))
    tree.add(done("task-mnyhf4j1-1mnkv1"))
    return tree.add(job(ORPHAN, pid=DEAD, threadId="thr_42"))


def event(cwd: Path | str, name: str = "PreToolUse", **more: Any) -> dict[str, Any]:
    tool = {"tool_name": "Bash", "tool_input": {"command": LAUNCH}} if name == "PreToolUse" else {}
    return {"session_id": "s", "transcript_path": "/t", "cwd": str(cwd), "hook_event_name": name, **tool, **more}


def call(stdin: bytes | dict[str, Any], *arguments: str, **more: Any) -> dict[str, Any] | None:
    """What the hook says; fails where it breaks its protocol."""
    data = stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode()
    done = subprocess.run([*CALLED, *arguments], input=data, capture_output=True, timeout=300, **more)
    assert done.returncode == 0
    if "-v" not in arguments:
        assert done.stderr == b""
    if not done.stdout:
        return None
    said = json.loads(done.stdout)
    assert said.keys() <= {"systemMessage", "hookSpecificOutput"} and done.stdout.count(b"\n") == 1
    assert "permission" not in done.stdout.decode().lower() and "decision" not in done.stdout.decode()
    return dict(said)


# --- which events --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (LAUNCH, True),
        (f"node {COMPANION} review", True),
        (f"node '{COMPANION}' adversarial-review --wait", True),
        ("FOO=1 node ./x/my-companion.mjs task go", True),
        ('cd /tmp && node "${CLAUDE_PLUGIN_ROOT}/scripts/codex-companion.mjs" task "$ARGUMENTS"', True),
        ("node cc-companion --json task x", True),
        ("node codex-companion.mjs task&", True),
        (r'node "C:\\plugins\\codex-companion.mjs" task x', True),
        (f"node {COMPANION} status", True),
        (f"node {COMPANION} result task-1", True),
        (f"node {COMPANION} cancel task-1", True),
        (f"node {COMPANION} setup task", False),
        (f"timeout 60 node {COMPANION} task go", True),
        (f"/usr/local/bin/node {COMPANION} task go", True),
        (f'S={COMPANION}; node "$S" task go', True),
        (f'S="{COMPANION}" && node "${{S}}" task go', True),
        (f'$S = "{COMPANION}"; node $S task go', True),
        (f"$S='{COMPANION}'; node $S task go", True),
        (f'S={COMPANION}; node "$T" task go', False),
        (f"S={COMPANION} npm run task", False),
        (f"bash -c \"node '{COMPANION}' review\"", True),
        (f"cd x && node {COMPANION} -C /elsewhere status", True),
        (f"node {COMPANION} --cwd=/elsewhere result", True),
        ("node /p/scripts/grok-bridge.mjs run --json x", True),
        ("node /p/scripts/grok-bridge.mjs show run-1", True),
        ("node /p/scripts/grok-bridge.mjs check", False),
        ("node /p/scripts/gemini-companion.mjs task x", True),
        ("node /p/scripts/patriyang/codex-companion.mjs deep-review", True),
        (f"node {COMPANION} \\\n  task hi", True),
        (f"node {COMPANION} \\\r\n  task hi", True),
        (f"node {COMPANION} `\n  task hi", True),
        ('S=$(ls -d ~/.claude/*/codex-companion.mjs | sort -V | tail -n1); node "$S" task hi', True),
        ('node "$(ls -d ~/.claude/*/codex-companion.mjs | tail -1)" task hi', True),
        ("node `find / -name codex-companion.mjs | head -1` task hi", True),
        ('S="/Users/Jane Doe/p/codex-companion.mjs"; node "$S" task', True),
        (f'node {COMPANION} --cwd "/my dir/x" task', True),
        (f'node {COMPANION} -m "gpt 5" task', True),
        (f'CMD="node {COMPANION}"; $CMD task', True),
        (f'ARGS="task foo"; node {COMPANION} $ARGS', True),
        (f'c() {{ node {COMPANION} "$@"; }}; c task hi', True),
        (f"alias c='node {COMPANION}'; c task hi", True),
        ("COMP=codex-companion; node /x/$COMP.mjs task hi", True),
        (f"node {COMPANION} 2>&1 task x", True),
        (f"node {COMPANION} >out.txt task", True),
        (f"node {COMPANION} <<< p task", True),
        (r'node "C:\x\Codex-Companion.mjs" task', True),
        (r'$S = "C:\x\codex-companion.mjs"; & node $s task', True),
        (f"python3 -c \"run(['node','{COMPANION}','task','hi'])\"", True),
        (f"if true; then node {COMPANION} task; fi", True),
        ("find / -name codex-companion.mjs -exec node {} task x \\;", True),
        (f"node {COMPANION} task-resume-candidate --json", True),
        (f'out="$(node {COMPANION} task hi)"', True),
        (f"echo $(cat x; node {COMPANION} task hi)", True),
        ("grep -rn codex-companion task .", False),
        ('git commit -m "codex-companion task fix"', False),
        ("vim codex-companion.mjs; run x", False),
        ("node --check codex-companion.mjs && status", False),
        ("npm test -- companion\ngit status", False),
        ("cat codex-companion.mjs | grep task", False),
        ("echo task", False),
        ("ls /companion/x task", False),
        ("", False),
        (None, False),
        (["node", "companion", "task"], False),
    ],
)
def test_which_commands_launch_a_job(command: Any, expected: bool) -> None:
    assert launches(command) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (event("/p"), True),
        (event("/p", tool_name="PowerShell"), True),
        (event("/p", tool_name="Read"), False),
        (event("/p", tool_input="node companion task"), False),
        (event("/p", "PostToolUse", tool_name="Bash", tool_input={"command": LAUNCH}), False),
        (event("/p", "SessionStart", source="startup"), True),
        (event("/p", "UserPromptExpansion", command_name="codex:rescue", command_args="x"), True),
        (event("/p", "UserPromptExpansion", command_name="codex:status"), True),
        (event("/p", "UserPromptExpansion", command_name="codex:setup"), False),
        (event("/p", "UserPromptExpansion", command_name="gemini:rescue"), True),
        (event("/p", "UserPromptExpansion", command_name="grok-build:delegate"), True),
        (event("/p", "UserPromptExpansion", command_name="other:rescue", prompt="nothing"), False),
        (event("/p", "UserPromptExpansion", command_name="other:go", prompt=f"Run !`{LAUNCH}`"), True),
        (event("/p", "Stop"), False),
        (event("relative"), False),
        (event("/nul\0"), False),
        ({**event("/p"), "cwd": None}, False),
        ({}, False),
    ],
)
def test_which_events_concern_it(given: dict[str, Any], expected: bool) -> None:
    assert concerned(given) == (["/p"] if expected else [])


@pytest.mark.parametrize(
    "command",
    [
        "cd {0} && node x/codex-companion.mjs task hi",
        "(cd '{0}'; node x/codex-companion.mjs task hi)",
        "pushd {0}; node x/codex-companion.mjs task hi",
        "node x/codex-companion.mjs task --cwd {0} hi",
        "node x/codex-companion.mjs task --cwd={0} hi",
        'node x/codex-companion.mjs task -C "{0}" hi',
        "env -C {0} node x/codex-companion.mjs task hi",
        "cd ../project && node x/codex-companion.mjs task hi",
    ],
)
def test_the_directories_that_a_launch_goes_to_are_healed_too(command: str, project: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    given = event(tmp_path / "elsewhere", tool_input={"command": command.format(project)})
    assert concerned(given) == [str(tmp_path / "elsewhere"), str(project)]


@pytest.mark.parametrize(
    "command",
    [
        "cd '{0}' && node x/codex-companion.mjs status",
        'cd "{0}"; node x/codex-companion.mjs status',
        "cd {1} && node x/codex-companion.mjs status",
        'cd -- "{0}" && node x/codex-companion.mjs status',
        "cd -P '{0}' && node x/codex-companion.mjs status",
        'node x/codex-companion.mjs task --cwd "{0}" hi',
        'node x/codex-companion.mjs task --cwd="{0}" hi',
        "env --chdir='{0}' node x/codex-companion.mjs status",
        "bash -lc \"cd '{0}' && node x/codex-companion.mjs status\"",
        'bash -c "cd \\"{0}\\" && node x/codex-companion.mjs status"',
        'D="{0}"; cd "$D" && node x/codex-companion.mjs status',
        'D="{2}"; cd "${{D}}/my project" && node x/codex-companion.mjs status',
        "cd {2} && (cd 'my project'; node x/codex-companion.mjs status)",
        'Set-Location -Path "{0}"; node x/codex-companion.mjs status',
        'node x/codex-companion.mjs task "don\'t"; cd "{0}"; node x/codex-companion.mjs status',
    ],
)
def test_a_directory_with_a_blank_in_its_name_is_found_however_it_is_quoted(command: str, tmp_path: Path) -> None:
    project = tmp_path / "my project"
    for folder in (project, tmp_path / "elsewhere"):
        folder.mkdir()
    text = command.format(project, str(project).replace(" ", "\\ "), tmp_path)
    assert str(project) in concerned(event(tmp_path / "elsewhere", tool_input={"command": text}))


SCRIPT = "/home/u/my plugins/scripts/codex-companion.mjs"


@pytest.mark.parametrize(
    "command",
    [
        "nice -n 10 ionice -c3 node '{0}' task y",
        "timeout --signal=KILL 60s node '{0}' task x",
        "env -i PATH=/bin node '{0}' cancel x",
        "bun '{0}' task",
        "npx tsx '{0}' task",
        "deno run -A '{0}' task",
        "bash -lc \"node '{0}' review\"",
        "sh -c \"exec node '{0}' status\"",
        "S='{0}'; node \"$S\" task",
        "export S='{0}'; node $S cancel 1",
        "OUT=$(node '{0}' status --json)",
        "tmux new -d \"node '{0}' task\"",
        "watch -n1 node '{0}' status",
        "f() {{ node '{0}' \"$@\"; }}; f status",
        'node "$(find / -name codex-companion.mjs)" task x',
        "cat prompt.md | node '{0}' task --stdin",
        "[ -f '{0}' ] && node '{0}' task",
        '"C:\\Program Files\\nodejs\\node.exe" "C:\\A B\\codex-companion.mjs" task x',
    ],
)
def test_a_companion_is_known_however_it_is_started(command: str) -> None:
    assert concerned(event("/p", tool_input={"command": command.format(SCRIPT)})) == ["/p"]


@pytest.mark.parametrize(
    "command", ["cat '{0}'", "grep -n task '{0}'", "node '{0}' --help", "node '{0}' setup", "cp '{0}' /t"]
)
def test_who_only_names_a_companion_starts_none(command: str) -> None:
    assert concerned(event("/p", tool_input={"command": command.format(SCRIPT)})) == []


@pytest.mark.parametrize(
    "text",
    ["A=$A; cd $A", "A=$A$A; " * 40 + "cd $A", "A=$B; B=$A; cd ${A}${B}", "cd " + "'a b' " * 90_000, "cd $", "cd ${"],
)
def test_no_command_keeps_the_hook_busy(text: str, tmp_path: Path) -> None:
    began = time.monotonic()
    given = event(tmp_path, tool_input={"command": f"{text}; node x/codex-companion.mjs status"})
    assert concerned(given)[:1] == [str(tmp_path)] and time.monotonic() - began < 2


@pytest.mark.processes
def test_a_launch_elsewhere_finds_its_workspace_healed(tree: Tree, project: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    command = f"cd {project} && node x/codex-companion.mjs task hi; cd /nowhere/at/all"
    said = call(event(tmp_path / "elsewhere", tool_input={"command": command}))
    assert said is not None and tree.entry(ORPHAN)["phase"] == "orphaned"
    assert call(event(tmp_path / "elsewhere", tool_input={"command": command})) is None


# --- what it says --------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="a broker behind a unix socket")
def test_where_no_job_was_closed_none_is_said_not_to_run(isolated: Path, project: Path) -> None:
    tree = Tree(isolated / "home/.claude", project=str(project.resolve())).add(done("task-mnyhf4j1-1mnkv1"))
    session = {"endpoint": f"unix:{isolated}/gone.sock", "pid": DEAD, "sessionDir": "/x"}
    (tree.path / "broker.json").write_text(json.dumps(session))
    said = call(event(project))
    assert said is not None and not (tree.path / "broker.json").exists()
    first, second = said["hookSpecificOutput"]["additionalContext"].splitlines()
    assert first == "stateheal repaired the state of this workspace: stale-broker."
    assert second.startswith("This is run ")


@pytest.mark.processes
@pytest.mark.parametrize("name", ["PreToolUse", "UserPromptExpansion", "SessionStart"])
def test_an_orphan_is_healed_and_said(tree: Tree, project: Path, name: str) -> None:
    said = call(event(project, name, command_name="codex:rescue"))
    assert said is not None and tree.entry(ORPHAN)["phase"] == tree.record(ORPHAN)["phase"] == "orphaned"
    assert re.fullmatch(r"stateheal closed .*1 job .*\('stateheal undo' takes it back\)\.", said["systemMessage"])
    specific = said["hookSpecificOutput"]
    assert specific["hookEventName"] == name and specific.keys() == {"hookEventName", "additionalContext"}
    assert (
        f"- {ORPHAN}: its process {DEAD} is gone; its thread goes on with: codex resume thr_42"
        in (specific["additionalContext"])
    )
    before = files_in(tree.path), stats_in(tree.path)
    assert call(event(project, name, command_name="codex:rescue")) is None  # clean: not a word
    assert (files_in(tree.path), stats_in(tree.path)) == before


@pytest.mark.processes
@pytest.mark.parametrize("fields", [{"jobClass": "review"}, {"threadId": "--yolo"}, {"threadId": "x$(touch pwned)"}])
def test_only_a_tasks_thread_of_plain_form_is_said_to_go_on(tree: Tree, project: Path, fields: dict[str, Any]) -> None:
    tree.index().add(job(ORPHAN, pid=DEAD, **{"threadId": "thr_42", **fields}))
    said = call(event(project))
    assert said is not None and "pwned" not in json.dumps(said)
    assert f"- {ORPHAN}: its process {DEAD} is gone" in said["hookSpecificOutput"]["additionalContext"].splitlines()


@pytest.mark.processes
def test_it_is_journalled_as_a_hook_and_can_be_undone(tree: Tree, project: Path) -> None:
    before = files_in(tree.path)
    assert call(event(project)) is not None
    history = subprocess.run([*HOOK[:3], "history"], capture_output=True, text=True)
    assert re.search(r"^\d{4}-\S+  hook ", history.stdout, re.MULTILINE)
    stateheal.undo()
    assert files_in(tree.path) == before


@pytest.mark.processes
def test_only_this_directorys_workspaces(tree: Tree, project: Path, tmp_path: Path, isolated: Path) -> None:
    other = Tree(isolated / "home/.claude", project="/somewhere/else").add(job("task-mnyhf4jx-1mnkv1", pid=DEAD))
    before = files_in(other.path)
    (project / "src" / "deep").mkdir(parents=True)
    said = call(event(project / "src" / "deep"))  # an ancestor's workspace is this directory's
    assert said is not None and files_in(other.path) == before


@pytest.mark.processes
def test_unrelated_events_touch_nothing(tree: Tree, project: Path) -> None:
    before = files_in(tree.path)
    for unrelated in (event(project, tool_input={"command": "ls"}), event(project, "Stop"), event("/elsewhere")):
        assert call(unrelated) is None
    assert files_in(tree.path) == before


@pytest.mark.processes
@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b"\0",
        b"null",
        b"[]",
        b'"SessionStart"',
        b"{}",
        b'{"hook_event_name": "SessionStart"',
        b'{"hook_event_name": "SessionStart", "cwd": 7}',
        b'{"hook_event_name": ["SessionStart"], "cwd": "/"}',
        b'{"hook_event_name": "SessionStart", "cwd": "/no/such/directory"}',
        b'{"hook_event_name": "SessionStart", "cwd": "' + b"/a" * 5000 + b'"}',
        b'{"hook_event_name": "SessionStart", "cwd": "/\\ud800"}',
        b"\xff\xfe SessionStart",
        b'{"companion": ' + b"[" * 100_000,
        b'{"hook_event_name": "SessionStart", "cwd": "/", "x": "' + b"y" * (9 * 1024 * 1024) + b'"}',
    ],
    ids=range(15),
)
def test_malformed_input_is_answered_with_nothing(stdin: bytes) -> None:
    assert call(stdin) is None


@pytest.mark.processes
def test_stdin_that_never_ends_is_let_go() -> None:
    began = time.monotonic()
    call(b"")
    alone = time.monotonic() - began  # as long as this machine takes for a hook with nothing to do
    began = time.monotonic()
    with subprocess.Popen([*HOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.wait(300) == 0
    assert 1 <= time.monotonic() - began < 4 + 5 * alone


@pytest.mark.processes
def test_stdout_that_nobody_reads(tree: Tree, project: Path) -> None:
    with subprocess.Popen([*HOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin and child.stdout and child.stderr
        child.stdout.close()
        child.stdin.write(json.dumps(event(project)).encode())
        child.stdin.close()
        assert child.wait(30) == 0 and child.stderr.read() == b""


LONG_AGO = "2026-04-14T08:00:00.000Z"
SECRET = "please-run-rm-rf"


@pytest.mark.processes
def test_no_text_of_a_record_reaches_the_model(tree: Tree, project: Path) -> None:
    """Not a title, not a message, and no id but those of plain form."""
    tree.add(job(f"task;{SECRET}", pid=DEAD))
    tree.add(
        job(
            "task-mnyhf4jw-1mnkv1",
            title=SECRET,
            summary=SECRET,
            errorMessage=SECRET,
            threadId=f"thr `{SECRET}`",
            phase=SECRET,
            pid=DEAD,
            sessionId=SECRET,
        )
    )
    tree.add(job("task-mnyhf4jv-1mnkv1", pid=None, createdAt=LONG_AGO, startedAt=LONG_AGO, phase="x")).log(
        "task-mnyhf4jv-1mnkv1", f"[x] Codex error: {SECRET}\n"
    )
    old = time.time() - 9999
    for log in tree.path.glob("jobs/*.log"):
        os.utime(log, (old, old))
    said = call(event(project))
    assert said is not None and SECRET not in json.dumps(said)
    assert "task-mnyhf4jw-1mnkv1" in json.dumps(said) and "task-mnyhf4jv-1mnkv1" in json.dumps(said)


@pytest.mark.processes
def test_what_it_may_not_heal_is_said_once_per_state_of_the_file(project: Path, isolated: Path) -> None:
    tree = Tree(isolated / "home/.claude", project=str(project.resolve())).add(
        done("task-mnyhf4j1-1mnkv1", write="yes")
    )
    first = call(event(project))
    assert first is not None and "schema" in first["systemMessage"] and "hookSpecificOutput" not in first
    assert call(event(project)) is None
    path = tree.path / "jobs" / "task-mnyhf4j1-1mnkv1.json"
    path.write_text(path.read_text() + "\n")
    assert call(event(project)) == first
    assert call(event(project)) is None


@pytest.mark.processes
def test_an_unusable_journal_changes_nothing(tree: Tree, project: Path, isolated: Path) -> None:
    before = files_in(tree.path)
    (isolated / "journal").write_text("not a directory")
    call(event(project))
    assert files_in(tree.path) == before
    loud = subprocess.run([*CALLED, "-v"], input=json.dumps(event(project)).encode(), capture_output=True)
    assert loud.returncode == 0 and b"journal" in loud.stderr and files_in(tree.path) == before


@pytest.mark.processes
def test_errors_go_to_a_small_log(tree: Tree, project: Path, isolated: Path) -> None:
    (tree.path / "jobs" / f"{ORPHAN}.json").unlink()
    (tree.path / "jobs" / f"{ORPHAN}.json").mkdir()
    call(event(project))
    assert "is a directory" in (isolated / "journal" / "hook.log").read_text()


# --- where the directory is ----------------------------------------------------------------------------------------


def git(*arguments: str, cwd: Path) -> None:
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, env={**os.environ, **names})


@pytest.fixture
def repository(project: Path) -> Path:
    if not shutil.which("git"):
        pytest.skip("needs git")
    git("init", "-q", cwd=project)
    (project / "file").write_text("")
    git("add", ".", cwd=project)
    git("commit", "-qm", "x", cwd=project)
    return project


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["subdirectory", "worktree", "submodule", "symlink", "plain"])
def test_every_kind_of_checkout(repository: Path, tmp_path: Path, isolated: Path, kind: str) -> None:
    """The plugin asks git for the workspace; the hook finds the same one without."""
    if kind == "subdirectory":
        cwd = repository / "deep" / "er"
        cwd.mkdir(parents=True)
    elif kind == "worktree":
        cwd = tmp_path / "linked"
        git("worktree", "add", "-q", str(cwd), cwd=repository)
    elif kind == "submodule":
        (tmp_path / "super").mkdir()
        git("init", "-q", cwd=tmp_path / "super")
        git("submodule", "add", "-q", str(repository), "inner", cwd=tmp_path / "super")
        cwd = tmp_path / "super" / "inner"
    elif kind == "symlink":
        cwd = tmp_path / "link"
        cwd.symlink_to(repository)
    else:
        cwd = tmp_path / "no repository"
        cwd.mkdir()
    program = (
        "import sys, stateheal, os, signal\nwith stateheal.tracked_job(data_dir=sys.argv[1]): os.kill(os.getpid(), 9)"
    )
    data = isolated / "home/.claude/plugins/data/codex-openai-codex"
    killed = subprocess.run([sys.executable, "-c", program, str(data)], cwd=cwd)
    assert killed.returncode == -9
    said = call(event(cwd))
    assert said is not None and "codex" not in said["systemMessage"]
    (index,) = data.glob("state/*/state.json")
    assert [entry["phase"] for entry in json.loads(index.read_text())["jobs"]] == ["orphaned"]


# --- at once, and from a hostile place -----------------------------------------------------------------------------


@pytest.mark.processes
def test_several_hooks_at_once(tree: Tree, project: Path) -> None:
    data = json.dumps(event(project)).encode()
    children = [
        subprocess.Popen([*CALLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(data)
        child.stdin.close()
    said = []
    for child in children:
        assert child.stdout and child.stderr
        said.append(child.stdout.read())
        assert child.stderr.read() == b"" and child.wait(300) == 0
    assert len([each for each in said if each]) == 1
    assert tree.entry(ORPHAN)["phase"] == "orphaned"


@pytest.mark.processes
def test_beside_another_stateheal_it_lets_go_in_time(tree: Tree, project: Path) -> None:
    code = "import sys, time; from pathlib import Path; from stateheal.commit.lock import hold\n"
    code += "held = hold(Path(sys.argv[1])); print(1, flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(tree.path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    begun, before = time.monotonic(), files_in(tree.path)
    assert call(event(project)) is None
    waited = time.monotonic() - begun
    assert files_in(tree.path) == before
    holder.kill()
    holder.wait()
    begun = time.monotonic()
    assert call(event(project)) is not None
    assert waited < 2 + 3 * (time.monotonic() - begun), "the wait is short beside what a heal takes on this machine"


LONG = "600" if deadline._queued() is not None else "2"
"""Elsewhere nobody tells what it has only waited for: the handler's timeout alone ends a read that hangs."""


@pytest.mark.processes
@pytest.mark.parametrize(("timeout", "least", "most"), [(LONG, 1, 4), ("0.5", 0.4, 1)])
def test_the_deadline(tree: Tree, project: Path, timeout: str, least: float, most: float) -> None:
    """A read that hangs is left after a second of the hook's own, or before it would be ended; all is as it was."""
    before = files_in(tree.path)
    program = (
        "import os, time, sys, stateheal.hook.deadline as d, stateheal.hook.heal, stateheal.engine.workspace as v\n"
        "v.gather = lambda *_: time.sleep(600)\n"
        "began, end = time.monotonic(), os._exit\n"
        "def ended(status):\n"
        "    passed = time.monotonic() - began\n"
        "    os.write(2, f'{passed} {passed - (d._queued() or 0)}'.encode())\n"
        "    end(status)\n"
        "os._exit = ended\n"
        "from stateheal.__main__ import main; sys.argv[1:] = ['hook']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(event(project)).encode(),
        env={**os.environ, "STATEHEAL_HOOK_TIMEOUT": timeout},
        capture_output=True,
        timeout=300,
    )
    passed, own = map(float, done.stderr.split())
    assert (done.returncode, done.stdout) == (0, b"") and least <= passed and own < most
    assert files_in(tree.path) == before


@pytest.mark.parametrize(("given", "seconds"), [("", 5), ("2.5", 2.5), ("abc", 5), ("-1", 5), ("nan", 5), ("1e99", 5)])
def test_the_handlers_timeout(given: str, seconds: float) -> None:
    assert deadline._timeout({deadline.TIMEOUT: given}) == seconds


@pytest.mark.proc("what hides it is a sitecustomize, and would be run")
@pytest.mark.processes
def test_nothing_of_a_hostile_repository_is_run(tree: Tree, project: Path, tmp_path: Path) -> None:
    """Planted modules and programs in the current directory; the console script, and ``python -I -m stateheal``."""
    poison = f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__)\n"
    for name in (
        "json.py",
        "os.py",
        "re.py",
        "pathlib.py",
        "sitecustomize.py",
        "usercustomize.py",
        "psutil.py",
        "_json.py",
    ):
        (project / name).write_text(poison)
    (project / "stateheal").mkdir()
    (project / "stateheal" / "__init__.py").write_text(poison)
    (project / "stateheal" / "__main__.py").write_text(poison)
    git_program = project / "git"
    git_program.write_text(f"#!/bin/sh\necho git >> {tmp_path / 'ran'}\n")
    git_program.chmod(0o755)
    environ = {**os.environ, "PATH": f"{project}{os.pathsep}{os.environ['PATH']}"}
    script = Path(sys.executable).parent / "stateheal"
    plain = [sys.executable, "-m", "stateheal", "hook"]
    for command in ([str(script), "hook"], [sys.executable, "-I", *plain[1:]], plain):
        if command is plain:
            shutil.rmtree(project / "stateheal")  # against a planted package only -I helps
        if not Path(command[0]).exists():
            continue
        done = subprocess.run(
            command, input=json.dumps(event(project)).encode(), capture_output=True, cwd=project, env=environ
        )
        assert done.returncode == 0 and done.stderr == b""
    assert not (tmp_path / "ran").exists()
    if os.name == "nt":
        call(event(project))  # Wine is too slow for the others
    assert tree.entry(ORPHAN)["phase"] == "orphaned"


FORBIDDEN = (
    "__future__",
    "click",
    "rich",
    "jsonschema",
    "psutil",
    "importlib.metadata",
    "json",
    "re",
    "pathlib",
    "dataclasses",
    "typing",
)


def test_what_the_hook_looks_for_first_are_the_companions_names() -> None:
    assert (b"sessionstart", b"userpromptexpansion", *(name.encode() for name in NAMED)) == EVENTS


@pytest.mark.processes
@pytest.mark.parametrize("command", ["ls -la", LAUNCH])
def test_the_short_path_imports_next_to_nothing(command: str, project: Path, isolated: Path) -> None:
    tree = Tree(isolated / "home/.claude", project=str(project.resolve()))
    for number in range(3):
        tree.add(done(f"task-mnyhf4j{number}-1mnkv1"))
    given = event(project, tool_input={"command": command})
    bare = imported([sys.executable, "-X", "importtime", "-c", "pass"], b"")
    hook = imported([sys.executable, "-X", "importtime", "-m", "stateheal", "hook"], json.dumps(given).encode())
    new = hook - bare - {"runpy", "pkgutil", "importlib.util", "importlib", "importlib._abc", "importlib.machinery"}
    assert not {name.partition(".")[0] for name in new} & {*FORBIDDEN}, new
    assert {name for name in new if name.startswith("stateheal")} <= {
        "stateheal",
        "stateheal.__main__",
        "stateheal.hook",
        "stateheal.hook.main",
        "stateheal.hook.check",
        "stateheal.hook.launches",
        "stateheal.hook.places",
        "stateheal.hook.deadline",
        "stateheal.dialects",
        "stateheal.dialects.names",
        "stateheal.digests",
        "stateheal.imports",
        "stateheal.system",
        "stateheal.system.paths",
    }


NEEDED = "import contextlib, datetime, enum, functools, json, pathlib, re"
"""What the healing hook takes of the standard library, whatever that brings along in this version of Python."""
DEAR = (
    *("click", "rich", "jsonschema", "orjson", "platformdirs", "psutil", "referencing", "attr"),
    *("dataclasses", "inspect", "typing", "uuid", "hashlib", "copy", "signal", "subprocess", "socket", "ctypes"),
    *("tempfile", "shutil", "tarfile", "difflib", "tomllib", "tomli", "asyncio", "threading", "logging", "random"),
)
FOR_OTHERS = {
    *("stateheal.cli", "stateheal.runner", "stateheal.migrate", "stateheal.export", "stateheal.report.diff"),
    *("stateheal.formats.jsonsalvage", "stateheal.formats.jsondamage", "stateheal.evidence.schema_faults"),
    *("stateheal.commit.creation", "stateheal.commit.removal", "stateheal.commit.undo", "stateheal.model.page"),
    *("stateheal.diagnosis.vanished", "stateheal.diagnosis.proof", "stateheal.engine.parallel"),
    *("stateheal.diagnosis.rebuilding", "stateheal.diagnosis.turns", "stateheal.evidence.rollout"),
    *("stateheal.evidence.requested", "stateheal.fs.output", "stateheal.commit.manifest_input"),
    *("stateheal.commit.unfinished", "stateheal.commit.leftovers"),
}


@pytest.mark.processes
@pytest.mark.posix("the patience that Wine needs is told another way")
def test_a_healing_hook_imports_what_it_heals_with(tree: Tree, project: Path) -> None:
    start = "import sys; sys.argv[1:] = ['hook']; from stateheal.__main__ import main; main()"
    bare = imported([sys.executable, "-X", "importtime", "-c", NEEDED], b"")
    given = json.dumps(event(project)).encode()
    new = imported([sys.executable, "-X", "importtime", "-c", start], given, speaks=True) - bare
    assert tree.entry(ORPHAN)["phase"] == "orphaned"
    assert not {name for name in new if name.partition(".")[0] in DEAR}
    assert not new & FOR_OTHERS and len({name for name in new if name.startswith("stateheal")}) < 140


def imported(command: list[str], stdin: bytes, speaks: bool = False) -> set[str]:
    done = subprocess.run(command, input=stdin, capture_output=True)
    assert done.returncode == 0 and bool(done.stdout) == speaks
    return {line.rpartition(b"|")[2].strip().decode() for line in done.stderr.splitlines() if b"|" in line}


# --- the configuration ---------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_is_printed(name: str) -> None:
    done = subprocess.run([*HOOK, "--config", name], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, config_text(name))
    if name != "skill":
        hooks = json.loads(done.stdout)["hooks"]
        assert set(hooks) == {"PreToolUse", "UserPromptExpansion", "SessionStart"}
        assert hooks["PreToolUse"][0]["matcher"] == "Bash|PowerShell"
        assert "companion" in hooks["PreToolUse"][0]["hooks"][0]["if"]
    default = subprocess.run([*HOOK, "--config"], capture_output=True, text=True)
    assert default.stdout == config_text("plugin")


@pytest.mark.parametrize("name", NAMES)
def test_every_form_names_its_program_and_arguments_and_leaves_nothing_to_a_shell(name: str) -> None:
    """On Windows a shell would be Git Bash for some and PowerShell for others."""
    text = config_text(name)
    value = (
        json.loads(text.partition("hooks: ")[2].partition("\n")[0]) if name == "skill" else json.loads(text)["hooks"]
    )
    handlers = [handler for groups in value.values() for group in groups for handler in group["hooks"]]
    assert handlers and all(is_own(handler) and handler["args"][-1] == "hook" for handler in handlers)
    assert not any(" " in handler["command"] for handler in handlers)


def portable() -> list[str]:
    """What the plugin's hook starts, as Claude Code does it."""
    handler = json.loads(config_text("plugin"))["hooks"]["SessionStart"][0]["hooks"][0]
    return [shutil.which(handler["command"]) or handler["command"], *handler["args"]]


@pytest.mark.processes
@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_without_stateheal_the_plugins_form_says_nothing(tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(portable(), input=b"{}", capture_output=True, env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.processes
@pytest.mark.posix("a script as a program")
@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_the_plugins_form_starts_stateheal_with_its_own_streams(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/stateheal").write_text('#!/bin/sh\necho "$@"; pwd; cat\n')
    (tmp_path / "bin/stateheal").chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(portable(), input=b"{}", capture_output=True, env=environ, cwd=tmp_path)
    assert done.stdout.decode().splitlines() == ["hook", os.path.realpath(os.environ["HOME"]), "{}"]
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_sample_plugin_is_what_the_command_prints() -> None:
    plugin = PROJECT / "samples" / "claude-plugin"
    assert (plugin / "hooks" / "hooks.json").read_text() == config_text("plugin")
    manifest = json.loads((plugin / ".claude-plugin" / "plugin.json").read_text())
    (listed,) = json.loads((plugin / ".claude-plugin" / "marketplace.json").read_text())["plugins"]
    assert (listed["name"], listed["source"]) == (manifest["name"], "./") and manifest[
        "version"
    ] == stateheal.__version__
    skill = (plugin / "skills" / "heal" / "SKILL.md").read_text()
    assert skill.startswith("---\nname: heal\ndescription: ") and "stateheal heal --dry-run --cwd ." in skill


@pytest.mark.processes
@pytest.mark.skipif(
    not os.environ.get("STATEHEAL_TEST_CLAUDE"), reason="needs STATEHEAL_TEST_CLAUDE: the claude program"
)
def test_claude_code_accepts_the_sample_plugin(isolated: Path) -> None:
    command = [os.environ["STATEHEAL_TEST_CLAUDE"], "plugin", "validate", str(PROJECT / "samples" / "claude-plugin")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Validation passed" in done.stdout
