"""Where a directory's workspaces may stand, told with as few imports as can be: the hook's short path.

Roots and hashes are those of ``evidence.roots`` (field guide section 1), told again without ``pathlib``, ``re`` and
``dataclasses``, which take longer to import than all of this takes to run; a test compares the two.
"""

import os
import sys

from stateheal.dialects.names import BELOW, HOMES, TEMP, VARIABLES
from stateheal.digests import sha256
from stateheal.system.paths import config_dir, real_path, spellings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Environ = Mapping[str, str]


def hashes(cwd: str, environ: "Environ") -> set[str]:
    """As ``evidence.hashes.hashes_of``."""
    real = real_path(cwd)
    paths = {real, os.path.abspath(cwd)}
    while (above := os.path.dirname(real)) != real:
        paths.add(above)
        real = above
    paths |= {path.strip() for path in paths}
    paths |= {os.fsencode(path).decode("utf-8", "replace") for path in paths}
    tree = environ.get("GIT_WORK_TREE")
    if tree:
        paths.add(real_path(os.path.join(cwd, tree)))
    paths |= {common for path in paths for common in _git_directories(path)}
    return {sha256(os.fsencode(each))[:16] for path in paths for each in spellings(path)}


def _git_directories(path: str) -> list[str]:
    dot = os.path.join(path, ".git")
    try:
        with open(dot, encoding="utf-8") as file:
            own = os.path.join(path, file.read(4096).partition("gitdir:")[2].strip())
        with open(os.path.join(own, "commondir"), encoding="utf-8") as file:
            return [dot, os.path.realpath(os.path.join(own, file.read(4096).strip()))]
    except (OSError, ValueError):
        return [dot]


def roots(environ: "Environ") -> set[str]:
    """Every root that ``evidence.roots.default_roots`` may look into: rather one too many than one too few."""
    data = [os.path.join(config_dir(environ), "plugins", "data")]
    if environ.get("CLAUDE_CODE_PLUGIN_CACHE_DIR"):
        data.append(os.path.join(environ["CLAUDE_CODE_PLUGIN_CACHE_DIR"], "data"))
    plugins = [os.path.join(each, plugin) for each in data for plugin in names_in(each)]
    plugins += [environ[name] for name in ("CLAUDE_PLUGIN_DATA", *VARIABLES) if environ.get(name)]
    found = {os.path.join(plugin, below) for plugin in plugins for below in BELOW}
    for home in HOMES:
        first, _, rest = home.partition("/")
        base = os.path.expanduser("~") if first == "~" else environ.get(first[1:])
        if base:
            found.add(os.path.join(base, rest.replace("{uid}", _user())))
    return found | _temp_roots(environ)


def _user() -> str:
    """What stands for this user in the names of directories."""
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _temp_roots(environ: "Environ") -> set[str]:
    temps = [environ.get(name) for name in ("TMPDIR", "TEMP", "TMP", "CLAUDE_CODE_TMPDIR", "CLAUDE_TMPDIR")]
    if sys.platform == "win32":
        temps += [os.path.join(environ.get(name) or "", "temp") for name in ("SystemRoot", "windir")]
    temps += ["/tmp", "/var/tmp", "/usr/tmp", os.getcwd()]
    user = _user()
    sandboxes = ("claude-" + user, "claude")
    bases = {temp for temp in temps if temp}
    bases |= {os.path.dirname(base) for base in bases if os.path.basename(base) in sandboxes}
    below = {os.path.join(base, name) for base in bases for name in sandboxes}
    bases |= {base for base in below if os.path.isdir(base)}  # there mostly are none, and each costs many looks
    bases = {base for base in bases if _is_there(base)}
    places = {os.path.join(base, name.replace("{uid}", user)) for base in bases for name in TEMP}
    globbed = {place for place in places if place.endswith("*")}
    return (places - globbed) | {os.path.join(each[:-1], name) for each in globbed for name in names_in(each[:-1])}


def _is_there(path: str) -> bool:
    """Whether something may stand in a directory: below one that is missing there is nothing to look for."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def names_in(path: str) -> list[str]:
    """What stands in a directory; nothing where there is none."""
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
