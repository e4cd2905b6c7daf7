"""One job explained, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text

from stateheal.formats.jsontext import Json, finite
from stateheal.formats.times import describe_age, format_time
from stateheal.model.dialect import CODEX, Dialect
from stateheal.model.disk import argument_of
from stateheal.model.jobs import Explanation, resume_of
from stateheal.model.layout import status_of
from stateheal.model.liveness import Liveness, ProcessFacts, Step, Trial
from stateheal.model.records import label_of
from stateheal.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STYLES = {Liveness.ALIVE: "green", Liveness.DEAD: "red", Liveness.UNSURE: "yellow"}
_STRENGTH = (Liveness.DEAD, Liveness.UNSURE, Liveness.ALIVE)
_HELPS = {
    Liveness.DEAD: "to close it: stateheal heal --job {job}",
    Liveness.UNSURE: "to close it on your word: stateheal close {job}",
    Liveness.ALIVE: "to end it: stateheal stop {job}",
}
_LEFT = "'stateheal heal' leaves this companion's records as they are: its own commands are the ones to close it"
_FIELDS = (
    *("status", "phase", "pid", "createdAt", "startedAt", "updatedAt", "completedAt", "threadId", "turnId"),
    *("errorMessage", "workspaceRoot", "logFile", "owner", "pidStartTime", "pidIdentity"),
)
_INDEX_ALONE = ("updatedAt",)
"""What job files usually lack; those that hold an answer alone lack nearly all, their status too."""


def explanation_lines(explanation: Explanation, *, brief: bool = False) -> Iterator[str | Text]:
    """The verdict and why, then (unless ``brief``) what was read, what the system said, and which row decided."""
    host = explanation.host
    yield from _verdict_lines(explanation)
    if brief:
        return
    yield f"  in {printable(str(explanation.place.directory))}"
    kept_by = explanation.recognition
    yield f"  kept by {kept_by.dialect.name}: {printable(kept_by.why)}" if kept_by else "  kept by nobody known here"
    yield from _sides_lines(explanation.entry, explanation.record, _dialect_of(explanation))
    if explanation.log_written is not None:
        yield f"  log last written: {_moment(explanation.log_written, host.now)}"
    last = explanation.last_sign
    yield f"  last sign of life: {'none' if last is None else _moment(last, host.now)}"
    boot = "unknown" if host.boot_time is None else _moment(host.boot_time, host.now)
    yield f"  this machine: {printable(host.hostname)}, booted {boot}"
    told: list[object] = []
    for trial in explanation.trials:
        if (trial.owner.pid, trial.steps) not in told:  # mostly both records name one process
            yield from _trial_lines(trial, host.now)
        told.append((trial.owner.pid, trial.steps))
    if not explanation.trials:
        yield "  no side of it is active: no process is judged"
    for finding in explanation.findings:
        yield f"  finding {finding.rule}: {printable(finding.message)}"
        yield f"    repair: {printable(finding.repair or 'none')}"


def _verdict_lines(explanation: Explanation) -> Iterator[str | Text]:
    """What it comes to: alive, dead or unsure, and why; then what the job is, and what to do about it."""
    sides = _sides_of(explanation)
    head = Text(printable(explanation.job), style="bold").append(
        f"  {printable(_status_of(explanation))}", style="not bold"
    )
    step = _decisive(explanation)
    if step is not None:
        head.append(", ").append(step.state.value, style=_STYLES[step.state])
    yield head
    yield f"  {printable(_why(explanation, step))}"
    title = label_of(*sides)
    if title:
        yield Text(f'  "{printable(title)}"', style="italic")
    if step is not None:
        yield f"  {printable(_what_helps(explanation, step.state))}"
    resume = resume_of(*sides, dialect=_dialect_of(explanation))
    if resume:
        yield f"  to go on with it: {resume}"


def _what_helps(explanation: Explanation, state: Liveness) -> str:
    if explanation.left is None or state is Liveness.ALIVE:
        return _HELPS[state].format(job=argument_of(explanation.job, explanation.place))
    kept_by = explanation.recognition
    unseen = kept_by is None or not kept_by.dialect.heals
    return _LEFT if unseen else f"'stateheal heal' leaves its record as it is: {explanation.left}"


def _sides_of(explanation: Explanation) -> list[Mapping[str, Json]]:
    return [side for side in (explanation.record, explanation.entry) if side is not None]


def _dialect_of(explanation: Explanation) -> Dialect:
    return explanation.recognition.dialect if explanation.recognition else CODEX


def _status_of(explanation: Explanation) -> str:
    """The index's word, by the field that counts."""
    sides, dialect = reversed(_sides_of(explanation)), _dialect_of(explanation)
    return next((text for side in sides if (text := status_of(side, dialect))), "unknown")


