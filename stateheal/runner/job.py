"""Jobs that never get stuck: a Python program's work, recorded as the plugin records a job, and closed at every end.

``tracked_job`` is a context manager, an async context manager and a decorator. The records are the Codex plugin's own
(field guide sections 2 and 3), so its ``status``, ``result`` and ``cancel`` know the job; they also name the process
beyond doubt, so that after SIGKILL or a power cut the next ``stateheal heal`` closes them without a guess.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from stateheal.commit.location import journal_path
from stateheal.errors import StatehealError
from stateheal.evidence.host import boot_id, hostname, pid_namespace, start_ticks
from stateheal.formats.jsontext import Json
from stateheal.runner.place import workplace
from stateheal.runner.record import Description, Ending, ProcessIdentity, completed, failed, job_id, running, terminated
from stateheal.runner.signals import GUARD
from stateheal.runner.store import PATIENCE, JobStore
from stateheal.text import shorten

SESSION = "CODEX_COMPANION_SESSION_ID"
"""The variable in which the plugin hands its session's id to its jobs."""
_FLUSH_PATIENCE = 2.0
_current: ContextVar[TrackedJob | None] = ContextVar("stateheal_job", default=None)
_logger = logging.getLogger("stateheal")
_Path = "str | os.PathLike[str]"
Function = TypeVar("Function", bound=Callable[..., Any])


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
            self._trouble(str(error) if isinstance(error, StatehealError) else f"{type(error).__name__}: {error}")
            return None

    def _trouble(self, text: str) -> None:
        self.problems.append(text)
        _logger.warning("job %s: %s", self.id, text)


class tracked_job:
    """Track the block, or every call of the decorated function, as one job.

    ``title`` and ``summary`` are what the plugin's tables show; ``kind`` (``task``, ``review``, ``adversarial-review``)
    and ``job_class`` (``task``, ``review``) are its categories. ``cwd`` is the project (default: the current
    directory), ``data_dir`` a plugin's data directory (default: ``$CLAUDE_PLUGIN_DATA``, else the temp root),
    ``session_id`` the Claude Code session (default: the plugin's variable; the plugin ends and removes the jobs of a
    session with it).

    The end: ``completed``/``done``; after an exception ``failed``/``failed`` with its message; after SIGTERM, SIGINT or
    SIGHUP ``failed``/``terminated``, and the process exits with 128+n. A decorated function's returned text or dict
    becomes the result. Handlers exist in the main thread only. Entering raises ``StatehealError`` where the records
    cannot be written.
    """

    def __init__(
        self,
        title: str = "Tracked job",
        *,
        kind: str = "task",
        job_class: str = "task",
        summary: str | None = None,
        cwd: str | os.PathLike[str] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        session_id: str | None = None,
        write: bool = False,
    ) -> None:
        self._about = describe(title, summary, kind, job_class, write, session_id)
        self._where = (cwd, data_dir)
        self._job: TrackedJob | None = None
        self._token: Token[TrackedJob | None] | None = None

    # --- the three forms ---

    def __enter__(self) -> TrackedJob:
        return self._start(None)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        job, token = self._job, self._token
        assert job is not None and token is not None
        self._job = self._token = None
        _finish(job, error)
        with suppress(ValueError):  # left in another context than it was entered in, as fixtures are
            _current.reset(token)

    async def __aenter__(self) -> TrackedJob:
        return self._start(asyncio.get_running_loop())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: Function) -> Function:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("a generator cannot be tracked as one call: use 'with tracked_job(…)' inside it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def tracked_async(*args: Any, **kwargs: Any) -> Any:
                async with self._again() as job:
                    return _with_result(job, await function(*args, **kwargs))

            return tracked_async  # type: ignore[return-value]

        @functools.wraps(function)
        def tracked(*args: Any, **kwargs: Any) -> Any:
            with self._again() as job:
                return _with_result(job, function(*args, **kwargs))

        return tracked  # type: ignore[return-value]

    # --- inside ---

    def _again(self) -> tracked_job:
        """A decorated function may run in itself and in several threads: each call is a job of its own."""
        other = object.__new__(tracked_job)
        other.__dict__.update(self.__dict__, _job=None, _token=None)
        return other

    def _start(self, loop: asyncio.AbstractEventLoop | None) -> TrackedJob:
        if self._job is not None:
            raise RuntimeError("this tracked_job is active already; make another for the inner block")
        with GUARD:
            self._job = start_job(self._about, *self._where, loop=loop)
            self._token = _current.set(self._job)
        return self._job


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
    store = JobStore(place.directory, job_id(about.job_class, now), journal_path())
    record = running(store.id, about, place.root, str(store.log_path), _this_process(), now)
    job = TrackedJob(store, place.root)
    with GUARD:
        GUARD.add(job, loop, handlers)
        try:
            problem = store.begin(record)
        except BaseException:
            GUARD.drop(job)
            raise
        if problem is not None:
            job._trouble(str(problem))
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


def current_job() -> TrackedJob | None:
    """The innermost job that this code runs in, ``None`` outside of any."""
    return _current.get()


def _this_process() -> ProcessIdentity:
    pid = os.getpid()
    return ProcessIdentity(pid, hostname(), boot_id(), pid_namespace(), start_ticks(pid))


def _with_result(job: TrackedJob, value: Any) -> Any:
    if isinstance(value, (str, dict)):
        job.complete(value)
    return value


def _finish(job: TrackedJob, error: BaseException | None) -> None:
    """What the end of a block means for its job."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        job.complete()
    elif isinstance(error, KeyboardInterrupt):
        job.terminate(signal.SIGINT)
    elif isinstance(error, SystemExit):
        job.fail(error.code if isinstance(error.code, str) else f"Exited with status {error.code}")
    else:
        job.fail(_said(error))


def _said(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # its own fault: the job ends all the same
        return type(error).__name__
