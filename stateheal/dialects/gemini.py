"""Gemini companions (field guide section 11)."""

from __future__ import annotations

from stateheal.model.dialect import Dialect
from stateheal.model.traits import SLUG_12, SLUG_16, Agent, Argv, Launch, Marks

_GEMINI = Agent("Gemini", "gemini --resume {thread}", False, ("gemini",))
_LAUNCH = Launch(
    scripts=("gemini-companion",),
    slash=("gemini",),
    cancel="/gemini:cancel",
)

_ID_10 = r"[a-z-]+-[0-9a-z]{8,9}-[0-9a-f]{10}"

# Directory <slug>-<12 hex>, the slug cut at 48 characters and perhaps empty; the worker's argv is `task-worker ID`, and
# a record has no pid before it runs. An index entry is a projection of 25 keys. A cancelled record keeps its pid. Read
# back: no file changed.
SAKIB = Dialect(
    name="gemini (sakibsadmanshajib)",
    read=("sakibsadmanshajib/gemini-plugin-cc@58fb538 1.0.1",),
    plugins=r"gemini.*",
    marks=Marks(names=r"broker-session\.json|acp-session", ids=r"gemini-[0-9]{13}-[0-9a-z]+"),
    directory=SLUG_12,
    stubs=False,
    argv=(Argv(r"gemini-companion.*"),),
    broker="broker-session.json",
    temp=("gemini-companion",),
    launch=_LAUNCH,
    drives=_GEMINI,
)

# Directory <slug>-<16 hex>. The index is the record; jobs/<id>.json is the answer alone, written at the end, of a job
# in the foreground never. At every write it deletes what stands in jobs/ without an entry. An empty state.json.lock
# breaks after 30 s. `result` of an orphan shows no message. Read back: no file changed.
BBINGZ = Dialect(
    name="gemini (bbingz)",
    read=("bbingz/gemini-plugin-cc@ae3e906 0.6.0",),
    plugins=r"gemini.*",
    by_name=False,
    marks=Marks(fields=("geminiSessionId",)),
    directory=SLUG_16,
    record=None,
    answer="response",
    rebuilds=False,
    argv=(Argv(r"gemini-companion.*", ("task", "review", "adversarial-review", "ask")),),
    broker=None,
    temp=("gemini-companion",),
    launch=_LAUNCH._replace(
        commands=("task", "review", "adversarial-review", "ask"), slash_commands=(*_LAUNCH.slash_commands, "ask")
    ),
    drives=_GEMINI,
)

# Codex's layout and loader (state.mjs is Codex's but for its temp root). Others keep only their configuration in
# state.json: a tree without a list of jobs is not read. Read back: no file changed.
YESONGH = Dialect(
    name="gemini",
    read=("yesongh/gemini-plugin-cc@1ff5100 1.0.1",),
    plugins=r"gemini.*",
    directory=SLUG_16,
    argv=(Argv(r"gemini-companion.*"),),
    broker=None,
    temp=("gemini-companion",),
    launch=_LAUNCH._replace(slash_commands=(*_LAUNCH.slash_commands, "task")),
    drives=_GEMINI,
)

# No index: jobs/*.json are all there is, and state.json holds the configuration. Of an index of older versions it makes
# job files. A job file that does not parse is read as a failed one. Read back: no file changed.
ARCOBALENO64 = YESONGH._replace(
    name="gemini (arcobaleno64)",
    by_name=False,
    read=("arcobaleno64/gemini-plugin-cc@22b93a7 0.22.2",),
    marks=Marks(job_names=rf"{_ID_10}\.json", ids=_ID_10),
    has_index=False,
    rebuilds=False,
    cap=None,
    variables=("GEMINI_COMPANION_DATA",),
    launch=_LAUNCH,
)

DIALECTS = (SAKIB, BBINGZ, ARCOBALENO64, YESONGH)
