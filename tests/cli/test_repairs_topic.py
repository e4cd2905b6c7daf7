"""The topic ``repairs`` names every rule there is, and none that there is not."""

from __future__ import annotations

import re

from stateheal.diagnosis.catalogue import RULES
from tests.support import PROJECT


def test_every_rule_is_named() -> None:
    text = (PROJECT / "stateheal/help/repairs.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+|schema|silent|recoverable|unindexed)`", text))
    assert named == {rule.name for rule in RULES}
