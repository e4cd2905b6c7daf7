"""Command lines that name a job in another form than ``--job-id <id>``: who works on it may be behind any of them.

Field guide section 4, "Signs of life that no pid shows". The command may be one text for a shell, a container or
another host (``docker exec c sh -c "node … --job-id <id>"``), the option another one, the job told by its file's path.
An id is long and random; who only reads or asks (``tail``, ``status``, stateheal itself) does not work on it.
"""

from __future__ import annotations

import re
from posixpath import normpath

from stateheal.diagnosis.case import base_of, only_asks, values_of
from stateheal.model.look import Look, Seen
from stateheal.patterns import pattern

_LONG_ENOUGH = 8
"""Characters from which on an id is not found by chance; a shorter one counts behind a worker's command alone."""
_CALLS = pattern(r"companion|-worker|\.(?:[mc]?js|ts)\b")
_READERS = frozenset(
    (
        *("bat", "cat", "code", "cp", "diff", "emacs", "entr", "fswatch", "grep", "gzip", "head", "inotifywait", "jq"),
        *("less", "lnav", "ls", "micro", "more", "mv", "nano", "nvim", "rg", "rm", "rsync", "scp", "stat", "strace"),
        *("tail", "tar", "vi", "view", "vim", "watch"),
    )
)
_SCRIPT = pattern(r"\.(?:[mc]?js|ts)\b|-worker\b")
_QUESTION = pattern(r"\b(?:stateheal|status|result|cancel|tail|cat|grep|less|--resume|--parent|--after)\b")
_ENDINGS = pattern(r"\.(?:json|log|pid)$")


def names(seen: Seen, option: str, name: str) -> bool:
    """Whether this may be who works on what is called so; ``option``: what usually stands before the name."""
    if not name or seen.zombie or not seen.argv or base_of(seen.argv[0]) in _READERS:
        return False
    for position, element in enumerate(seen.argv):
        if name in element and not _asks(seen.argv[:position]) and _is_named(element, option, name):
            return True
    return False


def who_names(look: Look, option: str, name: str) -> Seen | None:
    """The first process of a look that may work on what is called so; most names stand in no command line at all."""
    return next((each for each in look.processes if names(each, option, name)), None) if name in look.text else None


def _asks(before: tuple[str, ...]) -> bool:
    """Whether what stands before the name works on no job: stateheal's command, a question, the job's successor."""
    bases = [base_of(word).removesuffix(".exe") for word in before]
    return only_asks(before) or "stateheal" in bases or before[-1:] in (("--resume",), ("--parent",), ("--after",))


def _is_named(element: str, option: str, name: str) -> bool:
    """The whole element, the name of a file in it, or an option with it in a command that is one text."""
    whole = element.strip("'\"").rpartition("=")[2]
    if len(name) >= _LONG_ENOUGH and name in (whole, _ENDINGS.sub("", base_of(whole))):
        return True
    if option == "--job-id":
        option = "--job[a-z-]*"
    told = re.search(rf"(?:{option}|-worker)[ =]+['\"]?(?:\S*/)?{re.escape(name)}(?![\w-])", element, re.IGNORECASE)
    if told is None:
        return len(name) >= _LONG_ENOUGH and _stands_in_a_call(element, name)
    if "stateheal" in element[: told.start()]:
        return False
    return len(name) >= _LONG_ENOUGH or _CALLS.search(element, 0, told.end()) is not None


def _stands_in_a_call(text: str, name: str) -> bool:
    """Whether a text runs a script and holds the name as a word of its own, wherever in it, and asks nothing."""
    if (" " not in text and "(" not in text) or not _SCRIPT.search(text) or _QUESTION.search(text):
        return False
    return re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w.-])", text) is not None


def names_service(argv: tuple[str, ...], option: str, endpoint: str) -> bool:
    """Whether a command line serves this endpoint, however its path is spelled; a process title is one text."""
    text = " ".join(argv)
    words = text.split()
    return endpoint in text or _plainly(endpoint) in map(_plainly, values_of(words, option))


def _plainly(endpoint: str) -> str:
    """An endpoint without what a second slash or macOS's /private make of its path."""
    kind, _, path = endpoint.rpartition(":")
    return f"{kind}:{normpath(path).lstrip('/').removeprefix('private/')}"
