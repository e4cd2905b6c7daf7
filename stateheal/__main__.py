"""``stateheal`` and ``python -m stateheal``."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The console script. The pre-launch hook goes its own way before anything else is imported."""
    if sys.argv[1:2] == ["hook"] and not {"-h", "--help"} & {*sys.argv} and not any("--config" in a for a in sys.argv):
        from stateheal.hook.main import main as hook

        hook(sys.argv[2:])
        os._exit(0)  # whatever has happened; and at once, without taking the interpreter down in good order
    try:
        from stateheal.cli import run

        status = run()
    except KeyboardInterrupt:  # before there was anything to end in good order
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    # ``python -m`` puts the current directory first on the import path: a planted json.py would run.
    if not sys.flags.safe_path if hasattr(sys.flags, "safe_path") else not sys.flags.isolated:
        del sys.path[0]
    main()
