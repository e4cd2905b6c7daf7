"""Regular expressions that are compiled when they are first used: a command imports many that it never asks."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    pattern = re.compile
else:

    def pattern(text: Any, flags: int = 0) -> Any:
        """As ``re.compile``; of what is wrong with an expression its first use tells."""
        return _Pattern(text, flags)


class _Pattern:
    """An expression, and from its first use on the methods of what it was compiled to."""

    def __init__(self, text: Any, flags: int) -> None:
        self.pattern, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self.pattern, self._flags)
        self.__dict__.update({each: getattr(compiled, each) for each in _METHODS})
        return getattr(compiled, name)


_METHODS = ("search", "match", "fullmatch", "finditer", "findall", "split", "sub", "subn")
