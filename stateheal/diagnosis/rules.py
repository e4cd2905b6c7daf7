"""The catalogue of damage as data: one ``Rule`` per kind, in the order in which they are looked for.

Order matters where two rules can meet on one job: each rule sees the workspace as the repairs before it would leave
it. Endings are settled before owners are judged, so that a finished job is never marked an orphan.

To add a kind of damage: write its finder, add its ``Rule`` here, and a directory under ``tests/cases/``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from stateheal.diagnosis.content import find_violations
from stateheal.diagnosis.endings import (
    find_ending_conflict,
    find_file_behind,
    find_index_behind,
)
from stateheal.diagnosis.orphans import find_orphans, find_unsafe
from stateheal.diagnosis.rule import Rule
from stateheal.errors import UsageError
from stateheal.model import Settings, Severity

RULES: tuple[Rule, ...] = (
    Rule(
        "index-behind",
        Severity.DAMAGE,
        "The job has ended and its job file says so, but the worker died before it could write the index. Status shows "
        "it running for ever, and follow-up tasks are refused.",
        "The index takes over the ending that the job file holds: status, phase, times, thread and turn. A completed "
        "job stays completed. Done only when the recorded process is proven dead, or none is recorded and nothing was "
        "written for a minute.",
        find_index_behind,
    ),
    Rule(
        "file-behind",
        Severity.DAMAGE,
        "The index says that the job has ended, but its job file still says active. The result view and the status "
        "view contradict each other.",
        "The job file takes over the ending that the index holds, under the same proof as index-behind.",
        find_file_behind,
    ),
    Rule(
        "ending-conflict",
        Severity.DAMAGE,
        "Both records are finished, and differently: for example the index was marked failed by another tool although "
        "the job file is completed and holds the result. Or a completed job still carries an orphan's message.",
        "The record that can show the result wins, and a leftover orphan message goes. A known thread or turn id is "
        "never replaced by nothing. Where neither ending can be proven, both are left and a notice says so.",
        find_ending_conflict,
    ),
    Rule(
        "unsafe-pid",
        Severity.DAMAGE,
        "The recorded pid is 0, 1, negative, true or no number at all. The plugin signals recorded pids by process "
        "group, and such a value can stand for every process of yours.",
        "Set pid to null. An active job is marked failed/orphaned as well; one whose pid is text and no number waits "
        "for the grace time first.",
        find_unsafe,
    ),
    Rule(
        "missing-pid",
        Severity.DAMAGE,
        "The job is recorded as active, names no process, and has been silent for longer than the grace time (an hour "
        "unless --grace says otherwise). Nothing will ever finish it.",
        "Mark it failed/orphaned in the index and in the job file; a last Codex error in its log is quoted. Younger "
        "ones are left alone: a job that was just queued has no pid for some seconds.",
        find_orphans("missing-pid"),
    ),
    Rule(
        "recycled-pid",
        Severity.DAMAGE,
        "The job's process is gone and its pid belongs to another process by now. The plugin would signal that "
        "innocent process when the session ends or the job is cancelled.",
        "Mark the job failed/orphaned and set pid to null. The other process is never signalled.",
        find_orphans("recycled-pid"),
    ),
    Rule(
        "dead-pid",
        Severity.DAMAGE,
        "The job is recorded as active, but its process is gone: it was killed, ran out of memory or did not survive "
        "a reboot. Status shows it running for ever, and follow-up tasks are refused.",
        "Mark it failed/orphaned in the index and in the job file, with pid null and the time of its last sign of "
        "life, and note it in the job's log. Thread and turn stay, so that the conversation can be resumed.",
        find_orphans("dead-pid"),
    ),
    Rule(
        "schema",
        Severity.DAMAGE,
        "A file, or a field in it, is not of the shape that the plugin writes. The message names the place and the "
        "reason.",
        "None: reported only. What is unknown (another version, an unknown status) is a notice and is left alone.",
        find_violations,
    ),
)


def rule_named(name: str) -> Rule:
    """The rule of that name. Raises ``UsageError`` naming the nearest one where there is none."""
    for rule in RULES:
        if rule.name == name:
            return rule
    near = difflib.get_close_matches(name, [rule.name for rule in RULES], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
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
