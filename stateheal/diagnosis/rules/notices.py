"""What is worth knowing and is nobody's damage. Notices never change the exit status; each names what would help."""

from __future__ import annotations

import os
from collections.abc import Iterator

from stateheal.diagnosis.job import Job, Record
from stateheal.diagnosis.logs import folder_of_logs, is_inside_jobs, is_own_log
from stateheal.diagnosis.rule import Diagnosed, Rule, file_finding, job_finding
from stateheal.diagnosis.view import View
from stateheal.dialects.table import is_codexs, is_temp_root
from stateheal.formats.times import HOUR, MINUTE, describe_age
from stateheal.model.dialect import CODEX
from stateheal.model.disk import GATE_TITLE, INDEX, JOBS, argument_of
from stateheal.model.evidence import Answer
from stateheal.model.findings import Severity
from stateheal.model.jobs import resume_of
from stateheal.model.layout import is_laid_out_as_codexs
from stateheal.model.liveness import Liveness
from stateheal.model.records import entries_of, is_lost, text_of
from stateheal.model.turns import TurnEnd
from stateheal.text import quoted, size_of

_SILENT = 2 * HOUR
_STILL_WARM = 30 * MINUTE
_ROUNDING = 1.0
"""Seconds by which a creation time may lie beside the clock."""


def find_turn_running(view: View) -> Iterator[Diagnosed]:
    """The worker is dead, but its turn may go on in the broker: a second turn on the thread would hang."""
    broker = view.evidence.broker
    if broker is None or broker.answer is not Answer.YES:
        return
    for job in view.jobs:
        turn = _lost_turn(job)
        if turn is None:
            continue
        facts = view.evidence.turns.get(turn)
        log = view.evidence.logs.get(job.id)
        if (facts is not None and facts.end is not TurnEnd.OPEN) or (log is not None and log.turn_ended):
            continue
        moved = [each.mtime for each in (log, facts) if each is not None]
        # A broker that began after the turn last moved has never run it.
        began = broker.process.created if broker.process is not None and broker.process.exists else None
        older = bool(moved) and (began is None or began <= max(moved) + _ROUNDING)
        if older and view.now - max(moved) < _STILL_WARM:
            message = "its worker is dead, but its turn may still run in the workspace's broker"
            resume = resume_of(*job.sides, dialect=job.dialect)
            helps = "wait for it, or end the Claude session, before you resume" + (f": {resume}" if resume else " it")
            yield Diagnosed(job_finding(view, job, TURN_RUNNING, message, helps))


def _lost_turn(job: Job) -> tuple[str, str] | None:
    """Thread and turn of a job whose worker did not live to see its turn's end."""
    for side in job.sides:
        thread, turn = text_of(side, "threadId"), text_of(side, "turnId")
        if side.get("jobClass") != "task":
            continue  # a review's thread is never resumed, and has no rollout
        if thread and turn and is_lost(side, job.dialect):
            return thread, turn
    return None


def find_moved_logs(view: View) -> Iterator[Diagnosed]:
    """Logs recorded by the right name in another directory: the tree was moved or copied."""
    moved: dict[str, list[str]] = {}
    for job in view.jobs:
        for side in job.sides:
            log = text_of(side, "logFile")
            if log and not is_inside_jobs(view, log) and is_own_log(view, job, log):
                moved.setdefault(folder_of_logs(view, job, log), []).append(job.id)
    for parent, jobs in moved.items():
        count = len(set(jobs))
        logs = "the log of 1 job is" if count == 1 else f"the logs of {count} jobs are"
        message = f"{logs} recorded in {parent}, not here"
        helps = "the plugin will not show them; they stand beside the records"
        yield Diagnosed(file_finding(view, MOVED_LOG, INDEX, message, helps))


