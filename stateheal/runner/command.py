"""``stateheal run``: a command as a tracked job, or a command that keeps its own records, with somebody to close them.

Field guide sections 2 to 4; DESIGN.md, commands.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from stateheal.errors import StatehealError
from stateheal.evidence.processes import descendants
from stateheal.model.problems import Problem
from stateheal.model.report import Report
from stateheal.model.request import Closing
from stateheal.runner.job import TrackedJob, start_job
from stateheal.runner.process.order import CannotStart, Ended, Order
from stateheal.runner.process.pump import Tail
from stateheal.runner.record import Description, signal_name
from stateheal.text import command_line
from stateheal.values import NamedTuple, dataclass, field

if sys.platform == "win32":
    from stateheal.runner.process.windows import Supervisor
else:
    from stateheal.runner.process.supervisor import Supervisor

LOG_LIMIT = 64 * 1024 * 1024
"""Bytes of output that a job's log takes: what reads logs, the plugin too, reads them whole."""
_NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGKILL", "SIGBREAK")
_ASKING = {getattr(signal, name) for name in _NAMES if hasattr(signal, name)}
"""Signals by which somebody ends a process; by any other it ends for a fault of its own."""


class Wrapped(NamedTuple):
    """What became of a command."""

    status: int
    """The exit status to pass on."""
    message: str | None
    """Why there was no orderly end."""
    job: TrackedJob | None = None
    report: Report | None = None
    """What was closed behind a command that keeps its own records."""


def run_tracked(
    order: Order,
    about: Description,
    cwd: str | None = None,
    data_dir: str | None = None,
    started: Callable[[TrackedJob], None] = lambda job: None,
) -> Wrapped:
    """Run a command as a tracked job to its end. Raises ``StatehealError`` where the job cannot be recorded."""
    with Supervisor(order) as supervisor:
        job = start_job(about, cwd, data_dir, handlers=False)
        started(job)
        record = _Recorder(job)
        supervisor.keep = record.keep
        early = supervisor.asked_to_end()
        if early is not None:
            job.terminate(early)
            return Wrapped(128 + early, f"Terminated by {signal_name(early)}", job)
        try:
            ended = supervisor.run()
        except CannotStart as error:
            job.fail(str(error))
            return Wrapped(error.status, str(error), job)
        message = _message(ended, order)
        _close(job, ended, message, record.result(order.argv, _status(ended), message))
        return Wrapped(_status(ended), message, job)


class _Recorder:
    """Keeps a command's output for its job: in the log up to a limit, the end of it for the result."""

    def __init__(self, job: TrackedJob) -> None:
        self._job = job
        self._room = LOG_LIMIT
        self._tails = {"stdout": Tail(), "stderr": Tail()}

    def keep(self, name: str, data: bytes) -> None:
        """Bytes of ``stdout`` or ``stderr`` on their way."""
        self._tails[name].add(data)
        if self._room > 0:
            self._job.keep_output(data[: self._room])
            self._room -= len(data)
            if self._room <= 0:
                self._job.log(f"The output goes on, but no more than {LOG_LIMIT >> 20} MiB of it are kept.")

    def result(self, argv: Sequence[str], status: int, message: str | None) -> dict[str, object]:
        """In the plugin's shape: ``rawOutput`` is all that its ``result`` command prints: it ends with the message."""
        out, err = self._tails["stdout"].text(), self._tails["stderr"].text()
        shown = out or err
        if message:
            shown += ("" if shown.endswith("\n") or not shown else "\n") + f"[{message}]\n"
        return {"status": status, "rawOutput": shown, "stderr": err, "command": command_line(argv, visible=False)}


TIMED_OUT = 124
"""The exit status of a command whose time was over, as timeout(1) has it, whatever signal it took."""


def _status(ended: Ended) -> int:
    return TIMED_OUT if ended.timed_out else ended.status


def _message(ended: Ended, order: Order) -> str | None:
    """Why there was no orderly end; ``None`` where there was one."""
    by = _asked(ended)
    if ended.timed_out:
        return f"Timed out after {order.timeout:g} s"
    if by is not None:
        return f"Terminated by {signal_name(by)}"
    if ended.killed_by is not None:
        return f"Killed by {signal_name(ended.killed_by)}"
    return f"Exited with status {ended.status}" if ended.status else None


def _asked(ended: Ended) -> int | None:
    """The signal by which somebody ended the command."""
    return ended.asked_by or (ended.killed_by if ended.killed_by in _ASKING else None)


def _close(job: TrackedJob, ended: Ended, message: str | None, result: dict[str, object]) -> None:
    """End the job as its command ended."""
    by = _asked(ended)
    if message is None:
        job.complete(result)
    elif by is None or ended.timed_out:
        job.fail(message, result)
    else:
        job.terminate(by, result)


# --- a command that keeps its own records --------------------------------------------------------------------------


@dataclass
class _Family:
    """The processes that a command started, as far as they were seen while they lived."""

    seen: set[int] = field(default_factory=set)

    def look(self) -> None:
        self.seen |= descendants(os.getpid())


def run_unrecorded(order: Order, paths: Sequence[str] | None, cwd: str) -> Wrapped:
    """Run a command, and when it has ended close every active record that names a process of it that has ended too.

    Jobs that it left running in the background stay as they are. ``cwd``: the directory whose workspace is looked at,
    in ``paths`` or in every default root.
    """
    from stateheal.runner.close_records import close_jobs  # the engine: not for a command that is only tracked

    family = _Family()
    began = time.time()
    with Supervisor(order._replace(sample=family.look)) as supervisor:
        try:
            ended = supervisor.run()
        except CannotStart as error:
            return Wrapped(error.status, str(error))
        by = ended.asked_by or ended.killed_by
        if ended.timed_out:
            by = by or signal.SIGTERM
        message = None if by is None else f"Terminated by {signal_name(by)}"
        closing = Closing(ended.children | family.seen, began, time.time(), message)
        if ended.timed_out:
            message = f"Timed out after {order.timeout:g} s"
        try:
            report = close_jobs(closing, paths, _workspaces(order.argv, cwd))
        except StatehealError as error:  # the status is the command's all the same
            report = Report("heal", errors=(Problem("", f"its records were not looked at: {error}"),))
        return Wrapped(_status(ended), message, report=report)


def _workspaces(argv: Sequence[str], cwd: str) -> list[str]:
    """The directory itself, and those that the command names as the companion takes them: ``--cwd DIR``, ``-C DIR``."""
    found = [cwd]
    for number, word in enumerate(argv):
        if word in ("--cwd", "-C"):
            found += argv[number + 1 : number + 2]
        elif word.startswith("--cwd="):
            found.append(word.partition("=")[2])
    return [os.path.join(cwd, each) for each in dict.fromkeys(found)]
