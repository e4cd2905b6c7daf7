"""``stateheal hook``, as far as it is not the short path of ``__main__``: its help and its configuration."""

from __future__ import annotations

import click

from stateheal.hook.config import NAMES, config_text


@click.command("hook")
@click.option(
    "--config",
    type=click.Choice(NAMES),
    is_flag=False,
    flag_value="plugin",
    help="Print what to install: a plugin's hooks.json, settings.json, or a skill's front matter.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what went wrong.")
def hook_command(config: str | None, verbose: bool) -> int:
    """The pre-launch hook of Claude Code.

    Reads the event on stdin, heals the workspace, answers on stdout.

    Called before every command. It acts on those that launch a companion's job, and when a session starts; anything
    else it answers at once, with nothing. It always exits with 0 and never decides anything.

    \b
    Example: stateheal hook --config settings
    """
    if config is None:
        from stateheal.hook.main import main

        main(["-v"] if verbose else [])
        return 0
    print(config_text(config), end="")
    return 0
