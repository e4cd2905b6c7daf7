"""What the files beside a workspace's jobs name and that is still at work: registries of brokers, locks, and the like.

Companions keep more of them than are read as what they are (field guide section 11); once a workspace goes nobody would
find what they name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stateheal.evidence.snapshot import read_snapshot
from stateheal.formats.jsontext import Json
from stateheal.formats.times import MINUTE
from stateheal.fs.directory import Directory
from stateheal.model.claims import pids_in
from stateheal.model.disk import INDEX, JOBS, Snapshot
from stateheal.model.evidence import Answer
from stateheal.model.look import Look, Seen

_ENDPOINTS = ("unix:", "pipe:")
_WORDS = ("endpoint", "token")
"""Keys whose value a broker has in its own command line."""


def still_named(directory: Directory, look: Look, ask: Callable[[object], Answer], known: str | None) -> str | None:
    """What lives and is named by a file beside the index; ``None`` for nothing. ``known``: a file read elsewhere."""
    for name in directory.names():
        found = read_snapshot(directory, name, name) if name not in (INDEX, JOBS, known) else None
        if not isinstance(found, Snapshot) or not isinstance(found.value, (dict, list)):
            continue
        texts = dict(_texts("", found.value))
        alive = [pid for _, pid in pids_in(found.value) if _lives(look.by_pid.get(pid), found.stat.mtime)]
        alive += [seen.pid for text in texts for seen in look.by_word.get(text, ()) if not seen.zombie]
        if alive:
            return f"its {name} names process {alive[0]}, which lives"
        if any(text.startswith(_ENDPOINTS) and ask(text) is Answer.YES for text in texts):
            return f"its {name} names an endpoint that answers"
    return None


def _lives(seen: Seen | None, written: float) -> bool:
    """Whether it is a process that was there when the file was written."""
    if seen is None or seen.zombie or seen.kernel:
        return False
    return seen.created is None or seen.created <= written + MINUTE


def _texts(key: str, value: Json) -> Iterator[tuple[str, str]]:
    """Every text that tells a broker apart, and the key that it stands under."""
    if isinstance(value, str):
        if key in _WORDS and len(value) >= len("unix:/x"):
            yield value, key
    elif isinstance(value, dict):
        for inner, each in value.items():
            yield from _texts(inner, each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(key, each)
