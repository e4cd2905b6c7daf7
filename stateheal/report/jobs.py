"""The list of jobs, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from stateheal.formats.times import describe_activity, describe_age, describe_duration, format_time
from stateheal.model.disk import argument_of
from stateheal.model.jobs import JobRow
from stateheal.model.liveness import Liveness
from stateheal.model.report import Report
from stateheal.report.paint import Paint, cut, folded
from stateheal.report.text import heading
from stateheal.text import count_of, printable
from stateheal.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STYLES = {Liveness.ALIVE: "green", Liveness.DEAD: "red", Liveness.UNSURE: "yellow"}
_WAITING = ("queued", "pending")
_INDENT, _DEEPER = "  ", "    "
_NEXT = {
    "heal": "closes the records of the dead",
    "close": "closes a record that cannot be judged, on your word",
    "stop": "ends one that hangs or should have ended",
}


def job_list(rows: Sequence[JobRow], now: float, width: int, paint: Paint, *, quiet: bool) -> Iterator[str]:
    """The rows by project: of each job what it is, whether it lives and why, since when, and how to go on with it."""
    for directory, group in groupby(rows, key=lambda row: row.place.directory):
        jobs = list(group)
        home = next((row.project for row in jobs if row.project), None)
        yield from heading(printable(directory.name), home and printable(home), width, paint)
        for row in jobs:
            yield from _lines(row, now, width, paint, quiet)
        yield ""


def _lines(row: JobRow, now: float, width: int, paint: Paint, quiet: bool) -> Iterator[str]:
    style = "" if row.verdict is None else _STYLES[row.verdict]
    state = printable(row.status) + (f", {row.verdict.value}" if row.verdict else "")
    blocks = "; blocks follow-up tasks" if row.blocks else ""
    yield f"{_INDENT}{printable(row.job)}  {paint(state, style)}{_span(row, now)}{blocks}"
    room = width - len(_DEEPER)
    title = ": ".join(dict.fromkeys(" ".join(text.split()) for text in (row.title, row.summary) if text))
    if title:
        yield _DEEPER + paint(f'"{cut(printable(title), room - 2)}"', "italic")
    if quiet:
        return
    activity = describe_activity(row.last_activity, row.log_written, now) if row.active else ""
    for told in filter(None, (row.reason, *row.notices, activity)):
        yield from (_DEEPER + line for line in folded(printable(told), room))
    if row.resume:
        yield _DEEPER + paint(row.resume, "dim")


def _span(row: JobRow, now: float) -> str:
    if row.began is None:
        return ""
    if row.active:
        return f", {'queued' if row.status.casefold() in _WAITING else 'started'} {describe_age(row.began, now)}"
    took = "" if row.ended is None or row.ended < row.began else f" after {describe_duration(row.ended - row.began)}"
    return f" {describe_age(row.began if row.ended is None else row.ended, now)}{took}"


def job_summary(rows: Sequence[JobRow], shown: int, report: Report, scope: str, width: int) -> Iterator[str]:
    """How many jobs there are and of which kinds, and what to run next; ``scope``: behind a command of the same."""
    if not report.workspaces:
        where = ", ".join(printable(str(root)) for root in report.roots)
        yield f"No workspaces found in {where}." if where else "No plugin state found ('stateheal doctor' says where)."
        return
    active = [row for row in rows if row.active]
    kinds = [f"{count} {kind.value}" for kind in Liveness if (count := sum(row.verdict is kind for row in active))]
    told = f"{len(active):,} active" + (f" ({', '.join(kinds)})" if kinds else "")
    living = sum(row.stands_out for row in rows) - len(active)
    lives_on = f", of {living:,} something lives on" if living else ""
    hidden = " (--all shows them)" if shown < len(rows) else ""
    finished = len(rows) - len(active)
    whole = f"{count_of(report.workspaces, 'workspace')}: {told}, {finished:,} finished{hidden}{lives_on}."
    yield from folded(whole, width)
    for command, what in _NEXT.items():
        needy = [row for row in rows if row.needs == command]
        if needy:
            argument = scope if command == "heal" else f" {_argument(needy[0], rows)}"
            yield f"{what[0].upper()}{what[1:]}:"
            yield f"  stateheal {command}{printable(argument)}"


def _argument(row: JobRow, rows: Sequence[JobRow]) -> str:
    """A job as a command is to be told it, with its place where another place has a job of that id."""
    doubled = any(other.job == row.job and other.place != row.place for other in rows)
    return argument_of(row.job, replace(row.place, apart=row.place.apart or doubled))


def rows_json(rows: Iterable[JobRow]) -> list[dict[str, Any]]:
    """The rows as JSON (schemas/report.schema.json)."""
    return [_row_json(row) for row in rows]


def _row_json(row: JobRow) -> dict[str, Any]:
    return {
        "job": row.job,
        "workspace": row.place.name,
        "path": str(row.place.directory),
        "project": row.project,
        "kind": row.kind,
        "title": row.title,
        "summary": row.summary,
        "status": row.status,
        "phase": row.phase,
        "active": row.active,
        "verdict": row.verdict.value if row.verdict else None,
        "reason": row.reason,
        "pid": row.pid,
        "session": row.session,
        "began": _moment(row.began),
        "ended": _moment(row.ended),
        "last_activity": _moment(row.last_activity),
        "log_written": _moment(row.log_written),
        "last_sign": _moment(row.last_sign),
        "blocks": row.blocks,
        "thread": row.thread,
        "resume": row.resume,
        "needs": row.needs,
        "notices": list(row.notices),
    }


def _moment(moment: float | None) -> str | None:
    return None if moment is None else format_time(moment)
