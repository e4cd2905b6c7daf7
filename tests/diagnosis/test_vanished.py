"""Where an absent project directory may be, if not gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stateheal.diagnosis.vanished import why_not_vanished
from stateheal.diagnosis.view import View, first_draft
from stateheal.engine.workspace import Auditor
from stateheal.evidence import absence
from stateheal.evidence.absence import look_above
from stateheal.evidence.discover import discover
from stateheal.evidence.schema import violations
from stateheal.fs.directory import open_directory
from stateheal.model.evidence import Absence
from stateheal.model.request import Settings
from tests.support import HOST, NATIVE_HOST, NOW, FakeProcesses, Tree, done, journal_in, world

DAY = 86400.0
THERE = Absence("/srv/projects", changed=NOW)
LOOKED_FOR = (
    ("/srv/projects/shop", THERE, None),
    ("/srv/projects/shop", THERE._replace(changed=NOW - DAY), "last changed"),
    ("/srv/projects/shop", THERE._replace(changed=None), None),
    ("/srv/projects/shop", THERE._replace(planned="/srv/projects"), "nothing is mounted on /srv/projects"),
    ("/workspaces/shop", Absence("/", True, NOW), "nothing of its path"),
    ("/Users/dev/shop", Absence("/", True, NOW), "nothing of its path"),
    ("/srv/projects/shop", Absence(None), "drive"),
    ("/media/dev/USB/shop", Absence("/media/dev", changed=NOW), "below /media"),
    ("/media/dev/USB/shop", Absence("/media/dev/USB", changed=NOW, mounted="/media/dev/USB"), None),
    ("/run/media/dev/USB/shop", Absence("/run", changed=NOW, mounted="/run"), "below /run/media"),
    ("/mnt/c/Users/dev/shop", Absence("/mnt", changed=NOW), "below /mnt"),
    ("/mnt/c/Users/dev/shop", Absence("/mnt/c/Users/dev", changed=NOW, mounted="/mnt/c"), None),
    ("/Volumes/Ext/shop", Absence("/Volumes", changed=NOW), "below /Volumes"),
    ("/net/host/shop", Absence("/net", changed=NOW, mounted="/net"), "below /net"),
    ("/mntx/shop", Absence("/mntx", changed=NOW), None),
    ("//wsl$/Ubuntu/home/dev/shop", Absence("/", True, NOW), "path of Windows"),
)
ON_WINDOWS = (
    ("C:\\srv\\shop", Absence("C:\\srv", changed=NOW), None),
    ("C:\\srv\\shop", Absence("C:\\srv", changed=NOW - DAY), "last changed"),
    ("D:\\srv\\shop", Absence(None), "drive"),
    ("C:\\workspaces\\shop", Absence("C:\\", True, NOW), "nothing of its path"),
    ("/home/dev/shop", Absence("C:\\", True, NOW), "path of another operating system"),
)


def view_of(tmp_path: Path, home: str, found: Absence | None, *, host: Any = HOST, assume: bool = False) -> View:
    tree = Tree(tmp_path / "tree", home)
    tree.add(done("task-shop0001", workspaceRoot=home))
    places = discover([tree.path])
    settings = Settings(assume_local=assume)
    processes = FakeProcesses(facts_of_host=host)
    auditor = Auditor(places, settings, world(processes), journal_in(tmp_path))
    (place,) = places.places
    with open_directory(place.directory) as directory:
        evidence = auditor.examine(place, directory, None, frozenset()).evidence
    object.__setattr__(evidence, "absence", found)
    return View(evidence, first_draft(evidence), settings, violations)


@pytest.mark.posix("its paths")
@pytest.mark.parametrize(("home", "found", "why"), LOOKED_FOR)
def test_what_may_be_elsewhere(tmp_path: Path, home: str, found: Absence, why: str | None) -> None:
    _check(tmp_path, home, found, why, HOST)


@pytest.mark.windows("its paths")
@pytest.mark.parametrize(("home", "found", "why"), ON_WINDOWS)
def test_what_may_be_elsewhere_on_windows(tmp_path: Path, home: str, found: Absence, why: str | None) -> None:
    _check(tmp_path, home, found, why, NATIVE_HOST)


def _check(tmp_path: Path, home: str, found: Absence, why: str | None, host: Any) -> None:
    said = why_not_vanished(view_of(tmp_path, home, found, host=host))
    assert said is None if why is None else why in str(said) and "--assume-local" in str(said)
    assert why_not_vanished(view_of(tmp_path, home, found, host=host, assume=True)) is None


@pytest.mark.posix("namespaces")
def test_from_inside_a_sandbox_nothing_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is outside it cannot be seen."""
    monkeypatch.setattr("stateheal.evidence.workspace.on_shared_storage", lambda directory: False)  # nor a tmpfs be one
    inside = HOST._replace(initial_namespace=False)
    said = why_not_vanished(view_of(tmp_path, "/srv/projects/shop", THERE, host=inside))
    assert "sandbox" in str(said)
    own = inside._replace(init_created=NOW - 9 * DAY, own_root=True)
    view = view_of(tmp_path, "/srv/projects/shop", THERE, host=own)
    object.__setattr__(view.evidence, "shared_storage", False)
    assert why_not_vanished(view) is None


def test_what_is_there_of_an_absent_path(tmp_path: Path) -> None:
    real = tmp_path.resolve()
    (real / "a").mkdir()
    found = look_above(str(real / "a" / "b" / "c"))
    assert (found.nearest, found.is_root, found.planned) == (str(real / "a"), False, None)
    assert found.changed == (real / "a").stat().st_mtime
    (real / "f").write_text("")
    assert look_above(str(real / "f" / "x")).nearest == str(real)


@pytest.mark.links("a directory")
def test_of_a_link_that_leads_nowhere_its_goal_is_absent(tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to(tmp_path / "away" / "x")
    assert look_above(str(tmp_path / "l")).nearest == str(tmp_path.resolve())


@pytest.mark.posix("a table of file systems")
def test_what_the_systems_own_table_would_have_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path.resolve()
    (real / "a").mkdir()
    table = real / "fstab"
    table.write_text(
        f"# {real}/a/b ext4\nnas:/x {real}/a nfs noauto 0 0\n\n/dev/x / ext4\n/dev/y /with\\040space ext4\n"
    )
    monkeypatch.setattr(absence, "_TABLE", str(table))
    assert look_above(str(real / "a" / "b")).planned == str(real / "a")
    assert look_above("/with space/b").planned == "/with space"
    assert look_above("/no-such-directory/b").is_root


def test_something_mounted_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = str(tmp_path.resolve())
    monkeypatch.setattr("os.path.ismount", lambda path: path == real)
    assert look_above(f"{real}/gone/x").mounted == real
