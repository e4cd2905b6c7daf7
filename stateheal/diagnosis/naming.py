"""Command lines that name a job in another form than ``--job-id <id>``: who works on it may be behind any of them.

Field guide section 4, "Signs of life that no pid shows". The command may be one text for a shell, a container or
another host (``docker exec c sh -c "node … --job-id <id>"``), the option another one, the job told by its file's path.
An id is long and random; who only reads or asks (``tail``, ``status``, stateheal itself) does not work on it.
"""

from __future__ import annotations

import re

from stateheal.diagnosis.case import OTHER_COMMANDS, base_of
from stateheal.model.look import Seen

_LONG_ENOUGH = 8
"""Characters from which on an id is not found by chance."""
_READERS = frozenset(
    (
        *("bat", "cat", "code", "cp", "diff", "emacs", "entr", "fswatch", "grep", "head", "inotifywait", "jq", "less"),
        *(
            "lnav",
            "ls",
            "micro",
            "more",
            "mv",
            "nano",
            "nvim",
            "rg",
            "rm",
            "stat",
            "strace",
            "tail",
            "vi",
            "view",
            "vim",
        ),
    )
)
_ENDINGS = re.compile(r"\.(?:json|log|pid)$")


def names(seen: Seen, option: str, name: str) -> bool:
    """Whether this may be who works on what is called so; ``option``: what usually stands before the name."""
    if len(name) < _LONG_ENOUGH or seen.zombie or not seen.argv or base_of(seen.argv[0]) in _READERS:
        return False
    for position, element in enumerate(seen.argv):
        if name in element and not _only_asks(seen.argv[:position]) and _is_named(element, option, name):
            return True
    return False


def _only_asks(before: tuple[str, ...]) -> bool:
    """Whether what stands before the name is a command that works on no job: stateheal's, or a question."""
    bases = [base_of(word).removesuffix(".exe") for word in before]
    asked = any("companion" in base and words[:1] and words[0] in OTHER_COMMANDS for base, words in _following(bases))
    return asked or "stateheal" in bases


def _following(words: list[str]) -> list[tuple[str, list[str]]]:
    return [(word, words[position + 1 :]) for position, word in enumerate(words)]


def _is_named(element: str, option: str, name: str) -> bool:
    """The whole element, the name of a file in it, or an option with it in a command that is one text."""
    whole = element.strip("'\"").rpartition("=")[2]
    if name in (whole, _ENDINGS.sub("", base_of(whole))):
        return True
    if option == "--job-id":
        option = "--job[a-z-]*"
    told = re.search(rf"(?:{option}|-worker)[ =]+['\"]?(?:\S*/)?{re.escape(name)}(?![\w-])", element, re.IGNORECASE)
    return told is not None and "stateheal" not in element[: told.start()]
