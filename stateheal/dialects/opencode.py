"""OpenCode's companions (field guide section 11)."""

from __future__ import annotations

from stateheal.model.dialect import Dialect
from stateheal.model.traits import HEX_16, Agent, Argv, Launch, Marks

_OPENCODE = Agent("OpenCode", "", False, ("opencode",))
_LAUNCH = Launch(scripts=("opencode-companion",), slash=("opencode",), cancel="/opencode:cancel")

# Directory: the bare hash. No version; the index is the record, with the answer in it; jobs/<id>.json is the answer's
# data. A finished entry may keep its pid. Johnny's reaps on read, its state.json.lock breaks after 30 s; tasict's has
# no lock. Read back: no file changed.
TASICT = Dialect(
    name="opencode",
    read=("tasict/opencode-plugin-cc@e751b01 1.0.0", "JohnnyVicious/opencode-plugin-cc@1b304d7 1.0.12"),
    plugins=r"opencode.*",
    directory=HEX_16,
    versions=(None, 1),
    record=None,
    rebuilds=False,
    active=frozenset({"pending", "running"}),
    waiting=frozenset({"pending"}),
    finished=frozenset({"completed", "failed", "canceled", "cancelled"}),
    clears=("pidStartToken",),
    identities={"pidStartToken": "pid"},
    argv=(Argv(r"opencode-companion.*"),),
    broker=None,
    temp=("opencode-companion",),
    launch=_LAUNCH,
    drives=_OPENCODE,
)

# As above, with workspace.json and a request file beside it. A dead worker's turn may end on the OpenCode server, and
# its own reader then takes the answer from there: of jobs with a session there no end is written.
KIM = TASICT._replace(
    name="opencode (kim1232aa)",
    by_name=False,
    read=("kim1232aa/opencode-companion-cc@ba66be9 2.5.1",),
    marks=Marks(names=r"workspace\.json|\.state\.lock", fields=("pidStart", "taskPreview", "awaitingServer")),
    spares=("opencodeSessionId",),
    identities={"pidStart": "pid"},
    variables=("OPENCODE_COMPANION_DATA",),
)

# Codex's layout and loader (state.mjs is Codex's but for its temp root). Read back: no file changed.
VICTALEJO = Dialect(
    name="opencode (victalejo)",
    read=("victalejo/opencode-plugin-cc@91938ba 0.1.4",),
    plugins=r"opencode.*",
    argv=(Argv(r"opencode-companion.*"),),
    broker=None,
    temp=("opencode-companion",),
    launch=_LAUNCH,
    drives=_OPENCODE,
)

# As above, but its worker is `_watch`, the answer stands in jobs/<id>.stdout alone, and it deletes the stdoutFile and
# the stderrFile of what it prunes, too. Read back: no file changed.
TURYGO = VICTALEJO._replace(
    name="opencode (turygo)",
    by_name=False,
    read=("turygo/opencode-plugin-cc@e11f1d6 0.1.0",),
    marks=Marks(fields=("stdoutFile",)),
    finished=frozenset({"completed", "failed", "canceled"}),
    answer_file="jobs/{id}.stdout",
    deletes=("logFile", "stdoutFile", "stderrFile"),
    argv=(Argv(r"opencode-companion.*", ("task", "_watch")),),
    launch=_LAUNCH._replace(slash_commands=("delegate", "status", "result", "cancel")),
)

DIALECTS = (KIM, TASICT, TURYGO, VICTALEJO)
