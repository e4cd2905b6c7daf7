"""Numbers in sentences."""

from __future__ import annotations


def count_of(count: int, noun: str) -> str:
    """A number and its noun: ``1 job``, ``2,500 jobs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
