"""The catalogue of damage as data: one ``Rule`` per kind, in the order in which they are looked for.

Order matters where two rules can meet on one job: each rule sees the workspace as the repairs before it would leave
it. Endings are settled before owners are judged, so that a finished job is never marked an orphan.

To add a kind of damage: one file in ``rules`` with its finder and its ``Rule``, one line here, and one directory in
``tests/cases``.
"""

from __future__ import annotations

from collections.abc import Iterable

from stateheal.diagnosis.rule import Rule
from stateheal.diagnosis.rules import (
    beside,
    content,
    endings,
    hung,
    locks,
    notices,
    orphans,
    paths,
    places,
    recovered,
    structure,
    torn,
)
from stateheal.errors import UsageError
from stateheal.model.request import Settings
from stateheal.text import did_you_mean

RULES: tuple[Rule, ...] = (
    torn.TORN_INDEX,
    torn.TORN_JOB,
    torn.WRONG_SHAPE,
    structure.NULL_ENTRY,
    paths.UNSAFE_PATH,
    structure.DUPLICATE_ID,
    structure.STUB_ENTRY,
    structure.UNINDEXED,
    recovered.RECOVERABLE,
    endings.INDEX_BEHIND,
    endings.FILE_BEHIND,
    endings.ENDING_CONFLICT,
    structure.MISSING_FILE,
    orphans.UNSAFE_PID,
    orphans.MISSING_PID,
    orphans.RECYCLED_PID,
    orphans.DEAD_PID,
    beside.STALE_BROKER,
    beside.LEFTOVER_TEMP,
    locks.STALE_LOCK,
    content.SCHEMA,
    notices.TURN_RUNNING,
    notices.MOVED_LOG,
    notices.GATE_LOST,
    notices.SPLIT_ROOT,
    notices.FOREIGN_PLUGIN,
    notices.GONE_WORKSPACE,
    notices.SILENT,
    hung.LIVES_ON,
    hung.STUCK_WORKER,
    hung.LEAKED_BROKER,
    hung.MUTE_BROKER,
    hung.AGENT_LIVES,
    hung.UNRECORDED,
    notices.OVER_CAP,
    places.UNREAD_STATE,
    places.PLANTED_ROOT,
)
RULE_OF = {rule.name: rule for rule in RULES}
"""By name: what a finding calls its rule."""


def rule_named(name: str) -> Rule:
    """The rule of that name. Raises ``UsageError`` naming the nearest one where there is none."""
    if name in RULE_OF:
        return RULE_OF[name]
    hint = did_you_mean(name, RULE_OF)
    raise UsageError(f"there is no rule {name!r}{hint} ('stateheal rules' lists them)")


def check_names(names: Iterable[str]) -> frozenset[str]:
    """The names as a set. Raises ``UsageError`` for one that is no rule's."""
    return frozenset(rule_named(name).name for name in names)


def chosen(settings: Settings) -> tuple[Rule, ...]:
    """The rules that the user left switched on."""
    return tuple(
        rule
        for rule in RULES
        if rule.name not in settings.ignore and (not settings.select or rule.name in settings.select)
    )
