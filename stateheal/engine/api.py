"""The Python API: keyword arguments in, a ``Report`` out. The command line makes its ``Request`` itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from stateheal.commit.journal import Journal
from stateheal.diagnosis.catalogue import check_names
from stateheal.engine import commands
from stateheal.engine.world import World
from stateheal.errors import UsageError
from stateheal.formats.times import HOUR, parse_duration
from stateheal.model.report import Report
from stateheal.model.request import Request, Settings

Paths = Iterable["str | os.PathLike[str]"]


def settings_of(
    select: Iterable[str] = (), ignore: Iterable[str] = (), grace: float | str = HOUR, assume_local: bool = False
) -> Settings:
    """Checked settings. A text is a rule, or several with commas between them; ``grace``: seconds, or such as ``"2h"``.

    Raises ``UsageError`` for a rule that does not exist, or a grace that is no duration.
    """
    if isinstance(grace, str):
        try:
            grace = parse_duration(grace)
        except ValueError as error:
            raise UsageError(str(error)) from None
    if not isinstance(grace, (int, float)) or not grace >= 0:
        raise UsageError(f"{grace!r} is no grace time")
    return Settings(grace, assume_local, check_names(_names(select)), check_names(_names(ignore)))


def _names(given: Iterable[str]) -> Iterator[str]:
    for text in (given,) if isinstance(given, str) else given:
        yield from (name for each in text.split(",") if (name := each.strip()))


def request_of(
    paths: Paths | None = None,
    cwd: str | None = None,
    job: str | None = None,
    settings: Settings | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> Request:
    """A request of paths of any kind; a single path is one. Rules given here go before those of the settings."""
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    given = None if paths is None else tuple(os.fspath(path) for path in paths)
    settings, rules = settings or Settings(), settings_of(select, ignore)
    settings = settings._replace(select=rules.select or settings.select, ignore=rules.ignore or settings.ignore)
    return Request(given, cwd, job, settings)


def audit(
    paths: Paths | None = None,
    *,
    cwd: str | None = None,
    job: str | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    settings: Settings | None = None,
    journal: Journal | None = None,
    world: World | None = None,
    page: bool = False,
) -> Report:
    """Look at every workspace and write nothing.

    ``paths``: as the command line takes them; ``None`` for every default root, an empty list for nothing. ``cwd``
    narrows to the workspace of a directory, ``job`` to one job, ``select`` and ``ignore`` to some rules. With ``page``
    the report holds what a page draws of each workspace. Raises ``UsageError`` for a path that holds no state.
    """
    return commands.audit(
        request_of(paths, cwd, job, settings, select, ignore), journal=journal, world=world, page=page
    )


def heal(
    paths: Paths | None = None,
    *,
    dry_run: bool = False,
    cwd: str | None = None,
    job: str | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    settings: Settings | None = None,
    journal: Journal | None = None,
    world: World | None = None,
) -> Report:
    """Repair what is proven broken, journalled so that ``undo`` can take it back. Arguments as for ``audit``.

    With ``dry_run`` nothing is written and the report holds the diffs instead.
    """
    return commands.heal(
        request_of(paths, cwd, job, settings, select, ignore), dry_run=dry_run, journal=journal, world=world
    )


def recover(
    paths: Paths | None = None,
    *,
    dry_run: bool = False,
    cwd: str | None = None,
    job: str | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    settings: Settings | None = None,
    journal: Journal | None = None,
    world: World | None = None,
) -> Report:
    """Fill lost task jobs from finished Codex rollouts, and do nothing else. Arguments as for ``heal``.

    ``Report.answers`` holds the recovered texts. Field guide section 7.
    """
    return commands.recover(
        request_of(paths, cwd, job, settings, select, ignore), dry_run=dry_run, journal=journal, world=world
    )
