"""One workspace's state into another's: which jobs come along, with what changed, and what speaks against it.

Pure; field guide section 8. The plugin's own derivations for records that lack ``phase`` or ``kindLabel`` (section 2).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping

from stateheal.diagnosis.catalogue import RULE_OF
from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.over import why_at_work
from stateheal.diagnosis.repairs import CAP, PHASES
from stateheal.diagnosis.view import View
from stateheal.formats.jsontext import Json, same
from stateheal.model.disk import NEW_INDEX
from stateheal.model.evidence import Answer
from stateheal.model.findings import Finding, Severity
from stateheal.model.layout import is_laid_out_as_codexs
from stateheal.model.liveness import Liveness
from stateheal.model.records import entries_of, is_finished, is_lost, is_plain_id, text_of
from stateheal.values import NamedTuple


class Request(NamedTuple):
    """What is to be changed on the way."""

    jobs_dir: str
    """The target's ``jobs`` directory: logs are recorded there from now on."""
    logs: frozenset[str]
    """Ids whose log is there to be copied."""
    gate: bool | None = None
    """What the review gate is to be where the two differ."""
    old_roots: frozenset[str] = frozenset()
    new_root: str | None = None
    """The project directory in the records, where it has moved."""
    upgrade: bool = False


class Merged(NamedTuple):
    """The target as it is to be."""

    index: Json
    records: Mapping[str, Json]
    """By id: job files to write."""
    logs: tuple[str, ...]
    """Ids whose log comes along."""
    stays: tuple[str, ...]
    """Ids that found no room."""


def obstacle(view: View, findings: Iterable[Finding], name: str, known: Collection[str] = ()) -> str | None:
    """Why a workspace can be neither source nor target just now.

    ``findings``: what an audit finds in it. ``known``: ids whose file an interrupted run may have left without entry.
    """
    if view.hands_off is not None:
        return f"{name}: {view.hands_off}"
    if not view.dialect.heals:
        return f"{name}: that {view.dialect.name} itself can read what is written for it has not been seen"
    if not is_laid_out_as_codexs(view.dialect):
        return f"{name}: {view.dialect.name} keeps its jobs in another way than what can be moved"
    if view.evidence.unsettled:
        return f"{name}: {', '.join(sorted(view.evidence.unsettled))} is just being written"
    damage = {
        finding.rule
        for finding in findings
        if finding.severity is not Severity.NOTICE
        and not RULE_OF[finding.rule].harmless_to_move
        and not (finding.rule == "unindexed" and finding.job in known)
    }
    if damage:
        return f"{name}: it is damaged ({', '.join(sorted(damage))}); heal it first"
    if any(not isinstance(entry, dict) or text_of(entry, "id") is None for entry in entries_of(view.draft.index)):
        return f"{name}: its index has an entry without an id; put that right first"
    torn = [stem for stem in view.evidence.records if stem not in view.draft.records]
    if torn:
        return f"{name}: the file of {torn[0]} is torn; heal it first"
    odd = [job.id for job in view.jobs if not is_plain_id(job.id)]
    if odd:
        return f"{name}: {odd[0]!r} is no plain id; heal it first"
    if view.evidence.unreadable:
        return f"{name}: {view.evidence.unreadable[0].name} {view.evidence.unreadable[0].reason}"
    for job in view.jobs:
        if job.any_active and view.judge(job).verdict.state is not Liveness.DEAD:
            return f"{name}: {job.id} may be running: {view.judge(job).verdict.reason}"
        worker = None if job.any_active else why_at_work(view, job)
        if worker is not None:
            return f"{name}: {job.id} has ended by its record, but {worker}"
    broker = view.evidence.broker
    if broker is not None and broker.answer is not Answer.NO:
        return f"{name}: its broker may still be at work; end the Claude session first"
    return None


def gate_conflict(source: Json, target: Json, gate: bool | None, names: tuple[str, str]) -> str | None:
    """Two workspaces with an index each that differ in the review gate, and nobody has said which is right."""
    ours, theirs = _config(source).get("stopReviewGate", False), _config(target).get("stopReviewGate", False)
    if gate is not None or not isinstance(source, dict) or not isinstance(target, dict) or same(ours, theirs):
        return None
    where = f"{_word(ours)} in {names[0]} and {_word(theirs)} in {names[1]}"
    return f"the review gate is {where}: say --gate on or --gate off"


def _word(value: Json) -> str:
    return "on" if value is True else "off" if value is False else "unclear"


