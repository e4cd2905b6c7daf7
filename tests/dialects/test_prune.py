"""``prune`` takes a job's files wherever its companion keeps them, and ``undo`` gives them back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stateheal.engine.api import audit
from stateheal.engine.commands import undo
from stateheal.engine.prune import Pruning, prune
from stateheal.model.request import Request, Settings
from tests.dialects.forks import FORKS_OF
from tests.dialects.layout import NOW, Laid, lay_out
from tests.support import NATIVE_HOST, FakeProcesses, files_in, world

UNSEEN = {"CBEPX-codex", "bbingz-kimi", "handong66-opencode", "sky-zhang01-glm"}
"""Their own code was not seen to take what others write."""
NAMES = sorted(FORKS_OF.keys() - UNSEEN - {"wubq511-agy"})


def pruned(laid: Laid, *, gone: bool, older_than: float | None) -> Pruning:
    settings = Settings(assume_local=True)
    table = world(FakeProcesses(facts_of_host=NATIVE_HOST._replace(now=NOW, boot_time=NOW - 30 * 86400)))
    return prune(
        Request((str(laid.data),), settings=settings), gone=gone, older_than=older_than, dry_run=False, world=table
    )


def own_names(laid: Laid, ids: tuple[str, ...]) -> Iterator[str]:
    """The names that a finished job's record, log and answer have."""
    for name in files_in(laid.state):
        parts = Path(name).parts
        if parts[0] == "jobs" and any(part in (i, f"{i}.json", f"{i}.log") for part in parts[1:] for i in ids):
            yield name


def check_undo(before: dict[str, bytes], laid: Laid) -> None:
    report = undo(world=world())
    assert not report.errors and files_in(laid.state) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_job_goes_with_its_files(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    before = files_in(laid.state)
    (told,) = pruned(laid, gone=False, older_than=3600.0).places
    assert told.refusal is None and told.jobs
    assert list(own_names(laid, told.jobs)) == []
    assert [path for path in (laid.state / "jobs").glob("*") if path.is_dir()] == []
    assert [each for each in laid.report(audit).findings if each.job in told.jobs] == []
    check_undo(before, laid)


@pytest.mark.parametrize("name", sorted(UNSEEN))
def test_an_index_is_not_written_whose_companion_may_not_read_it(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    before = files_in(laid.state)
    (told,) = pruned(laid, gone=False, older_than=3600.0).places
    assert told.refusal is not None and "has not been seen" in told.refusal and files_in(laid.state) == before


@pytest.mark.parametrize("name", ["unlikelyzero-agy", "openai", "YellowVita-agy", "sendbird", "xai-grok-build"])
def test_a_workspace_goes_with_all_its_directories(name: str, tmp_path: Path) -> None:
    laid = lay_out(name, "healthy", tmp_path)
    before = files_in(laid.state)
    laid.project.rmdir()
    (told,) = pruned(laid, gone=True, older_than=None).places
    assert told.refusal is None and told.whole and not laid.state.exists()
    check_undo(before, laid)


@pytest.mark.posix("modes")
def test_a_directory_of_a_job_comes_back_as_it_was(tmp_path: Path) -> None:
    laid = lay_out("unlikelyzero-agy", "healthy", tmp_path)
    (folder,) = (path for path in (laid.state / "jobs").iterdir() if path.is_dir())
    folder.chmod(0o750)
    pruned(laid, gone=False, older_than=3600.0)
    assert not folder.exists()
    assert not undo(world=world(), dry_run=True).errors and not folder.exists()
    assert not undo(world=world()).errors and folder.stat().st_mode & 0o777 == 0o750


@pytest.mark.links("a link is what it is about")
def test_what_stands_in_a_jobs_directory_and_is_no_file_keeps_the_job(tmp_path: Path) -> None:
    laid = lay_out("unlikelyzero-agy", "healthy", tmp_path)
    (folder,) = (path for path in (laid.state / "jobs").iterdir() if path.is_dir())
    (tmp_path / "mine").write_text("mine")
    (folder / "link").symlink_to(tmp_path / "mine")
    before = files_in(laid.state)
    (told,) = pruned(laid, gone=False, older_than=3600.0).places
    assert told.refusal is not None and "link" in told.refusal and files_in(laid.state) == before
