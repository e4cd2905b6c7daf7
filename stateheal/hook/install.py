"""``stateheal hook install`` and ``uninstall``: the hook in Claude Code's settings, put in and taken out.

A project's own settings are shared with others, who have stateheal elsewhere or not at all: there the hook looks for it
and says nothing where it is missing. In a user's settings it is started by its absolute path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from stateheal.errors import Refused, StatehealError
from stateheal.hook.config import IF_INSTALLED, exec_handler, hooks_with
from stateheal.hook.merge import is_own, own_handlers, with_hook, without_hook
from stateheal.hook.program import own_program
from stateheal.hook.settings import (
    SCOPES,
    SettingsFile,
    read_settings,
    remove_leftovers,
    replace_settings,
    settings_bytes,
    settings_path,
)
from stateheal.system.paths import config_dir
from stateheal.text import command_line
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PLUGIN = "stateheal"


class Installation(NamedTuple):
    """What an install or an uninstall did to one settings file, or would do."""

    path: Path
    before: bytes | None
    after: bytes | None
    """As before where nothing is to be changed."""
    command: str | None = None
    """What Claude Code starts from now on, as one would type it; ``None`` after an uninstall."""
    backup: Path | None = None
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return self.before != self.after


def install(scope: str = "user", *, dry_run: bool = False, cwd: str | None = None) -> Installation:
    """Put the hook into the settings of a scope; what stands there already is left as it is.

    Raises ``Refused`` where the settings cannot be understood, ``WriteError`` where they cannot be written.
    """
    file = read_settings(settings_path(scope, cwd))
    program = own_program()
    handler = exec_handler(IF_INSTALLED if scope == "project" else program.words)
    value = _named(file, with_hook, hooks_with(handler))
    warnings = [*_mixed(file, "would run twice: take it out of there"), *_doubled(scope, cwd)]
    if program.passing and scope != "project":
        warnings.append(
            f"{program.words[0]} lies in {program.passing}, which may be cleared at any time: install stateheal for"
            " good (pipx or 'uv tool install'), and then run 'stateheal hook install' from there once more"
        )
    return _done(file, value, dry_run)._replace(command=command_of(handler), warnings=tuple(warnings))


def uninstall(scope: str = "user", *, dry_run: bool = False, cwd: str | None = None) -> Installation:
    """Take the hook out of the settings of a scope. Raises as ``install``."""
    file = read_settings(settings_path(scope, cwd))
    done = _done(file, _named(file, without_hook), dry_run)
    elsewhere = (f"the hook stands in {where} too" for where in _elsewhere(scope, cwd))
    return done._replace(warnings=(*_mixed(file, "still starts there: take it out by hand"), *elsewhere))


def _mixed(file: SettingsFile, then: str) -> Iterator[str]:
    """Hooks that start ours and do more: they stay as they are."""
    theirs = dict.fromkeys(command_of(each) for _, each in own_handlers(file.value) if not is_own(each))
    yield from (
        f"{file.path}: '{each}' does more than to start the hook and was left as it is; it {then}" for each in theirs
    )


def _named(file: SettingsFile, change: Any, *more: Any) -> dict[str, Any]:
    try:
        changed: dict[str, Any] = change(file.value, *more)
    except Refused as error:
        raise Refused(f"{file.path}: {error}; nothing was changed") from error
    return changed


def _done(file: SettingsFile, value: dict[str, Any], dry_run: bool) -> Installation:
    before = None if file.stat is None else file.data
    if value == file.value:
        if not dry_run:
            remove_leftovers(file)
        return Installation(file.path, before, before)
    after = settings_bytes(file, value)
    backup = None if dry_run else replace_settings(file, after)
    return Installation(file.path, before, after, backup=backup)


def command_of(handler: dict[str, Any]) -> str:
    """A hook's command on one line."""
    arguments = handler.get("args")
    command = str(handler.get("command"))
    return command_line([command, *map(str, arguments)]) if isinstance(arguments, list) else command


def _doubled(scope: str, cwd: str | None) -> list[str]:
    """Where else the hook is installed: it would run once for each."""
    found = [f"the hook stands in {where} too, and would run twice" for where in _elsewhere(scope, cwd)]
    plugin = plugin_installed(cwd)
    if plugin:
        found.append(
            f"the plugin {plugin} is installed and has the hook, too: it would run twice; keep one of them"
            f" ('claude plugin uninstall {plugin}', or 'stateheal hook uninstall')"
        )
    return found


def _elsewhere(scope: str, cwd: str | None) -> list[str]:
    others = [settings_path(other, cwd) for other in SCOPES if other != scope]
    return [str(path) for path in others if path != settings_path(scope, cwd) and any(own_handlers(_value_of(path)))]


def _value_of(path: Path) -> object:
    try:
        return read_settings(path).value
    except StatehealError:
        return None


def plugin_installed(cwd: str | None = None) -> str | None:
    """The name of stateheal's plugin for Claude Code, where it is installed and not switched off."""
    enabled: dict[str, object] = {}
    for scope in SCOPES:
        value = _value_of(settings_path(scope, cwd))
        listed = value.get("enabledPlugins") if isinstance(value, dict) else None
        enabled |= listed if isinstance(listed, dict) else {}
    for name in dict.fromkeys((*_installed_plugins(), *(key for key, on in enabled.items() if on))):
        if name.partition("@")[0] == PLUGIN and enabled.get(name) is not False:
            return name
    return None


def _installed_plugins() -> list[str]:
    try:
        value = json.loads((Path(config_dir(os.environ)) / "plugins" / "installed_plugins.json").read_bytes())
        return [str(name) for name in value["plugins"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []
