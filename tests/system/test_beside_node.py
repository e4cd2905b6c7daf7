"""A node for Windows writes an index in place, as the plugin does, while it is replaced over and over."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from stateheal.commit.atomic import replace_file
from stateheal.commit.files import Target, read_plain
from stateheal.errors import StatehealError
from stateheal.fs.directory import Directory, open_directory

WRITES = 200
WRITER = """
const fs = require("fs"), [file, count] = process.argv.slice(2), pause = new Int32Array(new SharedArrayBuffer(4));
for (let n = 1; n <= Number(count); n++) {
  const index = JSON.parse(fs.readFileSync(file, "utf8"));
  index.jobs.push(n);
  fs.writeFileSync(file, JSON.stringify(index, null, 2) + "\\n");
  console.log(n);
  Atomics.wait(pause, 0, 0, 20);
}
"""

pytestmark = [
    pytest.mark.processes,
    pytest.mark.windows("file sharing; tests/commit/test_under_force.py has Linux's leases"),
    pytest.mark.skipif(not shutil.which("node"), reason="needs node"),
]


def rewrite(directory: Directory) -> bool:
    """One repair of ours: read, change, replace. Returns whether it came to that."""
    info, data = read_plain(directory, "state.json")
    try:
        index = json.loads(data)
    except ValueError:
        return False  # being written just now
    index["healed"] = index.get("healed", 0) + 1
    replace_file(directory, Target("state.json", data, info), json.dumps(index, indent=2).encode(), "run")
    return True


def test_node_sees_no_error_and_loses_next_to_nothing(tmp_path: Path) -> None:
    (workspace := tmp_path / "ws").mkdir()
    (workspace / "state.json").write_text('{"jobs": []}')
    (tmp_path / "writer.js").write_text(WRITER)
    command = ["node", str(tmp_path / "writer.js"), str(workspace / "state.json"), str(WRITES)]
    swaps = conflicts = 0
    pauses = random.Random(1)  # without them both keep one beat, and nearly every look falls into the same moment
    with (
        open_directory(workspace) as directory,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as node,
    ):
        while node.poll() is None:
            try:
                swaps += rewrite(directory)
            except StatehealError:
                conflicts += 1
            time.sleep(pauses.uniform(0, 0.02))
        assert node.stdout is not None and node.stderr is not None
        said, trouble = node.stdout.read(), node.stderr.read()
    assert (node.returncode, trouble) == (0, b""), "no error and no half of a file for the plugin"
    acknowledged = {int(line) for line in said.split()}
    lost = acknowledged - set(json.loads((workspace / "state.json").read_bytes())["jobs"])
    assert len(acknowledged) == WRITES and swaps > 0
    assert len(lost) <= WRITES // 50, f"{len(lost)} of {WRITES} lost beside {swaps} swaps and {conflicts} conflicts"
    assert [path.name for path in workspace.iterdir()] == ["state.json"], "no leftovers"
    print(f"{len(lost)} of {WRITES} lost beside {swaps} swaps and {conflicts} conflicts")