def merge(source: View, target: View | None, request: Request) -> Merged:
    """The target's jobs and the source's, one of each id: finished beats active, then the newer ``updatedAt``.

    Of two that are finished, one that was closed for its dead process, and holds no result, comes last (field guide
    section 5, ``ending-conflict``): it would take the other's answer away.
    """
    here = {job.id: job for job in target.jobs} if target is not None else {}
    room = CAP - sum(1 for job in here.values() if job.entry is not None)
    entries: dict[str, Record] = {}
    records: dict[str, Json] = {}
    logs: list[str] = []
    stays: list[str] = []
    for job in sorted(source.jobs, key=_updated, reverse=True):
        known = here.get(job.id)
        if known is not None and (_rank(known) >= _rank(job) if known.entry is not None else _only_there(known, job)):
            continue
        if job.entry is not None and (known is None or known.entry is None):
            if room <= 0:
                stays.append(job.id)
                continue
            room -= 1
        log = _comes_along(job, request)
        if log:
            logs.append(job.id)
        if job.entry is not None:
            entries[job.id] = _moved(job.entry, job, log, request)
        if job.record is not None:
            records[job.id] = _moved(job.record, job, log, request)
    index = _index(source.draft.index, None if target is None else target.draft.index, entries, request)
    return Merged(index, records, tuple(logs), tuple(stays))


def _only_there(known: Job, job: Job) -> bool:
    """A file that its index does not know, finished where the source's job is not: a heal brings it in."""
    return is_finished(known.record, known.dialect) and not is_finished(job.record or job.entry, job.dialect)


def _rank(job: Job) -> tuple[bool, bool, str]:
    side = job.entry or job.record or {}
    answered = any(each.get("result") is not None for each in job.sides)
    return is_finished(side, job.dialect), answered or not is_lost(side, job.dialect), _updated(job)


def _updated(job: Job) -> str:
    return next((text for side in (job.entry, job.record) if side and (text := text_of(side, "updatedAt"))), "")


def _comes_along(job: Job, request: Request) -> bool:
    """A log that is where its workspace keeps logs; one elsewhere is nobody's to copy."""
    if job.id not in request.logs:
        return False
    recorded = {text_of(side, "logFile") for side in job.sides} - {None}
    return all(os.path.basename(str(log)) == f"{job.id}.log" for log in recorded)


def _moved(side: Record, job: Job, log: bool, request: Request) -> Record:
    after = dict(side)
    if "logFile" in after:
        after["logFile"] = os.path.join(request.jobs_dir, f"{job.id}.log") if log else None
    if request.new_root is not None and after.get("workspaceRoot") in request.old_roots:
        after["workspaceRoot"] = request.new_root
    return {**after, **upgraded(after)} if request.upgrade else after


def _index(source: Json, target: Json, entries: Mapping[str, Record], request: Request) -> Json:
    fresh = {**NEW_INDEX, **(source if isinstance(source, dict) else {}), "jobs": []}
    base = target if isinstance(target, dict) else fresh
    config = {**_config(source), **_config(base)}
    if request.gate is not None:
        config["stopReviewGate"] = request.gate
    left = dict(entries)
    kept = [
        left.pop(str(each["id"]), each) if isinstance(each, dict) and "id" in each else each
        for each in entries_of(base)
    ]
    if not left and config == _config(base) and all(a is b for a, b in zip(kept, entries_of(base), strict=True)):
        return base
    return {**base, "config": config, "jobs": [*left.values(), *kept]}


def _config(index: Json) -> dict[str, Json]:
    config = index.get("config") if isinstance(index, dict) else None
    return config if isinstance(config, dict) else {}


# --- today's shape -------------------------------------------------------------------------------------------------


def upgraded(side: Record) -> Record:
    """``phase`` and ``kindLabel`` for a record that lacks them; nothing for one that has them, or that still runs."""
    found: Record = {}
    phase = PHASES.get(text_of(side, "status") or "")
    if "phase" not in side and phase is not None:
        found["phase"] = phase
    if "kindLabel" not in side and ("kind" in side or "jobClass" in side):
        found["kindLabel"] = _type_label(side)
    return found


def _type_label(side: Record) -> str:
    """The plugin's ``getJobTypeLabel``."""
    kind, job_class = side.get("kind"), side.get("jobClass")
    if kind == "adversarial-review":
        return "adversarial-review"
    if job_class in ("review", "task"):
        return "review" if job_class == "review" else "rescue"
    return {"review": "review", "task": "rescue"}.get(str(kind), "job")


def upgrades(view: View) -> Iterator[tuple[Job, Record, Record]]:
    """Every job with what its entry and its file lack."""
    for job in view.jobs:
        entry = upgraded(job.entry) if job.entry is not None else {}
        record = upgraded(job.record) if job.record is not None else {}
        if entry or record:
            yield job, entry, record
