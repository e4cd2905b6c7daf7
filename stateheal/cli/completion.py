"""``stateheal completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> int:
    """Print what a shell needs to complete commands.

    \b
    Example: stateheal completion bash > ~/.local/share/bash-completion/completions/stateheal
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ctx.find_root().command, {}, "stateheal", "_STATEHEAL_COMPLETE").source())
    return 0
