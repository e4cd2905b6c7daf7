"""The few names that the hook's short path needs, written out: a test holds them against the table.

Plain tuples of plain strings, so that to import this costs next to nothing.
"""

SCRIPTS = (
    "codex-companion",
    "gemini-companion",
    "grok-bridge",
    "agy-companion",
    "opencode-companion",
    "antigravity-companion",
    "claude-companion",
    "glm-companion",
    "qwen-companion",
    "kimi-companion",
    "copilot-companion",
)
"""Parts of the base names of companions' scripts."""
NAMED = ("companion", *(script for script in SCRIPTS if "companion" not in script))
"""What stands in every such name: enough to tell whether a text speaks of one."""
COMMANDS = (
    *("task", "review", "adversarial-review", "deep-review", "implement", "run", "critique", "rescue", "ask"),
    *("research", "analyse-plan", "continue", "resume", "plan"),
    *("status", "result", "cancel", "reconcile", "runs", "show", "stop"),
    "task-resume-candidate",
)
"""Subcommands that start a job, read the state or end a job."""
SLASH = (
    *("codex", "gemini", "grok-build", "turbo-build-plugin", "agy", "opencode", "antigravity"),
    *("agy-cli", "glm", "ollama", "qwen", "kimi", "copilot"),
)
"""What slash commands begin with."""
SLASH_PARTS = ("codex",)
"""What stands in the names of forks' plugins, with which their slash commands begin."""
SLASH_COMMANDS = (
    *("rescue", "review", "adversarial-review", "deep-review", "implement", "send", "status", "result", "cancel"),
    *("check", "critique", "delegate", "import", "runs", "show", "stop", "task", "research", "analyse-plan"),
    *("ask", "continue", "resume", "plan", "run"),
)
PLUGINS = ("codex-openai-codex", "codex-inline", "codex-companion")
"""Names of plugins' directories that tell nothing of who uses them."""
TEMP = (
    *("codex-companion", "codex-companion-{uid}", "codex-companion-{uid}/state", "codex-companion-{uid}/*"),
    *("gemini-companion", "grok-cc-runs", "agy-companion", "opencode-companion", "antigravity-companion"),
    *("Antigravity-companion", "cc-plugin-codex", "glm-companion", "qwen-companion", "kimi-companion"),
    *("copilot-companion", "cxc-{uid}/state"),
)
"""Directories below the temp directory."""
VARIABLES = (
    *("CODEX_COMPANION_PLUGIN_DATA", "GEMINI_COMPANION_DATA", "GEMINI_PLUGIN_DATA", "AGY_COMPANION_DATA_DIR"),
    *("OPENCODE_COMPANION_DATA_DIR", "AGY_PLUGIN_DATA", "OPENCODE_COMPANION_DATA", "KIMI_PLUGIN_DATA"),
    "CODEX_PLUGIN_DATA",
)
"""Environment variables that name a data directory."""
BELOW = ("state", "kimi/state")
"""State directories below a data directory."""
HOMES = (
    *("$XDG_STATE_HOME/antigravity-companion", "~/.local/state/antigravity-companion"),
    "$XDG_RUNTIME_DIR/cxc-{uid}/state",
    *("$CODEX_HOME/plugins/data/cc/state", "~/.codex/plugins/data/cc/state"),
)
"""Further state directories."""
