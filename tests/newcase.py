"""Makes the directory of a new case: ``python -m tests.newcase RULE``, and again when ``before/`` shows the damage.

The first call writes ``tests/cases/RULE/before/`` with one sound workspace, to be damaged by hand, and a ``case.json``.
The second writes ``after/`` and the findings as the tool makes them now. Whether they are the right answers is yours to
say: read both before you commit them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.support import NOW, Tree, done
from tests.test_cases import CASES, Bench, short

USAGE = "usage: python -m tests.newcase RULE"


def make(name: str, cases: Path = CASES) -> str:
    """Do the next step for a case, and say what it was."""
    folder = cases / name
    if (folder / "after").exists():
        return f"{folder} is there already, with before/ and after/"
    return _fill(name, cases) if (folder / "before").exists() else _begin(folder)


def _begin(folder: Path) -> str:
    tree = Tree(folder, project="/home/dev/projects/demo")
    tree.add(done("task-sound", logFile="@JOBS@/task-sound.log")).log("task-sound")
    (folder / "before").parent.mkdir(parents=True, exist_ok=True)
    tree.state.rename(folder / "before")
    for path in (tree.state.parent, tree.state.parent.parent, tree.state.parent.parent.parent):
        path.rmdir()
    _write(folder / "case.json", {"about": "What is on disk, and what is right about the answer.", "findings": []})
    return f"made {folder / 'before'}: put the damage in, tell of processes in case.json, and call this again"


def _fill(name: str, cases: Path) -> str:
    folder = cases / name
    with tempfile.TemporaryDirectory() as temp:
        bench = Bench(name, Path(temp) / "tree", cases).lay_out()
        report = bench.heal()
        for path, data in bench.files().items():
            target = folder / "after" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    told = json.loads((folder / "case.json").read_text())
    _write(folder / "case.json", {**told, "findings": short(report)})
    return f"wrote {folder / 'after'} and {len(report.findings)} findings, as of {NOW:.0f}: are they the right answers?"


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2 or "/" in sys.argv[1]:
        sys.exit(USAGE)
    print(make(sys.argv[1]))
