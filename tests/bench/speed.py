"""What an audit and a heal cost, in ratios to a bare node walk over the same files in the same run (``walk.mjs``).

``python -m tests.bench.speed [--sizes 50x50,1000x50] [--runs 9] [--damage 18] [--stateheal PATH]``. Measured is the
console script beside this interpreter. Each round runs each command once; medians of wall time, the greatest peak
memory of any process. Each heal has a tree of its own, which is on the disk before it begins and stays until the end:
a flush would else wait for the bytes that the benchmark wrote, and ext4 looks past every file deleted within the last
minutes for each that is made. Ends with the exponent of time in files, from a quarter of the largest tree to the whole.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.bench.trees import MANY, make_tree

WALK = Path(__file__).with_name("walk.mjs")
GOALS = {"audit --format json": 2.5, "audit": 3.5, "heal": 10.0}
"""Times the walk, of a tree with eighteen damaged jobs in fifty; and no more than 100 MB."""


class Cost(NamedTuple):
    """Of one run: seconds of wall time, megabytes at the peak, seconds of processor time."""

    seconds: float
    peak: float
    work: float


def once(command: list[str], environ: dict[str, str], watch: bool = False) -> Cost:
    """Run a command. With ``watch`` the memory of all its processes is sampled, else only its own is known."""
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    peak = [0.0]
    if watch:
        watcher = threading.Thread(target=_watch, args=(child.pid, peak))
        watcher.start()
    _, _, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    if watch:
        watcher.join()
    return Cost(seconds, max(peak[0], usage.ru_maxrss / 1024), usage.ru_utime + usage.ru_stime)


def _watch(pid: int, peak: list[float]) -> None:
    """The memory of a process and its children together; what they share counts once, where the system tells."""
    try:
        process = psutil.Process(pid)
        while True:
            family = [process, *process.children(recursive=True)]
            peak[0] = max(peak[0], sum(_memory(each) for each in family) / 2**20)
            time.sleep(0.01)
    except psutil.Error:
        return


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0


def environment(home: Path) -> dict[str, str]:
    """Nothing of this machine's own state, and compiled modules as an installed program has them."""
    environ = dict(os.environ)
    for name in ("NODE_EXTRA_CA_CERTS", "PYTHONDONTWRITEBYTECODE", "CLAUDE_PLUGIN_DATA"):
        environ.pop(name, None)
    return {**environ, "HOME": str(home), "STATEHEAL_STATE_DIR": str(home / "journal"), "COLUMNS": "100"}


def measure(size: tuple[int, int], runs: int, program: str, *, damage: int) -> dict[str, list[Cost]]:
    """Every run's cost by what was run, over a tree of so many workspaces and jobs."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        config, environ = make_tree(home / "tree", *size, damage=damage), environment(home)
        state = config / "plugins/data/codex-openai-codex/state"
        commands = {
            "node walk": ["node", str(WALK), str(state)],
            "audit --format json": [program, "audit", "--format", "json", str(config)],
            "audit": [program, "audit", str(config)],
        }
        once(commands["audit"], environ)  # whatever is compiled or cached at the first run
        for number in range(runs):
            for name, command in commands.items():
                costs.setdefault(name, []).append(once(command, environ, watch=number == 0 and name != "node walk"))
        if damage and size[0] <= 100:
            for number in range(min(runs, 5)):
                polluted = make_tree(home / f"damaged-{number}", *size, damage=damage)
                if hasattr(os, "sync"):
                    os.sync()
                costs.setdefault("heal", []).append(once([program, "heal", str(polluted)], environ))
    return costs


def show(size: tuple[int, int], costs: dict[str, list[Cost]]) -> float:
    """A row a command. Returns the seconds of the JSON audit."""
    medians = {name: statistics.median(cost.seconds for cost in each) for name, each in costs.items()}
    work = {name: min(cost.work for cost in each) for name, each in costs.items()}
    print(f"{size[0]} workspaces x {size[1]} jobs: median, its ratio; least processor time, its ratio; memory")
    for name, seconds in medians.items():
        shown = f"   goal {GOALS[name]}" if name in GOALS else ""
        peak = max(cost.peak for cost in costs[name])
        ratio, own = seconds / medians["node walk"], work[name] / work["node walk"]
        spent = f"{work[name] * 1000:9.0f} ms{own:7.2f} x"
        print(f"  {name:20}{seconds * 1000:9.0f} ms{ratio:7.2f} x{spent}{peak:6.0f} MB{shown}")
    return medians["audit --format json"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="50x50,1000x50")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--damage", type=int, default=MANY, help="damaged jobs in each workspace; 0 for sound trees")
    parser.add_argument("--stateheal", default=str(Path(sys.executable).parent / "stateheal"))
    parser.add_argument("--workspaces", type=int, help="so many, of 50 jobs each, instead of --sizes")
    given = parser.parse_args()
    wanted = given.sizes if given.workspaces is None else f"{given.workspaces}x50"
    sizes = [(int(a), int(b)) for a, b in (each.split("x") for each in wanted.split(","))]
    for size in sizes:
        last = show(size, measure(size, given.runs, given.stateheal, damage=given.damage))
    quarter = (sizes[-1][0] // 4, sizes[-1][1])
    small = show(quarter, measure(quarter, given.runs, given.stateheal, damage=given.damage))
    print(f"time grows with files to the power of {math.log(last / small) / math.log(4):.2f}")


if __name__ == "__main__":
    main()
