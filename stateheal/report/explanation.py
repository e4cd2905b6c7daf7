"""One job explained, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from stateheal.formats.jsontext import Json
from stateheal.formats.times import describe_age, format_time
from stateheal.model.jobs import Explanation
from stateheal.model.liveness import Liveness, ProcessFacts, Trial
from stateheal.model.records import label_of, text_of
from stateheal.text import printable

_STYLES = {Liveness.ALIVE: "green", Liveness.DEAD: "red", Liveness.UNSURE: "yellow"}
_STRENGTH = (Liveness.DEAD, Liveness.UNSURE, Liveness.ALIVE)
_HELPS = {
    Liveness.DEAD: "; stateheal heal --job {job} closes it",
    Liveness.UNSURE: "; stateheal close {job} closes it on your word",
    Liveness.ALIVE: "; stateheal stop {job} ends it",
}
_FIELDS = (
    *("status", "phase", "pid", "createdAt", "startedAt", "updatedAt", "completedAt", "threadId", "turnId"),
    *("errorMessage", "workspaceRoot", "logFile", "owner", "pidStartTime", "pidIdentity"),
)


def explanation_lines(explanation: Explanation) -> Iterator[str | Text]:
    """What was read, what the system said, which row decided, and what follows."""
    host = explanation.host
    yield from _verdict_lines(explanation)
    yield f"  in {printable(str(explanation.place.directory))}"
    kept_by = explanation.recognition
    yield f"  kept by {kept_by.dialect.name}: {printable(kept_by.why)}" if kept_by else "  kept by nobody known here"
    for name, side in (("index entry", explanation.entry), ("job file", explanation.record)):
        yield f"  {name}:" if side is not None else f"  {name}: none that can be read"
        yield from _side_lines(side or {})
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
    if not explanation.findings:
        yield "  nothing is wrong with it"


def _verdict_lines(explanation: Explanation) -> Iterator[str | Text]:
    """What it comes to: alive, dead or unsure, why, and what to do about it; then what the job is."""
    sides = [side for side in (explanation.record, explanation.entry) if side is not None]
    status = next((text for side in reversed(sides) if (text := text_of(side, "status"))), "unknown")
    head = Text(printable(explanation.job), style="bold").append(f"  {printable(status)}", style="not bold")
    lasts = [trial.steps[-1] for trial in explanation.trials]
    step = max(lasts, key=lambda step: _STRENGTH.index(step.state), default=None)
    if step is not None:
        head.append(", ").append(step.state.value, style=_STYLES[step.state])
    yield head
    notice = next((finding.message for finding in explanation.findings), "nothing is wrong with it")
    why = notice if step is None else step.reason or ""
    helps = "" if step is None else _HELPS[step.state].format(job=explanation.job)
    yield f"  {printable(why)}{printable(helps)}"
    title = label_of(*sides)
    if title:
        yield Text(f'  "{printable(title)}"', style="italic")


def _side_lines(side: Mapping[str, Json]) -> Iterator[str]:
    for key in _FIELDS:
        if key in side:
            value = json.dumps(side[key], ensure_ascii=False)
            yield f"    {key:14} {printable(value[:160])}"


def _moment(moment: float, now: float) -> str:
    return f"{format_time(moment)} ({describe_age(moment, now)})"


def _trial_lines(trial: Trial, now: float) -> Iterator[str | Text]:
    yield f"  process {json.dumps(trial.owner.pid)}:"
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


def _finite(value: Json) -> Json:
    """What stood in a record, with numbers that no JSON reader takes as text."""
    return json.loads(json.dumps(value), parse_constant=str)


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "workspace": explanation.place.name,
        "path": str(explanation.place.directory),
        "job": explanation.job,
        "companion": explanation.recognition.dialect.name if explanation.recognition else None,
        "companion_why": explanation.recognition.why if explanation.recognition else None,
        "entry": _finite(explanation.entry),
        "record": _finite(explanation.record),
        "log_written": None if explanation.log_written is None else format_time(explanation.log_written),
        "last_sign": None if explanation.last_sign is None else format_time(explanation.last_sign),
        "host": explanation.host._asdict(),
        "trials": [
            {
                "pid": _finite(trial.owner.pid),
                "process": None if trial.process is None else trial.process._asdict(),
                "rows": [{"row": s.row, "state": s.state.value, "reason": s.reason} for s in trial.steps],
                "verdict": trial.steps[-1].state.value,
            }
            for trial in explanation.trials
        ],
    }
