"""Heals and undos killed at random operations, several after each other: the journal leads back all the same.

Each round is a sequence of heals and undos of which most are ended by ``os._exit`` at some disk operation. At its end
one heal comes to its end, and repeated undo must return every original byte, refuse nothing, and leave nothing lying
about. By hand:

    python -m tests.stress.random_kills --rounds 500
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from stateheal.engine.commands import undo
from tests.stress.kill_points import MOMENTS, build, copy_of, in_child, run_heal, undo_all, without_ours
from tests.support import Tree, files_in, journal_in

LAST_OPERATION = 130
"""About as many as a heal of two workspaces has."""


def one_round(pristine: Tree, work: Path, chance: random.Random) -> list[str]:
    """One sequence; what it was. Raises ``AssertionError`` with it where a promise was broken."""
    tree = copy_of(pristine, work)
    old = files_in(tree.root)
    done: list[str] = []
    for _ in range(chance.randint(2, 6)):
        done.append(_step(tree, chance))
    run_heal(tree)
    left = sorted(files_in(tree.root).keys() - without_ours(files_in(tree.root)).keys())
    assert not left, f"{done}: after a heal that came to its end there is still {left}"
    try:
        undo_all(tree)
    except AssertionError as error:
        raise AssertionError(f"{done}: {error}") from error
    now = files_in(tree.root)
    differ = sorted(name for name in now.keys() | old.keys() if now.get(name) != old.get(name))
    assert not differ, f"{done}: {differ}"
    return done


def _step(tree: Tree, chance: random.Random) -> str:
    command = chance.choice(("heal", "heal", "undo"))
    count, moment = chance.randint(1, LAST_OPERATION), chance.choice(MOMENTS)
    killed, _ = in_child(lambda: run_heal(tree) if command == "heal" else _undo(tree), count, moment)
    return f"{command} killed {moment} {count}" if killed else command


def _undo(tree: Tree) -> None:
    report = undo(journal=journal_in(tree.root.parent))
    if report.exit_status:
        os._exit(1)  # which the parent takes for a broken promise


def rounds(folder: Path, number: int, seed: int) -> Counter[str]:
    """So many sequences; how many steps of each kind there were."""
    chance = random.Random(seed)
    pristine = build(folder / "pristine", 2)
    counted: Counter[str] = Counter()
    for _ in range(number):
        counted.update(" ".join(step.split()[:2]) for step in one_round(pristine, folder / "work", chance))
    return counted


def main() -> None:
    """The long version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STATEHEAL_STATE_DIR"] = folder
        counted = rounds(Path(folder), given.rounds, seed)
    print(f"seed {seed}: {given.rounds} rounds, {dict(counted)}, nothing refused, {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
