"""The pre-launch hook's long path: the engine heals, and what it did is said to the user and to the model.

Field guide section 9; DESIGN.md promise 6: into the answer go fixed words, rule names, pids and ids of plain form only,
never a text from a record.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.diagnosis.catalogue import RULE_OF
from stateheal.diagnosis.rules.notices import TURN_RUNNING
from stateheal.digests import sha256
from stateheal.engine.commands import heal_found
from stateheal.engine.configuration import configured_settings
from stateheal.engine.world import World
from stateheal.errors import StatehealError
from stateheal.evidence.discover import discover_in
from stateheal.evidence.roots import default_roots, is_in_sandbox
from stateheal.formats.times import format_time
from stateheal.model.findings import Finding, Outcome, Severity
from stateheal.model.problems import ProblemKind
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.patterns import pattern
from stateheal.text import WORD, consists_of, printable

_WAIT = 0.3
"""Seconds to wait for another stateheal: it heals the same workspace."""
_HARMLESS = pattern(r"[A-Za-z0-9 ._/\\:,'~+@()-]{1,300}")
"""What may stand in a cause that is shown: paths and the system's words."""
_NOT_DONE = (ProblemKind.NOT_WRITTEN, ProblemKind.JOURNAL)
_TURN = (
    "- {job}: its worker is dead, but its turn may still be running in this workspace's broker. Do not resume its"
    " thread (task --resume-last, codex resume) before that turn has ended: the resume would hang until then. Wait,"
    " start a fresh thread, or end the Claude session."
)
_LOG_LIMIT = 64 * 1024
_SAID_LIMIT = 500
_MOST_JOBS = 20
"""Jobs that are named; beyond it their number must do."""


def answer(event: str, cwds: Sequence[str], late: Sequence[object], verbose: bool) -> str | None:
    """Heal the workspaces of some directories; what to print, if anything. ``late`` becomes true at the deadline."""
    world = World(stop=lambda: bool(late), whole_workspaces=True, wait=_WAIT, greet=lambda endpoint: None)
    try:
        request = Request(_paths(event), settings=configured_settings("heal"))
        report = heal_found(discover_in(request.paths, cwds), request, world=world, command="hook")
    except StatehealError as error:
        note(str(error), verbose)
        return _said([f"stateheal could not look after this workspace's jobs: {_cause(str(error))}."], [], event)
    for problem in report.errors:
        note(f"{problem.path}: {problem.message}", verbose)
    user, model = _texts(report)
    return _said(user, model, event) if user else None


def _paths(event: str) -> tuple[str, ...] | None:
    """Where to look. A session that begins uses no sandbox's state yet: that waits for a launch, or for the user."""
    if event != "SessionStart":
        return None
    return tuple(str(root.path) for root in default_roots() if not is_in_sandbox(root.path))


def _said(user: Sequence[str], model: Sequence[str], event: str) -> str:
    said: dict[str, object] = {"systemMessage": " ".join(user)}
    if model:
        said["hookSpecificOutput"] = {"hookEventName": event, "additionalContext": "\n".join(model)}
    return json.dumps(said) + "\n"


def _texts(report: Report) -> tuple[list[str], list[str]]:
    """Sentences for the user, lines for the model."""
    healed = [finding for finding in report.findings if finding.outcome is Outcome.HEALED]
    running = [finding for finding in report.findings if finding.rule == TURN_RUNNING.name]
    user: list[str] = []
    model: list[str] = []
    if healed:
        jobs = {(finding.workspace, finding.job) for finding in healed if finding.job}
        what = f"closed or repaired {_count(len(jobs), 'job')}" if jobs else "repaired this workspace's state"
        user.append(f"stateheal {what} that a killed process had left behind ('stateheal undo' takes it back).")
        model += _job_lines(healed, frozenset(finding.job for finding in running))
        model.append(f"This is run {report.run} in stateheal's journal.")
    for finding in running:
        job = finding.job if finding.job and _is_plain(finding.job) else "a job"
        user.append(
            f"The turn of {job} may still be running in this workspace's broker; a resume would hang until it ends."
        )
        model.append(_TURN.format(job=job))
    return [*user, *_left(report)], model


