"""Which program a hook is to start: this stateheal by a path that outlives changes of PATH and upgrades."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from stateheal.patterns import pattern
from stateheal.values import NamedTuple

_NAME = "stateheal.exe" if os.name == "nt" else "stateheal"
_PASSING = pattern(
    r"(.*?[/\\](?:(?:archive|environments|builds)-v\d+|\.cache[/\\]pipx|pipx[/\\]\.cache))[/\\]", re.DOTALL
)
"""Where uvx, ``uv run`` and ``pipx run`` make an environment for one run."""


_HEAD = 500
"""Bytes of a script in which its imports stand; one of Windows is a program, and keeps its own behind that."""


class Program(NamedTuple):
    """What to start, and whether it may be gone tomorrow."""

    words: tuple[str, ...]
    passing: str | None = None
    """The directory that is cleared by itself, where the program lies in one."""


def own_program() -> Program:
    """How a hook starts this stateheal.

    Its console script, which every way of installing makes anew at an upgrade, in the place where it is found by name
    (``~/.local/bin`` for pipx and uv) rather than in the environment behind it. Without one, or where it is slow: this
    interpreter, isolated from what PYTHONPATH or the current directory may hold.
    """
    scripts = list(dict.fromkeys(_scripts()))
    script = next((each for each in scripts if passing_place(each) is None), scripts[0] if scripts else None)
    if script is not None and not _is_slow(script):
        return Program((script, "hook"), passing_place(script))
    isolated = [] if _in_user_site() else ["-I"]  # which would leave the user's own packages out
    return Program((sys.executable, *isolated, "-m", "stateheal", "hook"), passing_place(sys.executable))


def _is_slow(script: str) -> bool:
    """Whether a script beside this interpreter imports ``re`` first, as pip before 25.2 writes it: half the cost of a
    hook that has nothing to do. One that stands elsewhere is kept, for the sake of its place."""
    if os.path.dirname(script) != os.path.dirname(sys.executable):
        return False
    try:
        with open(script, "rb") as file:
            return b"\nimport re\n" in file.read(_HEAD)
    except OSError:
        return False


def _scripts() -> Iterator[str]:
    """Console scripts of ours by absolute path, the best first: links on PATH to it, it, others on PATH."""
    own = [path for path in _own_scripts() if os.path.isfile(path)]
    real = {os.path.realpath(path) for path in own}
    on_path = list(_on_path(os.environ))
    yield from (path for path in on_path if os.path.realpath(path) in real)
    yield from own
    if all(passing_place(path) for path in own) and own:
        yield from on_path


def _own_scripts() -> Iterator[str]:
    if os.path.basename(sys.argv[0]).lower().removesuffix(".exe") == "stateheal":
        yield os.path.abspath(sys.argv[0])
    yield os.path.join(sysconfig.get_path("scripts"), _NAME)
    if _in_user_site():
        yield os.path.join(sysconfig.get_path("scripts", f"{os.name}_user"), _NAME)


def _on_path(environ: Mapping[str, str]) -> Iterator[str]:
    for folder in environ.get("PATH", "").split(os.pathsep):
        found = shutil.which(_NAME, path=folder) if os.path.isabs(folder) else None
        if found:
            yield found


def _in_user_site() -> bool:
    import site

    return bool(site.ENABLE_USER_SITE) and __file__.startswith(site.getusersitepackages() + os.sep)


def passing_place(program: str) -> str | None:
    """The directory that is cleared by itself in which a program lies, by its path or behind its links."""
    for path in (program, os.path.realpath(program)):
        if cache := _PASSING.match(path):
            return cache[1]
        for temp in (tempfile.gettempdir(), os.path.realpath(tempfile.gettempdir()), "/tmp"):
            if path.startswith(temp + os.sep):
                return temp
    return None


def is_same_program(words: Sequence[str]) -> bool:
    """Whether a hook's words start this very installation.

    An interpreter is known by its directory: behind its link stands the one that every environment was made from.
    """
    if not words:
        return False
    folder, name = os.path.split(words[0])
    if name.startswith("python"):
        return os.path.realpath(folder) == os.path.realpath(os.path.dirname(sys.executable))
    return os.path.realpath(words[0]) in {os.path.realpath(path) for path in _own_scripts()}