def _decisive(explanation: Explanation) -> Step | None:
    """The row whose word counts: alive beats unsure beats dead; ``None`` where nothing was judged."""
    lasts = [trial.steps[-1] for trial in explanation.trials]
    return max(lasts, key=lambda step: _STRENGTH.index(step.state), default=None)


def _why(explanation: Explanation, step: Step | None) -> str:
    notice = next((finding.message for finding in explanation.findings), "nothing is wrong with it")
    return notice if step is None else step.reason or ""


def _sides_lines(
    entry: Mapping[str, Json] | None, record: Mapping[str, Json] | None, dialect: Dialect
) -> Iterator[str]:
    """Both records; what both say is not said twice."""
    keys = tuple(dict.fromkeys((*dialect.status, *_FIELDS, *dialect.pids, *dialect.orphan_time)))
    yield "  index entry:" if entry is not None else "  index entry: none that can be read"
    yield from _side_lines(entry or {}, {}, keys)
    if record is None:
        yield "  job file: none that can be read"
        return
    lines = list(_side_lines(record, entry or {}, keys))
    yield f"  job file{':' if entry is None else ', where it differs:' if lines else ': says the same'}"
    yield from lines


def _side_lines(side: Mapping[str, Json], known: Mapping[str, Json], keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        if key in side and not (key in known and known[key] == side[key]):
            value = json.dumps(side[key], ensure_ascii=False)
            yield f"    {key:14} {printable(value[:160])}"
        elif key in known and key not in side and key not in _INDEX_ALONE and "status" in side:
            yield f"    {key:14} missing"


def _moment(moment: float, now: float) -> str:
    return f"{format_time(moment)} ({describe_age(moment, now)})"


def _trial_lines(trial: Trial, now: float) -> Iterator[str | Text]:
    yield "  no process is recorded:" if trial.owner.pid is None else f"  process {json.dumps(trial.owner.pid)}:"
    for field, pid in trial.owner.others:
        yield f"    further process: {printable(field)} {pid}"
    if trial.process is not None:
        for line in _process_lines(trial.process, now):
            yield f"    {line}"
    yield "  rows of the table, the first that matches decides:"
    for step in trial.steps:
        if step.reason is None:
            yield Text(f"    no   {step.row}", style="dim")
        else:
            yield Text(f"    YES  {step.row}: {step.state.value}. {printable(step.reason)}", style=_STYLES[step.state])


def _process_lines(process: ProcessFacts, now: float) -> Iterator[str]:
    if not process.exists:
        yield f"gone: {process.why}"
        return
    yield "exists" + (", a zombie" if process.zombie else "")
    yield f"created {'unknown' if process.created is None else _moment(process.created, now)}"
    argv = "unreadable" if process.argv is None else " ".join(process.argv)
    yield f"command line: {printable(argv[:300])}"


def _for_programs(value: Json) -> Json:
    """What stood in a record; a number like ``1e999`` is legal there, and none that can be written again."""
    return finite(json.dumps(value))


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The same as JSON."""
    step = _decisive(explanation)
    return {
        "workspace": explanation.place.name,
        "path": str(explanation.place.directory),
        "job": explanation.job,
        "title": label_of(*_sides_of(explanation)),
        "status": _status_of(explanation),
        "verdict": None if step is None else step.state.value,
        "reason": _why(explanation, step),
        "companion": explanation.recognition.dialect.name if explanation.recognition else None,
        "companion_why": explanation.recognition.why if explanation.recognition else None,
        "entry": _for_programs(explanation.entry),
        "record": _for_programs(explanation.record),
        "log_written": None if explanation.log_written is None else format_time(explanation.log_written),
        "last_sign": None if explanation.last_sign is None else format_time(explanation.last_sign),
        "host": explanation.host._asdict(),
        "trials": [
            {
                "pid": _for_programs(trial.owner.pid),
                "process": None if trial.process is None else trial.process._asdict(),
                "rows": [{"row": s.row, "state": s.state.value, "reason": s.reason} for s in trial.steps],
                "verdict": trial.steps[-1].state.value,
            }
            for trial in explanation.trials
        ],
    }
