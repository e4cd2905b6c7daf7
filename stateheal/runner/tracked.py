"""Jobs that never get stuck: a Python program's work, recorded as the plugin records a job, and closed at every end.

``tracked_job`` is a context manager, an async context manager and a decorator. The records are the Codex plugin's own
(field guide sections 2 and 3), so its ``status``, ``result`` and ``cancel`` know the job; they also name the process
beyond doubt, so that after SIGKILL or a power cut the next ``stateheal heal`` closes them without a guess.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType

from stateheal.runner.job import TrackedJob, describe, start_job
from stateheal.runner.signals import GUARD

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

_current: ContextVar[TrackedJob | None] = ContextVar("stateheal_job", default=None)


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
        import asyncio  # whoever comes here has it

        return self._start(asyncio.get_running_loop())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: Function) -> Function:
        import inspect

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


def current_job() -> TrackedJob | None:
    """The innermost job that this code runs in, ``None`` outside of any."""
    return _current.get()


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
