"""The catalogue of damage as data: one ``Rule`` per kind, in the order in which they are looked for.

Order matters where two rules can meet on one job: each rule sees the workspace as the repairs before it would leave
it. Endings are settled before owners are judged, so that a finished job is never marked an orphan.

To add a kind of damage: write its finder, add its ``Rule`` here, and a directory under ``tests/cases/``.
"""

from __future__ import annotations

from collections.abc import Iterable

from stateheal.diagnosis.rule import Rule
from stateheal.diagnosis.rules import beside as surroundings
from stateheal.diagnosis.rules import notices, recovered, structure, torn
from stateheal.diagnosis.rules.content import find_violations
from stateheal.diagnosis.rules.endings import find_ending_conflict, find_file_behind, find_index_behind
from stateheal.diagnosis.rules.orphans import find_orphans, find_unsafe
from stateheal.errors import UsageError
from stateheal.model.findings import Severity
from stateheal.model.request import Settings
from stateheal.text import did_you_mean

DAMAGE, NOTICE = Severity.DAMAGE, Severity.NOTICE

RULES: tuple[Rule, ...] = (
    Rule(
        "torn-index",
        DAMAGE,
        "state.json is empty, cut off, padded, doubled, not UTF-8 or no object. The plugin then sees no jobs and no "
        "review gate, and its next write makes the loss final.",
        "Rebuild it from the entries that can still be read in it and from the job files; nothing is invented. A "
        "review gate that can be read in the bytes is kept, otherwise it is off and the report says so. The raw bytes "
        "stay in the journal. A file written in the last five seconds is read again first: it may be on its way.",
        torn.find_torn_index,
    ),
    Rule(
        "torn-job",
        DAMAGE,
        "A job file is empty, cut off or otherwise unreadable. The plugin cannot show the job's result, and some "
        "commands fail on it.",
        "Rebuild it from the index entry and from whatever stands whole in the bytes, the result included. The raw "
        "bytes stay in the journal. A file that may just be on its way, or whose job may live, is left.",
        torn.find_torn_job,
    ),
    Rule(
        "wrong-shape",
        DAMAGE,
        "The index is valid JSON of the wrong types: jobs is no list, an entry is no object, config is a list, the "
        "review gate is a text. The plugin reads such places as empty, or as on.",
        "Reported. Repaired only where one reading is possible: jobs that is null or missing becomes an empty list.",
        torn.find_wrong_shape,
    ),
    Rule(
        "null-entry",
        DAMAGE,
        "There is a null among the entries of the index. The plugin's status crashes on it.",
        "Remove it.",
        structure.find_null_entries,
    ),
    Rule(
        "unsafe-path",
        DAMAGE,
        "A job's id is a path, or its logFile lies outside the workspace's jobs directory and is not the job's own "
        "log, or is a directory or another job's record. The plugin deletes these paths when it prunes the job.",
        "Set logFile to null; an entry whose id is a path leaves the index (the journal keeps it). The path itself is "
        "neither followed nor touched.",
        structure.find_unsafe_paths,
    ),
    Rule(
        "duplicate-id",
        DAMAGE,
        "Two entries of the index have one id. The plugin shows one and updates the other.",
        "Keep one: a finished one beats an active one, then the newer counts. Fields that only the other has are kept.",
        structure.find_duplicates,
    ),
    Rule(
        "stub-entry",
        DAMAGE,
        "An index entry has no status, or lacks fields that say what the job is and that its job file has: its row was "
        "lost, and a later update wrote a new one. The plugin lists it under no session and cannot resume it.",
        "Fill it in from the job file; what the entry has stays.",
        structure.find_stubs,
    ),
    Rule(
        "unindexed",
        DAMAGE,
        "A job file that the index does not know: its worker died between its two writes, or another writer's update "
        "swallowed the entry. The plugin cannot show the job or its result.",
        "Add an entry made from the file, as long as the index then holds 40 entries or fewer, so that the plugin's "
        "pruning pushes nothing out; the journal keeps a copy of the job file and its log. What does not fit is named "
        "and left. A job that may live is left to its worker.",
        structure.find_unindexed,
    ),
    Rule(
        "recoverable",
        NOTICE,
        "A task whose worker died, but whose turn Codex finished all the same: the answer stands in a rollout.",
        "None by 'heal'. 'stateheal recover', or 'heal --recover', writes the answer into the job's records: "
        "completed/done, with where it came from. 'codex resume THREAD' shows it too.",
        recovered.find_recovered,
    ),
    Rule(
        "index-behind",
        DAMAGE,
        "The job has ended and its job file says so, but the worker died before it could write the index. Status shows "
        "it running for ever, and follow-up tasks are refused.",
        "The index takes over the ending that the job file holds: status, phase, times, thread and turn. A completed "
        "job stays completed. Done only when the recorded process is proven dead, or none is recorded and nothing was "
        "written for a minute.",
        find_index_behind,
    ),
    Rule(
        "file-behind",
        DAMAGE,
        "The index says that the job has ended, but its job file still says active. The result view and the status "
        "view contradict each other.",
        "The job file takes over the ending that the index holds, under the same proof as index-behind.",
        find_file_behind,
    ),
    Rule(
        "ending-conflict",
        DAMAGE,
        "Both records are finished, and differently: for example the index was marked failed by another tool although "
        "the job file is completed and holds the result. Or a completed job still carries an orphan's message.",
        "The record that can show the result wins, and a leftover orphan message goes. A known thread or turn id is "
        "never replaced by nothing. Where neither ending can be proven, both are left and a notice says so.",
        find_ending_conflict,
    ),
    Rule(
        "missing-file",
        DAMAGE,
        "An index entry without a job file: the file was deleted, or never written. Where the entry is active and its "
        "process dead, status shows it running for ever.",
        "Mark an active entry whose process is proven dead failed/orphaned. A finished one is only named: a result is "
        "not invented.",
        structure.find_missing_files,
    ),
    Rule(
        "unsafe-pid",
        DAMAGE,
        "The recorded pid is 0, 1, negative, true or no number at all. The plugin signals recorded pids by process "
        "group, and such a value can stand for every process of yours.",
        "Set pid to null. An active job is marked failed/orphaned as well; one whose pid is text and no number waits "
        "for the grace time first.",
        find_unsafe,
    ),
    Rule(
        "missing-pid",
        DAMAGE,
        "The job is recorded as active, names no process, and has been silent for longer than the grace time (an hour "
        "unless --grace says otherwise). Nothing will ever finish it.",
        "Mark it failed/orphaned in the index and in the job file; a last Codex error in its log is quoted. Younger "
        "ones are left alone: a job that was just queued has no pid for some seconds.",
        find_orphans("missing-pid"),
    ),
    Rule(
        "recycled-pid",
        DAMAGE,
        "The job's process is gone and its pid belongs to another process by now. The plugin would signal that "
        "innocent process when the session ends or the job is cancelled.",
        "Mark the job failed/orphaned and set pid to null. The other process is never signalled.",
        find_orphans("recycled-pid"),
    ),
    Rule(
        "dead-pid",
        DAMAGE,
        "The job is recorded as active, but its process is gone: it was killed, ran out of memory or did not survive "
        "a reboot. Status shows it running for ever, and follow-up tasks are refused.",
        "Mark it failed/orphaned in the index and in the job file, with pid null and the time of its last sign of "
        "life, and note it in the job's log. Thread and turn stay, so that the conversation can be resumed.",
        find_orphans("dead-pid"),
    ),
    Rule(
        "stale-broker",
        DAMAGE,
        "broker.json names a broker that is gone. When the session ends the plugin signals the process group of its "
        "pid, whoever has that pid by now.",
        "Remove broker.json (the journal keeps it), only if its endpoint does not answer and its process is dead or "
        "provably another. Nothing is signalled, and the broker's session directory is not touched.",
        surroundings.find_stale_broker,
    ),
    Rule(
        "leftover-temp",
        DAMAGE,
        "A temporary file: of a stateheal run that was interrupted, or, older than a day, of some other writer.",
        "Remove those of our own runs (the journal keeps them). Others are only named.",
        surroundings.find_leftovers,
    ),
    Rule(
        "schema",
        DAMAGE,
        "A file, or a field in it, is not of the shape that the plugin writes. The message names the place and the "
        "reason.",
        "None: reported only. What is unknown (another version, an unknown status) is a notice and is left alone.",
        find_violations,
    ),
    Rule(
        "turn-running",
        NOTICE,
        "The worker of an orphaned job is dead, but its turn may still run in the workspace's broker. To resume the "
        "thread now would start a second turn on it and hang.",
        "None. Wait for the turn to end, or end the Claude session, which stops the broker.",
        notices.find_turn_running,
    ),
    Rule(
        "moved-log",
        NOTICE,
        "Records name their logs in another directory: the tree was moved or copied. The plugin shows no progress for "
        "these jobs, and when it prunes them it deletes the logs at the old place.",
        "None. The logs stand beside the records.",
        notices.find_moved_logs,
    ),
    Rule(
        "gate-lost",
        NOTICE,
        "A stop gate review has run in this workspace, but the review gate is off: perhaps you turned it off, perhaps "
        "a torn index did.",
        "None. '/codex:setup --enable-review-gate' turns it on.",
        notices.find_gate_lost,
    ),
    Rule(
        "split-root",
        NOTICE,
        "The same workspace has state under two roots: hooks and commands may read different ones, so the gate or a "
        "cancel seems to have no effect.",
        "None by 'heal'. 'stateheal migrate' brings the two together (the notice names the command); set "
        "CLAUDE_PLUGIN_DATA to the same directory for both, so that they stay so.",
        notices.find_split_root,
    ),
    Rule(
        "foreign-plugin",
        NOTICE,
        "Codex jobs stand in the data directory of another plugin, because the last plugin to export "
        "CLAUDE_PLUGIN_DATA won. Uninstalling that plugin deletes them.",
        "None.",
        notices.find_foreign_plugin,
    ),
    Rule(
        "gone-workspace",
        NOTICE,
        "The project directory that the state belongs to is not there any more.",
        "None by 'heal'. If the project was moved, 'stateheal migrate --workspace OLD NEW' brings its state along; if "
        "it was deleted, so can its state be.",
        notices.find_gone_workspace,
    ),
    Rule(
        "silent",
        NOTICE,
        "A job whose process lives, but that has written nothing for two hours.",
        "None. '/codex:cancel JOB' ends it, if it hangs.",
        notices.find_silent,
    ),
    Rule(
        "over-cap",
        NOTICE,
        "The index holds more than the 50 entries that the plugin keeps: its next write deletes the files of the "
        "oldest.",
        "None. Copy what you need first.",
        notices.find_over_cap,
    ),
)


def rule_named(name: str) -> Rule:
    """The rule of that name. Raises ``UsageError`` naming the nearest one where there is none."""
    for rule in RULES:
        if rule.name == name:
            return rule
    hint = did_you_mean(name, (rule.name for rule in RULES))
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
