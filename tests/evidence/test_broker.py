"""A broker is asked a harmless question: over real sockets."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from stateheal.evidence.broker import ask_endpoint, greets
from stateheal.model.evidence import Answer
from tests.workers import running, script, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.posix("unix sockets")]
SERVE = (
    "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); "
    "print('up', flush=True)\nwhile True:\n    c, _ = s.accept()\n    line = c.makefile('rb').readline()\n"
    "    open(sys.argv[1] + '.asked', 'wb').write(line)\n    "
)


@pytest.mark.parametrize(
    ("then", "answer"),
    [
        ('c.sendall(b\'{"id":1,"result":{}}\\n\')', True),
        ("time.sleep(60)", False),
        ("c.close(); del c", None),
    ],
)
def test_who_answers_and_who_is_mute(tmp_path: Path, then: str, answer: bool | None) -> None:
    path = tmp_path / "b.sock"
    with running(script(tmp_path, "broker.py", SERVE + then), path) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        assert greets(f"unix:{path}") is answer
        asked = json.loads((tmp_path / "b.sock.asked").read_bytes())
        assert asked["method"] == "initialize" and asked["id"] == 1


@pytest.mark.proc("it tells who is stopped")
def test_a_stopped_broker_takes_connections_and_is_mute(tmp_path: Path) -> None:
    path = tmp_path / "b.sock"
    with running(script(tmp_path, "broker.py", SERVE + "c.sendall(b'x')"), path) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        os.kill(process.pid, signal.SIGSTOP)
        assert wait_for(lambda: "T" in Path(f"/proc/{process.pid}/stat").read_text().split(")")[1].split()[0])
        assert ask_endpoint(f"unix:{path}") is Answer.YES
        assert greets(f"unix:{path}") is False


@pytest.mark.parametrize("endpoint", ["unix:/nonexistent/b.sock", "pipe:x", "unix:relative", "unix:/\0"])
def test_what_cannot_be_asked_tells_nothing(endpoint: str) -> None:
    assert greets(endpoint) is None
