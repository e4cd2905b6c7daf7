"""``stateheal hook``: the pre-launch hook's short path. It decides that there is nothing to do, and does so at once.

Field guide section 9. It runs before every command of the user's, so it imports next to nothing (every import below is
part of the interpreter's own start, or a bare C module), starts no program, and reads nothing but the state of the
given directory's workspaces. Whatever is not plainly in order (``hook.check``) is handed to the same engine that heals
everywhere (``hook.heal``). Nothing here may raise, print a decision, or end with another status than 0.
"""

import gc
import os
import sys

from stateheal.hook.deadline import set_deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.hook.check import Environ

_LONGEST_INPUT = 8 * 1024 * 1024
EVENTS = (b"sessionstart", b"userpromptexpansion", b"companion", b"grok-bridge")
"""What stands in every event that has to do with jobs; companions' names are those of ``dialects.names.NAMED``."""


def main(arguments: list[str]) -> None:
    """Answer one hook event on stdin. Never raises; the caller exits with 0."""
    verbose = "-v" in arguments or "--verbose" in arguments
    try:
        let_go = set_deadline(os.environ)
        event, cwds = _read_event()
        if verbose and not cwds:
            os.write(2, b"stateheal: no hook event that has to do with jobs\n")
        if not cwds:
            return
        _stamp(os.environ)
        from stateheal.hook.check import in_order

        cwds = [each for each in cwds if not in_order(each, os.environ)]
        if not cwds:
            return
        from stateheal.imports import import_pathlib

        import_pathlib()
        from stateheal.hook.heal import answer

        gc.freeze()
        gc.set_threshold(100_000)  # a few workspaces' values are soon gone, and all with the process
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


def _stamp(environ: "Environ") -> None:
    """Note that the hook ran, as a file's age: all that 'stateheal hook status' knows of a hook with nothing to do."""
    path = stamp_path(environ)
    try:
        os.utime(path)
    except OSError:
        try:  # where the state directory is there; to make it is for what has something to keep in it
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError:
            return


def stamp_path(environ: "Environ") -> str:
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


def _read_event() -> tuple[dict[str, object], list[str]]:
    """The JSON object on stdin, and the directories whose workspaces are about to be used: none of them where the
    event has nothing to do with jobs, for anything else than an event, and for more than a hook is ever given.
    """
    data = b""
    while chunk := os.read(0, 1 << 16):
        data += chunk
        if len(data) > _LONGEST_INPUT:
            return {}, []
    lowered = data.lower()
    if not any(word in lowered for word in EVENTS):
        return {}, []  # an unrelated command: not worth a parser
    from stateheal.imports import find_own_modules

    find_own_modules()
    from stateheal.hook.check import NotPlain, parse
    from stateheal.hook.launches import concerned

    try:
        event = parse(data)
    except (ValueError, NotPlain, RecursionError):
        return {}, []
    return (event, concerned(event)) if isinstance(event, dict) else ({}, [])
