"""Times as the plugin writes them, ages as a person reads them, durations as an option takes them.

Field guide section 2: times are ``YYYY-MM-DDTHH:MM:SS.mmmZ``. Inside stateheal a time is a float:
seconds since the epoch, UTC.
"""

from __future__ import annotations

import re
from functools import lru_cache

from stateheal.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta, timezone
else:
    try:  # the C module itself: up to Python 3.11 "datetime" runs all of it in Python first, which costs 1.4 ms
        from _datetime import datetime, timedelta, timezone
    except ImportError:  # another Python than CPython
        from datetime import datetime, timedelta, timezone

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_ISO = pattern(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))", re.ASCII)
_DURATION = pattern(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|d)?", re.ASCII)
_SPELLING, _TO_ZEROS = b"0000-00-00T00:00:00.000Z", bytes.maketrans(b"123456789", b"000000000")
_UNITS = {"ms": 0.001, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY, None: 1.0}


def parse_time(value: object) -> float | None:
    """Seconds since the epoch for an ISO 8601 time with a zone, ``None`` for anything else.

    Nothing is guessed: ``7``, ``"yesterday"`` and a time without a zone are no times.
    """
    return _parse(value) if isinstance(value, str) else None


def is_spelled_as_usual(text: str) -> bool:
    """Whether a text is spelled as the plugin spells a time, whatever its digits say."""
    return text.encode(errors="replace").translate(_TO_ZEROS) == _SPELLING


@lru_cache(maxsize=1024)
def _parse(text: str) -> float | None:
    """A job's times are asked for again by rule after rule."""
    if is_spelled_as_usual(text):
        parts = (text[:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19], text[20:23] + "000")
        return _seconds(timedelta(0), *map(int, parts))
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    micro = int((match[7] or "0").ljust(6, "0")[:6])
    offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    fields = [*(int(match[i]) for i in range(1, 7)), micro]
    return _seconds(offset if match[8] == "-" else -offset, *fields)


def _seconds(
    offset: timedelta, year: int, month: int, day: int, hour: int, minute: int, second: int, micro: int
) -> float | None:
    try:
        return (datetime(year, month, day, hour, minute, second, micro, timezone.utc) + offset).timestamp()
    except (ValueError, OverflowError):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(milliseconds=1)
_LAST = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(milliseconds=1)


def format_time(seconds: float) -> str:
    """The plugin's spelling of a time, to the millisecond: ``2026-11-22T07:52:49.690Z``.

    Of a time before the year 1 or after 9999, which a file's mtime may hold, the first or the last that can be spelt.
    """
    whole = min(max(_FIRST, round(min(max(seconds, -1e12), 1e12) * 1000)), _LAST)
    moment = _EPOCH + timedelta(milliseconds=whole)
    return f"{moment.isoformat('T', 'milliseconds')[:-6]}Z"


def parse_duration(text: str) -> float:
    """Seconds for ``90``, ``90s``, ``15m``, ``2h``, ``1d`` or ``250ms``.

    Raises ``ValueError`` for anything else.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write for example 30s, 15m, 2h or 1d")
    return float(match[1]) * _UNITS[match[2]]


def write_duration(seconds: float) -> str:
    """The same as ``parse_duration`` takes it, in the largest unit that says it whole: ``30d``, ``90.5s``."""
    for name, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f}{name}"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def describe_duration(seconds: float) -> str:
    """A length of time in its largest whole unit: ``45 s``, ``3 d``."""
    seconds = abs(seconds)
    for name, size in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= size:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds)} s"


def describe_activity(recorded: float | None, log: float | None, now: float) -> str:
    """When something was last at work by its own records, and when its log was touched where that is another time."""
    parts = [] if log is None else [f"log touched {describe_age(log, now)}"]
    if recorded is not None and (log is None or abs(log - recorded) >= 1):
        parts.append(f"last recorded activity {describe_age(recorded, now)}")
    return ", ".join(parts)


def describe_age(then: float, now: float) -> str:
    """How long ago ``then`` was, or how far ahead it lies: ``3 d ago``, ``in 2 h``, ``now``."""
    if abs(now - then) < 1:
        return "now"
    span = describe_duration(now - then)
    return f"{span} ago" if now > then else f"in {span}"
