"""Whether a directory's workspaces are plainly in order, found out with as few imports as can be.

The short path of the pre-launch hook (``hook``): what is plainly in order here is what the engine would find no damage
in, which tests check over every case of damage and over made-up ones. When in doubt it is not, and the engine looks.
"""

import os

from stateheal.hook.places import hashes, names_in, roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Environ = Mapping[str, str]

_LONGEST_FILE = 4 * 1024 * 1024
_TEXTS = frozenset(
    [
        "kind",
        "kindLabel",
        "title",
        "workspaceRoot",
        "jobClass",
        "summary",
        "sessionId",
        "phase",
        "threadId",
        "turnId",
        "errorMessage",
        "rendered",
    ]
)
_TIMES = frozenset(["createdAt", "startedAt", "completedAt", "updatedAt", "cancelledAt"])
_OTHERS = frozenset(["id", "status", "write", "pid", "logFile", "request", "result", "owner"])
_IDENTITY = ("jobClass", "kind", "title", "workspaceRoot", "sessionId", "logFile", "createdAt")
_SAME = ("status", "phase", "pid", "completedAt", "errorMessage", "threadId", "turnId", "logFile", "id")
_FINISHED = ("completed", "failed", "cancelled")
_ACTIVE = ("queued", "running")
_STILL_WARM = 1800.0
"""Seconds since its log moved in which a dead worker's turn may still run."""
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class NotPlain(Exception):
    """Something is not plainly in order: the engine shall look."""


# --- the workspaces ------------------------------------------------------------------------------------------------


