"""The user's configuration: a TOML file whose keys are options of the same name, and environment variables.

``<config dir>/stateheal/config.toml`` (``$STATEHEAL_CONFIG`` names another, or none if it is empty). A key at the top
goes for every command that has such an option, one in a command's table for that command; ``$STATEHEAL_GRACE`` before.
The hook's short path never comes here.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stateheal.errors import StatehealError, UsageError
from stateheal.formats.times import HOUR
from stateheal.fs.directory import ensure_regular
from stateheal.model.request import Settings
from stateheal.system.user_dirs import user_dir
from stateheal.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PREFIX = "STATEHEAL_"
_LARGEST = 1 << 20
_SETTINGS = ("grace", "assume-local", "select", "ignore")


class Configuration(NamedTuple):
    """What the file says, unchecked but for its form."""

    path: Path | None
    """``None`` where the user wants none."""
    exists: bool = False
    values: Mapping[str, Any] = {}
    """By option, without dashes before it."""
    tables: Mapping[str, Mapping[str, Any]] = {}
    """By command."""

    def of(self, command: str) -> dict[str, Any]:
        """What holds for a command: its own table's before what holds for all."""
        return {**self.values, **self.tables.get(command, {})}


def configuration_path(environ: Mapping[str, str] | None = None) -> Path | None:
    """Where the file is, or would be."""
    given = (os.environ if environ is None else environ).get(f"{PREFIX}CONFIG")
    if given is not None:
        return Path(given).expanduser() if given else None
    return Path(user_dir("config")) / "config.toml"


def read_configuration(environ: Mapping[str, str] | None = None) -> Configuration:
    """The file, if there is one. Raises ``UsageError`` where it is no TOML, ``StatehealError`` if it is unreadable."""
    path = configuration_path(environ)
    if path is None:
        return Configuration(None)
    try:
        text = _read(path).decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Configuration(path)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no TOML: it is no UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise StatehealError(f"{path}: cannot be read: {error.strerror or error}") from error
    toml = __import__("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        value = toml.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: is no TOML: {error}") from error
    tables = {key.replace("_", "-"): each for key, each in value.items() if isinstance(each, dict)}
    values = {key: each for key, each in value.items() if not isinstance(each, dict)}
    return Configuration(path, True, _dashed(values), {name: _dashed(table) for name, table in tables.items()})


def _read(path: Path) -> bytes:
    """A small regular file, links followed; nobody is waited for. Raises ``OSError``."""
    if str(path) == os.devnull:
        return b""
    ensure_regular(path.stat().st_mode)
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {_LARGEST} bytes")
    return data


def configured_settings(command: str, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a command that nobody types, a hook's: grace, assume-local, select and ignore as configured.

    Raises ``UsageError`` or another ``StatehealError`` where they make no sense.
    """
    from stateheal.engine.api import settings_of  # every command reads the configuration, few look at workspaces

    env = os.environ if environ is None else environ
    set_for_good = read_configuration(env).of(command)
    found = {name: env.get(variable(name)) or set_for_good.get(name) for name in _SETTINGS}
    local = found["assume-local"]
    is_local = local if isinstance(local, bool) else str(local or "").lower() in ("1", "true", "yes", "on")
    return settings_of(found["select"] or (), found["ignore"] or (), found["grace"] or HOUR, is_local)


def _dashed(values: Mapping[str, Any]) -> dict[str, Any]:
    """``assume_local`` is ``assume-local``."""
    return {key.replace("_", "-"): each for key, each in values.items()}


def variable(option: str) -> str:
    """The environment variable of an option."""
    return PREFIX + option.upper().replace("-", "_")
