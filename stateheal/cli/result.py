"""``stateheal result``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from stateheal.cli import output_stream, say
from stateheal.cli.options import Output, interruptible, job_ids, no_empty_id, output_options, place_options
from stateheal.cli.recover import write_answer
from stateheal.engine.result import answers
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.model.jobs import JobAnswer
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.report.paint import folded
from stateheal.report.text import print_lines
from stateheal.text import count_of, printable, printable_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SOURCES = ("job file", "index entry", "rollout", "log")
"""The best first."""


@click.command("result")
@click.argument("job", required=False, shell_complete=job_ids, callback=no_empty_id)
@place_options
@click.option("-a", "--all", "everything", is_flag=True, help="The answers of all jobs, into the directory of -o.")
@click.option(
    "-o", "--output", "folder", metavar="DIR", type=click.Path(file_okay=False), help="Save as Markdown here."
)
@output_options
def result_command(job: str | None, request: Request, everything: bool, folder: str | None, output: Output) -> int:
    """Print a job's answer, wherever it still is.

    It is taken from the job file, else from the index entry, the Codex rollout of its turn, or its log: the final
    output or the last message. stdout is the answer and nothing else; where it came from is said on stderr. Where
    there is none, the reason is said, and the exit status is 1. Jobs that the index does not know are found, too.
    Changes nothing.

    JOB is a job id or its beginning; PATH as for audit. With --all every argument is a PATH.

    \b
    Example: stateheal result task-mnyhf4jl-1mnkv1 > answer.md
    """
    if everything:
        paths = (*([job] if job is not None else []), *(request.paths or ()))
        job, request = None, request._replace(paths=paths or None)
    elif job is None:
        raise UsageError("name a job ('stateheal jobs --all' lists them), or save every answer with --all -o DIR")
    if everything and folder is None and output.is_text:
        raise UsageError("--all saves many answers: give it a directory with -o DIR")
    with interruptible() as interrupt:
        found, problems = answers(job, request, world=World(stop=interrupt))
    report = Report(
        "result",
        workspaces=len({each.place.directory for each in found}),
        jobs=len(found),
        errors=tuple(problems),
        interrupted=bool(interrupt()),
    )
    saved = [(each, _save(each, folder)) for each in found] if folder is not None else []
    if not output.is_text:
        output.print_json(report, "answers", answers=[_as_json(each) for each in found])
    elif everything:
        print_lines(output.console, list(_saved_lines(saved, output.quiet, output.console.width)))
    else:
        _show(job or "", found, saved)
    without = not everything and not any(each.text is not None for each in found)
    return interrupt.status(output.finish(report) or (0 if output.exit_zero else int(without)))


def _save(answer: JobAnswer, folder: str | None) -> Path | None:
    if answer.text is None or folder is None:
        return None
    return write_answer(Path(folder), answer.place.name, answer.job, answer.text)


def _show(job: str, found: list[JobAnswer], saved: list[tuple[JobAnswer, Path | None]]) -> None:
    if len({each.job for each in found}) > 1:
        raise UsageError(f"{job!r} may be {', '.join(sorted({each.job for each in found})[:10])}: name one of them")
    best = min(found, key=_rank, default=None)
    if best is None:
        return
    if best.text is None:
        say(f"{best.job} ({best.status}): there is no answer, because {best.note}")
    elif saved:
        for _, path in saved:
            say(f"wrote {path}") if path else None
    else:
        stdout = output_stream()
        stdout.write(printable_lines(best.text.rstrip("\n") + "\n"))
        stdout.flush()
    if best.text is not None:
        say(
            f"{best.job} ({best.status}), from the {best.source}: {best.where}"
            + (f"; {best.note}" if best.note else "")
        )
    if best.resume and best.source not in ("job file", "index entry"):
        say(f"to go on with it: {best.resume}")
    for other in found if not saved else ():
        if other.text is not None and other.text.strip() != (best.text or "").strip():
            note = f"; {other.note}" if other.note else ""
            say(f"another answer of it, from the {other.source}: {other.where}{note}")


def _rank(answer: JobAnswer) -> tuple[bool, bool, int]:
    """How good an answer is where several trees know the job (field guide section 8): a whole one before a part."""
    return answer.text is None, bool(answer.note), _SOURCES.index(answer.source) if answer.source in _SOURCES else 0


def _saved_lines(saved: list[tuple[JobAnswer, Path | None]], quiet: bool, width: int) -> Iterator[str]:
    """Where each answer was written; of jobs without one each reason once."""
    for answer, path in () if quiet else saved:
        if path is not None:
            note = f", {answer.note}" if answer.note else ""
            yield f"{printable(answer.job)}  from the {answer.source}{note}: {printable(str(path))}"
    without: dict[str, list[str]] = {}
    for answer, path in () if quiet else saved:
        if path is None:
            without.setdefault(answer.note, []).append(answer.job)
    for reason, jobs in without.items():
        yield from folded(f"none, because {printable(reason)}: {', '.join(map(printable, jobs))}", width)
    have = sum(path is not None for _, path in saved)
    yield f"{count_of(have, 'answer')} saved, {count_of(len(saved) - have, 'job')} without."


def _as_json(answer: JobAnswer) -> dict[str, Any]:
    return {
        "job": answer.job,
        "workspace": answer.place.name,
        "status": answer.status,
        "title": answer.title,
        "text": answer.text,
        "source": answer.source,
        "path": answer.where or None,
        "note": answer.note,
        "resume": answer.resume,
    }
