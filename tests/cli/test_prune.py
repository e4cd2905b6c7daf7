"""``stateheal prune``: into one archive, then gone, and undoable; never what lives."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tarfile
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from stateheal.commit.manifest_input import folder_in
from stateheal.commit.removal import Removal
from stateheal.commit.replacement import Replacement
from stateheal.commit.swap import Swap
from stateheal.engine import prune
from stateheal.errors import WriteError
from stateheal.evidence.schema import violations
from stateheal.formats.times import format_time
from stateheal.fs.directory import Directory
from stateheal.text import quoted
from tests.commit.test_swap import ACL, give
from tests.support import Tree, done, files_in, job
from tests.workers import WAITS, gone_pid, running, script, worker

pytestmark = pytest.mark.processes


def ended(days: float) -> dict[str, str]:
    moment = format_time(time.time() - days * 86400)
    return {"createdAt": moment, "startedAt": moment, "completedAt": moment, "updatedAt": moment}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A project that is gone."""
    home = str(tmp_path / "gone")
    return Tree(tmp_path / "tree", home).add(done("task-1", workspaceRoot=home, **ended(3)))


def test_what_is_left_of_a_vanished_project_goes_into_one_archive(run: Any, tree: Tree) -> None:
    before = files_in(tree.root)
    said = run("prune", "--gone", "--older-than", "720h", "-n", tree.root)
    assert said.status == 1 and "would go" in said.out and files_in(tree.root) == before
    *_, following = said.out.splitlines()
    assert following == f"  stateheal prune --gone --older-than 30d {quoted(str(tree.root))}"
    said = run(*following.replace(chr(34), "").split()[1:])
    assert said.status == 0 and not tree.path.exists(), said
    (packed,) = Path(os.environ["STATEHEAL_STATE_DIR"]).glob("archives/*.tar.gz")
    with tarfile.open(packed) as archive:
        held = {name.partition("/")[2]: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    assert held == {name.partition(f"{tree.path.name}/")[2]: data for name, data in before.items()}
    assert run("undo").status == 0 and files_in(tree.root) == before


def test_a_second_name_that_would_not_go_at_once_goes_before_the_directory(
    run: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its index nobody would find the workspace again."""
    refused, unlink = set[str](), Directory.unlink

    def once(self: Directory, name: str) -> None:
        if name not in refused:
            refused.add(name)
            raise OSError(5, "Input/output error", name)
        unlink(self, name)

    monkeypatch.setattr(Directory, "unlink", once)
    assert run("prune", "--gone", tree.root).status == 0
    assert len(refused) == 3 and not tree.path.exists()


def test_a_project_that_is_there_is_left(run: Any, tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    before = files_in(tree.root)
    assert "Nothing to remove" in run("prune", "--gone", tree.root).out and files_in(tree.root) == before


def test_a_live_job_and_a_brokers_file_are_named_and_left(run: Any, tree: Tree, tmp_path: Path) -> None:
    ident = f"task-prune{os.getpid()}"
    with worker(tmp_path, ident) as process:
        tree.add(job(ident, pid=process.pid, workspaceRoot=tree.project))
        before = files_in(tree.root)
        said = run("prune", "--gone", tree.root)
        assert said.status == 1 and ident in said.out and files_in(tree.root) == before
    other = Tree(tree.root, str(tmp_path / "gone2"))
    other.add(done("task-2", workspaceRoot=other.project, **ended(3)))
    (other.path / "broker.json").write_text(json.dumps({"endpoint": f"unix:{tmp_path}/b", "pid": os.getpid()}))
    said = run("prune", "--gone", other.path)
    assert said.status == 1 and "stop --broker" in said.out and (other.path / "broker.json").exists()


@pytest.mark.parametrize(
    "registry",
    [
        [{"dir": "/tmp/codex-companion-x", "token": "another", "pid": 0}],
        [{"dir": "/tmp/codex-companion-x", "token": "{token}"}],
        {"sessions": {"a": {"broker": {"endpoint": "unix:/{token}/broker.sock"}}}},
        {"holder": {"pid": "0"}},
    ],
    ids=["its pid", "its token", "its endpoint", "a text for a pid"],
)
def test_a_file_that_alone_names_a_live_process_keeps_the_workspace(
    run: Any, tree: Tree, tmp_path: Path, registry: Any
) -> None:
    """The registry of brokers that a fork keeps beside broker.json, and whatever is like it."""
    token = f"token-{os.getpid()}"
    words = ("serve", "--endpoint", f"unix:/{token}/broker.sock", "--launch-token", token)
    with running(script(tmp_path, "app-server-broker.mjs", WAITS), *words) as process:
        said_so = json.dumps(registry).replace("{token}", token)
        said_so = re.sub(r'"pid": ("?)0"?', rf'"pid": \g<1>{process.pid}\g<1>', said_so)
        (tree.path / "broker-sessions.json").write_text(said_so)
        before = files_in(tree.root)
        said = run("prune", "--gone", tree.root)
        assert said.status == 1 and f"names process {process.pid}, which lives" in said.out, said
        assert files_in(tree.root) == before
    assert run("prune", "--gone", tree.root).status == 0 and not tree.path.exists()


def test_a_file_that_names_an_endpoint_that_answers_keeps_the_workspace(run: Any, tree: Tree, tmp_path: Path) -> None:
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("no such sockets here")
    place = Path(tempfile.mkdtemp(dir="/tmp")) / "b.sock"  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        (tree.path / "other-broker.json").write_text(json.dumps({"endpoint": f"unix:{place}"}))
        said = run("prune", "--gone", tree.root)
        assert (
            said.status == 1 and "other-broker.json names an endpoint that answers" in said.out and tree.path.exists()
        )
    shutil.rmtree(place.parent)
    assert run("prune", "--gone", tree.root).status == 0 and not tree.path.exists()


def test_finished_jobs_that_are_old_enough_go(run: Any, tmp_path: Path) -> None:
    home = tmp_path / "there"
    home.mkdir()
    made = Tree(tmp_path / "tree", str(home))
    made.add(done("task-old", workspaceRoot=str(home), **ended(40)))
    made.add(done("task-new", workspaceRoot=str(home), **ended(3)))
    before = files_in(made.root)
    said = run("prune", "--older-than", "30d", made.root, "--format", "json")
    assert said.status == 0 and violations("report", said.json) == ()
    assert said.json["pruned"][0]["jobs"] == ["task-old"]
    assert [entry["id"] for entry in made.read_index()["jobs"]] == ["task-new"]
    assert sorted(path.name for path in (made.path / "jobs").iterdir()) == ["task-new.json", "task-new.log"]
    assert run("audit", made.root).status == 0
    assert run("undo").status == 0 and files_in(made.root) == before


@pytest.mark.parametrize("count", range(5))
def test_ended_after_any_file_the_next_run_leaves_nothing_of_a_job(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    home = tmp_path / "here"
    home.mkdir()
    tree = Tree(tmp_path / "tree", str(home))
    for number in (1, 2):
        tree.add(done(f"task-{number}", workspaceRoot=str(home), **ended(40)))
    real, left = Swap.perform, iter(range(count))

    def perform(self: Swap) -> None:
        if next(left, None) is None:
            raise WriteError("as if it had been ended here")
        real(self)

    with monkeypatch.context() as patched:
        for kind in (Replacement, Removal):
            patched.setattr(kind, "perform", perform)
        assert run("prune", "--older-than", "30d", tree.root).status == 1
    assert run("prune", "--older-than", "30d", tree.root).status == 0
    assert [path.name for path in (tree.path / "jobs").iterdir()] == [] and tree.read_index()["jobs"] == []


def test_usage(run: Any, tree: Tree) -> None:
    assert run("prune", tree.root).status == 2


@pytest.mark.proc("/dev/fd, which is Linux's /proc")
def test_more_workspaces_than_a_process_may_open_go_at_once(run: Any, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    for number in range(60):
        home = str(tmp_path / f"gone-{number}")
        Tree(tmp_path / "tree", home).add(done("task-1", workspaceRoot=home, **ended(3)))
    before = files_in(tmp_path / "tree")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 40, hard))
    try:
        said = run("prune", "--gone", tmp_path / "tree")
        assert said.status == 0 and "60 workspaces" in said.out and not files_in(tmp_path / "tree"), said
        assert run("undo").status == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert files_in(tmp_path / "tree") == before


def test_a_job_that_comes_to_life_while_it_is_packed_keeps_its_files(
    run: Any, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a project that is gone all goes: its dead jobs are judged afresh before the first file does."""
    ident = f"task-risen{os.getpid()}"
    tree.add(job(ident, pid=gone_pid(), workspaceRoot=tree.project, **ended(3)))
    before = files_in(tree.root)
    packed = prune._pack
    with ExitStack() as stack:

        def pack(*args: Any) -> str:
            path = packed(*args)
            stack.enter_context(worker(tmp_path, ident))
            return path

        monkeypatch.setattr(prune, "_pack", pack)
        said = run("prune", "--gone", tree.root)
    assert said.status == 1 and ident in said.out and files_in(tree.root) == before, said


def test_what_may_be_a_containers_project_is_left_however_old_it_is(run: Any, tmp_path: Path) -> None:
    """Seen from the host: its directory is not here, and its logs are recorded where it has them."""
    log = "/home/node/.claude/plugins/data/codex-openai-codex/state/x/jobs/task-1.log"
    for name, days in (("shop", 0.5), ("till", 30)):
        made = Tree(tmp_path / "tree", f"/workspaces/{name}")
        made.add(done("task-1", workspaceRoot=made.project, logFile=log, **ended(days)))
    before = files_in(tmp_path / "tree")
    said = run("prune", "--gone", tmp_path / "tree")
    assert said.status == 1 and said.out.count("may be a container's") == 2 and files_in(tmp_path / "tree") == before
    assert "/workspaces/shop: left alone" in said.out
    assert run("prune", "--gone", "--assume-local", tmp_path / "tree").status == 0
    assert not files_in(tmp_path / "tree")


FORMS = {
    "two words": ("codex-companion.mjs", "task-worker", "--job-id", "{}"),
    "one word": ("codex-companion.mjs", "task-worker", "--cwd", "/x", "--job-id={}"),
    "behind the worker": ("gemini-companion.mjs", "task-worker", "{}"),
    "another option": ("x-companion.mjs", "_run-worker", "--job", "{}"),
    "a worker's script": ("job-worker.mjs", "{}"),
    "the record's path": ("job-worker.mjs", "/state/jobs/{}.json"),
    "one text": ("run-in", "docker exec c sh -c 'node x-companion.mjs task-worker --job-id {}'"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("how", [("--gone",), ("--older-than", "1d")])
def test_a_job_that_ended_by_its_record_and_that_a_process_works_on_is_left(
    run: Any, tree: Tree, tmp_path: Path, form: tuple[str, ...], how: tuple[str, ...]
) -> None:
    ident = f"task-still{os.getpid()}"
    tree.add(done(ident, workspaceRoot=tree.project, status="cancelled", phase="cancelled", **ended(3)))
    name, *words = (word.format(ident) for word in form)
    before = files_in(tree.root)
    with running(script(tmp_path, name, WAITS), *words):
        said = run("prune", *how, tree.root)
        left = {path: data for path, data in files_in(tree.root).items() if ident in path}
    assert left == {path: data for path, data in before.items() if ident in path}, said
    if how == ("--gone",):
        assert said.status == 1 and ident in said.out and files_in(tree.root) == before


@pytest.mark.parametrize("status", ["paused", "awaiting_input", "scheduled", "cancelling"])
def test_a_job_of_a_status_that_is_unknown_has_not_ended(run: Any, tree: Tree, status: str) -> None:
    tree.add(done("task-waits", workspaceRoot=tree.project, status=status, phase=status, **ended(40)))
    before = files_in(tree.root)
    run("prune", "--older-than", "30d", tree.root)
    assert files_in(tree.root) == before


@pytest.mark.parametrize("fields", [{"pid": 0}, {"agentPid": 0}, {"worker": {"pid": 0}}], ids=str)
@pytest.mark.parametrize("status", ["cancelled", "completed", "stalled"])
def test_an_ended_record_that_names_a_live_process_is_left(
    run: Any, tree: Tree, tmp_path: Path, fields: dict[str, Any], status: str
) -> None:
    """Where the process has begun since, the pid was given to another and the record goes."""
    with running(script(tmp_path, "agent.py", WAITS)) as process:
        said_so = json.loads(json.dumps(fields).replace(": 0", f": {process.pid}"))
        tree.add(done("task-named", workspaceRoot=tree.project, status=status, **ended(0), **said_so))
        said = run("prune", "--gone", tree.root)
        assert said.status == 1 and "task-named may live" in said.out and tree.path.exists(), said
        for path in sorted(tree.path.rglob("*")):
            path.write_text(path.read_text().replace(ended(0)["createdAt"][:10], "2026-01-02")) if path.is_file() else 0
            os.utime(path, (1767312000, 1767312000))
        assert run("prune", "--gone", tree.root).status == 0 and not tree.path.exists()


def test_a_live_job_that_only_a_torn_file_tells_of_is_left(run: Any, tree: Tree, tmp_path: Path) -> None:
    ident = f"task-torn{os.getpid()}"
    (tree.path / "jobs" / f"{ident}.json").write_text('{"id": "' + ident + '", "status": "running", "workspa')
    with worker(tmp_path, ident):
        said = run("prune", "--gone", tree.root)
        assert said.status == 1 and ident in said.out and tree.path.exists()
        (tree.path / "state.json").write_text("{")
        said = run("prune", "--gone", tree.root)
        assert said.status == 1 and "heal" in said.out and tree.path.exists()


def test_a_project_that_has_not_gone_from_where_it_was_is_left(run: Any, tmp_path: Path) -> None:
    """An empty mount point: nothing was removed from it since the project's last job."""
    made = Tree(tmp_path / "tree2", f"{tmp_path}/usb/shop")
    made.add(done("task-2", workspaceRoot=made.project, **ended(3)))
    mount = tmp_path / "usb"
    mount.mkdir()
    os.utime(mount, (time.time() - 9 * 86400,) * 2)
    said = run("prune", "--gone", made.root)
    assert said.status == 1 and f"{mount} last changed" in said.out and made.path.exists()
    (mount / "shop").mkdir()
    (mount / "shop").rmdir()
    assert run("prune", "--gone", made.root).status == 0 and not made.path.exists()


def test_a_project_that_may_not_be_looked_for_is_not_gone(
    run: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.stat

    def stat(path: Any, **more: Any) -> os.stat_result:
        if path == tree.project:
            raise PermissionError(13, "Permission denied")
        return really(path, **more)

    monkeypatch.setattr(os, "stat", stat)
    assert "Nothing to remove" in run("prune", "--gone", tree.root).out and tree.path.exists()
    assert "gone-workspace" not in run("audit", tree.root).out


@pytest.mark.skipif(os.name != "posix", reason="modes and owners are POSIX's")
@pytest.mark.parametrize(("mode", "jobs_mode"), [(0o700, 0o700), (0o2750, 0o1700), (0o755, 0o500)])
def test_undo_gives_the_directories_their_modes_and_owners(run: Any, tree: Tree, mode: int, jobs_mode: int) -> None:
    folders = (tree.path, tree.path / "jobs")
    for path, wanted in zip(folders, (mode, jobs_mode), strict=True):
        if os.geteuid() == 0:
            os.chown(path, 1234, 1235)
        path.chmod(wanted if os.geteuid() == 0 else wanted | 0o700)

    def facts() -> list[tuple[int, int, int]]:
        return [(info.st_mode, info.st_uid, info.st_gid) for info in (path.stat() for path in folders)]

    before, files = facts(), files_in(tree.root)
    assert run("prune", "--gone", tree.root).status == 0 and not tree.path.exists()
    assert run("undo").status == 0 and facts() == before and files_in(tree.root) == files


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="needs extended attributes")
def test_undo_gives_the_directories_their_access_lists(run: Any, tree: Tree) -> None:
    """The default list of a directory is for what is made in it: its files come back without it all the same."""

    def facts() -> dict[str, tuple[int, dict[str, bytes]]]:
        paths = [tree.path, *tree.path.rglob("*")]
        return {str(p): (p.stat().st_mode, {n: os.getxattr(p, n) for n in os.listxattr(p)}) for p in paths}

    for folder, name in ((tree.path, "system.posix_acl_default"), (tree.path / "jobs", "system.posix_acl_access")):
        give(folder, name, ACL)
    give(tree.path, "user.note", b"\0keep")
    before = facts()
    assert run("prune", "--gone", tree.root).status == 0 and not tree.path.exists()
    assert run("undo").status == 0 and facts() == before


@pytest.mark.parametrize(
    "attributes",
    [{"trusted.x": "AA=="}, {"security.capability": "AA=="}, {"user.x": 1}, {"user.x": "A"}, ["user.x"]],
)
def test_attributes_of_directories_that_no_run_wrote_are_not_given(attributes: Any) -> None:
    told = {"mode": 0o700, "uid": 1, "gid": 2}
    assert folder_in({"folders": {"": told}}, "") == (0o700, 1, 2, None)
    assert folder_in({"folders": {"": {**told, "attributes": attributes}}}, "") is None
