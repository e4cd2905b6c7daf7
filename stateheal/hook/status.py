"""``stateheal hook status``: where the hook is installed, whether it would run, and what it did last."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from stateheal.commit.journal import Journal
from stateheal.errors import StatehealError
from stateheal.hook.config import IF_INSTALLED, Handler, exec_handler, words_of
from stateheal.hook.install import command_of, plugin_installed
from stateheal.hook.main import stamp_path
from stateheal.hook.merge import own_handlers
from stateheal.hook.program import is_same_program, passing_place
from stateheal.hook.settings import SCOPES, read_settings, settings_path
from stateheal.system.paths import config_dir
from stateheal.values import NamedTuple
from stateheal.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 10
"""Seconds that an installed stateheal gets to say its version."""


class Place(NamedTuple):
    """One form of the hook that is installed."""

    path: str
    """The settings file, or the plugin."""
    command: str
    events: tuple[str, ...]
    version: str | None = None
    """Of what would run, as it says itself; ``None`` where it was not asked: a project's settings may name anything."""
    trouble: str | None = None
    """Why it would not run."""


class HookStatus(NamedTuple):
    """What is known of the hook."""

    places: tuple[Place, ...]
    warnings: tuple[str, ...]
    last_ran: float | None
    """When it was last called for a directory's jobs."""
    last_healed: dict[str, Any] | None
    """The newest run of its own in the journal."""
    last_trouble: str | None

    @property
    def works(self) -> bool:
        """Whether a hook would run."""
        return any(place.trouble is None for place in self.places)


def hook_status(journal: Journal, cwd: str | None = None) -> HookStatus:
    """Look at every settings file, the plugins, the journal. Starts stateheal itself to ask for its version."""
    warnings: list[str] = []
    places = list(_places(cwd, warnings))
    if len(places) > 1:
        warnings.append(f"it is installed {len(places)} times, and runs once for each: keep one of them")
    return HookStatus(tuple(places), tuple(warnings), _last_ran(), _last_healed(journal, warnings), _trouble(journal))


def _places(cwd: str | None, warnings: list[str]) -> Iterator[Place]:
    seen: set[str] = set()
    for scope in SCOPES:
        try:
            file = read_settings(settings_path(scope, cwd))
        except StatehealError as error:
            warnings.append(str(error))
            continue
        if str(file.real) in seen:  # in the home directory the user's settings are the project's
            continue
        seen.add(str(file.real))
        if isinstance(file.value, dict) and file.value.get("disableAllHooks") is True:
            warnings.append(f"{file.path}: 'disableAllHooks' is true: no hook runs")
        found = list(own_handlers(file.value))
        forms = {command_of(handler): handler for _, handler in found}
        for command, handler in forms.items():
            warnings += _passing(handler)
            events = tuple(dict.fromkeys(event for event, each in found if command_of(each) == command))
            version, trouble = _examined(handler, trusted=scope == "user")
            yield Place(str(file.path), command, events, version, trouble)
    plugin = plugin_installed(cwd)
    if plugin:
        trouble = None if shutil.which("stateheal") else "there is no stateheal on PATH"
        command = command_of(exec_handler(IF_INSTALLED))
        where = os.path.join(config_dir(os.environ), "plugins")
        yield Place(f"the plugin {plugin}, in {where}", command, (), None, trouble)


def _examined(handler: Handler, trusted: bool) -> tuple[str | None, str | None]:
    """The version of what a hook would start, and why it would not."""
    words = words_of(handler)
    program = shutil.which(words[0])
    if program is None:
        gone = os.path.isabs(words[0]) and not os.path.exists(words[0])
        return None, f"{words[0]} is not there any more" if gone else f"{words[0]} cannot be started from here"
    if is_same_program([program]):
        return __version__, None
    return _asked([program, *words[1:-1], "--version"]) if trusted else (None, None)


def _passing(handler: Handler) -> Iterator[str]:
    where = passing_place(handler["command"]) if os.path.isabs(handler["command"]) else None
    if where:
        yield f"{handler['command']} lies in {where}, which may be cleared at any time"


def _asked(command: list[str]) -> tuple[str | None, str | None]:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return None, f"{command[0]} cannot be started: {getattr(error, 'strerror', None) or error}"
    name, _, version = done.stdout.strip().partition(" ")
    if done.returncode or name != "stateheal":
        said = (done.stderr.strip().splitlines() or ["it does not say its version"])[-1]
        return None, f"{command[0]} does not work: {said}"
    return version, None


def _last_ran() -> float | None:
    try:
        return os.stat(stamp_path(os.environ)).st_mtime
    except OSError:
        return None


def _last_healed(journal: Journal, warnings: list[str]) -> dict[str, Any] | None:
    try:
        run = next((run for run in journal.runs() if run.command == "hook"), None)
    except StatehealError as error:
        warnings.append(str(error))
        return None
    if run is None:
        return None
    workspaces = sorted({str(archive.workspace) for archive in run.archives})
    files = sum(len(archive.items) for archive in run.archives)
    return {"run": run.id, "started": run.started, "workspaces": workspaces, "files": files, "undone": run.undone_word}


def _trouble(journal: Journal) -> str | None:
    """The last line of the hook's log."""
    try:
        lines = Path(journal.path, "hook.log").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return lines[-1] if lines else None
