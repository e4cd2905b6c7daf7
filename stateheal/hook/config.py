"""What to install so that the hook is called: for a plugin, for settings.json, for a skill (field guide section 9)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from stateheal.dialects.names import NAMED, SLASH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMES = ("plugin", "settings", "skill")
_TIMEOUT = 5
"""Seconds that Claude Code gives the hook; it lets go by itself before (``deadline``)."""
_START = (
    "const [program, ...words] = process.argv.slice(1); try { require('child_process').spawnSync(program, words,"
    " {stdio: 'inherit', windowsHide: true, cwd: require('os').homedir()}) } catch {}"
)
IF_INSTALLED = ("node", "-e", _START, "stateheal", "hook")
"""Where there is no stateheal, a hook in this form says nothing; a missing executable would show the user a warning.

No shell: on Windows it would be Git Bash for some and PowerShell for others (field guide section 12). node is what the
companions themselves are run by. It starts from the home directory: Windows looks for a program in the current one
first, and what a project has put there must not run.
"""

_CONDITIONS = tuple(f"{tool}(*{word}*)" for tool in ("Bash", "PowerShell") for word in NAMED)
"""One condition a handler is all that can be said. What stands before ``node``, or in its place, is not looked at:
``timeout 60 node``, ``/usr/bin/node``, ``bash -c "…"``; which calls matter the hook itself tells."""

Handler = dict[str, "Any"]
"""One hook as Claude Code's settings hold it."""


def config_text(name: str) -> str:
    """The text to install, with a final newline."""
    if name == "skill":
        return _skill()
    # A user's own settings: stateheal is there.
    handler = exec_handler(["stateheal", "hook"] if name == "settings" else IF_INSTALLED)
    return json.dumps({"hooks": hooks_with(handler)}, indent=2) + "\n"


def exec_handler(words: Sequence[str]) -> Handler:
    """A hook that starts a program as it stands, without a shell."""
    return {"type": "command", "command": words[0], "args": list(words[1:]), "timeout": _TIMEOUT}


def words_of(handler: Handler) -> list[str]:
    """What a hook starts in the end: behind the node that looks for it, and in a shell, stateheal."""
    arguments = handler.get("args")
    if not isinstance(arguments, list):
        return ["stateheal", "hook"]
    words = [str(word) for word in (handler["command"], *arguments)]
    return words[3:] if words[:3] == [*IF_INSTALLED[:3]] else words


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
    hooks = {"PreToolUse": [{"matcher": "Bash|PowerShell", "hooks": [exec_handler(IF_INSTALLED)]}]}
    return f"---\nhooks: {json.dumps(hooks)}\n---\n"
