"""Signals at random moments in processes that run tracked jobs: whatever the moment, every record is closed.

By hand: ``python -m tests.stress.signal_storm --rounds 2000``. The suite runs a short version. Each round forks a child
of this process that tracks jobs in one of several shapes and writes progress without a pause; the parent signals it
once or twice after a random time, and then reads what the child has left. Three rounds of four are in the midst of the
work: their job lasts until the signal, so that it alone can end them however slow the machine is, and they end without
a word. In the fourth the signal may come at any moment of the child's life, before its first job and after its last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from stateheal import tracked_job

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LONGEST = 0.12
"""Seconds after which a signal is sent at the latest; a job that ends by itself takes as long."""
FOR_EVER = 120.0


class Work(NamedTuple):
    """What every job of a child does."""

    seconds: float
    """How long."""
    begun: Callable[[], None]
    """Called after each step: the work is under way."""

    def steps(self, job: Any) -> Iterator[None]:
        """Write progress without a pause."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            job.progress(f"step {time.monotonic()}", "still at it")
            self.begun()
            yield

    def do(self, job: Any) -> None:
        """All of it at once."""
        for _ in self.steps(job):
            pass


def plain(where: dict[str, Any], work: Work) -> None:
    """One job."""
    with tracked_job(title="plain", **where) as job:
        work.do(job)


def nested(where: dict[str, Any], work: Work) -> None:
    """A job in a job."""
    with tracked_job(title="outer", **where) as outer:
        outer.progress("running")
        with tracked_job(title="inner", **where) as inner:
            work.do(inner)


def threaded(where: dict[str, Any], work: Work) -> None:
    """A job in a thread beside one in the main thread."""

    def beside() -> None:
        with tracked_job(title="thread", **where) as job:
            work.do(job)

    with tracked_job(title="main", **where) as job:
        thread = threading.Thread(target=beside, daemon=True)
        thread.start()
        work.do(job)
        thread.join()


def asynchronous(where: dict[str, Any], work: Work) -> None:
    """Two jobs in an event loop."""

    async def one() -> None:
        async with tracked_job(title="async", **where) as job:
            for _ in work.steps(job):
                await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(one(), one())

    asyncio.run(both())


SHAPES: tuple[Callable[[dict[str, Any], Work], None], ...] = (plain, nested, threaded, asynchronous)


def one_round(folder: Path, chance: random.Random, double: bool, lasting: bool) -> str:
    """One child and its end. Returns what became of it; raises ``AssertionError`` where a promise was broken."""
    shape, first = chance.choice(SHAPES), chance.choice(SIGNALS)
    ready, say_ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        _child(shape, folder, say_ready, lasting)
    os.close(say_ready)
    os.read(ready, 1)
    os.close(ready)
    time.sleep(chance.uniform(0, LONGEST))
    os.kill(child, first)
    if double:
        time.sleep(chance.choice((0, 0, chance.uniform(0, 0.03))))
        os.kill(child, chance.choice(SIGNALS))
    _, status = os.waitpid(child, 0)
    became = check(folder, shape.__name__, first, double, status)
    if lasting:
        said = (folder / "stderr").read_text()
        assert (became, said) == ("terminated", ""), f"{shape.__name__}, {first.name}, double {double}"
    return became


def _child(shape: Callable[[dict[str, Any], Work], None], folder: Path, say_ready: int, lasting: bool) -> None:
    """The child's whole life; it ends as any program does, through the interpreter's own end."""
    told = os.open(folder / "stderr", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(told, 2)  # not sys.stderr alone: at its end the interpreter goes back to the first one
    unsaid = [say_ready]

    def say() -> None:
        with suppress(IndexError):
            descriptor = unsaid.pop()
            os.write(descriptor, b"!")
            os.close(descriptor)

    if not lasting:
        say()
    work = Work(FOR_EVER if lasting else LONGEST, say)
    shape({"cwd": str(folder), "data_dir": str(folder / "data")}, work)
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
        counted[one_round(folder, chance, double=number % 3 == 2, lasting=number % 4 < 3)] += 1
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
