"""The companions whose trees stand in ``trees/``: how each is laid out, and how its own code is asked about it."""

from __future__ import annotations

from typing import NamedTuple


class Fork(NamedTuple):
    """How one companion's tree is laid out, and how its own code is asked about it."""

    plugin: str
    form: str = "slug-16"
    heals: bool = True
    checkout: str = ""
    kin: tuple[str, ...] = ()
    """Further checkouts of the same code, but for what does not touch its state: they read its tree back."""
    script: str = "plugins/codex/scripts/codex-companion.mjs"
    variable: str = "CLAUDE_PLUGIN_DATA"
    worker: tuple[str, ...] = ("task-worker", "--cwd", ".", "--job-id", "ID")
    """What stands behind the script in the argv of the process that owns a job."""
    words: tuple[str, str, str] = ("status", "result", "cancel")
    says_why: bool = True
    rebuilds: bool = True
    cancels_all: bool = False
    """Its ``cancel`` takes a job that has ended, too, and says so."""
    records: bool = True
    """Its job files are records: not the answers alone, of which nothing else tells."""
    moves: bool = False
    """Laid out as Codex's: ``migrate`` can move it."""
    node: int = 20
    """The oldest node that its own code takes."""


GROK = "plugins/{}/scripts/grok-bridge.mjs"
AGY = "plugins/agy/scripts/agy-companion.mjs"
ANTIGRAVITY = "plugins/antigravity/scripts/antigravity-companion.mjs"
OPENCODE = "plugins/opencode/scripts/opencode-companion.mjs"
FORKS_OF: dict[str, Fork] = {
    "openai": Fork(
        "codex-openai-codex",
        checkout="openai+codex-plugin-cc",
        kin=("audichuang+codex-plugin-cc", "Kenmege+codex-plugin-cc", "sqzxcv+codex-plugin-cc"),
        moves=True,
    ),
    "alanjwong": Fork("codex-alanjwong", checkout="alanjwong+codex-plugin-cc", rebuilds=False),
    "lucasmcht": Fork(
        "codex-lucasmcht",
        checkout="lucasmcht-corp+codex-plugin-cc",
        variable="CODEX_COMPANION_PLUGIN_DATA",
        rebuilds=False,
        records=False,
    ),
    "patriyang": Fork(
        "codex-patriyang",
        checkout="patriyang+codex-plugin-cc",
        variable="CODEX_COMPANION_PLUGIN_DATA",
        moves=True,
        worker=("job-worker", "--cwd", ".", "--job-id", "ID"),
    ),
    "CBEPX-codex": Fork("codex-cbepx", heals=False),
    "sakib-gemini": Fork(
        "gemini-sakib",
        "slug-12",
        checkout="sakibsadmanshajib+gemini-plugin-cc",
        script="plugins/gemini/scripts/gemini-companion.mjs",
        moves=True,
        worker=("task-worker", "ID"),
    ),
    "xai-grok-build": Fork(
        "grok-build-xai",
        checkout="xai-org+grok-build-plugin-cc",
        script=GROK.format("grok-build"),
        words=("runs", "show", "stop"),
        moves=True,
        worker=("run-worker", "--cwd", ".", "--job-id", "ID"),
    ),
    "danmsheets-turbo": Fork(
        "turbo-build-plugin-x",
        "git-16",
        checkout="danmsheets-dev+grok-build-plugin-cc",
        script=GROK.format("turbo-build-plugin"),
        words=("runs", "show", "stop"),
        moves=True,
        worker=("run-worker", "--cwd", ".", "--job-id", "ID"),
    ),
    "unlikelyzero-agy": Fork(
        "agy-x", checkout="unlikelyzero+agy-companion", script="scripts/agy-companion.mjs", rebuilds=False
    ),
    "handong66-agy": Fork(
        "agy-y",
        checkout="handong66+agy-plugin-cc",
        script=AGY,
        variable="AGY_COMPANION_DATA_DIR",
        says_why=False,
        rebuilds=False,
        records=False,
        worker=("task", "fix the thing"),
    ),
    "handong66-opencode": Fork(
        "opencode-y", heals=False, records=False, script="plugins/opencode/scripts/job-worker.mjs", worker=("ID",)
    ),
    "kozaksv-antigravity": Fork(
        "antigravity-x",
        checkout="kozaksv+antigravity-plugin-cc",
        script=ANTIGRAVITY,
        moves=True,
    ),
    "tasict-opencode": Fork(
        "opencode-x",
        "16",
        checkout="tasict+opencode-plugin-cc",
        script=OPENCODE,
        rebuilds=False,
        records=False,
        worker=("task-worker", "--job-id", "ID", "--workspace", "."),
    ),
    "JohnnyVicious-opencode": Fork(
        "opencode-x",
        "16",
        checkout="JohnnyVicious+opencode-plugin-cc",
        script=OPENCODE,
        rebuilds=False,
        records=False,
        worker=("task-worker", "--job-id", "ID", "--workspace", "."),
    ),
    "kim1232aa-opencode": Fork(
        "opencode-x",
        "16",
        checkout="kim1232aa+opencode-companion-cc",
        script=OPENCODE,
        rebuilds=False,
        records=False,
        worker=("task-worker", "--job-id", "ID", "--workspace", "."),
    ),
    "wotjr1649-conductor": Fork("codex-codex-conductor", checkout="wotjr1649+codex-conductor-cc", node=24, moves=True),
    "rmmaf-agy": Fork("agy-agy", checkout="rmmaf+agy-plugin-cc", script=AGY, moves=True),
    "adambenhassen-agy": Fork("agy-agy", checkout="adambenhassen+agy-plugin-cc", script=AGY, moves=True),
    "mentycs-agy": Fork("agy-agy", checkout="mentycs+agentic-adversary", script=AGY, moves=True),
    "AtiwitchJ-antigravity": Fork(
        "antigravity-agents-plugin-cc-antigravity",
        checkout="AtiwitchJ+antigravity-plugin-cc",
        script=ANTIGRAVITY,
        says_why=False,
        cancels_all=True,
        moves=True,
    ),
    "Lanticee-agy": Fork(
        "agy-cli-agy-plugin",
        checkout="Lanticee+agy-plugin",
        script="scripts/agy-companion.mjs",
        says_why=False,
        rebuilds=False,
        records=False,
        worker=("task", "fix the thing"),
    ),
    "wubq511-agy": Fork("agy-companion", "temp-16", heals=False, script=AGY, worker=(), records=False),
    "bbingz-gemini": Fork(
        "gemini-gemini-plugin",
        checkout="bbingz+gemini-plugin-cc",
        script="plugins/gemini/scripts/gemini-companion.mjs",
        worker=("_stream-worker", "ID", ".", "x.config.json"),
        says_why=False,
        rebuilds=False,
        records=False,
    ),
    "bbingz-qwen": Fork(
        "qwen-qwen-plugin",
        checkout="bbingz+qwen-plugin-cc",
        script="plugins/qwen/scripts/qwen-companion.mjs",
        worker=("task", "fix the thing"),
        says_why=False,
        rebuilds=False,
        records=False,
    ),
    "bbingz-kimi": Fork(
        "kimi-kimi-plugin/kimi",
        heals=False,
        checkout="bbingz+kimi-plugin-cc",
        script="plugins/kimi/scripts/kimi-companion.mjs",
        worker=("_stream-worker", "ID", ".", "x.config.json"),
        records=False,
    ),
    "yesongh-gemini": Fork(
        "gemini-yesongh-gemini",
        checkout="yesongh+gemini-plugin-cc",
        script="plugins/gemini/scripts/gemini-companion.mjs",
        moves=True,
    ),
    "victalejo-opencode": Fork(
        "opencode-opencode-plugin-cc", checkout="victalejo+opencode-plugin-cc", script=OPENCODE, moves=True
    ),
    "turygo-opencode": Fork(
        "opencode-opencode-plugin-cc",
        checkout="turygo+opencode-plugin-cc",
        script=OPENCODE,
        worker=("_watch", "--job-id", "ID", "--workspace", "."),
    ),
    "tonnicai-glm": Fork(
        "glm-tonnicai",
        checkout="tonnicai+glm-plugin-cc",
        script="plugins/glm/scripts/codex-companion.mjs",
        moves=True,
    ),
    "warischa-copilot": Fork(
        "copilot-claude-copilot",
        checkout="warischa+copilot-plugin-cc",
        script="plugins/copilot/scripts/copilot-companion.mjs",
        moves=True,
    ),
    "sky-zhang01-glm": Fork("glm-glm-plugin-cc", heals=False, script="scripts/glm-companion.mjs", worker=()),
    "YellowVita-agy": Fork("agy-antigravity-agy", checkout="YellowVita+agy-claude-plugin", script=AGY, rebuilds=False),
    "arcobaleno64-gemini": Fork(
        "gemini-gemini-plugin-cc",
        checkout="arcobaleno64+gemini-plugin-cc",
        script="plugins/gemini/scripts/gemini-companion.mjs",
        rebuilds=False,
    ),
    "sendbird": Fork(
        "cc",
        "12",
        checkout="sendbird+cc-plugin-codex",
        script="scripts/claude-companion.mjs",
        variable="CODEX_HOME",
        rebuilds=False,
    ),
    "CBEPX-cc": Fork(
        "cc",
        "12",
        checkout="CBEPX+cc-plugin-codex",
        script="scripts/claude-companion.mjs",
        variable="CODEX_HOME",
        rebuilds=False,
    ),
}
HEALED = sorted(name for name, fork in FORKS_OF.items() if fork.heals)
