"""A writer that does not cooperate, in its own process, beside heals of the same index in a loop.

The writer does what the plugin does: read, change, truncate, write, no lock; and before each write it checks that its
previous update is still there. Run by hand for the long version:

    python -m tests.stress.live_writer --writes 20000

Each line it prints is JSON: writes, heals, conflicts, lost updates, files called torn, the writer's longest wait (s).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stateheal.commit.atomic import replace_file
from stateheal.commit.files import Target, read_plain
from stateheal.engine.api import heal
from stateheal.errors import Conflict
from stateheal.fs.directory import open_directory
from stateheal.model.liveness import HostFacts
from tests.support import HOST, FakeProcesses, Tree, done, job, journal_in, world

WRITER = """
import json, random, sys, time
path, writes, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
lost, longest = 0, 0.0
for number in range(1, writes + 1):
    try:
        with open(path) as file:
            state = json.load(file)
    except ValueError:
        lost += 1  # torn for us: the plugin would take an empty index, and lose everything
        continue
    except FileNotFoundError:
        lost += 1
        continue
    if number > 1 and state["config"].get("count") != number - 1:
        lost += 1
    state["config"]["count"] = number
    began = time.perf_counter()
    with open(path, "w") as file:  # truncates in place, as writeFileSync does
        file.write(json.dumps(state, indent=2) + "\\n")
    longest = max(longest, time.perf_counter() - began)
    # Every so often a job dies in the writer's eyes, so that there is something to heal.
    if number % 3 == 0:
        for entry in state["jobs"]:
            if entry["id"] == "task-1":
                entry.update(status="running", phase="starting", pid=4242)
        with open(path, "w") as file:
            file.write(json.dumps(state, indent=2) + "\\n")
    if pause:
        time.sleep(random.uniform(0, 2 * pause))
print(json.dumps({"lost": lost, "longest": longest}))
"""


class Now(FakeProcesses):
    """Nobody lives, and the clock is the real one: what was written a moment ago is fresh."""

    def host(self) -> HostFacts:
        return HOST._replace(now=time.time())


def start(tree: Tree, writes: int, pause: float) -> subprocess.Popen[bytes]:
    """The writer, in its own process."""
    command = [sys.executable, "-c", WRITER, str(tree.path / "state.json"), str(writes), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def result(tree: Tree, writer: subprocess.Popen[bytes], writes: int, **counts: Any) -> dict[str, Any]:
    """What became of the writer, and what is left lying about."""
    left = [path.name for path in tree.path.iterdir() if path.name.startswith(".stateheal")]
    return {"writes": writes, **counts, "leftovers": left, **json.loads(writer.communicate()[0])}


def heal_beside(folder: Path, writes: int, pause: float) -> dict[str, Any]:
    """Whole heals in a loop until the writer is through."""
    tree = Tree(folder / "heals").add(job("task-1")).add(done("task-2"))
    heals, healed, conflicts, torn = 0, 0, 0, 0
    writer = start(tree, writes, pause)
    while writer.poll() is None:
        report = heal([tree.root], world=world(Now()), journal=journal_in(folder))
        heals += 1
        healed += report.healed
        conflicts += len(report.errors)
        torn += sum(finding.rule.startswith("torn") and bool(finding.repair) for finding in report.findings)
    counts = {"heals": heals, "healed": healed, "conflicts": conflicts, "called_torn": torn}
    return result(tree, writer, writes, **counts)


def replace_beside(folder: Path, writes: int, pause: float) -> dict[str, Any]:
    """The replacement alone, as often as it goes: no time between reading and replacing but its own."""
    tree = Tree(folder / "swaps").add(job("task-1"))
    swaps, conflicts = 0, 0
    writer = start(tree, writes, pause)
    with open_directory(tree.path) as directory:
        while writer.poll() is None:
            try:
                info, data = read_plain(directory, "state.json")
                if data.endswith(b"}\n"):  # else it is on its way
                    state = json.loads(data)
                    state["config"]["swaps"] = swaps + 1
                    changed = json.dumps(state, indent=2).encode() + b"\n"
                    replace_file(directory, Target("state.json", data, info), changed, "0001-20260101T000000Z")
                    swaps += 1
            except Conflict:
                conflicts += 1
    return result(tree, writer, writes, swaps=swaps, conflicts=conflicts)


def main() -> None:
    """The long version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--pause", type=float, default=0.0, help="mean seconds between two writes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STATEHEAL_STATE_DIR"] = folder
        for beside in (heal_beside, replace_beside):
            print(beside.__name__, json.dumps(beside(Path(folder), options.writes, options.pause)), flush=True)


if __name__ == "__main__":
    main()
