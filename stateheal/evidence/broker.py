"""``broker.json`` and what stands behind it: does its endpoint answer, who has its pid?"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

from stateheal.evidence.processes import ProcessTable
from stateheal.evidence.snapshot import read_snapshot
from stateheal.fs.directory import Directory
from stateheal.model.disk import Snapshot, Unreadable
from stateheal.model.evidence import Answer, BrokerFacts
from stateheal.model.records import pid_of

_PATIENCE = 0.2  # seconds
_TO_ANSWER = 1.0
"""Seconds that a broker gets for a question that it answers by itself."""
_QUESTION = (
    b'{"id":1,"method":"initialize","params":'
    b'{"clientInfo":{"title":"stateheal","name":"stateheal","version":"1"},"capabilities":{}}}\n'
)
"""The first line of every client's own. The plugin's broker answers it itself (``app-server-broker.mjs``): nothing goes
on to Codex, and no other client is told that the broker is busy, as any further request would make it."""
_PIPES = "\\\\.\\pipe\\"
_NOBODY = (errno.ENOENT, errno.ECONNREFUSED)


def read_broker(
    directory: Directory,
    name: str | None,
    processes: ProcessTable,
    ask: Callable[[object], Answer],
    greet: Callable[[str], bool | None],
) -> BrokerFacts | Unreadable | None:
    """The facts about a workspace's broker; ``None`` where it has none."""
    found = read_snapshot(directory, name, name) if name is not None else None
    if not isinstance(found, Snapshot):
        return found
    session = found.value if isinstance(found.value, dict) else {}
    pid = pid_of(session.get("pid"))
    process = processes.facts(pid) if pid is not None and pid > 0 else None
    endpoint = session.get("endpoint")
    answer = ask(endpoint)
    own = isinstance(endpoint, str) and process is not None and endpoint in (process.argv or ())
    greets = greet(endpoint) if own and isinstance(endpoint, str) and answer is Answer.YES else None
    return BrokerFacts(found, answer, process, greets)


def greets(endpoint: str) -> bool | None:
    """Whether a broker answers ``initialize`` within a second; ``None`` where it hangs up, or cannot be asked."""
    import socket

    if not hasattr(socket, "AF_UNIX") or not endpoint.startswith("unix:/"):
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_TO_ANSWER)
        try:
            client.connect(endpoint[len("unix:") :])
            client.sendall(_QUESTION)
            return True if client.recv(1) else None
        except TimeoutError:
            return False
        except (OSError, ValueError):
            return None


def ask_endpoint(endpoint: object) -> Answer:
    """Connect, and say what happened. Only "no such socket" and "refused" count as no answer; all else is unknown."""
    if sys.platform == "win32" and isinstance(endpoint, str):
        return _ask_pipe(endpoint)
    if not isinstance(endpoint, str) or not endpoint.startswith("unix:/") or "\0" in endpoint:
        return Answer.UNKNOWN  # a relative path would be relative to the broker's directory, not to ours
    import socket  # few workspaces have a broker

    if not hasattr(socket, "AF_UNIX"):
        return Answer.UNKNOWN
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        try:
            client.connect(endpoint[len("unix:") :])
        except (OSError, ValueError) as error:
            return Answer.NO if getattr(error, "errno", None) in _NOBODY else Answer.UNKNOWN
    return Answer.YES


if sys.platform == "win32":
    from stateheal.system.files import answers

    def _ask_pipe(endpoint: str) -> Answer:
        r"""Windows: ``pipe:\\.\pipe\<name>``. The bare prefix, and other devices, would open as something else."""
        name = endpoint.removeprefix("pipe:")
        if name == endpoint or not name.lower().startswith(_PIPES) or len(name) == len(_PIPES) or "\0" in name:
            return Answer.UNKNOWN
        return {True: Answer.YES, False: Answer.NO, None: Answer.UNKNOWN}[answers(name)]
