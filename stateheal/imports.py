"""Imports at less cost: of own modules, and of ``pathlib``.

Own modules are found by a shorter way: each costs one reading of its compiled form and one look at its source.

Python's own finder lists directories, looks for extension modules, and asks four times about the same two files; a heal
imports 130 modules. Whatever is not as expected (nothing compiled yet, a source that has changed, a package in an
archive) is left to it, as if this were not there.
"""

import os
import sys
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
    from importlib.util import MAGIC_NUMBER
    from types import CodeType, ModuleType
else:  # where those are in every interpreter's memory; the package around them would have to be found itself
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib_external import MAGIC_NUMBER, PathFinder, SourceFileLoader

_HEAD = MAGIC_NUMBER + bytes(4)
"""What a compiled module begins with that was made from a source of the time and the size which stand behind it."""
_SUFFIX = f".{sys.implementation.cache_tag}.pyc"
_URLS = "urllib.parse"
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0) | getattr(os, "O_CLOEXEC", 0)


class _Loader(SourceFileLoader):
    """Python's own, which is given the code to begin with."""

    code: "CodeType | None" = None

    def get_code(self, fullname: str) -> "CodeType | None":
        code, self.code = self.code, None
        return code or super().get_code(fullname)


class Finder:
    """Finds modules of this package that were compiled before."""

    @staticmethod
    def find_spec(
        fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """As ``importlib.abc.MetaPathFinder.find_spec``; ``None`` for whatever Python itself had better find."""
        if path is None or not fullname.startswith("stateheal."):
            return None
        stem = fullname.rpartition(".")[2]
        inner = f"{path[0]}{os.sep}{stem}"
        return _found(fullname, path[0], stem) or _found(fullname, inner, "__init__")


def _found(fullname: str, folder: str, base: str) -> "ModuleSpec | None":
    source = f"{folder}{os.sep}{base}.py"
    compiled = f"{folder}{os.sep}__pycache__{os.sep}{base}{_SUFFIX}"
    try:
        code = _fresh(source, compiled)
    except (OSError, ValueError, EOFError, TypeError):  # none, or none that can be read
        return None
    if code is None:
        return None
    loader = _Loader(fullname, source)
    loader.code = code
    spec = ModuleSpec(fullname, loader, origin=source)
    spec.has_location, spec.cached = True, compiled
    if base == "__init__":
        spec.submodule_search_locations = [folder]
    return spec


def _fresh(source: str, compiled: str) -> "CodeType | None":
    """The code of a compiled module; ``None`` where its source is not the one that it was made from."""
    fd = os.open(compiled, _FLAGS)
    try:
        data = os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    info = os.stat(source)
    made_from = [(number & 0xFFFFFFFF).to_bytes(4, "little") for number in (int(info.st_mtime), info.st_size)]
    return loads(memoryview(data)[16:]) if data[:16] == b"".join([_HEAD, *made_from]) else None


def _quote_from_bytes(data: bytes) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(data)


def import_pathlib() -> None:
    """Up to Python 3.12 ``pathlib`` imports ``urllib.parse``, with ``ipaddress``, for ``Path.as_uri`` alone: two thirds
    of its own time. It is given a function that imports the real one when it is called. Before threads are started.
    """
    if sys.version_info < (3, 13) and not {"pathlib", _URLS} & sys.modules.keys():
        stand_in = sys.modules[_URLS] = type(sys)(_URLS)
        stand_in.quote_from_bytes = _quote_from_bytes  # type: ignore[attr-defined]
        try:
            import pathlib  # noqa: F401
        finally:
            del sys.modules[_URLS]


def find_own_modules() -> None:
    """Be asked directly before Python's own finder; not where it keeps compiled modules elsewhere, or makes others."""
    as_usual = sys.pycache_prefix is None and not sys.flags.optimize
    if as_usual and PathFinder in sys.meta_path and Finder not in sys.meta_path:
        sys.meta_path.insert(sys.meta_path.index(PathFinder), Finder)
