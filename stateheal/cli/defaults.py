"""Options that were set for good: from the configuration file and the environment into click's defaults."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

import click

from stateheal.engine.configuration import Configuration, read_configuration, variable
from stateheal.errors import StatehealError, UsageError
from stateheal.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EACH_TIME = frozenset(
    (
        *("yes", "purge", "forget", "keep_last", "archive", "from", "to", "workspace", "job", "cwd", "broker"),
        *("scope", "config", "output", "html", "export", "title", "summary", "help", "version"),
    )
)
"""Options that are said each time anew: what is done, to what, and where it goes."""
_ANOTHER_THING = frozenset({("run", "grace")})
"""Options that share their name with other commands' and mean something else: set in the command's table alone."""
_UNTOUCHED = frozenset({"hook", "help", "completion", "schema"})
"""Commands without options that are worth it, and the one that must never fail."""


class Defaults(dict[str, "Any"]):
    """click's ``default_map``: what a command's options are by default, read when that command is asked for."""

    def __init__(self, group: click.Group) -> None:
        super().__init__()
        self.group = group

    def get(self, name: str, default: Any = None) -> Any:
        """Raises ``UsageError`` for a key that is no option, or a value that the option does not take."""
        command = self.group.get_command(click.Context(self.group), name)
        if command is None or command.name in _UNTOUCHED or isinstance(command, click.Group):
            return default
        if "_STATEHEAL_COMPLETE" in os.environ:  # a shell asks: no place for complaints
            return default
        try:
            return defaults_of(self.group, command, read_configuration())
        except StatehealError:
            if command.name == "doctor":  # it says what is wrong with it
                return default
            raise


def defaults_of(group: click.Group, command: click.Command, configuration: Configuration) -> dict[str, Any]:
    """Parameters of a command by name, the environment's word before the file's."""
    options = _options(command)
    check(group, configuration._replace(values={k: v for k, v in configuration.values.items() if k not in options}))
    general = [name for name in options if (command.name, name) not in _ANOTHER_THING]
    own = {name: value for name, value in configuration.values.items() if name in general}
    own |= configuration.tables.get(command.name or "", {})
    told = [(name, own[name], str(configuration.path)) for name in options if name in own]
    told += [(name, text, f"${variable(name)}") for name in general if (text := os.environ.get(variable(name)))]
    return {str(options[name].name): _checked(options[name], name, value, where) for name, value, where in told}


def check(group: click.Group, configuration: Configuration) -> None:
    """Raise ``UsageError`` for the first key that is no option of any command, or of the table's command."""
    if not configuration.tables and not configuration.values:
        return  # mostly nothing is configured, and every command's module would be imported
    known = _commands(group)
    for name in configuration.tables:
        command = known.get(name)
        if command is None:
            meant = did_you_mean(name, known)
            raise UsageError(f"{configuration.path}: [{name}] is no command{meant}")
        _check_keys(configuration, f"[{name}] ", configuration.tables[name], _options(command))
    if configuration.values:
        _check_keys(
            configuration, "", configuration.values, {name for each in known.values() for name in _options(each)}
        )


def check_all(group: click.Group, configuration: Configuration) -> None:
    """The same, and every value for every command that it goes for."""
    check(group, configuration)
    for command in _commands(group).values():
        defaults_of(group, command, configuration)


def _commands(group: click.Group) -> dict[str, click.Command]:
    """Every command that may be configured."""
    context = click.Context(group)
    found = ((name, group.get_command(context, name)) for name in group.list_commands(context))
    return {name: command for name, command in found if command is not None and name not in _UNTOUCHED}


def _check_keys(configuration: Configuration, lead: str, keys: Iterable[str], known: Iterable[str]) -> None:
    for key in keys:
        if key in EACH_TIME:
            raise UsageError(f"{configuration.path}: {lead}{key} is said each time anew, never in a configuration")
        if key not in known:
            raise UsageError(f"{configuration.path}: {lead}there is no option {key!r}{did_you_mean(key, known)}")


def _options(command: click.Command) -> dict[str, click.Option]:
    """A command's options by the name they have on the command line, those left out that are said each time anew."""
    found = {max(param.opts, key=len).lstrip("-"): param for param in command.params if isinstance(param, click.Option)}
    return {name: param for name, param in found.items() if name not in EACH_TIME}


def _checked(option: click.Option, name: str, value: Any, where: str) -> Any:
    """The value as the option takes it. Raises ``UsageError`` naming where it comes from."""
    if option.multiple:
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UsageError(f"{where}: {name}: it is a list of texts")
    elif option.is_flag and not isinstance(value, (bool, str)):
        raise UsageError(f"{where}: {name}: it is true or false, not {value!r}")
    elif not option.is_flag and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
        raise UsageError(f"{where}: {name}: {value!r} is no value for it")
    plain = value if option.multiple or isinstance(value, (bool, str)) else str(value)
    try:
        option.process_value(click.Context(click.Command(name)), plain)
    except click.UsageError as error:
        raise UsageError(f"{where}: {name}: {error.message}") from error
    return plain


def told(configuration: Configuration) -> Iterator[str]:
    """Everything that is set, as one would write it, the environment's last."""
    for key, value in configuration.values.items():
        yield f"{key} = {_shown(value)}"
    for name, table in configuration.tables.items():
        yield from (f"{name}.{key} = {_shown(value)}" for key, value in table.items())


def told_by_environment(group: click.Group, environ: Mapping[str, str]) -> Iterator[str]:
    """Variables that stand for options and are set."""
    names = sorted({name for command in _commands(group).values() for name in _options(command)})
    yield from (f"${variable(name)} = {environ[variable(name)]}" for name in names if environ.get(variable(name)))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
