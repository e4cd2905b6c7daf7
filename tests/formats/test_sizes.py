"""Sizes as people write them."""

from __future__ import annotations

import pytest

from stateheal.formats.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        (" 67108864 ", 64 << 20),
        ("64M", 64 << 20),
        ("64m", 64 << 20),
        ("64 MiB", 64 << 20),
        ("64MB", 64 << 20),
        ("1.5K", 1536),
        ("2G", 2 << 30),
        ("1t", 1 << 40),
        ("10B", 10),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "abc", "0", "0.1", "-1", "1e6", "64X", "M", "1 2", "0x10", "٣", "9" * 5000, "inf"]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)
