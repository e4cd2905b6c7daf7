"""A job's log with everything replaced but when a line was written, how long it is, and the plugin's own phrases.

Field guide section 5: from a log is read when it was last written, its last ``Codex error:`` line and whether a turn
came to its end.
"""

from __future__ import annotations

from stateheal.export.pseudonyms import Pseudonyms
from stateheal.export.redact_rules import ISO_TIME, TITLES, split_phrase
from stateheal.patterns import pattern

_STAMP = pattern(rf"\[{ISO_TIME}\] ")
_STARTED = "|".join([*TITLES, "Codex task thread", "Codex review thread"])
_PHRASES = pattern(
    rf"Starting (?:(?:{_STARTED})\.)?|Queued for background execution\.|Thread ready |Turn started |Turn completed\.?"
    r"|Turn interrupted\.|Turn failed\.?|Codex error: ?|Requested Codex turn interrupt |Cancelled by user\."
    r"|Reviewer started: |Reviewer finished\.|Review output captured\.|Review output|Assistant message captured: "
    r"|Assistant message|Reasoning summary captured: |Reasoning summary|Running command: "
    r"|Command (?:completed|failed): |Final output"
    r"|Orphaned: (?:pid [0-9]{1,10} (?:no longer alive|now belongs to another process))?|Terminated by SIG[A-Z0-9]{2,8}"
)
_IN_BRACKETS = pattern(r"\(([^()\s\x00-\x1f]+)\)(\.?)")


def redact_log(data: bytes, pseudonyms: Pseudonyms) -> bytes:
    """The log with as many lines of the same lengths in characters."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return "\n".join(_line(line, pseudonyms) for line in lines).encode("utf-8", "surrogateescape")


def _line(line: str, pseudonyms: Pseudonyms) -> str:
    stamp = _STAMP.match(line)
    if stamp is None:
        return pseudonyms.raw(line)
    phrase, rest = split_phrase(_PHRASES, line[stamp.end() :])
    named = _IN_BRACKETS.fullmatch(rest)
    if phrase and named:  # the thread or the turn, as the records name it
        return f"{stamp[0]}{phrase}({pseudonyms.raw(named[1])}){named[2]}"
    return stamp[0] + phrase + pseudonyms.raw(rest)
