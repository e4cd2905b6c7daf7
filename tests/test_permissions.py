"""Owners, modes and directories that do not let us: as root over another user's tree, and as nobody over root's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stateheal.engine.api import audit, heal, settings_of
from stateheal.errors import StatehealError
from stateheal.migrate.commands import Options, migrate, pairs_between, root_named
from stateheal.model.problems import Problem
from stateheal.model.report import Report
from tests.support import Tree, done, files_in, job, journal_in, world

NOBODY = 65534
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for parent in (tmp_path, *tmp_path.parents):
        if not parent.stat().st_mode & 0o001:  # pytest's own, closed to others
            parent.chmod(0o755)
    return Tree(tmp_path / "tree").add(job("task-1")).add(done("task-2"))


def own(tree: Tree, user: int) -> None:
    for path in (tree.root, *tree.root.rglob("*")):
        os.chown(path, user, user)


def as_nobody(folder: Path, work: Callable[[], Report]) -> tuple[int, str]:
    """Do the work in a child that has given up being root: its exit status, and its first error."""
    home = folder / "nobody"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            report = work()
            os.write(writer, f"{report.exit_status} {report.errors[0].message if report.errors else ''}".encode())
        except BaseException as error:  # must not go on as a second pytest
            os.write(writer, f"-1 {error!r}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        status, _, error = pipe.read().partition(" ")
    os.wait()
    return int(status), error


def test_root_leaves_every_owner(tree: Tree, tmp_path: Path) -> None:
    own(tree, 1234)
    assert heal([tree.root], world=world(), journal=journal_in(tmp_path)).healed == 1
    assert {path.stat().st_uid for path in tree.path.rglob("*")} == {1234}


def test_anothers_files_are_refused_before_the_first_write(tree: Tree, tmp_path: Path) -> None:
    own(tree, NOBODY)
    os.chown(tree.path / "state.json", 1234, 1234)
    before = files_in(tree.path)
    journal = journal_in(tmp_path / "nobody")
    status, error = as_nobody(tmp_path, lambda: heal([tree.root], world=world(), journal=journal))
    assert status == 3 and "belongs to another user" in error
    assert files_in(tree.path) == before


@pytest.mark.parametrize("locked", ["", "jobs"])
def test_a_directory_without_write_permission(tree: Tree, tmp_path: Path, locked: str) -> None:
    own(tree, NOBODY)
    os.chown(tree.path / locked, 0, 0)
    (tree.path / locked).chmod(0o755)
    before = files_in(tree.path)
    journal = journal_in(tmp_path / "nobody")
    status, error = as_nobody(tmp_path, lambda: heal([tree.root], world=world(), journal=journal))
    assert status == 3 and "Permission denied" in error and "\n" not in error
    assert not [name for name in files_in(tree.path) if ".stateheal" in name]
    if locked == "jobs":
        assert files_in(tree.path) == before


@pytest.mark.parametrize("mode", [0o000, 0o600])
def test_a_file_that_may_not_be_read_is_named(tree: Tree, tmp_path: Path, mode: int) -> None:
    (tree.path / "jobs/task-1.json").chmod(mode)
    status, error = as_nobody(tmp_path, lambda: audit([tree.root], world=world(), journal=journal_in(tmp_path / "x")))
    assert status == 3 and error == "cannot be read: Permission denied"


@pytest.mark.parametrize("where", ["plugins/data/codex-openai-codex", "plugins/data/codex-openai-codex/state/demo"])
def test_what_cannot_be_looked_into_is_named(tree: Tree, tmp_path: Path, where: str) -> None:
    (path,) = tree.root.glob(where + ("-*" if where.endswith("demo") else ""))
    path.chmod(0o000)
    config = tree.root / "plugins" / "data"
    status, error = as_nobody(tmp_path, lambda: audit([config], world=world(), journal=journal_in(tmp_path / "x")))
    assert status == 3 and "cannot be looked into: Permission denied" in error


def test_anothers_open_directory_in_the_temp_root_is_refused(tmp_path: Path) -> None:
    root = Path(tempfile.gettempdir()) / "codex-companion"
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    tree.state.rename(root)
    (workspace,) = root.iterdir()
    os.chown(workspace, 1234, 1234)
    workspace.chmod(0o777)
    report = heal([root], world=world(), journal=journal_in(tmp_path))
    assert report.workspaces == 0 and report.exit_status == 3 and "left alone" in report.errors[0].message
    workspace.chmod(0o755)
    # The tree has moved, so that its records could be another system's.
    local = settings_of(assume_local=True)
    assert heal([root], settings=local, world=world(), journal=journal_in(tmp_path)).healed == 1


# --- a migration tells what it could not look into -----------------------------------------------------------------


def test_a_migration_of_a_root_that_cannot_be_listed(tree: Tree, tmp_path: Path) -> None:
    tree.state.chmod(0)
    target = tmp_path / "nobody" / "codex-companion"
    status, error = as_nobody(tmp_path, lambda: migrate(pairs_between(str(tree.state), str(target)), Options()))
    assert status == 3 and "Permission denied" in error


def test_a_migration_of_a_workspace_that_cannot_be_opened(tree: Tree, tmp_path: Path) -> None:
    tree.path.chmod(0)
    target = tmp_path / "nobody" / "codex-companion"
    status, error = as_nobody(tmp_path, lambda: migrate(pairs_between(str(tree.state), str(target)), Options()))
    assert status == 3 and "cannot be looked into: Permission denied" in error


@pytest.mark.parametrize("name", ["", "plugins", "plugins/data", "plugins/data/codex-openai-codex"])
def test_a_root_that_cannot_be_known_is_no_usage_error(tree: Tree, tmp_path: Path, name: str) -> None:
    (tree.root / name).chmod(0)

    def work() -> Report:
        try:
            root_named(str(tree.state.parent), {})
            return migrate(pairs_between(str(tree.root), str(tmp_path / "nobody/codex-companion")), Options())
        except StatehealError as error:
            return Report("migrate", errors=(Problem("", f"{error.exit_status} {error}"),))

    status, error = as_nobody(tmp_path, work)
    assert status == 3 and "Permission denied" in error and not error.startswith("2")


def test_a_user_without_a_home(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody in a container whom no passwd file knows, and no ``$HOME``: nothing is there, and that is said."""
    for name in ("HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("tests.test_permissions.NOBODY", 54321)
    monkeypatch.chdir(tmp_path)
    status, error = as_nobody(tmp_path, lambda: audit(world=world(), journal=journal_in(tmp_path / "nobody")))
    assert (status, error) == (0, "")
