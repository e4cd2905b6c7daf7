"""``stateheal`` and ``python -m stateheal``."""

import gc
import os
import sys

gc.set_threshold(10_000, 10, 10)  # a workspace's values need no collector; what else goes in cycles is little


def main() -> None:
    """The console script. The pre-launch hook goes its own way before anything else is imported: exactly
    ``stateheal hook`` (or ``-v``), called by a program. Any other words, and a person at a terminal, are for click.
    """
    gc.disable()  # until all is imported: nothing of that ever goes
    if sys.argv[1:2] == ["hook"] and sys.argv[2:] in ([], ["-v"], ["--verbose"]) and not _at_a_terminal():
        from stateheal.hook.main import main as hook

        hook(sys.argv[2:])
        os._exit(0)  # whatever has happened; and at once, without taking the interpreter down in good order
    _occupy_standard_descriptors()
    try:
        from stateheal.imports import find_own_modules, import_pathlib

        find_own_modules()
        import_pathlib()
        from stateheal.cli import run

        gc.freeze()
        gc.enable()
        status = run()
    except KeyboardInterrupt:  # before there was anything to end in good order
        status = 130
    sys.exit(status)


def _occupy_standard_descriptors() -> None:
    """Where we were started without one, a file of ours would get its number, and what is written there go into it.

    Children do not inherit what is put there: for them it stays closed.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _at_a_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False


if __name__ == "__main__":
    # ``python -m`` puts the current directory first on the import path: a planted json.py would run.
    if not sys.flags.safe_path if hasattr(sys.flags, "safe_path") else not sys.flags.isolated:
        del sys.path[0]
    main()