def _left(report: Report) -> Iterator[str]:
    """What was not repaired, with the cause: of what has no repair, of what could not be written, of what came late."""
    damage = [each for each in report.findings if each.severity is Severity.DAMAGE]
    left = [each for each in damage if each.outcome is not Outcome.HEALED]
    unrepairable = [each for each in left if each.repair is None]
    late = [each for each in left if each.repair is not None and each.outcome is Outcome.FOUND]
    failed = [each for each in left if each.repair is not None and each.outcome is not Outcome.FOUND]
    if not left or not _is_news(left):
        return
    if failed:
        why = next((each.message for each in report.errors if each.kind in _NOT_DONE), "")
        yield f"stateheal could not repair {_rules(failed)}: {_cause(why.removeprefix('not repaired: '))}."
    if late:
        yield f"stateheal ran out of time over {_rules(late)}: 'stateheal heal --cwd .' repairs it."
    if unrepairable:
        yield (
            f"stateheal found damage that it does not repair by itself ({_rules(unrepairable)}): "
            "see 'stateheal audit --cwd .'"
        )


def _rules(findings: Iterable[Finding]) -> str:
    return ", ".join(sorted({finding.rule for finding in findings}))


def _cause(message: str) -> str:
    """The system's own words, as long as nothing odd stands in them; where it does, where to look."""
    return message.rstrip(".") if _HARMLESS.fullmatch(message) else "see 'stateheal heal --cwd .'"


def _is_plain(ident: str) -> bool:
    return 0 < len(ident) <= 80 and consists_of(ident, WORD + b"-")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _job_lines(healed: Iterable[Finding], running: frozenset[str | None]) -> Iterator[str]:
    shown: dict[str, str] = {}
    unnamed = 0
    others = set()
    for finding in healed:
        reason = RULE_OF[finding.rule].hook_reason
        if finding.job is None or not reason:
            others.add(finding.rule)
        elif not _is_plain(finding.job) or len(shown) >= _MOST_JOBS:
            unnamed += 1
        elif finding.job not in shown:
            goes_on = finding.resume is not None and finding.job not in running
            resume = f"; its thread goes on with: {finding.resume}" if goes_on else ""
            shown[finding.job] = f"- {finding.job}: {reason.format(pid=finding.pid)}{resume}"
    if not shown and not unnamed:
        yield f"stateheal repaired the state of this workspace: {', '.join(sorted(others))}."
        return
    yield "stateheal repaired the job records of this workspace. These jobs are not running:"
    yield from shown.values()
    if unnamed:
        yield f"- and {_count(unnamed, 'more job')}"
    if others:
        yield f"Repaired besides: {', '.join(sorted(others))}."


# --- once per state of a file --------------------------------------------------------------------------------------


def _is_news(findings: Iterable[Finding]) -> bool:
    """Whether any of the findings is about a file that has changed since it was last spoken of."""
    keys = {_key(finding) for finding in findings}
    path = journal_path() / "hook.said"
    try:
        known = path.read_text().split()
    except OSError:
        known = []
    if keys <= set(known):
        return False
    with suppress(OSError, StatehealError):
        Journal(journal_path()).make()
        fresh = path.with_name(f"hook.said.{os.getpid()}")
        fresh.write_text("\n".join([*known, *sorted(keys - set(known))][-_SAID_LIMIT:]) + "\n")
        fresh.replace(path)
    return True


def _key(finding: Finding) -> str:
    try:
        info = os.lstat(finding.path)
        state = f"{info.st_size} {info.st_mtime_ns}"
    except OSError:
        state = "gone"
    text = f"{finding.path}\0{finding.rule}\0{finding.job}\0{state}"
    return sha256(text.encode("utf-8", "surrogateescape"))[:24]


def note(message: str, verbose: bool) -> None:
    """One line in ``hook.log`` of the journal directory, which stays small."""
    line = f"{format_time(time.time())} {printable(message)}\n"
    if verbose:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"stateheal: {printable(message)}\n")
    with suppress(OSError, StatehealError):
        Journal(journal_path()).make()
        path = journal_path() / "hook.log"
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            path.replace(path.with_name("hook.log.1"))
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(line)
