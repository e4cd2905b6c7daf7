"""A broker's endpoint on Windows: a named pipe, which somebody serves or nobody does."""

from __future__ import annotations

from pathlib import Path

import pytest

from stateheal.evidence.broker import ask_endpoint
from stateheal.model.evidence import Answer
from tests.workers import running, script

pytestmark = [pytest.mark.processes, pytest.mark.windows("named pipes")]
SERVES = (
    "import sys; from multiprocessing.connection import Listener\n"
    "pipe = Listener(sys.argv[1], 'AF_PIPE'); print('up', flush=True)\n"
    "while True: kept = pipe.accept(); print('asked', flush=True)"
)


def test_who_serves_answers_and_hears_of_no_connection(tmp_path: Path) -> None:
    pipe = f"\\\\.\\pipe\\{tmp_path.name}"
    with running(script(tmp_path, "broker.py", SERVES), pipe) as process:
        assert process.stdout is not None and process.stdout.readline().split() == [b"up"]
        assert ask_endpoint(f"pipe:{pipe}") is ask_endpoint(f"pipe:{pipe.upper()}") is Answer.YES
        process.kill()
        assert process.stdout.readline() == b"", "no connection was made: the only instance is still free"
        process.wait()
    assert ask_endpoint(f"pipe:{pipe}") is Answer.NO


@pytest.mark.parametrize(
    "endpoint",
    [
        "pipe:\\\\.\\pipe\\",
        "pipe:\\\\.\\nul",
        "pipe:C:\\x",
        "\\\\.\\pipe\\x",
        "pipe:\\\\.\\pipe\\a\0b",
        "unix:/a",
        7,
        None,
    ],
)
def test_what_is_no_pipe_is_not_asked(endpoint: object) -> None:
    assert ask_endpoint(endpoint) is Answer.UNKNOWN
