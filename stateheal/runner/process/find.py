"""Windows: which program a command names, found without looking into the current directory.

CreateProcess looks there first, and knows nothing of ``.cmd`` files, which is what npm's commands are. A batch file's
arguments are read a second time by cmd.exe, and no quoting is proof against that: what could be a command is refused.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence

from stateheal.runner.process.order import CannotStart

_EXTENSIONS = ".COM;.EXE;.BAT;.CMD"
_BATCH = (".bat", ".cmd")
_READ_AGAIN = frozenset('"%!^&|<>\r\n')
"""What cmd.exe may take for something else than text."""


def find_program(argv: Sequence[str], cwd: str | None, environ: Mapping[str, str]) -> str:
    """The program's path. Raises ``CannotStart`` where there is none, or where its arguments are not safe with it."""
    found = next((path for path in _candidates(argv[0], cwd, environ) if os.path.isfile(path)), None)
    if found is None:
        raise CannotStart(argv[0], errno.ENOENT)
    if found.lower().endswith(_BATCH) and any(_READ_AGAIN.intersection(word) for word in argv[1:]):
        raise CannotStart(f"{argv[0]}: a batch file would take its arguments for commands", errno.EACCES)
    return found


def _candidates(name: str, cwd: str | None, environ: Mapping[str, str]) -> Iterator[str]:
    extensions = [each for each in (environ.get("PATHEXT") or _EXTENSIONS).split(";") if each]
    has_one = name.lower().endswith(tuple(each.lower() for each in extensions))
    names = [name] if has_one else [name + each.lower() for each in extensions]
    if "/" in name or "\\" in name or name[1:2] == ":":
        folders = [cwd or "."]
    else:
        folders = [each.strip('"') for each in environ.get("PATH", "").split(os.pathsep) if each]
    for folder in folders:
        yield from (os.path.join(folder, each) for each in names)
