"""The command line: options in, exit status out. click is imported nowhere else."""

from __future__ import annotations

import codecs
import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import click

from stateheal.cli.defaults import Defaults
from stateheal.cli.words import TopCommands, plainly
from stateheal.errors import StatehealError
from stateheal.text import printable
from stateheal.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_PLAINLY = "stateheal-plainly"
_NOBODY_READS = (errno.EPIPE, errno.EINVAL)
"""What Windows says of a pipe whose reader has gone."""
_COMMANDS = {
    "jobs": "jobs",
    "audit": "repair",
    "heal": "repair",
    "result": "result",
    "stop": "stop",
    "close": "close",
    "prune": "prune",
    "recover": "recover",
    "migrate": "migrate",
    "undo": "runs",
    "history": "runs",
    "run": "launch",
    "hook": "hooks",
    "rules": "catalogue",
    "explain": "catalogue",
    "doctor": "doctor",
    "export": "export",
    "schema": "catalogue",
    "completion": "completion",
    "help": "manual",
}
"""Each command and the module that has it: imported when it is asked for."""
_ALIASES = {"status": "jobs"}
"""Other names that people try."""


class _Group(TopCommands):
    """Imports a command's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = _ALIASES.get(cmd_name, cmd_name)
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"stateheal.cli.{_COMMANDS[cmd_name]}"), f"{cmd_name}_command")
        return found


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="stateheal %(version)s")
def group() -> None:
    """Audit and repair the state files that Claude Code plugins leave behind.

    A job whose process was killed stays "running" for ever. stateheal proves that the process is dead, shows what it
    would change, repairs the records, and can take every repair back.

    \b
    stateheal jobs             what runs, what hangs, what is dead
    stateheal audit            what is wrong, nothing written
    stateheal heal -n          what a heal would change, as a diff
    stateheal heal             repair it
    stateheal undo             take the last repair back

    \b
    Example: stateheal heal -n ~/.claude

    Exit status: 0 nothing wrong or all healed, 1 damage found or left, 2 usage error, 3 something could not be read or
    written, 128+n on a signal.
    """


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status. Every exception ends here, in one line on stderr, if that can be
    written.
    """
    try:
        return _run(argv)
    except BrokenPipeError:  # nobody reads what goes wrong
        return 141
    except OSError:  # nor can it be written
        return 3
    finally:
        _let_go_of(sys.stdout)
        _let_go_of(sys.stderr)


def _run(argv: Sequence[str] | None) -> int:
    # Whatever the terminal cannot show is escaped: a report must not be lost for an arrow.
    codecs.register_error(_PLAINLY, plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_PLAINLY)
    try:
        words = None if argv is None else list(argv)
        status = group.main(words, prog_name="stateheal", standalone_mode=False, default_map=Defaults(group))
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(status or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except StatehealError as error:
        say(str(error))
        return error.exit_status
    except BrokenPipeError:
        return 141
    except OSError as error:
        if os.name == "nt" and error.errno in _NOBODY_READS:
            return 141
        say(f"the report cannot be written: {error.strerror or error}; 'stateheal history' shows what was done")
        return 3
    except Exception as error:  # promise 7: no traceback, ever
        if os.environ.get("STATEHEAL_DEBUG"):
            import traceback

            traceback.print_exc()
        say(f"internal error: {type(error).__name__}: {error} (STATEHEAL_DEBUG=1 shows where; please report it)")
        return 3


def _let_go_of(stream: TextIO | None) -> None:
    """What cannot be written must not raise once more while Python shuts down: its status would be 120."""
    if stream is None:
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def output_stream() -> TextIO:
    """stdout, for what is asked for to be written there. Raises ``OSError`` where it is closed."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.stdout


def say(message: str) -> None:
    """One line on stderr."""
    tell(f"stateheal: {printable(message)}")


def tell(line: str) -> None:
    """A line on stderr as it is; it must be printable."""
    try:
        click.echo(line, err=True)
    except BrokenPipeError:
        raise BrokenPipeError from None  # one with a number click would take for itself, and end with 1
