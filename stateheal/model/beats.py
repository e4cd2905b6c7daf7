"""The times at which, by its record, a job was at work, in whatever fields and spellings a companion keeps them.

Field guide section 4: the last sign of life. Times that lie ahead by their name (a deadline, the next try) are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stateheal.formats.jsontext import Json
from stateheal.formats.times import DAY, parse_time
from stateheal.patterns import pattern

_STAGES = frozenset(["createdat", "startedat", "updatedat", "completedat", "cancelledat"])
_BEAT = pattern(
    r"(?:last)?\w*(?:beat|progress|activity|active|seen|alive|event|output|call|update|updated|poll|ping|tick|write|written)"
    r"(?:at|time|timestamp|ts|ms)"
    r"|last(?:heart)?(?:beat|progress|activity|active|seen|alive|update|updated|poll|ping|tick|write)|heartbeat"
)
_AHEAD = pattern(r"next|deadline|expire|expiry|until|due|timeout|interval|limit|every|max|stale")
_HOLDER = pattern(r"\w*(?:beat|progress|health|activity|liveness|lease|event|timings?|times|timestamps)")
_IN_HOLDER = frozenset(["at", "ts", "time", "timestamp", "last"])
_BEGINNINGS = frozenset(["createdAt", "startedAt"])
_NONE, _TIME, _BEATS, _HOLDS = range(4)
_SECONDS, _MILLISECONDS = (1e9, 1e11), (1e12, 1e14)
"""Numbers that are times since the epoch in this century, and neither spans nor counters."""


class _Kinds(dict[str, int]):
    """By a field's name: what it holds. Records have few different ones, so each is looked at once."""

    def __missing__(self, key: str) -> int:
        plain = re.sub(r"[_\-. ]", "", key).lower()
        kind = _NONE
        if plain in _STAGES:
            kind = _TIME
        elif not _AHEAD.search(plain):
            kind = _BEATS if _BEAT.fullmatch(plain) else _HOLDS if _HOLDER.fullmatch(plain) else _NONE
        if len(self) < 1000:
            self[key] = kind
        return kind


_KINDS = _Kinds()


def own_times(record: Mapping[str, Json], now: float) -> Iterator[float]:
    """Every time at which, by the record itself, the job was at work; those more than a day ahead left out."""
    for key, value in record.items():
        if _KINDS[key] != _NONE:
            yield from (moment for moment in _times_in(key, value) if moment <= now + DAY)


def own_beats(record: Mapping[str, Json], now: float) -> Iterator[float]:
    """Those of them that only the job's own process writes, again and again: its heart's beats."""
    for key, value in record.items():
        if _KINDS[key] > _TIME:
            yield from (moment for moment in _times_in(key, value) if moment <= now + DAY)


def _times_in(key: str, value: Json) -> Iterator[float]:
    if isinstance(value, dict):
        for inner, each in value.items() if _KINDS[key] > _TIME else ():
            if not isinstance(each, dict) and (inner in _IN_HOLDER or _KINDS[inner] in (_TIME, _BEATS)):
                yield from _times_in(inner, each)
        return
    moment = parse_time(value)
    if moment is None and key not in _BEGINNINGS:
        moment = _since_epoch(value)
    if moment is not None:
        yield moment


def _since_epoch(value: Json) -> float | None:
    """A number of seconds or milliseconds since the epoch; ``None`` for any other."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if _SECONDS[0] <= value < _SECONDS[1]:
        return float(value)
    return value / 1000 if _MILLISECONDS[0] <= value < _MILLISECONDS[1] else None
