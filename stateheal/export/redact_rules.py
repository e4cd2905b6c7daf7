"""What of a record may leave this machine: a whitelist, so that what nobody has thought of is replaced.

Field guide sections 2 and 5: what damage consists of, statuses, phases, times, pids and how the records name each
other, stays; what a person or a model has written, and where it was written, does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stateheal.dialects.table import DIALECTS
from stateheal.export.pseudonyms import Pseudonyms, words
from stateheal.model.records import TIME_FIELDS
from stateheal.patterns import pattern

ISO_TIME = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})"
TITLES = ("Codex Task", "Codex Resume", "Codex Review", "Codex Adversarial Review", "Codex Stop Gate Review")
"""The plugin's own."""
KNOWN_KEYS = words(
    "version config stopReviewGate jobs id kind kindLabel title workspaceRoot jobClass summary write sessionId status"
    " phase pid logFile threadId turnId errorMessage request result rendered owner tool hostname bootId pidNamespace"
    " startTicks processCreatedAt pidStartTime pidIdentity endpoint pidFile sessionDir cwd model effort prompt"
    " resumeLast jobId rawOutput touchedFiles reasoningSummary reasoning review target mode label explicit"
    " sourceThreadId codex stderr stdout verdict findings severity"
) | frozenset(TIME_FIELDS)
"""Names that the plugin, forks or stateheal write: they say nothing about anybody."""
OWN_OBJECTS = frozenset({"index", "config", "record", "owner", "broker"})
"""Objects whose keys programs choose: one that looks like a program's stays even if it is not known."""
IDENTIFIER = pattern(r"(?=.{1,40}\Z)[a-z]+(?:_[a-z]+|[A-Z][a-z]+)*")
"""Words in camelCase or snake_case. No digits: a token or a hash has some."""
CHILDREN: Mapping[tuple[str, str], str] = {
    ("index", "jobs"): "entries",
    ("index", "config"): "config",
    ("record", "owner"): "owner",
}
"""What kind of thing stands under a key of a known object. Everything else is foreign."""
_FORKS = frozenset({"crashed", "stale", "cancelling", "interrupted", "pending", "stalled", "timed-out", "orphaned"})
_STATUSES = _FORKS.union(*(each.active | each.finished for each in DIALECTS))
_PHASES = words("starting reviewing investigating editing verifying finalizing done terminated")
_KINDS = frozenset({"task", "review", "adversarial-review", "rescue", "job"})
_WORDS: Mapping[str, frozenset[str]] = {
    "status": _STATUSES,
    "runStatus": _STATUSES,
    "owner": frozenset(each.marks.owner for each in DIALECTS if each.marks.owner),
    "phase": _STATUSES | _PHASES,
    "kind": _KINDS,
    "kindLabel": _KINDS,
    "jobClass": _KINDS,
    "title": frozenset(TITLES),
    "tool": frozenset({"stateheal"}),
    "stopReviewGate": frozenset({"true", "false", "on", "off"}),
}
_FORMS: Mapping[str, re.Pattern[str]] = {
    "pid": pattern(r"-?[0-9]{1,10}"),
    "pidStartTime": pattern(r"linux:[0-9]{1,18}"),
    "pidIdentity": pattern(r"linux:[0-9]{1,18}"),
    "bootId": pattern(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "pidNamespace": pattern(r"pid:\[[0-9]{1,10}\]"),
}
_TIME = pattern(ISO_TIME)
LONGEST_PID = 10
"""Digits; what is longer is no pid anywhere."""
_NUMBERS: Mapping[str, int] = {"version": 6, "pid": LONGEST_PID, "startTicks": 18}
"""Keys whose numbers stay, up to this many characters; so do those of any other key that ends in pid."""
_PATHS = frozenset({"workspaceRoot", "logFile", "pidFile", "sessionDir", "cwd"})
_ABSOLUTE = pattern(r"(?:/|~/|[A-Za-z]:[\\/]|\\\\)\S*")
_OWN_MESSAGES = pattern(
    r"Orphaned: (?:pid [0-9]{1,10} (?:no longer alive|now belongs to another process)"
    rf"|no pid recorded, silent since {ISO_TIME})?"
    r"|Terminated by SIG[A-Z0-9]{2,8}|Timed out after [0-9.]{1,9} (?:ms|s|min|h|d)|Cancelled by user\."
)
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")


def text_instead(key: str | None, text: str, pseudonyms: Pseudonyms) -> str:
    """What stands for a text under this key (``None``: in a list); the text itself where it is harmless."""
    if _is_harmless(key, text):
        return text
    if key in ("id", "jobId"):
        return pseudonyms.ident(text)
    if key == "endpoint" and text.startswith(("unix:", "pipe:")):
        return text[:5] + pseudonyms.path(text[5:])
    if key == "errorMessage":
        kept, rest = split_phrase(_OWN_MESSAGES, text)
        return kept + pseudonyms.text(rest)
    return pseudonyms.path(text) if key in _PATHS or _ABSOLUTE.fullmatch(text) else pseudonyms.text(text)


def _is_harmless(key: str | None, text: str) -> bool:
    if not text or _TIME.fullmatch(text):
        return True
    form = _FORMS.get(key or "")
    return text in _WORDS.get(key or "", ()) or (form is not None and form.fullmatch(text) is not None)


def split_phrase(phrases: re.Pattern[str], text: str) -> tuple[str, str]:
    """The phrase that a text begins with, which may be none, and the rest."""
    match = phrases.match(text)
    kept = match[0] if match else ""
    return kept, text[len(kept) :]


def key_instead(kind: str, key: str, pseudonyms: Pseudonyms) -> str:
    """What stands for a key in an object of this kind; the key itself where it is a program's."""
    own = kind in OWN_OBJECTS and IDENTIFIER.fullmatch(key) is not None
    return key if own or key in KNOWN_KEYS else pseudonyms.key(key)


def number_instead(key: str | None, digits: str) -> str:
    """What stands for a number, as it is spelled: a known one, or one of a single digit, stays.

    Of any other the sign, the point and the length stay, and the exponent, which says how big it is at most.
    """
    known = _NUMBERS.get(key or "", LONGEST_PID if (key or "").lower().endswith("pid") else 0)
    if len(digits.lstrip("-")) == 1 or len(digits) <= known:
        return digits
    mantissa, e, exponent = re.fullmatch(r"([^eE]*)([eE]?)(.*)", digits, re.DOTALL).groups()  # type: ignore[union-attr]
    whole = re.fullmatch(r"(-?0?)(.*)", mantissa)
    assert whole is not None
    kept = exponent if len(exponent) <= 4 else re.sub("[0-9]", "9", exponent)
    return whole[1] + re.sub("[0-9]", "1", whole[2]) + e + kept


def is_literal(word: str) -> bool:
    """Whether a word outside of strings is ``true`` and the like, or the beginning of one, where a text was cut."""
    return any(literal.startswith(word) for literal in _LITERALS)
