"""What a manifest looks like: the same text, whichever of two writers made it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stateheal.commit import archive
from stateheal.commit.journal import Journal
from stateheal.commit.packing import pack_for_good
from stateheal.formats.jsontext import expect_much

TEXTS = st.text(alphabet=st.characters(), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
@example(
    {"DEL": "\x7f", "controls": "\x00\x08\x0c\x1f", "half": "\udc80", "wide": "\u00e9\U0001f600", "none": [], "no": {}}
)
def test_a_manifest_is_what_json_makes_of_it(manifest: dict[str, Any]) -> None:
    expect_much()
    assert archive._text_of(manifest, 1) == (json.dumps(manifest, indent=2) + "\n").encode()


@pytest.mark.parametrize("now", [-3e8, 2**32 + 1e6, 1e11], ids=["1960", "2106", "5138"])
def test_what_is_packed_for_good_is_packed_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    """gzip has 32 bits for the time, none of them for before 1970."""
    monkeypatch.setattr("time.time", lambda: now)
    path = pack_for_good(Journal(tmp_path / "journal"), "gone", lambda tar: tar.add(__file__, "test.py"))
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["test.py"]