def find_gate_lost(view: View) -> Iterator[Diagnosed]:
    """A stop gate review has run here, but the gate is off now: a torn index turns it off silently."""
    index = view.draft.index
    config = index.get("config") if isinstance(index, dict) else None
    gate = config.get("stopReviewGate", False) if isinstance(config, dict) else False
    reviewed = [job.id for job in view.jobs if any(map(_is_gate_review, job.sides))]
    if gate is False and reviewed and isinstance(index, dict):
        message = f"{reviewed[0]} is a stop gate review, but the review gate is off now"
        slash = next(iter(view.dialect.launch.slash), None)
        helps = f"if you did not turn it off: /{slash}:setup --enable-review-gate" if slash else ""
        where = "/config/stopReviewGate"
        yield Diagnosed(file_finding(view, GATE_LOST, INDEX, message, helps, pointer=where))


def _is_gate_review(side: Record) -> bool:
    return str(side.get("title")).endswith(GATE_TITLE)


def find_split_root(view: View) -> Iterator[Diagnosed]:
    """The same workspace under two roots: hooks and commands may look at different ones."""
    if view.evidence.twins:
        others = ", ".join(f"{twin} ({_size(view, twin)})" for twin in view.evidence.twins)
        message = f"this workspace's state ({_size(view, str(view.evidence.place.directory))}) is also in {others}"
        moves = view.dialect.heals and is_laid_out_as_codexs(view.dialect)
        helps = f"to bring it together: {_migration(view)}" if moves else "both are left: 'migrate' does not know how"
        yield Diagnosed(file_finding(view, SPLIT_ROOT, "", message, helps))


def _size(view: View, directory: str) -> str:
    return size_of(view.evidence.sizes.get(directory, 0))


def _migration(view: View) -> str:
    """The command that would mend a split root: out of the temp directory, into the plugin's own."""
    places = (str(view.evidence.place.directory), *view.evidence.twins)
    roots = sorted((os.path.dirname(place) for place in places), key=lambda root: (is_temp_root(root), root))
    cwd = f" --cwd {quoted(view.evidence.home)}" if view.evidence.home else ""
    return f"stateheal migrate --from {quoted(roots[-1])} --to {quoted(roots[0])}{cwd} --archive"


def find_foreign_plugin(view: View) -> Iterator[Diagnosed]:
    """Codex jobs in the data directory of another plugin: the last plugin to export CLAUDE_PLUGIN_DATA won."""
    place, name = view.evidence.place, CODEX.drives.name
    if is_codexs(place.plugin) or view.dialect.titled_codex:
        return
    theirs = [job for job in view.jobs if any(str(side.get("title")).startswith(f"{name} ") for side in job.sides)]
    if theirs:
        jobs = f"1 {name} job stands" if len(theirs) == 1 else f"{len(theirs)} {name} jobs stand"
        message = f"{jobs} in the data directory of {place.plugin}"
        helps = "the plugin that set CLAUDE_PLUGIN_DATA last got them; uninstalling it deletes them"
        yield Diagnosed(file_finding(view, FOREIGN_PLUGIN, INDEX, message, helps))


def find_gone_workspace(view: View) -> Iterator[Diagnosed]:
    """The project directory is not there any more."""
    if view.evidence.home_exists is False:
        home, size = str(view.evidence.home), _size(view, str(view.evidence.place.directory))
        message = f"its project directory is not there any more: {home} ({size} of state)"
        root = quoted(str(view.evidence.place.root))
        command = f"stateheal migrate --from {root} --workspace {quoted(home)} NEW"
        from stateheal.diagnosis.vanished import why_not_vanished  # few workspaces are gone

        elsewhere = why_not_vanished(view)
        where = f" {quoted(str(view.evidence.place.directory))}" if view.evidence.place.apart else ""
        deleted = (
            f"if it was deleted: stateheal prune --gone{where}"
            if elsewhere is None
            else f"prune leaves it: {elsewhere}"
        )
        helps = f"{deleted}; if it was moved: {command}"
        finding = file_finding(view, GONE_WORKSPACE, "", message, helps)
        yield Diagnosed(finding._replace(size=view.evidence.sizes.get(str(view.evidence.place.directory), 0)))


