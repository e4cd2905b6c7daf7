"""Every companion that is known, and whose tree this is.

To add one: its entry beside its family, a line in ``DIALECTS``, and a directory in ``tests/dialects/trees``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from stateheal.dialects import agy, claude, codex, gemini, grok, opencode, others
from stateheal.dialects.names import TEMP
from stateheal.formats.jsontext import Json
from stateheal.model.dialect import Dialect
from stateheal.model.recognition import Recognition
from stateheal.model.traits import SLUG_16, Form
from stateheal.text import HEX_DIGITS, consists_of
from stateheal.values import NamedTuple

DIALECTS: tuple[Dialect, ...] = (
    *codex.DIALECTS,
    *gemini.DIALECTS,
    *grok.DIALECTS,
    *agy.DIALECTS,
    *opencode.DIALECTS,
    *claude.DIALECTS,
    *others.DIALECTS,
)
"""Those whose trees tell them apart stand before the one that is taken where nothing does."""
_USER = b"0123456789abcdefghijklmnopqrstuvwxyz"
"""What stands for a user in the name of a directory."""


class Sight(NamedTuple):
    """What is seen of a workspace before its jobs are read."""

    plugin: str | None
    directory: str
    names: frozenset[str]
    """What stands in it."""
    job_names: frozenset[str]
    """What stands in its ``jobs/``; a directory's name ends in a slash."""
    has_index: bool
    index: Json
    """The index's value; ``None`` where there is none, or none that can be read."""
    fields: frozenset[str]
    """Fields of its entries, and where there is no index to be read of some of its records."""
    ids: tuple[str, ...] = ()
    """Of its entries."""
    torn: frozenset[str] = frozenset()
    """Of an index that cannot be read: the keys, and the owner's name, that stand readable in it."""


def recognise(sight: Sight) -> Recognition | None:
    """Whose tree it is: what the tree itself shows counts most, then the plugin's name. ``None``: nobody's here."""
    fits = {form: _is_named(sight.directory, form) for form in {each.directory for each in DIALECTS}}
    fitting = [each for each in DIALECTS if fits[each.directory]]
    shown = [(each, mark) for each in fitting if (mark := _mark(each, sight))]
    for dialect, mark in sorted(shown, key=lambda pair: not _is_plugin(pair[0], sight.plugin)):
        return Recognition(dialect, mark) if dialect.reads else None
    for dialect in fitting:
        if dialect.by_name and _is_plugin(dialect, sight.plugin) and _fits(dialect, sight):
            named = f"the plugin's directory is {sight.plugin}" if sight.plugin else "no plugin is named"
            return Recognition(dialect, f"{named}, and the layout is its own")
    if codex.CODEX in fitting and (_is_plugin(codex.CODEX, sight.plugin) or _is_plain(sight.index)):
        named = f"the plugin's directory is {sight.plugin}"
        laid_out = f"{named}, but it is laid out as this companion's"
        return Recognition(codex.CODEX, named if _is_plugin(codex.CODEX, sight.plugin) else laid_out)
    return None


def _is_named(directory: str, form: Form) -> bool:
    _, dash, digits = directory.rpartition("-")
    return bool(dash) == form.slug and len(digits) == form.digits and consists_of(digits, HEX_DIGITS)


def _is_plugin(dialect: Dialect, plugin: str | None) -> bool:
    """Whether a plugin's directory, or a temp root, goes by a name of this companion's."""
    if plugin is None:  # then its directory's form alone has to tell
        return dialect is codex.CODEX or dialect.directory != SLUG_16
    return _goes_by(dialect.plugins, dialect.temp, plugin)


def is_codexs(plugin: str | None) -> bool:
    """Whether the Codex companion is among them that ``kin_of`` names: asked everywhere, and the others need not be."""
    return _is_plugin(codex.CODEX, plugin)


@cache
def kin_of(plugin: str | None) -> frozenset[str]:
    """The companions whose plugin goes by this name; ``None``: those that a directory alone may be of."""
    return frozenset(each.name for each in DIALECTS if _is_plugin(each, plugin))


