"""Claude Code's companions inside Codex (field guide section 11): they keep their state under Codex's home."""

from __future__ import annotations

from stateheal.model.dialect import Dialect
from stateheal.model.traits import HEX_12, Agent, Argv, Launch, Marks

_CLAUDE = Agent("Claude Code", "claude --resume {thread}", False)
# Directory: the bare hash, 12 digits. No index: jobs/*.json are all there is. The recorded pid is the worker's first,
# then that of the claude it drives. The parent's patch of a queued record may swallow the worker's: it stays queued for
# ever then, without a reaper. <id>.json.lock breaks by itself. Read back: `result` adds resultViewedAt, nothing else.
SENDBIRD = Dialect(
    name="cc (sendbird)",
    read=("sendbird/cc-plugin-codex@483de7a 1.1.0",),
    plugins=r"cc|claude-code|cc-plugin-codex.*",
    directory=HEX_12,
    has_index=False,
    rebuilds=False,
    cap=None,
    active=frozenset({"queued", "running", "cancelling"}),
    finished=frozenset({"completed", "failed", "cancelled", "cancel_failed", "unknown"}),
    clears=("pidIdentity",),
    identities={"pidIdentity": "pid"},
    argv=(Argv(r"claude-companion.*"),),
    broker=None,
    temp=("cc-plugin-codex",),
    homes=("$CODEX_HOME/plugins/data/cc/state", "~/.codex/plugins/data/cc/state"),
    launch=Launch(scripts=("claude-companion",), slash=(), cancel="$cc:cancel"),
    drives=_CLAUDE,
)

# Its descendant names the worker beside the claude that it drives. Read back likewise.
CBEPX = SENDBIRD._replace(
    name="cc (CBEPX)",
    by_name=False,
    read=("CBEPX/cc-plugin-codex@4e21be8 1.6.0",),
    marks=Marks(fields=("workerPid", "workerPidIdentity")),
    pids=("workerPid", "pid"),
    identities={"pidIdentity": "pid", "workerPidIdentity": "workerPid"},
)

DIALECTS = (CBEPX, SENDBIRD)
