"""Antigravity's companions, most of them called agy (field guide section 11)."""

from __future__ import annotations

from stateheal.model.dialect import Dialect
from stateheal.model.traits import Agent, Argv, Launch, Lock, Marks

_AGENT = Agent("agy", "", False, ("agy", "Antigravity"))
_ANTIGRAVITY = Agent("Antigravity", "agy --conversation {thread}", False, ("antigravity",))
_LAUNCH = Launch(scripts=("agy-companion",), slash=("agy",), cancel="/agy:cancel")
_COMMANDS = ("task", "review", "adversarial-review", "research", "analyse-plan")

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
    drives=_AGENT,
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
    clears=("childPid",),
    argv=(Argv(r"agy-companion.*"), Argv(r"job-worker\..?js", (), no_command=True)),
    broker=None,
    temp=("agy-companion",),
    variables=("AGY_COMPANION_DATA_DIR",),
    launch=_LAUNCH,
    drives=_AGENT,
)

# The same code under another name; only its agy twin could be run.
HANDONG66_OPENCODE = HANDONG66._replace(
    drives=Agent("OpenCode", "", False, ("opencode",)),
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

# Codex's layout and loader, ids its own (state.mjs is Codex's but for temp root and a lock: .state.lock/ breaks after
# 10 s, and after 2 s it writes without). rmmaf's answers/ hold each answer once more, outside of any job. Read back: no
# file changed.
AGY = Dialect(
    name="agy",
    read=(
        "rmmaf/agy-plugin-cc@069d9e6 1.1.2",
        "adambenhassen/agy-plugin-cc@91f1c80 1.0.4",
        "mentycs/agentic-adversary@d35a7b7 1.0.4",
    ),
    plugins=r"agy.*",
    argv=(Argv(r"agy-companion.*", _COMMANDS),),
    broker=None,
    temp=("agy-companion", "Antigravity-companion"),
    launch=_LAUNCH._replace(
        commands=_COMMANDS,
        slash_commands=(*Launch().slash_commands, "research", "analyse-plan"),
    ),
    drives=_AGENT,
)

# The index is the record; jobs/<id>.json is the answer's payload, written at the end. `result` shows the summary, of an
# orphan the one that its own `status` gives it. It deletes the promptFile and agyLogFile of what it prunes, too. Read
# back: no file changed.
LANTICEE = Dialect(
    name="agy (Lanticee)",
    read=("Lanticee/agy-plugin@9d7771a 0.5.0",),
    plugins=r"agy-cli.*",
    marks=Marks(fields=("agyLogFile",)),
    record=None,
    answer="output",
    deletes=("logFile", "promptFile", "agyLogFile"),
    rebuilds=False,
    active=frozenset({"running"}),
    orphan={"summary": "orphaned — process no longer running"},
    argv=(Argv(r"agy-companion.*"),),
    broker=None,
    temp=("agy-companion",),
    launch=Launch(
        scripts=("agy-companion",),
        slash=("agy-cli",),
        slash_commands=("task", "review", "adversarial-review", "status", "result", "cancel"),
        cancel="/agy-cli:cancel",
    ),
    drives=_AGENT,
)

# No index: jobs/*.json are all there is, beside a request, which goes when it is taken, and what agy printed: the
# answer stands in jobs/<id>.stdout alone. The hash is that of the raw path. Read back: no file changed.
YELLOWVITA = Dialect(
    name="agy (YellowVita)",
    read=("YellowVita/agy-claude-plugin@a7ba01a 0.1.1",),
    plugins=r"agy.*",
    by_name=False,
    marks=Marks(job_names=r"agy-[0-9a-z]+-[0-9a-f]{6}\.(?:json|stdout)", ids=r"agy-[0-9a-z]+-[0-9a-f]{6}"),
    has_index=False,
    answer_file="jobs/{id}.stdout",
    rebuilds=False,
    cap=None,
    argv=(Argv(r"agy-companion.*"),),
    broker=None,
    drives=_AGENT,
    temp=("agy-companion",),
    launch=_LAUNCH._replace(slash_commands=("run", "continue", "rescue", "status", "result", "cancel")),
)

# An MCP server, without subcommands: its jobs are its own children, and only those in the background name a pid. One in
# the foreground has none for as long as it runs, however long: so nothing is written. The index is the record.
WUBQ511 = Dialect(
    name="agy (wubq511)",
    read=("wubq511/agy-plugin-cc@958ac2c 0.1.0",),
    plugins=r"agy.*",
    marks=Marks(fields=("dangerouslySkipPermissions",)),
    versions=(2,),
    heals=False,
    record=None,
    argv=(Argv(r"agy-companion.*", (), no_command=True),),
    broker=None,
    temp=("agy-companion",),
    launch=_LAUNCH._replace(slash_commands=()),
    drives=_AGENT,
)

# Codex's layout, further homes. kozaksv's has one slot file for each job that may run, and throws on a state.json that
# does not parse. Its locks and slots name their holder by pid alone, and break by themselves where no process has it;
# where it belongs to another process by now never (file-lock.mjs, job-slots.mjs): such a slot holds up every background
# job for an hour, and then it fails. AtiwitchJ's state.mjs is Codex's, without locks. Read back: no file changed.
# (vlad-aleksandrov/antigravity-plugin-cc@ced9a14 has Codex's state.mjs, but its script does not parse.)
_BY_PID = Lock(
    r"(?:state\.json|jobs/[^/]+\.json)\.lock(?:\.reap)?",
    "a file that names its holder by pid alone; it breaks it only where no process has that pid",
    pid="pid",
    needs={"pid": '"?[0-9]+"?'},
    ages=True,
    since="createdAt",
)
ANTIGRAVITY = Dialect(
    name="antigravity",
    read=("kozaksv/antigravity-plugin-cc@ef08034 1.0.2", "AtiwitchJ/antigravity-plugin-cc@b2b5739 0.1.0"),
    plugins=r"antigravity.*",
    marks=Marks(names=r"slots", fields=("agyPid",)),
    clears=("agyPid",),
    argv=(Argv(r"antigravity-companion.*"),),
    broker=None,
    locks=(_BY_PID, _BY_PID._replace(path=r"slots/slot-[0-9]+\.slot(?:\.reap)?", since="claimedAt")),
    temp=("antigravity-companion",),
    variables=("CODEX_PLUGIN_DATA",),
    homes=("$XDG_STATE_HOME/antigravity-companion", "~/.local/state/antigravity-companion"),
    launch=Launch(scripts=("antigravity-companion",), slash=("antigravity",), cancel="/antigravity:cancel"),
    drives=_ANTIGRAVITY,
)

DIALECTS = (UNLIKELYZERO, HANDONG66, HANDONG66_OPENCODE, LANTICEE, AGY, WUBQ511, YELLOWVITA, ANTIGRAVITY)