@cache
def is_temp_root(root: str) -> bool:
    """Whether a state root is one that a companion falls back to, in a temp directory."""
    tails = (re.escape(each).replace(r"\{uid\}", r"[0-9a-z]+").replace(r"\*", "[^/]+") for each in TEMP)
    return any(re.search(f"(?:^|/){tail}$", root.replace(os.sep, "/")) for tail in tails)


@lru_cache(1000)  # it is asked of every workspace, and there are few plugins
def _goes_by(plugins: str, temp: tuple[str, ...], plugin: str) -> bool:
    if re.fullmatch(plugins, plugin, re.IGNORECASE):
        return True
    tops = (each.partition("/")[0] for each in temp)
    return any(_is_named_after(top, plugin) for top in tops)


def _is_named_after(top: str, name: str) -> bool:
    before, named, after = top.partition("{uid}")
    if not named:
        return name == top
    user = name.removeprefix(before).removesuffix(after)
    return name == before + user + after and user != "" and consists_of(user, _USER)


@cache  # of what the table itself says
def _compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, flags)


def _mark(dialect: Dialect, sight: Sight) -> str | None:
    """What the tree shows that only this companion leaves."""
    return next(_marks(dialect, sight), None)


def _marks(dialect: Dialect, sight: Sight) -> Iterator[str]:
    marks, index = dialect.marks, sight.index if isinstance(sight.index, dict) else {}
    beside = sight.names if marks.names and _is_plugin(dialect, sight.plugin) else frozenset[str]()
    for pattern, names in ((marks.names, beside), (marks.job_names, sight.job_names)):
        for name in sorted(_matching(pattern, names)):
            yield f"{name} stands in it"
    for key in marks.top:
        if key in index or key in sight.torn:
            yield f"its index has the key {key!r}"
    if marks.owner and (index.get("owner") == marks.owner or marks.owner in sight.torn):
        yield f"its index names {marks.owner} as its owner"
    for field in marks.fields:
        if field in sight.fields or field in sight.torn:
            yield f"its jobs have the field {field!r}"
    for ident in _matching(marks.ids, sight.ids):
        yield f"its jobs have ids such as {ident}"


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Those that match; none match no pattern. Where none begins as it does, it need not be compiled; nor where none is
    a directory's as it wants one."""
    if not pattern:
        return []
    first, last = _beginnings(pattern), pattern.endswith("/")
    likely = [name for name in names if name.startswith(first) and name.endswith("/") == last]
    return list(filter(_compiled(pattern).fullmatch, likely)) if likely else []


@cache
def _beginnings(pattern: str) -> tuple[str, ...]:
    """What a name begins with that matches, one of these: letters, digits and dashes stand for themselves."""
    found = []
    for each in pattern.split("|") if "(" not in pattern else [pattern]:
        length = next((at for at, char in enumerate(each) if not (char.isalnum() or char == "-")), len(each))
        found.append(each[: length - 1] if each[length : length + 1] in ("?", "*", "+", "{") else each[:length])
    return tuple(found)


def _fits(dialect: Dialect, sight: Sight) -> bool:
    """Whether the index is of its kind, or can be."""
    if not dialect.has_index:
        return not sight.has_index
    if sight.index is None:
        return True
    index = sight.index
    return isinstance(index, dict) and isinstance(index.get("jobs"), list) and _is_version(index, dialect)


def _is_version(index: dict[str, Json], dialect: Dialect) -> bool:
    version = index.get("version")
    return not isinstance(version, bool) and version in dialect.versions


def _is_plain(index: Json) -> bool:
    """Whether the index is as the Codex companion writes it; one without a configuration is somebody else's."""
    if not isinstance(index, dict) or not isinstance(index.get("config"), dict):
        return False
    return isinstance(index.get("jobs"), list) and _is_version(index, codex.CODEX)
