"""Real processes that look like a companion's workers and brokers. Each ends with its test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

WAITS = "import time; time.sleep(300)"


def script(folder: Path, name: str, text: str) -> Path:
    """A program of that name, run by this Python; it says when it is ready."""
    path = folder / name
    path.write_text(f"print('ready', flush=True)\n{text}\n")
    return path


@contextmanager
def running(*argv: str | Path, alone: bool = True, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The program, ready; ``alone`` in a process group of its own. Killed and reaped at the end."""
    command = [sys.executable, *map(str, argv)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=alone, **more
    )
    try:
        assert process.stdout is not None and process.stdout.readline().split() == [b"ready"]
        yield process
    finally:
        _kill(process, alone)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _kill(process: subprocess.Popen[bytes], alone: bool) -> None:
    """With what the program has started, which may outlive it."""
    with suppress(ProcessLookupError, psutil.Error):
        if os.name == "posix" and alone:
            os.killpg(process.pid, signal.SIGKILL)
            return
        for child in psutil.Process(process.pid).children(recursive=True) if alone else ():
            child.kill()
    process.kill()


@contextmanager
def worker(folder: Path, job: str, text: str = WAITS, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A job's worker: its argv holds the job's id, as the plugin's own does."""
    program = script(folder, "codex-companion.mjs", text)
    with running(program, "task-worker", "--job-id", job, cwd=folder, **more) as process:
        yield process


def gone_pid() -> int:
    """A pid that belonged to a process a moment ago."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def wait_for(condition: Any, seconds: float = 10.0) -> bool:
    """Whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
