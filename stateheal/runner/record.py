"""The records of a tracked job, as values: what the plugin itself would write at each moment of a job's life.

Field guide sections 2 and 3. Key order is the plugin's own. The one key more, ``owner``, is the identity of the process
that runs the job, so that a later verdict needs no guess (section 4).
"""

from __future__ import annotations

import math
import random
import signal
from collections.abc import Mapping

from stateheal.formats.jsontext import Json
from stateheal.formats.times import format_time
from stateheal.text import shorten
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LARGEST = 10**300
_DEEPEST = 100
_LONGEST_REPR = 1000
_chance = random.SystemRandom()

Fields = Mapping[str, Json]


def job_id(job_class: str, now: float) -> str:
    """An id as the plugin makes them: ``task-<milliseconds in base 36>-<six of chance>``."""
    number, digits = int(now * 1000), ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    prefix = "review" if job_class == "review" else "task"
    return f"{prefix}-{digits}-{''.join(_chance.choices(_DIGITS, k=6))}"


def kind_label(kind: str, job_class: str) -> str:
    """What the plugin's tables call a job."""
    if kind == "adversarial-review":
        return "adversarial-review"
    return "review" if job_class == "review" else "rescue"


class Description(NamedTuple):
    """What the caller says about a job."""

    title: str
    kind: str
    job_class: str
    summary: str
    write: bool
    session_id: str | None


class ProcessIdentity(NamedTuple):
    """The process that runs a job, so that no other can be taken for it; what the system does not tell is left out."""

    pid: int
    hostname: str
    boot_id: str | None = None
    pid_namespace: str | None = None
    start_ticks: int | None = None
    created: float | None = None
    """When it was created, in seconds since the epoch: what stands for boot and ticks where there are none."""

    @property
    def fields(self) -> dict[str, Json]:
        """As ``model.claims.identity_of`` reads it."""
        known = {
            "tool": "stateheal",
            "hostname": self.hostname,
            "bootId": self.boot_id,
            "pidNamespace": self.pid_namespace,
            "startTicks": self.start_ticks,
            "processCreatedAt": None if self.created is None else format_time(self.created),
        }
        return {key: value for key, value in known.items() if value is not None}


def running(
    ident: str, about: Description, workspace_root: str, log: str, owner: ProcessIdentity, now: float
) -> dict[str, Json]:
    """The record of a job that begins now."""
    moment = format_time(now)
    session = {"sessionId": about.session_id} if about.session_id else {}
    return {
        "id": ident,
        "kind": about.kind,
        "kindLabel": kind_label(about.kind, about.job_class),
        "title": about.title,
        "workspaceRoot": workspace_root,
        "jobClass": about.job_class,
        "summary": about.summary,
        "write": about.write,
        "createdAt": moment,
        **session,
        "status": "running",
        "startedAt": moment,
        "phase": "starting",
        "pid": owner.pid,
        "logFile": log,
        "owner": owner.fields,
    }


def first_entry(record: Fields) -> dict[str, Json]:
    """The index entry of a new record: the plugin's upsert puts its two times first."""
    return {"createdAt": record["createdAt"], "updatedAt": record["startedAt"], **record}


class Ending(NamedTuple):
    """How a job ends: what changes in both its records, and what its job file gets besides."""

    both: Fields
    file_only: Fields
    entry_only: Fields
    log: str | None = None
    """A line for the log."""
    block: str | None = None
    """The final output for the log."""

    @property
    def status(self) -> str:
        return str(self.both["status"])


def plain(value: Any, depth: int = 0) -> Json:
    """The value as JSON can say it, as ``JSON.stringify`` would: tuples are lists, what is no number is null.

    Whatever else there may be is told as text: a result must never be the reason that its job stays open.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if abs(value) < _LARGEST else None
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(key): plain(each, depth + 1) for key, each in value.items()}
    if depth < _DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each, depth + 1) for each in value]
    return repr(value)[:_LONGEST_REPR] if depth < _DEEPEST else None


def completed(now: float, result: Json, rendered: str | None, summary: str | None) -> Ending:
    """``completed``/``done``. A text as result becomes what the plugin's ``result`` command prints."""
    payload = {"status": 0, "rawOutput": result} if isinstance(result, str) else result
    payload = plain(payload)
    if rendered is None and isinstance(payload, dict) and isinstance(payload.get("rawOutput"), str):
        rendered = payload["rawOutput"]
    fields = {"status": "completed", "phase": "done", "pid": None, "completedAt": format_time(now)}
    return Ending(
        fields,
        {"result": payload, "rendered": None if rendered is None else str(rendered)},
        {} if summary is None else {"summary": shorten(str(summary))},
        block=None if rendered is None else str(rendered),
    )


def failed(now: float, message: str, result: Json = None, phase: str = "failed") -> Ending:
    """``failed`` with a message, in the plugin's own phase or in another."""
    fields = {
        "status": "failed",
        "phase": phase,
        "pid": None,
        "errorMessage": str(message),
        "completedAt": format_time(now),
    }
    return Ending(fields, {} if result is None else {"result": plain(result)}, {}, log=str(message))


def terminated(now: float, signum: int, result: Json = None) -> Ending:
    """``failed``/``terminated`` by a signal."""
    return failed(now, f"Terminated by {signal_name(signum)}", result, "terminated")


def signal_name(signum: int) -> str:
    """``SIGTERM`` for 15; a real-time signal goes by its number."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
