"""One active job of this process: begun, told of its progress, ended exactly once.

Field guide sections 2 and 3. ``tracked`` has the forms in which a program uses it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from stateheal.errors import StatehealError
from stateheal.evidence.host import boot_id, hostname, pid_namespace, start_ticks
from stateheal.formats.jsontext import Json
from stateheal.model.dialect import CODEX
from stateheal.runner.place import workplace
from stateheal.runner.record import Description, Ending, ProcessIdentity, completed, failed, job_id, running, terminated
from stateheal.runner.signals import GUARD
from stateheal.runner.store import PATIENCE, JobStore
from stateheal.text import shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

SESSION = CODEX.session
"""The variable in which the plugin hands its session's id to its jobs."""
_FLUSH_PATIENCE = 2.0
_logger = logging.getLogger("stateheal")


class TrackedJob:
    """One active job. Made by ``tracked_job``.

    After the start nothing here raises: what cannot be written is added to ``problems`` and logged to the logger
    ``stateheal``, and the work goes on.
    """

    def __init__(self, store: JobStore, workspace_root: str) -> None:
        self.id = store.id
        self.workspace_root = workspace_root
        self.directory = store.directory
        """The workspace's state directory."""
        self.pid = os.getpid()
        self.status = "running"
        """``running``, ``completed``, ``failed``, or ``closed`` where somebody else has ended or removed the job."""
        self.problems: list[str] = []
        self._store = store
        self._said: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<TrackedJob {self.id}: {self.status}>"

    @property
    def log_path(self) -> Path:
        """The job's log."""
        return self._store.log_path

    def progress(
        self,
        phase: str | None = None,
        message: str | None = None,
        thread_id: str | None = None,
        turn_id: str | None = None,
    ) -> None:
        """Record a phase, a Codex thread or turn; log a message. What is said already is not written again."""
        said = {"phase": phase, "threadId": thread_id, "turnId": turn_id}
        with GUARD:
            if not self._active:
                return
            if message:
                self._try(lambda: self._store.log(message))
            fields = {key: value for key, value in said.items() if value and self._said.get(key) != value}
            if fields and self._try(lambda: self._store.progress(fields, time.time())) is False:
                self._close("closed")
            self._said |= fields

    def keep_output(self, data: bytes) -> None:
        """Bytes for the job's log as they are."""
        with GUARD:
            if self._active:
                self._try(lambda: self._store.log_bytes(data))

    def log(self, text: str) -> None:
        """One line in the job's log, which is also a sign of life."""
        with GUARD:
            if self._active:
                self._try(lambda: self._store.log(text))

    def complete(self, result: Json = None, rendered: str | None = None, summary: str | None = None) -> None:
        """End the job as ``completed``/``done`` now.

        ``result``: any JSON value; a text becomes ``{"status": 0, "rawOutput": text}``, which the plugin's ``result``
        command prints. ``rendered`` is the text for people (default: the raw output), ``summary`` replaces the entry's.
        """
        self._end(lambda now: completed(now, result, rendered, summary))

    def fail(self, message: str, result: Json = None) -> None:
        """End the job as ``failed``/``failed`` now, with a message."""
        self._end(lambda now: failed(now, message, result))

    def terminate(self, signum: int, result: Json = None) -> None:
        """End the job as ``failed``/``terminated`` by a signal. The process is not touched."""
        self._end(lambda now: terminated(now, signum, result), _FLUSH_PATIENCE)

    def abandon(self) -> None:
        """End the job because its process ends before it did."""
        self._end(lambda now: failed(now, "The process ended before the job did", phase="terminated"), _FLUSH_PATIENCE)

    # --- inside ---

    @property
    def _active(self) -> bool:
        return self.status == "running" and self.pid == os.getpid()

    def _close(self, status: str) -> None:
        self.status = status
        GUARD.drop(self)

    def _end(self, make: Callable[[float], Ending], patience: float = PATIENCE) -> None:
        with GUARD:
            if not self._active:
                return
            now = time.time()
            ending = self._try(lambda: make(now)) or failed(now, "How it ended could not be written down")
            ours = self._try(lambda: self._store.end(ending, now, patience))
            self._close("closed" if ours is False else ending.status)
            if ours is not False:
                self._try(lambda: self._store.log(ending.log or ""))
                self._try(lambda: self._store.log_block("Final output", ending.block or ""))

    def _try(self, write: Callable[[], Any]) -> Any:
        try:
            return write()
        except Exception as error:  # nothing about a record may break the work that it records
            self.note_problem(str(error) if isinstance(error, StatehealError) else f"{type(error).__name__}: {error}")
            return None

    def note_problem(self, text: str) -> None:
        """Remember what could not be written, and log it; the work goes on."""
        self.problems.append(text)
        _logger.warning("job %s: %s", self.id, text)


def start_job(
    about: Description,
    cwd: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    handlers: bool = True,
) -> TrackedJob:
    """Begin a job that the caller ends. Without ``handlers``, signals are the caller's business too.

    Raises ``StatehealError`` where its records cannot be written.
    """
    place = workplace(cwd, data_dir)
    now = time.time()
    store = JobStore(place.directory, job_id(about.job_class, now))
    record = running(store.id, about, place.root, str(store.log_path), _this_process(), now)
    job = TrackedJob(store, place.root)
    with GUARD:
        try:
            GUARD.add(job, loop, handlers)
            problem = store.begin(record)
        except BaseException:
            GUARD.drop(job)
            raise
        if problem is not None:
            job.note_problem(str(problem))
    return job


def describe(
    title: str,
    summary: str | None = None,
    kind: str = "task",
    job_class: str = "task",
    write: bool = False,
    session_id: str | None = None,
) -> Description:
    """What a job's records say about it; the session is the plugin's own unless given."""
    session = session_id or os.environ.get(SESSION) or None
    return Description(title, kind, job_class, shorten(summary or title), write, session)


def _this_process() -> ProcessIdentity:
    pid = os.getpid()
    ticks = start_ticks(pid)
    created = _created(pid) if ticks is None else None
    return ProcessIdentity(pid, hostname(), boot_id(), pid_namespace(), ticks, created)


def _created(pid: int) -> float | None:
    from stateheal.evidence.processes import SystemProcesses  # psutil, only where the system has no ticks

    return SystemProcesses().facts(pid).created
