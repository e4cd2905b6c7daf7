"""What to install so that the hook is called: for a plugin, for settings.json, for a skill (field guide section 9)."""

from __future__ import annotations

import json
from typing import Any

NAMES = ("plugin", "settings", "skill")
_TIMEOUT = 5
"""Seconds that Claude Code gives the hook; it lets go by itself after one."""
_IF_INSTALLED = "if command -v stateheal >/dev/null 2>&1; then exec stateheal hook; fi"
"""Where there is no stateheal, a hook in this form says nothing; a missing executable would show the user a warning."""


def config_text(name: str) -> str:
    """The text to install, with a final newline."""
    if name == "skill":
        return _skill()
    handler: dict[str, Any] = {"type": "command", "command": _IF_INSTALLED, "timeout": _TIMEOUT}
    if name == "settings":  # a user's own settings: stateheal is there
        handler = {"type": "command", "command": "stateheal", "args": ["hook"], "timeout": _TIMEOUT}
    return json.dumps({"hooks": _hooks(handler)}, indent=2) + "\n"


def _hooks(handler: dict[str, Any]) -> dict[str, Any]:
    launch = {"type": handler["type"], "if": "Bash(node *companion*)", **handler}
    return {
        "PreToolUse": [{"matcher": "Bash|PowerShell", "hooks": [launch]}],
        "UserPromptExpansion": [{"matcher": "^codex:", "hooks": [handler]}],
        "SessionStart": [{"hooks": [handler]}],
    }


def _skill() -> str:
    """Front matter of a skill that launches jobs. JSON is YAML: nothing to quote twice."""
    handler = {"type": "command", "command": _IF_INSTALLED, "timeout": _TIMEOUT}
    hooks = {"PreToolUse": [{"matcher": "Bash|PowerShell", "hooks": [handler]}]}
    return f"---\nhooks: {json.dumps(hooks)}\n---\n"
