"""What a command was asked to look at, for the command that is to be run next."""

from __future__ import annotations

import os
from collections.abc import Iterator

from stateheal.formats.times import write_duration
from stateheal.model.request import Request, Scope, Settings
from stateheal.text import command_line


def scope_of(request: Request, *, absolute: bool = False) -> Scope:
    """The same choice for another command; ``absolute``: to be given from whatever directory."""

    def place(path: str) -> str:
        return os.path.abspath(path) if absolute else path

    places: list[str] = []
    if request.cwd is not None:
        places += ["--cwd", place(request.cwd)]
    if request.job is not None:
        places += ["--job", request.job]
    rules = command_line(_rules(request.settings))
    return Scope(rules, command_line([*places, *map(place, request.paths or ())]), request.cwd)


def _rules(settings: Settings) -> Iterator[str]:
    for name, rules in (("--select", settings.select), ("--ignore", settings.ignore)):
        for rule in sorted(rules):
            yield from (name, rule)
    if settings.grace != Settings().grace:
        yield from ("--grace", write_duration(settings.grace))
    if settings.assume_local:
        yield "--assume-local"
    if settings.recover:
        yield "--recover"
