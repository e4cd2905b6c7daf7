"""Grok Build's bridge and its fork (field guide section 11)."""

from __future__ import annotations

from stateheal.model.dialect import Dialect
from stateheal.model.traits import Agent, Argv, Launch, Lock, Marks

_GROK = Agent("Grok Build", "grok -r {thread}", False, ("grok",))
_ARGV = (Argv(r"grok-bridge.*", ("run", "review", "critique")),)
_COMMANDS = ("run", "review", "critique")
_READERS = ("runs", "show", "stop")
_CLEARS = ("bridgePid", "agentPid", "companionPid")
_SLASH = ("check", "review", "critique", "delegate", "import", "runs", "show", "stop")

# state.json.lock is an empty file, waited for 100 times 20 ms and never broken (state.mjs): with one left behind every
# run and stop fails, measured on one two days old. A terminal status is final; with it go all pids, companionPid being
# bridgePid's older name (state.mjs:160-230, tracked-jobs.mjs:151). Read back: no file changed.
XAI = Dialect(
    name="grok-build",
    read=("xai-org/grok-build-plugin-cc@92b76a6 0.2.1",),
    plugins=r"grok-build.*",
    marks=Marks(fields=("bridgePid", "agentPid"), ids=r"run-[0-9a-z]{6,12}-[0-9a-z]{4,8}"),
    clears=_CLEARS,
    argv=_ARGV,
    broker=None,
    locks=(Lock(r"state\.json\.lock", "an empty file, held for milliseconds and never broken"),),
    temp=("grok-cc-runs",),
    launch=Launch(("grok-bridge",), _COMMANDS, _READERS, ("grok-build",), _SLASH, "/grok-build:stop"),
    drives=_GROK,
)

# As above, but its hash is that of the git common directory, its lock names its holder and breaks by itself, and it
# knows more ends. Read back: no file changed.
DANMSHEETS = Dialect(
    name="turbo-build-plugin (danmsheets-dev)",
    read=("danmsheets-dev/grok-build-plugin-cc@093c1ab 0.7.1",),
    plugins=r"turbo-build.*",
    marks=Marks(job_names=r".*\.worker\.err", fields=("nestDepth", "parentRunId", "worktree", "isolation")),
    finished=frozenset(
        {"completed", "failed", "cancelled", "completed-unverified", "completed-truncated", "completed-noop"}
        | {"completed-blind", "completed-with-failed-children", "timed-out", "isolation-breached"}
    ),
    completed=frozenset(
        {"completed", "completed-unverified", "completed-truncated", "completed-noop", "completed-blind"}
        | {"completed-with-failed-children"}
    ),
    clears=_CLEARS,
    argv=_ARGV,
    broker=None,
    temp=("grok-cc-runs",),
    launch=Launch(("grok-bridge",), _COMMANDS, _READERS, ("turbo-build-plugin",), _SLASH, "/turbo-build-plugin:stop"),
    drives=_GROK,
)

DIALECTS = (DANMSHEETS, XAI)
