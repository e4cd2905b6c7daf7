"""Antigravity's companions, most of them called agy (field guide section 11)."""

from __future__ import annotations

from stateheal.model.dialect import Argv, Dialect, Launch, Lock, Marks

_LAUNCH = Launch(scripts=("agy-companion",), slash=("agy",), cancel="/agy:cancel")

# A job is a directory. A state.json that does not parse is put aside as state.json.corrupt-<ms> and rebuilt from the
# jobs; .state.lock/ breaks after 10 s. Parent and worker race: queued in the index over running in the file is normal.
# Its own reader calls a dead one "lost" 15 s after its last update. Read back: no file changed.
UNLIKELYZERO = Dialect(
    name="agy (unlikelyzero)",
    read=("unlikelyzero/agy-companion@691c7f5 0.3.0",),
    plugins=r"agy.*",
    by_name=False,
    marks=Marks(job_names=r"(?:task|review|adversarial-review|job)-[0-9a-z]+-[0-9a-z]+/"),
    record="jobs/{id}/job.json",
    log="jobs/{id}/log.log",
    rebuilds=False,
    finished=frozenset({"completed", "failed", "cancelled", "lost"}),
    broker=None,
    temp=("agy-companion",),
    launch=_LAUNCH,
)

# The index is the record; jobs/<id>.json is the answer's payload, written at the end, never to be made. The owner's pid
# is recorded from version 2 on only, before it the child's alone. An orphan is one by failureClass: with it
# `--resume-last` passes over it, and a late worker may still write its end. Read back: no file changed.
HANDONG66 = Dialect(
    name="agy (handong66)",
    read=("handong66/agy-plugin-cc@e18fb87 0.1.0",),
    plugins=r"agy.*",
    by_name=False,
    marks=Marks(owner="agy-plugin-cc"),
    record=None,
    rebuilds=False,
    finished=frozenset({"completed", "failed", "cancelled", "incomplete"}),
    orphan={"failureClass": "orphaned"},
    orphan_time=("endedAt",),
    pids=("workerPid",),
    argv=(Argv(r"agy-companion.*"), Argv(r"job-worker\..?js", (), no_command=True)),
    broker=None,
    temp=("agy-companion",),
    variables=("AGY_COMPANION_DATA_DIR",),
    launch=_LAUNCH,
)

# The same code under another name; only its agy twin could be run.
HANDONG66_OPENCODE = HANDONG66._replace(
    name="opencode (handong66)",
    read=("handong66/opencode-plugin-cc@2826ed3 0.3.0 (not run)",),
    plugins=r"opencode.*",
    marks=Marks(owner="opencode-plugin-cc"),
    heals=False,
    argv=(Argv(r"opencode-companion.*"), Argv(r"job-worker\..?js", (), no_command=True)),
    temp=("opencode-companion",),
    variables=("OPENCODE_COMPANION_DATA_DIR",),
    launch=Launch(scripts=("opencode-companion",), slash=("opencode",), cancel="/opencode:cancel"),
)

# Codex's layout, further homes, one slot file for each job that may run. It throws on a state.json that does not parse.
# Locks and slots name their holder by pid alone, and break by themselves where no process has it; where it belongs to
# another process by now never (file-lock.mjs, job-slots.mjs): such a slot holds up every background job for an hour,
# and then it fails. Read back: no file changed.
_BY_PID = Lock(
    r"(?:state\.json|jobs/[^/]+\.json)\.lock(?:\.reap)?",
    "a file that names its holder by pid alone; it breaks it only where no process has that pid",
    pid="pid",
    needs={"pid": '"?[0-9]+"?'},
    ages=True,
    since="createdAt",
)
KOZAKSV = Dialect(
    name="antigravity (kozaksv)",
    read=("kozaksv/antigravity-plugin-cc@ef08034 1.0.2",),
    plugins=r"antigravity.*",
    marks=Marks(names=r"slots", fields=("agyPid",)),
    argv=(Argv(r"antigravity-companion.*"),),
    broker=None,
    locks=(_BY_PID, _BY_PID._replace(path=r"slots/slot-[0-9]+\.slot(?:\.reap)?", since="claimedAt")),
    temp=("antigravity-companion",),
    homes=("$XDG_STATE_HOME/antigravity-companion", "~/.local/state/antigravity-companion"),
    launch=Launch(scripts=("antigravity-companion",), slash=("antigravity",), cancel="/antigravity:cancel"),
)

# Codex's layout; read, not run.
OTHERS = Dialect(
    name="agy",
    read=(
        "rmmaf/agy-plugin-cc@069d9e6 1.1.2 (not run)",
        "wubq511/agy-plugin-cc@958ac2c 0.1.0 (not run)",
        "adambenhassen/agy-plugin-cc@91f1c80 (not run)",
        "Lanticee/agy-plugin@9d7771a (not run)",
        "mentycs/agentic-adversary@d35a7b7 (not run)",
    ),
    plugins=r"(?:agy|antigravity).*",
    versions=(1, 2),
    heals=False,
    temp=("agy-companion", "Antigravity-companion", "antigravity-companion"),
    variables=("AGY_PLUGIN_DATA",),
    launch=_LAUNCH,
)

DIALECTS = (UNLIKELYZERO, HANDONG66, HANDONG66_OPENCODE, KOZAKSV, OTHERS)
