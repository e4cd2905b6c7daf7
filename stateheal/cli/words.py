"""Groups of commands that know what a wrong word may have meant."""

from __future__ import annotations

import click

from stateheal.text import nearest

_MEANT = {
    "heal": ("repair", "fix", "clean", "cleanup", "cure", "mend", "patch", "apply"),
    "heal -n": ("diff", "plan", "preview", "dry-run"),
    "audit": ("check", "scan", "verify", "validate", "lint", "inspect", "test", "find", "report", "analyze", "analyse"),
    "jobs": ("list", "ls", "ps", "show", "tasks"),
    "undo": ("revert", "restore", "rollback", "reset", "back"),
    "history": ("log", "runs", "journal", "undos"),
    "stop": ("kill", "cancel", "end", "terminate", "abort"),
    "result": ("output", "answer", "results", "cat"),
    "prune": ("gc", "purge", "delete", "remove", "rm", "forget"),
    "recover": ("rescue", "salvage", "retrieve"),
    "explain": ("why", "info", "describe", "debug"),
    "doctor": ("diagnose", "env", "health", "config", "self-check"),
    "migrate": ("move", "mv", "import", "merge"),
    "export": ("bundle", "pack", "bug-report", "archive", "bugreport"),
    "hook install": ("install", "setup", "init", "enable"),
    "hook uninstall": ("uninstall", "disable"),
    "run": ("exec", "track", "wrap", "start"),
    "rules": ("rule", "catalogue", "catalog"),
    "--version": ("version",),
}
"""Words that people try, by what they most likely want."""


_PLAIN = {"→": "->", "…": "...", "✖": "x"}
"""How a stream of few characters says our own signs."""


def plainly(error: UnicodeError) -> tuple[str, int]:
    """A handler of encoding errors: our own signs in ASCII, everything else as an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    told = (
        _PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode()
        for each in error.object[error.start : error.end]
    )
    return "".join(told), error.end


class Commands(click.Group):
    """A group that answers a word it does not know with the nearest one it does."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            meant = self.meant(name, known)
            hint = f"; did you mean {meant!r}?" if meant else f"; there are {', '.join(known)}"
            ctx.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """A command that was written as an option is answered with the command."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            word, known = error.option_name.lstrip("-"), self.list_commands(ctx)
            meant = self.meant(word, known) if word in known or not error.possibilities else None
            if meant is None:
                raise
            ctx.fail(f"there is no option {error.option_name!r}; did you mean {f'{ctx.command_path} {meant}'!r}?")

    def meant(self, word: str, known: list[str]) -> str | None:
        """What a wrong word most likely stands for, if anything."""
        lowered = word.lower()
        return lowered if lowered in known else nearest(lowered, known)


class TopCommands(Commands):
    """The commands themselves, for which people try many words."""

    def meant(self, word: str, known: list[str]) -> str | None:
        lowered = word.lower().lstrip("-")
        for target, words in _MEANT.items():
            if lowered in words and (target.startswith("-") or target.split()[0] in known):
                return target
        return super().meant(word, known)
