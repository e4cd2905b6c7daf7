"""The hook in the value of a settings.json: put in, taken out, found. Values in, values out; nothing else is changed.

Field guide section 9: ``{"hooks": {EVENT: [{"matcher": …, "hooks": [HANDLER, …]}, …]}}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stateheal.errors import Refused
from stateheal.hook.config import Handler
from stateheal.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IN_A_SHELL = pattern(r"""(?:^|[\s/\\"';])stateheal(?:\.exe)?["']?\s+hook(?:$|[\s"';])""")
_ALONE = pattern(r"(?:.*[\s/\\])?stateheal(?:\.exe)?\s+hook(?:\s+-\S+)*")
_REDIRECTION = pattern(r"\d*(?:<|>>?)&?\s*[^\s;|&]+")
_BETWEEN = pattern(r"&&|\|\||[;|&\n]")
_BESIDE = frozenset(
    [":", "true", "exit", "command", "which", "type", "hash", "test", "[", "if", "fi", "cd", ".", "source", "export"]
) | {""}
"""First words of what stands around a start of ours for its own sake: whether it is there, that it fails quietly."""


def is_own(handler: object) -> bool:
    """Whether a hook starts ``stateheal hook``, in whichever form, and does nothing else: such a one is replaced."""
    if not isinstance(handler, dict) or not names_us(handler):
        return False
    return isinstance(handler.get("args"), list) or _is_alone(handler["command"])


def names_us(handler: object) -> bool:
    """Whether a hook starts ``stateheal hook``, whatever else it does."""
    if not isinstance(handler, dict) or not isinstance(handler.get("command"), str):
        return False
    command, arguments = handler["command"], handler.get("args")
    if not isinstance(arguments, list):
        return _IN_A_SHELL.search(command) is not None
    name = re.split(r"[/\\]", command)[-1].lower().removesuffix(".exe")
    return arguments[-1:] == ["hook"] and (name == "stateheal" or arguments[-2:-1] == ["stateheal"])


def _is_alone(command: str) -> bool:
    parts = [part.strip() for part in _BETWEEN.split(_REDIRECTION.sub("", command.translate({34: " ", 39: " "})))]
    return all(_ALONE.fullmatch(part) or part.partition(" ")[0] in _BESIDE for part in parts)


def own_handlers(value: object) -> Iterator[tuple[str, Handler]]:
    """Every hook that starts ``stateheal hook``, with its event: ours, and theirs that do more besides."""
    hooks = value.get("hooks") if isinstance(value, dict) else None
    for event, groups in hooks.items() if isinstance(hooks, dict) else ():
        for group in groups if isinstance(groups, list) else ():
            members = group.get("hooks") if isinstance(group, dict) else None
            yield from ((event, each) for each in (members if isinstance(members, list) else ()) if names_us(each))


def with_hook(value: object, wanted: Mapping[str, list[Any]]) -> dict[str, Any]:
    """The settings with the hook in them, where an earlier form of it stood or behind the others.

    ``wanted``: by event, the group to stand there. Raises ``Refused`` for settings in which hooks cannot stand.
    """
    settings, hooks = _parts(value)
    merged = {event: _placed(groups, wanted.get(event, [])) for event, groups in hooks.items()}
    merged = {event: groups for event, groups in merged.items() if groups or not hooks[event]}
    return {**settings, "hooks": {**merged, **{event: wanted[event] for event in wanted if event not in merged}}}


def without_hook(value: object) -> dict[str, Any]:
    """The settings without it; what is left empty by that goes, too. Raises ``Refused`` as ``with_hook``."""
    settings, hooks = _parts(value)
    if not any(own_handlers(value)):
        return settings
    left = {event: _placed(groups, []) for event, groups in hooks.items()}
    left = {event: groups for event, groups in left.items() if groups or not hooks[event]}
    return {**settings, "hooks": left} if left else {key: each for key, each in settings.items() if key != "hooks"}


def _parts(value: object) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    if not isinstance(value, dict):
        raise Refused("it holds no JSON object")
    hooks = value.get("hooks", {})
    if not isinstance(hooks, dict):
        raise Refused("its 'hooks' is no object")
    for event, groups in hooks.items():
        if not isinstance(groups, list):
            raise Refused(f"its hooks for {event!r} are no list")
    return value, hooks


def _placed(groups: list[Any], wanted: list[Any]) -> list[Any]:
    """The groups of one event: the wanted ones in the place of the first that was ours alone, else at the end."""
    placed: list[Any] = []
    missing = list(wanted)
    for group in groups:
        members = group.get("hooks") if isinstance(group, dict) else None
        if not isinstance(members, list) or not any(map(is_own, members)):
            placed.append(group)
        elif all(map(is_own, members)):
            placed += missing
            missing = []
        else:
            placed.append({**group, "hooks": [each for each in members if not is_own(each)]})
    return placed + missing
