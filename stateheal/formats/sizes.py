"""Numbers of bytes as people write them."""

from __future__ import annotations

import re

from stateheal.patterns import pattern

_SIZE = pattern(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) *([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes for ``67108864``, ``64M``, ``64 MiB`` or ``1.5G``: units of 1,024.

    Raises ``ValueError`` for anything else, and for less than one byte.
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise ValueError(f"{text[:40]!r} is not a size; write for example 64M, 512K or 67108864")
    return size
