"""``stateheal`` and ``python -m stateheal``."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script."""
    from stateheal.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
