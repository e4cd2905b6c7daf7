"""Codex companions: OpenAI's own and its forks (field guide sections 2 and 11).

The forks share its directory names and its layout; what sets them apart stands in their trees.
"""

from __future__ import annotations

from stateheal.model.dialect import Dialect
from stateheal.model.traits import Launch, Lock, Marks

# The state code is the same from 1.0.0 to 1.0.5. Any version loads, unknown top-level keys are dropped at the next
# write, a parse failure reads as empty; in-place writes, no lock. A healed record was read back: no file changed.
CODEX = Dialect(
    read=(
        "openai/codex-plugin-cc@80c31f9 1.0.5",
        "audichuang/codex-plugin-cc@7e4eefc 1.0.4",
        "Kenmege/codex-plugin-cc@896664d 1.0.4",
        "sqzxcv/codex-plugin-cc@9057fa8 1.1.0",
    ),
    launch=Launch(slash=("codex",)),
)

# runStatus outranks status, and the job file the index (state.mjs:421): with status alone a healed record is reconciled
# again. With runStatus too nothing changed. The index is capped at 50, job files live on for two weeks. state.json.lock
# and broker.ensure.lock break by themselves, a dead pid's at once, one without a pid after 30 s; but where that pid
# belongs to another process by now, never (state.mjs:121, broker-lifecycle.mjs): the lock does not tell its start.
ALANJWONG = Dialect(
    name="codex (alanjwong)",
    read=("alanjwong/codex-plugin-cc@14eead6 1.0.6-fork.3",),
    by_name=False,
    marks=Marks(names=r"broker-sessions\.json", fields=("runStatus",)),
    versions=(1, 2),
    rebuilds=False,
    indexes_all=False,
    status=("runStatus", "status"),
    active=frozenset({"QUEUED", "RUNNING", "CANCEL_REQUESTED", "queued", "running"}),
    waiting=frozenset({"QUEUED", "queued"}),
    finished=frozenset({"FINISHED", "FAILED", "CANCELLED", "INTERRUPTED", "completed", "failed", "cancelled"}),
    completed=frozenset({"FINISHED", "completed"}),
    orphan={"runStatus": "INTERRUPTED", "outcomeStatus": "NEEDS_RECONCILIATION"},
    answered={"runStatus": "FINISHED", "outcomeStatus": "UNCLASSIFIED"},
    locks=(
        Lock(
            r"state\.json\.lock|broker\.ensure\.lock",
            "a file that names its holder by pid alone; it breaks it only where no process has that pid",
            pid="pid",
            needs={"pid": "[0-9.]+"},
            ages=True,
            since="at",
        ),
    ),
    temp=("codex-companion-{uid}",),
    launch=Launch(readers=("status", "result", "cancel", "reconcile")),
)

# All in the index, which it validates as a whole: one status outside its six, another version, a bad worker, a file
# that others may write, and every command fails. jobs/<id>.json are manifests of older versions, never to be written.
# Locks are tickets (state.mjs:588-780), put in place by rename: that of a process that is gone, or began at another
# moment, it removes. On one that does not hold all six keys it throws, for ever and in every command: measured. Nobody
# can be holding such a one: its holder would throw on it as well, and commits only while it can read its own.
LUCASMCHT = Dialect(
    name="codex (lucasmcht-corp)",
    read=("lucasmcht-corp/codex-plugin-cc@29d1772 1.0.6",),
    by_name=False,
    marks=Marks(names=r"session-endings|state-lock", top=("revision", "endedSessions", "retiredLegacyJobIds")),
    record=None,
    rebuilds=False,
    cap=None,
    active=frozenset({"queued", "running", "cancelling"}),
    identities={"worker.startKey": "pid"},
    broker=None,
    locks=(
        Lock(
            r"state-lock/(?:ticket-[0-9]{12}|choosing)-[0-9a-f-]+\.json",
            "a ticket in state-lock/; it removes those of processes that are gone, and fails on one that is not whole",
            pid="pid",
            needs={
                "version": "2",
                "token": '".+"',
                "pid": "[1-9][0-9]*",
                "startKey": '".+"',
                "acquiredAt": '".*"',
                "ticket": "[0-9]+",
            },
            tells_apart=True,
        ),
    ),
    temp=("codex-companion-{uid}/state",),
    variables=("CODEX_COMPANION_PLUGIN_DATA",),
    launch=Launch(slash_commands=("rescue", "review", "adversarial-review", "send", "status", "result", "cancel")),
)

# Codex's layout and loader, atomic writes. A lock is {token, pid, pidStartTime}, waited for 10 s and broken only if pid
# and pidStartTime are there and the process is provably gone (state.mjs:241): any other is never broken, measured.
PATRIYANG = Dialect(
    name="codex (patriyang)",
    read=("patriyang/codex-plugin-cc@da6d6cb 1.0.47",),
    by_name=False,
    marks=Marks(names=r"state\.lock|broker\.lock", fields=("pidStartTime", "retryAfterMs", "reaped")),
    identities={"pidStartTime": "pid"},
    locks=(
        Lock(
            r"(?:state|broker)\.lock|jobs/[^/]+\.lock",
            "a file that names its holder; one whose holder's pid and start time it cannot read is never broken",
            pid="pid",
            needs={"token": '".+"', "pid": "[1-9][0-9.]*", "pidStartTime": r'".*[^\s"].*"'},
            tells_apart=True,
        ),
    ),
    variables=("CODEX_COMPANION_PLUGIN_DATA",),
    launch=Launch(
        commands=("task", "review", "adversarial-review", "deep-review", "implement"),
        slash_commands=(
            *("rescue", "review", "adversarial-review", "deep-review", "implement", "status", "result", "cancel"),
        ),
    ),
)

# Read through its files only, never run: by its source a healed record is harmless, but that is no proof. Beside a job
# stand its request, with secrets, and a pid file of its own. state.lock.d breaks by itself.
CBEPX = Dialect(
    name="codex (CBEPX)",
    read=("CBEPX/codex-plugin-cc@1597765 1.4.3 (not run)",),
    by_name=False,
    marks=Marks(names=r"state\.lock\.d", fields=("requestFile",)),
    heals=False,
    identities={"pidIdentity": "pid"},
    temp=("codex-companion-{uid}/*",),
)

# Every command throws on an index that does not parse, of another version, with a job id, a log's path or a controller
# that is not as it writes them; it takes a healed record. A job may be "cancel_requested" or "indeterminate": perhaps
# alive. Only jobs in the background have a controller. Its broker.json names no process. Read back: no file changed.
CONDUCTOR = Dialect(
    name="codex (wotjr1649)",
    read=("wotjr1649/codex-conductor-cc@cdac43e 0.2.0",),
    plugins=r".*conductor.*",
    published=("codex-codex-conductor",),
    marks=Marks(fields=("controller",)),
    broker=None,
    temp=("cxc-{uid}/state",),
    homes=("$XDG_RUNTIME_DIR/cxc-{uid}/state",),
    launch=Launch(slash=("codex",)),
)

DIALECTS = (ALANJWONG, LUCASMCHT, CBEPX, PATRIYANG, CONDUCTOR, CODEX)
