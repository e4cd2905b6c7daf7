"""Lines for a screen: what folding gives, whichever way it goes."""

from __future__ import annotations

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from stateheal.report.paint import folded

WORDS = st.text("ab;-/", min_size=0, max_size=12)


@given(st.lists(WORDS, max_size=30).map(" ".join), st.integers(1, 40))
def test_a_plain_text_is_folded_as_textwrap_folds_it(text: str, width: int) -> None:
    wrapped = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    assert list(folded(text, width)) == ([text] if len(text) <= width else wrapped or [""])
