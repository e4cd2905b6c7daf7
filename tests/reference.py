"""Writes the reference of commands and options, ``stateheal help reference``: ``python -m tests.reference``.

It is made from what click knows, and a test fails where the file says something else.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator

import click

from stateheal.cli import group
from tests.support import PROJECT

REFERENCE = PROJECT / "stateheal" / "help" / "reference.md"
_SHARED = 3
"""Options that so many commands have, with the same meaning, are listed once."""

Row = tuple[str, str]
"""An option as it is written, and what it means."""


def context_of_all() -> click.Context:
    """The context that every command's own is a child of: it says that -h is help, which click then remembers."""
    return click.Context(group, info_name="stateheal", **group.context_settings)


def commands() -> dict[str, click.Command]:
    """Every command by its name, in the order of the help."""
    return dict(_commands_of(group, context_of_all(), ""))


def _commands_of(parent: click.Group, context: click.Context, lead: str) -> Iterator[tuple[str, click.Command]]:
    """A group's commands and, behind each that is a group itself, its own: ``hook``, ``hook install``."""
    for name in parent.list_commands(context):
        command = parent.get_command(context, name)
        assert command is not None
        yield f"{lead}{name}", command
        if isinstance(command, click.Group):
            yield from _commands_of(command, context, f"{lead}{name} ")


def reference() -> str:
    """The whole text."""
    known = commands()
    counts = Counter(row for command in known.values() for row in rows(command))
    shared = [row for row, count in counts.items() if count >= _SHARED]
    lines = ["# Reference", "", "Options that several commands share:", "", *table(shared)]
    for name, command in known.items():
        lines += block(name, command, shared)
    return "\n".join([*lines, ""])


def block(name: str, command: click.Command, shared: list[Row]) -> Iterator[str]:
    """One command: usage, purpose, its own options, the shared ones by name, an example."""
    usage = " ".join(command.collect_usage_pieces(click.Context(command, parent=context_of_all())))
    yield from ("", f"## stateheal {name}", "", f"`stateheal {name} {usage}`".replace(" `", "`"), "")
    yield " ".join(help_of(command).split("\n\n")[0].split())
    own = [row for row in rows(command) if row not in shared]
    if own:
        yield from ("", *table(own))
    also = [f"`{each[0].split()[0].rstrip(',')}`" for each in rows(command) if each in shared]
    if also:
        yield from ("", f"Also {', '.join(also)}.")
    yield from ("", f"Example: `{example(command)}`")


def rows(command: click.Command) -> list[Row]:
    """The options of a command, but for its help."""
    return [row(option) for option in command.params if isinstance(option, click.Option)]


def row(option: click.Option) -> Row:
    names = ", ".join([*sorted(option.opts, key=len), *option.secondary_opts])
    value = option.metavar or (
        "|".join(option.type.choices) if isinstance(option.type, click.Choice) else option.type.name.upper()
    )
    optional = getattr(option, "_flag_needs_value", False)
    shown = names if option.is_flag else f"{names} [{value}]" if optional else f"{names} {value}"
    default = f" [default: {option.default}]" if option.show_default else ""
    return shown, f"{option.help or ''}{default}"


def table(listed: list[Row]) -> list[str]:
    cells = [(f"`{option}`".replace("|", r"\|"), meaning.replace("|", r"\|")) for option, meaning in listed]
    return ["| option | meaning |", "|---|---|", *(f"| {option} | {meaning} |" for option, meaning in cells)]


def help_of(command: click.Command) -> str:
    """The help text, however deep its docstring was indented."""
    return inspect.cleandoc(command.help or "")


def example(command: click.Command) -> str | None:
    """The command line of the help's ``Example:``."""
    found = re.search(r"^Example: (.+)$", help_of(command), re.MULTILINE)
    return found[1] if found else None


def main() -> None:
    new = reference()
    known = REFERENCE.exists() and REFERENCE.read_text("utf-8") == new
    REFERENCE.write_text(new, "utf-8")
    print(f"{REFERENCE.relative_to(PROJECT)} is", "as it was" if known else "new")


if __name__ == "__main__":
    main()
