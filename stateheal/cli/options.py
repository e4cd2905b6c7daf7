"""Options that several commands share, and what every command does with a report."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click
from click.shell_completion import CompletionItem

from stateheal.cli import say
from stateheal.errors import StatehealError
from stateheal.formats.times import parse_duration
from stateheal.model.plain import in_pieces
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.report.json import pieces
from stateheal.text import printable
from stateheal.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from rich.console import Console

    Command = TypeVar("Command", bound=Callable[..., Any])


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """An option's ``90``, ``30s``, ``15m``, ``2h`` or ``1d`` in seconds; ``None`` where it was not given."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def rule_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers where a rule is wanted."""
    from stateheal.diagnosis.catalogue import RULES

    lead = incomplete.rpartition(",")[0]
    lead += "," if lead else ""
    return [lead + rule.name for rule in RULES if rule.name.startswith(incomplete[len(lead) :])]


def no_empty_id(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A job's id as it was given; not what a shell makes of a variable that is not set."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty", ctx, param)
    return value


def job_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What a shell offers where a job is wanted: its id, and what it is."""
    from stateheal.engine.job_ids import known_jobs

    request = Request(ctx.params.get("paths") or None, ctx.params.get("cwd"))
    try:
        told = {ident: what for ident, what in reversed([*known_jobs(request)]) if ident.startswith(incomplete)}
    except (StatehealError, OSError):
        return []
    return [CompletionItem(ident, help=printable(what) or None) for ident, what in reversed(told.items())]


_PIPE_WIDTH = 400


@dataclass(frozen=True)
class Output:
    """How a command shows what it did."""

    format: str
    quiet: bool
    verbose: bool
    color: str
    exit_zero: bool

    @property
    def console(self) -> Console:
        """A console for stdout that never interprets markup and never highlights."""
        from stateheal.cli.console import PlainConsole, has_columns

        options: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
        if sys.stdout is not None and not sys.stdout.isatty() and not has_columns():
            options["width"] = _PIPE_WIDTH  # paths in a pipe are for tools: not broken
        if self.color == "always":
            options |= {"force_terminal": True, "no_color": False, "color_system": "standard"}
        elif self.color == "never":
            options |= {"no_color": True, "color_system": None}
        return PlainConsole(**options)

    @property
    def is_text(self) -> bool:
        return self.format == "text"

    def print_json(self, report: Report, *each: str, **extra: Any) -> None:
        """The report in the JSON form that was asked for; ``each``: the lists that ndjson gives a line each."""
        if report.time is None:
            report = replace(report, time=time.time())
        try:
            for piece in pieces(in_pieces(report, **extra), self.format == "ndjson", *(each or ("findings",))):
                print(piece, end="")
        except BrokenPipeError:
            raise BrokenPipeError from None  # one with a number click would take for itself, and end with 1

    def finish(self, report: Report) -> int:
        """Say on stderr what went wrong, and return the exit status."""
        for problem in report.errors:
            where = f"{problem.path}: " if problem.path else ""
            say(where + problem.message)
        return 0 if self.exit_zero and report.exit_status == 1 else report.exit_status


def output_options(command: Command) -> Command:
    """--format, -q, -v, --color, --exit-zero; the command gets them as one ``output``."""
    decorators = (
        click.option(
            "--format",
            "format_",
            type=click.Choice(["text", "json", "ndjson"]),
            default="text",
            show_default=True,
            help="json: one object; ndjson: a record a line, then the rest.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Text: say less; of findings only the summary."),
        click.option("-v", "--verbose", is_flag=True, help="Text: say more; of findings the path, too."),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="auto: on a terminal, unless NO_COLOR is set.",
        ),
        click.option("--exit-zero", is_flag=True, help="Exit with 0 where it would be 1."),
    )

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        names = ("format_", "quiet", "verbose", "color", "exit_zero")
        return command(*args, output=Output(*(kwargs.pop(name) for name in names)), **kwargs)

    return _decorate(command, wrapped, decorators)


_PATHS = click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path())
_CWD = click.option("--cwd", type=click.Path(), help="Only the workspaces of this directory: its own and its parents'.")
_JOB = click.option(
    "--job",
    metavar="ID",
    shell_complete=job_ids,
    callback=no_empty_id,
    help="Only this job; the beginning of its id will do.",
)


def scope_options(command: Command) -> Command:
    """PATH…, --cwd, --job: what to look at; the command gets it as one ``request``, with settings where it has any."""
    return _decorate(command, _with_request(command, "job"), (_PATHS, _CWD, _JOB))


def place_options(command: Command) -> Command:
    """PATH… and --cwd, for a command that takes its job as an argument; it gets them as one ``request``."""
    return _decorate(command, _with_request(command), (_PATHS, _CWD))


def _with_request(command: Command, *further: str) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        paths, cwd, *rest = (kwargs.pop(name) for name in ("paths", "cwd", *further))
        request = Request(paths or None, cwd, *rest)
        if request.job is not None:
            from stateheal.engine.job_ids import with_whole_job

            request = with_whole_job(request)
        return command(*args, request=request, **kwargs)

    return wrapped


def rule_options(command: Command) -> Command:
    """--select, --ignore, --grace, --assume-local; they become the request's settings; below ``scope_options``."""
    decorators = (
        click.option(
            "--select", multiple=True, metavar="RULE", shell_complete=rule_names, help="Only these rules: a or a,b."
        ),
        click.option(
            "--ignore", multiple=True, metavar="RULE", shell_complete=rule_names, help="All but these rules: a or a,b."
        ),
        *_VERDICT,
    )
    return _decorate(command, _with_settings(command), decorators)


def verdict_options(command: Command) -> Command:
    """--grace, --assume-local: what bears on a verdict; they become the request's settings; below ``scope_options``."""
    return _decorate(command, _with_settings(command), _VERDICT)


_VERDICT = (
    click.option(
        "--grace",
        metavar="DURATION",
        callback=duration,
        default="1h",
        show_default=True,
        help="How long a job that names no process must be silent to count as dead: 90s, 15m, 2h, 1d.",
    ),
    click.option("--assume-local", is_flag=True, help="Records that look like another machine's are this one's."),
)


def _with_settings(command: Command) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from stateheal.engine.api import settings_of

        select, ignore = kwargs.pop("select", ()), kwargs.pop("ignore", ())
        settings = settings_of(select, ignore, kwargs.pop("grace"), kwargs.pop("assume_local"))
        request: Request = kwargs.pop("request")
        return command(*args, request=request._replace(settings=settings), **kwargs)

    return wrapped


def _decorate(command: Command, wrapped: Callable[..., Any], decorators: tuple[Any, ...]) -> Command:
    wrapped.__doc__, wrapped.__name__ = command.__doc__, command.__name__
    if wrapped is not command:
        # Options that inner decorators have left on the command belong to the wrapper now.
        wrapped.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for decorator in reversed(decorators):
        wrapped = decorator(wrapped)
    return wrapped  # type: ignore[return-value]


class Interrupt:
    """Whether a signal asked for an end, and which."""

    def __init__(self) -> None:
        self.signum = 0

    def __call__(self) -> bool:
        return self.signum != 0

    def status(self, otherwise: int) -> int:
        """128+n where a signal came, else the status given."""
        return 128 + self.signum if self.signum else otherwise


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """In the block the first SIGINT or SIGTERM only asks for an end between two files; a second ends at once."""
    interrupt = Interrupt()
    previous: dict[int, Any] = {}

    def note(signum: int, frame: FrameType | None) -> None:
        interrupt.signum = signum
        for number, handler in previous.items():
            signal.signal(number, handler)
        with suppress(OSError):
            say("stopping after this file")

    for wanted in (signal.SIGINT, signal.SIGTERM):
        previous[wanted] = signal.signal(wanted, note)
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
