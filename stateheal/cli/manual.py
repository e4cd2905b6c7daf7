"""``stateheal help``: a command's help, a topic, or what there is."""

from __future__ import annotations

from importlib.resources import files

import click

from stateheal.errors import UsageError
from stateheal.text import did_you_mean

_FOLDER = files("stateheal") / "help"


def topics() -> dict[str, str]:
    """Every topic and its title, in the order of the alphabet."""
    names = sorted(each.name.removesuffix(".md") for each in _FOLDER.iterdir() if each.name.endswith(".md"))
    return {name: topic_text(name).partition("\n")[0].removeprefix("# ") for name in names}


def topic_text(name: str) -> str:
    """A topic as Markdown."""
    return (_FOLDER / f"{name}.md").read_text("utf-8")


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    known = [*_commands(ctx), *topics()]
    return [name for name in dict.fromkeys(known) if name.startswith(incomplete)]


def _commands(ctx: click.Context) -> list[str]:
    root = ctx.find_root().command
    return root.list_commands(ctx) if isinstance(root, click.Group) else []


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND|TOPIC]", shell_complete=_complete)
@click.pass_context
def help_command(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Show help for a command or a topic.

    Without a word: all commands and topics. Topics are Markdown, as they stand in stateheal/help/ of the repository.

    \b
    Example: stateheal help systems
    """
    found = [_command_help(ctx, words)] if words else [ctx.find_root().get_help(), _list()]
    if len(words) == 1 and words[0] in topics():
        found.append(topic_text(words[0]).rstrip())
    shown = [each for each in found if each]
    if not shown:
        said = " ".join(words)
        known = dict.fromkeys([*_commands(ctx), *topics()])
        raise UsageError(
            f"there is no command and no topic {said!r}{did_you_mean(said, known)} ('stateheal help' lists all)"
        )
    click.echo("\n\n".join(shown))
    return 0


def _command_help(ctx: click.Context, words: tuple[str, ...]) -> str:
    """A command's own help, of a command in a group too; nothing where there is none."""
    above, command = ctx.find_root(), ctx.find_root().command
    for word in words:
        found = command.get_command(above, word) if isinstance(command, click.Group) else None
        if found is None:
            return ""
        above, command = click.Context(found, info_name=word, parent=above), found
    return command.get_help(above)


def _list() -> str:
    known = topics()
    width = max(map(len, known))
    lines = [f"  {name:{width}}  {title}" for name, title in known.items()]
    return "\n".join(["Topics ('stateheal help TOPIC'):", *lines])
