"""Short versions of the stress tests: killed at any operation, beside a live writer (long ones: ``tests/stress/``)."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from stateheal.commit import watch
from stateheal.engine.commands import undo
from stateheal.errors import JournalError
from tests.stress import every_call
from tests.stress.kill_points import (
    build,
    check_old_or_new,
    copy_of,
    enumerate_kills,
    fail_at,
    run_heal,
    undo_all,
    without_ours,
)
from tests.stress.live_writer import heal_beside, replace_beside
from tests.stress.random_kills import rounds
from tests.support import files_in, journal_in

pytestmark = [pytest.mark.processes, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


def test_killed_at_every_disk_operation_nothing_is_lost(tmp_path: Path) -> None:
    points = enumerate_kills(tmp_path, 1, ("before", "half"))
    assert points["heal"] > 50 and points["undo"] > 50


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_whatever_operation_fails_the_rest_is_done_and_nothing_is_half_written(tmp_path: Path, number: int) -> None:
    """One clear line, exit status 3 or everything healed after all, each file old or new, no leftovers."""
    pristine = build(tmp_path / "pristine", 2)
    old = files_in(pristine.root)
    clean = copy_of(pristine, tmp_path / "clean")
    run_heal(clean)
    new, failures = files_in(clean.root), 0
    for count in range(1, 400):
        tree = copy_of(pristine, tmp_path / "work")
        restore = fail_at(count, number)
        try:
            report = run_heal(tree)
        finally:
            restore()
        check_old_or_new(without_ours(files_in(tree.root)), old, new)
        assert not [error.message for error in report.errors if "internal" in error.message or "\n" in error.message]
        failures += report.exit_status == 3
        run_heal(tree)
        assert without_ours(files_in(tree.root)).keys() == new.keys()
        if report.exit_status == 0 and files_in(tree.root) == new and count > 100:
            break
    assert failures > 30


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_whatever_operation_fails_an_undo_is_whole_or_not_at_all(tmp_path: Path, number: int) -> None:
    """Each workspace is as it was before the run, or as the run left it, but for the last lines of logs."""
    pristine = build(tmp_path / "pristine", 1)
    old, refused = files_in(pristine.root), 0
    for count in range(1, 400):
        tree = copy_of(pristine, tmp_path / "work")
        run_heal(tree)
        healed = files_in(tree.root)
        restore = fail_at(count, number)
        try:
            report = undo(journal=journal_in(tmp_path / "work"))
        except JournalError:
            report = None
        finally:
            restore()
        now = without_ours(files_in(tree.root))
        assert now in (old, healed), [name for name in healed if now.get(name) != healed[name]]
        refused += report is None or report.exit_status != 0
        if now == healed:
            assert undo(journal=journal_in(tmp_path / "work")).exit_status == 0
        undo_all(tree)
        assert files_in(tree.root) == old
        if report is not None and report.exit_status == 0 and count > 80:
            break
    assert refused > 20


def test_sequences_of_killed_heals_and_undos_lead_back(tmp_path: Path) -> None:
    counted = rounds(tmp_path, 12, seed=3)
    assert counted["heal killed"] and counted["undo killed"]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("case", every_call.CASES, ids=lambda case: case.name)
def test_system_calls_that_fail_or_are_the_last(tmp_path: Path, case: every_call.Case) -> None:
    """A few of them; ``python -m tests.stress.every_call`` goes through them all."""
    looked = list(every_call.every_point(case, tmp_path, slice(1, None, 37), ("EIO", "KILL")))
    assert looked and not [each for each in looked if each[2]]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("case", every_call.CASES, ids=lambda case: case.name)
def test_reads_that_fail(tmp_path: Path, case: every_call.Case) -> None:
    """A few of them; ``python -m tests.stress.every_call --reads`` goes through them all."""
    looked = list(every_call.every_point(case, tmp_path, slice(5, None, 61), ("EIO",), reads=True))
    assert looked and not [each for each in looked if each[2]]


@pytest.mark.leases("without them a window of microseconds is left")
def test_a_live_writer_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LONGER", 0.02)  # as it is outside tests
    whole, alone = heal_beside(tmp_path, 300, 0.01), replace_beside(tmp_path, 600, 0.004)
    for result in (whole, alone):
        assert result["lost"] == 0, result
        assert result["leftovers"] == []
    assert whole["called_torn"] == 0 and whole["healed"] >= 1
    assert alone["swaps"] > 50, "it was really replaced beside the writer"
