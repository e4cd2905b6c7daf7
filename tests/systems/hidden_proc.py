"""Runs the tests as on a system without /proc and without leases: ``python -m tests.systems.hidden_proc [pytest …]``.

A mount namespace of its own has an empty /proc; psutil is pointed to where the real one was bound. Leases are refused.
That is what macOS lacks beside Linux (field guide section 12), as far as it can be taken away here; what macOS does
differently is replaced call by call in tests/system. Needs Linux, root and unshare(1). ``--quick``: what ``.ci/run``
runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
QUICK = ["tests/evidence", "tests/engine", "tests/commit", "tests/system", "tests/test_cases.py", "-m", "not processes"]
"""What looks at processes and replaces files, without what takes long."""
HIDE = 'mount --bind /proc "$1" && mount -t tmpfs none /proc && shift && exec "$@"'


def main() -> int:
    """Hide, then run. Returns pytest's exit status; 77 where the system does not permit it."""
    arguments = sys.argv[1:]
    if "--quick" in arguments:
        arguments.remove("--quick")
        arguments = [*QUICK, *arguments]
    if not permitted():
        print("no mount namespace of one's own is permitted here", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "STATEHEAL_TEST_PROC": folder,
            "PYTHONPATH": os.pathsep.join([str(HERE / "without_proc"), os.environ.get("PYTHONPATH", "")]),
        }
        command = [*UNSHARE, HIDE, "sh", folder, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, env=environment).returncode


UNSHARE = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]


def permitted() -> bool:
    """Whether a mount namespace can be had."""
    try:
        return subprocess.run([*UNSHARE, "mount -t tmpfs none /proc"], capture_output=True).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
