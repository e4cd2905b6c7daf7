"""Short versions of the stress tests: killed at any operation, beside a live writer (long ones: ``tests/stress/``)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.stress.kill_points import enumerate_kills
from tests.stress.live_writer import heal_beside, replace_beside

pytestmark = [pytest.mark.processes, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


def test_killed_at_every_disk_operation_nothing_is_lost(tmp_path: Path) -> None:
    points = enumerate_kills(tmp_path, 1, ("before", "half"))
    assert points["heal"] > 50 and points["undo"] > 50


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="without leases a window of microseconds is left")
def test_a_live_writer_loses_nothing(tmp_path: Path) -> None:
    whole, alone = heal_beside(tmp_path, 300, 0.01), replace_beside(tmp_path, 600, 0.004)
    for result in (whole, alone):
        assert result["lost"] == 0, result
        assert result["leftovers"] == []
    assert whole["called_torn"] == 0 and whole["healed"] >= 1
    assert alone["swaps"] > 50, "it was really replaced beside the writer"
