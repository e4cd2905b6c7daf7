"""Signals at random moments in processes that run tracked jobs: whatever the moment, every record is closed.

By hand: ``python -m tests.stress.signal_storm --rounds 2000``. The suite runs a short version. Each round forks a child
of this process that tracks jobs in one of several shapes and writes progress without a pause; the parent signals it
once or twice after a random time, and then reads what the child has left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stateheal import tracked_job

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LONGEST = 0.12
"""Seconds after which a signal is sent at the latest; a child's job takes as long."""


def plain(where: dict[str, Any]) -> None:
    """One job."""
    with tracked_job(title="plain", **where) as job:
        _busy(job)


def nested(where: dict[str, Any]) -> None:
    """A job in a job."""
    with tracked_job(title="outer", **where) as outer:
        outer.progress("running")
        with tracked_job(title="inner", **where) as inner:
            _busy(inner)


def threaded(where: dict[str, Any]) -> None:
    """A job in a thread beside one in the main thread."""

    def work() -> None:
        with tracked_job(title="thread", **where) as job:
            _busy(job)

    with tracked_job(title="main", **where) as job:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        _busy(job)
        thread.join()


def asynchronous(where: dict[str, Any]) -> None:
    """Two jobs in an event loop."""

    async def one() -> None:
        async with tracked_job(title="async", **where) as job:
            end = time.monotonic() + LONGEST
            while time.monotonic() < end:
                job.progress(f"step {time.monotonic()}", "still at it")
                await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(one(), one())

    asyncio.run(both())


def _busy(job: Any) -> None:
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        job.progress(f"step {time.monotonic()}", "still at it")


SHAPES: tuple[Callable[[dict[str, Any]], None], ...] = (plain, nested, threaded, asynchronous)


def one_round(folder: Path, chance: random.Random, double: bool) -> str:
    """One child and its end. Returns what became of it; raises ``AssertionError`` where a promise was broken."""
    shape, first = chance.choice(SHAPES), chance.choice(SIGNALS)
    ready, say_ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        _child(shape, folder, say_ready)
    os.close(say_ready)
    os.read(ready, 1)
    os.close(ready)
    time.sleep(chance.uniform(0, LONGEST))
    os.kill(child, first)
    if double:
        time.sleep(chance.choice((0, 0, chance.uniform(0, 0.03))))
        os.kill(child, chance.choice(SIGNALS))
    _, status = os.waitpid(child, 0)
    return check(folder, shape.__name__, first, double, status)


def _child(shape: Callable[[dict[str, Any]], None], folder: Path, say_ready: int) -> None:
    """The child's whole life; it ends as any program does, through the interpreter's own end."""
    sys.stderr = open(folder / "stderr", "w")  # noqa: SIM115
    os.write(say_ready, b"!")
    os.close(say_ready)
    shape({"cwd": str(folder), "data_dir": str(folder / "data")})
    signal.pause()  # the signal is on its way


def check(folder: Path, shape: str, signum: int, double: bool, status: int) -> str:
    """Every record says the same end in both places, and the process ended as it should."""
    text = (folder / "stderr").read_text() if (folder / "stderr").exists() else ""
    about = f"{shape}, {signal.Signals(signum).name}, {'double' if double else 'single'}, status {status:#x}, {text}"
    files = [json.loads(path.read_bytes()) for path in folder.glob("data/state/*/jobs/*.json")]
    indexes = [json.loads(path.read_bytes()) for path in folder.glob("data/state/*/state.json")]
    entries = {entry["id"]: entry for index in indexes for entry in index["jobs"]}
    assert {record["id"] for record in files} == set(entries), about
    left = [path.name for path in folder.glob("data/**/.stateheal-*")]
    assert not left, f"{about}: {left}"
    for record in files:
        entry = entries[record["id"]]
        for key in ("status", "phase", "pid", "completedAt", "errorMessage"):
            assert record.get(key) == entry.get(key), f"{about}: {key} differs: {record} {entry}"
        assert record["status"] in ("completed", "failed") and record["pid"] is None, f"{about}: {record}"
    ends = Counter(record["phase"] for record in files)
    if ends["terminated"]:
        assert os.WIFEXITED(status), about
        assert double or os.WEXITSTATUS(status) == 128 + signum, about
        assert os.WEXITSTATUS(status) in {128 + each for each in SIGNALS}, about
        return "terminated"
    return "done before" if files else "before the first write"


def storm(rounds: int, seed: int) -> Counter[str]:
    """So many rounds; what became of them."""
    for signum in SIGNALS:  # whoever starts this may have had some ignored (nohup, a shell's background)
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
    chance = random.Random(seed)
    counted: Counter[str] = Counter()
    for number in range(rounds):
        folder = Path(tempfile.mkdtemp(prefix="storm-"))
        counted[one_round(folder, chance, double=number % 3 == 2)] += 1
        shutil.rmtree(folder)
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    begun = time.monotonic()
    print(f"seed {seed}: {dict(storm(given.rounds, seed))} in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