def in_order(cwd: str, environ: "Environ") -> bool:
    """Whether every workspace of a directory is plainly in order. Never raises."""
    try:
        wanted = hashes(cwd, environ)
        short = {each[:12] for each in wanted}
        for root in roots(environ):
            for name in names_in(root):
                head, _, digits = name.rpartition("-")
                if digits in wanted and head:
                    check_workspace(os.path.realpath(os.path.join(root, name)))
                elif digits in wanted or digits in short:
                    return False  # another companion's: the engine knows them
    except (NotPlain, ImportError, OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return False
    return True


# --- one workspace -------------------------------------------------------------------------------------------------


def check_workspace(path: str) -> None:
    """Raises ``NotPlain`` unless all of it is as the plugin leaves a workspace whose jobs have ended or live."""
    names = set(os.listdir(path))
    if not names:
        return
    if not names <= {"state.json", "jobs", "broker.json"}:
        raise NotPlain
    jobs = os.path.join(path, "jobs")
    if "jobs" in names and os.stat(jobs, follow_symlinks=False).st_mode & 0o170000 != 0o040000:
        raise NotPlain
    files = _files_in(jobs) if "jobs" in names else set()
    jobs = os.path.join(jobs, "")
    entries = _entries(_read(os.path.join(path, "state.json"))) if "state.json" in names else []
    ids = set()
    for entry in entries:
        ident = _check_entry(entry, jobs)
        if ident in ids or ident + ".json" not in files:
            raise NotPlain
        ids.add(ident)
        _check_pair(entry, _read(f"{jobs}{ident}.json"), jobs)
    for name in files:
        stem, _, suffix = name.rpartition(".")
        if stem not in ids or suffix not in ("json", "log"):
            raise NotPlain
    if "broker.json" in names:
        _check_broker(_read(os.path.join(path, "broker.json")))
        for entry in entries:
            _check_turn(entry, jobs)


def _files_in(jobs: str) -> set[str]:
    """The names in a directory in which there are regular files only."""
    with os.scandir(jobs) as found:
        entries = list(found)
    if not all(entry.is_file(follow_symlinks=False) for entry in entries):
        raise NotPlain
    return {entry.name for entry in entries}


def _read(path: str) -> dict[str, object]:
    fd = os.open(path, _FLAGS)
    try:
        info = os.fstat(fd)
        if info.st_mode & 0o170000 != 0o100000 or info.st_size > _LONGEST_FILE:
            raise NotPlain
        data = os.read(fd, info.st_size + 1)
        if len(data) != info.st_size:
            raise NotPlain  # it is being written
    finally:
        os.close(fd)
    value = parse(data)
    if not isinstance(value, dict):
        raise NotPlain
    return value


def _entries(index: dict[str, object]) -> list[dict[str, object]]:
    config, jobs = index.get("config"), index.get("jobs")
    if index.keys() != {"version", "config", "jobs"} or type(index["version"]) is not int or index["version"] != 1:
        raise NotPlain
    if not isinstance(config, dict) or config.keys() != {"stopReviewGate"}:
        raise NotPlain
    if not isinstance(config["stopReviewGate"], bool) or not isinstance(jobs, list) or len(jobs) > 50:
        raise NotPlain
    return jobs


def _check_entry(entry: dict[str, object], jobs: str) -> str:
    """An index entry's own shape. Returns its id."""
    _check_shape(entry, jobs)
    if "updatedAt" not in entry or "result" in entry or "rendered" in entry:
        raise NotPlain
    return str(entry["id"])


def _check_shape(record: dict[str, object], jobs: str) -> None:
    for key, value in record.items():
        if key in _TEXTS:
            fine = value is None or isinstance(value, str)
        elif key in _TIMES:
            fine = _is_time(value) or (value is None and key not in ("createdAt", "updatedAt"))
        else:
            fine = key in _OTHERS
        if not fine:
            raise NotPlain
    ident, log = record["id"], record.get("logFile")
    if (
        not isinstance(ident, str)
        or not 0 < len(ident) <= 120
        or ident.encode(errors="replace").translate(None, _PLAIN)
    ):
        raise NotPlain
    if not isinstance(record.get("write", False), bool) or "createdAt" not in record:
        raise NotPlain
    if not isinstance(record.get("request", {}), dict) or not isinstance(record.get("owner", {}), dict):
        raise NotPlain
    if log is not None and log != f"{jobs}{ident}.log":
        raise NotPlain


def _check_pair(entry: dict[str, object], record: dict[str, object], jobs: str) -> None:
    """Both sides say the same: an end; or active, and the recorded pid is a worker with this job id."""
    _check_shape(record, jobs)
    if [entry.get(key) for key in _SAME] != [record.get(key) for key in _SAME]:
        raise NotPlain
    for key in _IDENTITY:
        if entry.get(key) is None and record.get(key) is not None:
            raise NotPlain
    status, pid = entry["status"], entry.get("pid")
    if status in _FINISHED:
        if pid is not None or (status == "completed" and entry.get("errorMessage")):
            raise NotPlain
    elif status not in _ACTIVE or "owner" in record or not _is_worker(pid, str(entry["id"])):
        raise NotPlain


def _is_worker(pid: object, ident: str) -> bool:
    """A process with this pid whose command line is a companion's worker with this very job id (Linux)."""
    words = _command_line(pid)
    for position, word in enumerate(words[:-1]):
        if b"companion" in os.path.basename(word) and words[position + 1].endswith(b"-worker"):
            wanted = ident.encode()
            return any(pair == (b"--job-id", wanted) for pair in zip(words, words[1:], strict=False))  # noqa: RUF007
    return False


def _check_turn(entry: dict[str, object], jobs: str) -> None:
    """The turn of a job whose worker has died may still run in the broker: who resumes it must be told."""
    if entry.get("phase") in ("orphaned", "terminated") and entry.get("threadId"):
        try:
            moved = os.stat(f"{jobs}{entry['id']}.log", follow_symlinks=False).st_mtime
        except FileNotFoundError:
            return
        if __import__("time").time() - moved < _STILL_WARM:
            raise NotPlain


def _check_broker(session: dict[str, object]) -> None:
    endpoint = session.get("endpoint")
    if not isinstance(endpoint, str) or not endpoint.startswith(("unix:/", "pipe:\\")):
        raise NotPlain
    words = _command_line(session.get("pid"))
    if (b"--endpoint", os.fsencode(endpoint)) not in zip(words, words[1:], strict=False):  # noqa: RUF007
        raise NotPlain
    if any(not isinstance(session.get(key, ""), str) for key in ("pidFile", "logFile", "sessionDir")):
        raise NotPlain


def _command_line(pid: object) -> list[bytes]:
    if type(pid) is not int or pid <= 1:
        raise NotPlain
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().split(b"\0")


def _is_time(value: object) -> bool:
    """The plugin's own spelling of a time, and nothing else."""
    return isinstance(value, str) and value.encode(errors="replace").translate(_DIGITS) == b"0000-00-00T00:00:00.000Z"


# --- JSON ----------------------------------------------------------------------------------------------------------


def parse(data: bytes) -> object:
    """A JSON document, as strictly as the engine reads one. Raises ``ValueError`` or ``NotPlain``."""
    text = data.decode("utf-8", "replace")  # as node does
    try:
        value, end = _scanner()(text, len(text) - len(text.lstrip(" \t\r\n")))
    except (StopIteration, SystemError):
        # Up to 3.11 the bare scanner cannot raise its own error unless the package is loaded: it says SystemError.
        raise NotPlain from None
    if text[end:].strip(" \t\r\n"):
        raise NotPlain
    return value


def _scanner() -> "Any":
    """The C scanner behind ``json``, without the package around it (which costs as much as the whole short path)."""
    try:
        return __import__("_json").make_scanner(_Context)
    except (ImportError, AttributeError):
        import json

        decoder: Any = json.JSONDecoder(parse_constant=_no_constant)
        return decoder.scan_once


def _no_constant(name: str) -> object:
    raise NotPlain


class _Context:
    """What the C scanner asks its decoder for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_no_constant)
