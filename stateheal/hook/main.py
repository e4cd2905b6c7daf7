"""``stateheal hook``: the pre-launch hook's short path. It decides that there is nothing to do, and does so at once.

Field guide section 9. It runs before every command of the user's, so it imports next to nothing (every import below is
part of the interpreter's own start, or a bare C module), starts no program, and reads nothing but the state of the
given directory's workspaces. Whatever is not plainly in order (``hook.check``) is handed to the same engine that heals
everywhere (``hook.heal``). Nothing here may raise, print a decision, or end with another status than 0.
"""

from __future__ import annotations

import gc
import os
import sys

from stateheal.dialects.names import COMMANDS, NAMED, SLASH, SLASH_COMMANDS, SLASH_PARTS
from stateheal.hook.deadline import set_deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.hook.check import Environ

_LONGEST_INPUT = 8 * 1024 * 1024
_EVENTS = (b"sessionstart", b"userpromptexpansion", *(name.encode() for name in NAMED))
"""What stands in every event that has to do with jobs."""
_TOOLS = ("Bash", "PowerShell")


def main(arguments: list[str]) -> None:
    """Answer one hook event on stdin. Never raises; the caller exits with 0."""
    verbose = "-v" in arguments or "--verbose" in arguments
    try:
        let_go = set_deadline(os.environ)
        event = _read_event()
        cwds = [] if event is None else concerned(event)
        if verbose and not cwds:
            os.write(2, b"stateheal: no hook event that has to do with jobs\n")
        if event is None or not cwds:
            return
        _stamp(os.environ)
        from stateheal.hook.check import in_order

        cwds = [each for each in cwds if not in_order(each, os.environ)]
        if not cwds:
            return
        from stateheal.hook.heal import answer

        gc.freeze()
        gc.enable()
        text = answer(str(event["hook_event_name"]), cwds, let_go, verbose)
        if text:
            os.write(1, text.encode("utf-8", "replace"))
    except BaseException as error:
        _note(error, verbose)


def _note(error: BaseException, verbose: bool) -> None:
    """An error goes to the log of the journal directory; to stderr only where that was asked for."""
    try:
        from stateheal.hook.heal import note

        note(f"{type(error).__name__}: {error}", verbose)
    except BaseException:
        pass  # not even that: the user's command matters more


def _stamp(environ: Environ) -> None:
    """Note that the hook ran, as a file's age: all that 'stateheal hook status' knows of a hook with nothing to do."""
    path = stamp_path(environ)
    try:
        os.utime(path)
    except OSError:
        try:  # where the state directory is there; to make it is for what has something to keep in it
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError:
            return


def stamp_path(environ: Environ) -> str:
    """Where that file is: in the journal directory, found without platformdirs, whose import costs more than this."""
    given, home = os.path.expanduser(environ.get("STATEHEAL_STATE_DIR", "")), environ.get("HOME", "")
    base = environ.get("XDG_STATE_HOME", "")
    if sys.platform == "win32":
        base = environ.get("LOCALAPPDATA", "")
    elif not base.startswith("/"):
        base = home + ("/Library/Application Support" if sys.platform == "darwin" else "/.local/state")
    path = f"{given or base + '/stateheal'}/hook.ran"
    return path if os.path.isabs(path) else ""  # one that the working directory decides is no place for anything


# --- the event -----------------------------------------------------------------------------------------------------


def _read_event() -> dict[str, object] | None:
    """The JSON object on stdin; ``None`` for anything else, and for more than a hook is ever given."""
    data = b""
    while chunk := os.read(0, 1 << 16):
        data += chunk
        if len(data) > _LONGEST_INPUT:
            return None
    lowered = data.lower()
    if not any(word in lowered for word in _EVENTS):
        return None  # an unrelated command: not worth a parser
    from stateheal.hook.check import NotPlain, parse

    try:
        event = parse(data)
    except (ValueError, NotPlain, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def concerned(event: dict[str, object]) -> list[str]:
    """The directories whose workspaces are about to be used; none where the event has nothing to do with jobs."""
    cwd = event.get("cwd")
    if not isinstance(cwd, str) or (not cwd.startswith(("/", "\\")) and cwd[1:2] != ":") or "\0" in cwd:
        return []
    name, tool = event.get("hook_event_name"), event.get("tool_input")
    if name == "SessionStart":
        return [cwd]
    if name == "PreToolUse" and event.get("tool_name") in _TOOLS and isinstance(tool, dict):
        return _launched_in(cwd, tool.get("command"))
    if name == "UserPromptExpansion":
        return _expanded_in(cwd, event)
    return []


def _expanded_in(cwd: str, event: dict[str, object]) -> list[str]:
    """``/codex:rescue``, ``/gemini:status`` …, and what expands to such a call by itself."""
    name = event.get("command_name")
    plugin, _, command = name.partition(":") if isinstance(name, str) else ("", "", "")
    if plugin in SLASH or any(part in plugin for part in SLASH_PARTS):
        return [cwd] if command in SLASH_COMMANDS or command in COMMANDS else []
    return _launched_in(cwd, event.get("prompt"))


def _launched_in(cwd: str, command: object) -> list[str]:
    from stateheal.hook.launches import directories, launches  # an unrelated command does not pay for it

    return [cwd, *directories(str(command), cwd)] if launches(command) else []
