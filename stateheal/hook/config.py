"""What to install so that the hook is called: for a plugin, for settings.json, for a skill (field guide section 9)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stateheal.dialects.names import SCRIPTS, SLASH

NAMES = ("plugin", "settings", "skill")
_TIMEOUT = 5
"""Seconds that Claude Code gives the hook; it lets go by itself before (``deadline``)."""
IF_INSTALLED = "if command -v stateheal >/dev/null 2>&1; then exec stateheal hook; fi"
"""Where there is no stateheal, a hook in this form says nothing; a missing executable would show the user a warning."""

_WORDS = ("companion", *(script for script in SCRIPTS if "companion" not in script))
_CONDITIONS = tuple(f"{tool}(*{word}*)" for tool in ("Bash", "PowerShell") for word in _WORDS)
"""One condition a handler is all that can be said. What stands before ``node``, or in its place, is not looked at:
``timeout 60 node``, ``/usr/bin/node``, ``bash -c "…"``; which calls matter the hook itself tells."""

Handler = dict[str, Any]
"""One hook as Claude Code's settings hold it."""


def config_text(name: str) -> str:
    """The text to install, with a final newline."""
    if name == "skill":
        return _skill()
    # A user's own settings: stateheal is there.
    handler = exec_handler(["stateheal", "hook"]) if name == "settings" else shell_handler()
    return json.dumps({"hooks": hooks_with(handler)}, indent=2) + "\n"


def exec_handler(words: Sequence[str]) -> Handler:
    """A hook that starts a program as it stands, without a shell."""
    return {"type": "command", "command": words[0], "args": list(words[1:]), "timeout": _TIMEOUT}


def shell_handler() -> Handler:
    """A hook for whoever may have stateheal or not."""
    return {"type": "command", "command": IF_INSTALLED, "timeout": _TIMEOUT}


def hooks_with(handler: Handler) -> dict[str, Any]:
    """Where the hook belongs: by event, the group of hooks that it is alone in."""
    launches = [{"type": handler["type"], "if": condition, **handler} for condition in _CONDITIONS]
    return {
        "PreToolUse": [{"matcher": "Bash|PowerShell", "hooks": launches}],
        "UserPromptExpansion": [{"matcher": f"^({'|'.join(SLASH)}):", "hooks": [handler]}],
        "SessionStart": [{"hooks": [handler]}],
    }


def _skill() -> str:
    """Front matter of a skill that launches jobs. JSON is YAML: nothing to quote twice."""
    hooks = {"PreToolUse": [{"matcher": "Bash|PowerShell", "hooks": [shell_handler()]}]}
    return f"---\nhooks: {json.dumps(hooks)}\n---\n"
