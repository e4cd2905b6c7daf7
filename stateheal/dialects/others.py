"""Companions of one kind or another, each under a name of its own (field guide section 11)."""

from __future__ import annotations

from stateheal.model.dialect import Dialect
from stateheal.model.traits import Agent, Argv, Launch, Marks


def _of(name: str, *read: str, variables: tuple[str, ...] = (), commands: tuple[str, ...] = ()) -> Dialect:
    """A companion of Codex's layout under a name of its own."""
    return Dialect(
        name=name,
        read=read,
        plugins=rf"{name}.*",
        heals=False,
        argv=(Argv(rf"{name}-companion.*"),),
        broker=None,
        temp=(f"{name}-companion",),
        variables=variables,
        launch=Launch(
            (f"{name}-companion",),
            ("task", "review", "adversarial-review", *commands),
            slash=(name,),
            slash_commands=(*Launch().slash_commands, *commands),
            cancel=f"/{name}:cancel",
        ),
        drives=Agent(name, "", False, (name,)),
    )


# Codex under another name, its script's name as well; its Codex has a home of its own, ~/.codex-glm. Read back: no file
# changed.
TONNICAI = Dialect(
    name="glm (tonnicai)",
    read=("tonnicai/glm-plugin-cc@28b7386 1.1.0",),
    plugins=r"(?:glm|ollama)-tonnicai.*",
    published=("glm-tonnicai", "ollama-tonnicai"),
    titled_codex=True,
    launch=Launch(slash=("glm", "ollama"), cancel="/glm:cancel"),
)

# It throws on an index or a job file that does not parse. Everything runs in the foreground, and no running job names a
# pid or has a job file: nothing tells a dead one from one that waits for its model. So nothing is written.
GLM = _of("glm", "sky-zhang01/glm-plugin-cc@bebec14 0.4.8", commands=("rescue",))._replace(record_at_end=True)

# The index is the record; jobs/<id>.json repeats it. In the background nobody waits for qwen itself, whose pid is
# recorded: its answer stands in the log until `status` or `result` is asked, which then ends the job. So one with a log
# is not closed: with an end written, its own code never looks there again (measured). In the foreground it is closed as
# its own `status` closes it. An empty state.json.lock breaks after 30 s. Read back: no file changed.
QWEN = _of(
    "qwen",
    "bbingz/qwen-plugin-cc@17ff5a2 0.2.2",
    commands=("rescue", "ask"),
)._replace(
    heals=True,
    record=None,
    rebuilds=False,
    active=frozenset({"running"}),
    orphan={"failure": {"kind": "orphan", "message": "process not found at status check"}},
    orphan_time=("finishedAt",),
    spares=("logFile",),
    argv=(Argv(r"qwen-companion.*"), Argv(r"qwen(?:\.[cm]?js)?", (), no_command=True)),
)

# Laid out as bbingz's gemini, in kimi/state below its data directory. What ended more than seven days ago by its
# completedAt goes at its next write, log and all; its own reader closes an orphan without that. So nothing is written.
KIMI = _of(
    "kimi",
    "bbingz/kimi-plugin-cc@8ecee5b 0.1.0",
    commands=("ask", "continue", "resume"),
)._replace(record=None, answer="response", rebuilds=False, below=("kimi/state",))

# Codex's layout and loader; its own reader closes a dead one as failed, and one that runs for six hours. Read back: no
# file changed.
COPILOT = _of("copilot", "warischa/copilot-plugin-cc@49ae495 0.8.1", commands=("rescue", "plan"))._replace(heals=True)

# Records of its own kind, whose process stands in pid_info, with its start: read as its kin's, a live job would have no
# pid. It keeps them in the temp roots of gemini's and kimi's companions, too.
MULTI = Dialect(
    name="codex-plugin-multi (seungpyoson)",
    read=("seungpyoson/codex-plugin-multi@59e4c5d 0.1.0",),
    plugins=r"codex-plugin-multi.*",
    by_name=False,
    marks=Marks(fields=("pid_info",)),
    reads=False,
    heals=False,
    temp=(),
    variables=("GEMINI_PLUGIN_DATA", "KIMI_PLUGIN_DATA", "AGY_PLUGIN_DATA"),
    launch=Launch((), (), (), (), (), ""),
)

DIALECTS = (MULTI, TONNICAI, GLM, QWEN, KIMI, COPILOT)
