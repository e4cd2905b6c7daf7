"""A command line in the test's own process: what it printed and returned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stateheal import cli


@dataclass
class Said:
    """What a command printed and returned."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("COLUMNS", "80")

    def call(*args: str | Path, columns: int = 80) -> Said:
        monkeypatch.setenv("COLUMNS", str(columns))
        status = cli.run([str(arg) for arg in args])
        return Said(status, *capfd.readouterr())

    return call