def find_silent(view: View) -> Iterator[Diagnosed]:
    """A live job that has written nothing for hours."""
    for job in view.jobs:
        if not job.any_active or view.judge(job).verdict.state is not Liveness.ALIVE:
            continue
        last = view.last_sign(job)
        if last is not None and view.now - last > _SILENT:
            message = f"its process lives, but its last sign of life was {describe_age(last, view.now)}"
            stop = f"stateheal stop {argument_of(job.id, view.evidence.place)}"
            helps = f"if it hangs: {stop}, or {view.dialect.launch.cancel} {quoted(job.id)}"
            yield Diagnosed(job_finding(view, job, SILENT, message, helps))


def find_over_cap(view: View) -> Iterator[Diagnosed]:
    """More entries than the plugin keeps: its next write deletes the files of the oldest."""
    count, cap = len(entries_of(view.draft.index)), view.dialect.cap
    if cap is not None and count > cap:
        message = f"the index holds {count} entries; the plugin's next write deletes all but the {cap} newest"
        helps = f"copy what you need from {view.evidence.place.directory / JOBS} before you start another job"
        yield Diagnosed(file_finding(view, OVER_CAP, INDEX, message, helps, pointer="/jobs"))


TURN_RUNNING = Rule(
    "turn-running",
    Severity.NOTICE,
    "The worker of an orphaned job is dead, but its turn may still run in the workspace's broker. To resume the "
    "thread now would start a second turn on it and hang.",
    "None. Wait for the turn to end, or end the Claude session, which stops the broker.",
    find_turn_running,
)
MOVED_LOG = Rule(
    "moved-log",
    Severity.NOTICE,
    "Records name their logs in another directory: the tree was moved or copied. The plugin shows no progress for "
    "these jobs, and when it prunes them it deletes the logs at the old place.",
    "None. The logs stand beside the records.",
    find_moved_logs,
)
GATE_LOST = Rule(
    "gate-lost",
    Severity.NOTICE,
    "A stop gate review has run in this workspace, but the review gate is off: perhaps you turned it off, perhaps "
    "a torn index did.",
    "None. '/codex:setup --enable-review-gate' turns it on.",
    find_gate_lost,
)
SPLIT_ROOT = Rule(
    "split-root",
    Severity.NOTICE,
    "The same workspace has state under two roots: hooks and commands may read different ones, so the gate or a "
    "cancel seems to have no effect.",
    "None by 'heal'. 'stateheal migrate' brings the two together (the notice names the command); set "
    "CLAUDE_PLUGIN_DATA to the same directory for both, so that they stay so.",
    find_split_root,
)
FOREIGN_PLUGIN = Rule(
    "foreign-plugin",
    Severity.NOTICE,
    "Codex jobs stand in the data directory of another plugin, because the last plugin to export "
    "CLAUDE_PLUGIN_DATA won. Uninstalling that plugin deletes them.",
    "None.",
    find_foreign_plugin,
)
GONE_WORKSPACE = Rule(
    "gone-workspace",
    Severity.NOTICE,
    "The project directory that the state belongs to is not there any more.",
    "None by 'heal'. If the project was moved, 'stateheal migrate --workspace OLD NEW' brings its state along; if "
    "it was deleted, 'stateheal prune --gone' archives and removes it.",
    find_gone_workspace,
)
SILENT = Rule(
    "silent",
    Severity.NOTICE,
    "A job whose process lives, but that has written nothing for two hours.",
    "None. 'stateheal stop JOB' ends it, or '/codex:cancel JOB', if it hangs.",
    find_silent,
)
OVER_CAP = Rule(
    "over-cap",
    Severity.NOTICE,
    "The index holds more than the 50 entries that the plugin keeps: its next write deletes the files of the oldest.",
    "None. Copy what you need first.",
    find_over_cap,
)
