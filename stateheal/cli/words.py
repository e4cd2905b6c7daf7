"""Groups of commands that know what a wrong word may have meant."""

from __future__ import annotations

import click

from stateheal.text import nearest

_MEANT = {
    "heal": ("repair", "fix", "clean", "cleanup", "cure", "mend", "patch", "apply"),
    "heal -n": ("diff", "plan", "preview", "dry-run"),
    "audit": ("check", "scan", "verify", "validate", "lint", "inspect", "test", "find", "report", "analyze", "analyse"),
    "jobs": ("status", "list", "ls", "ps", "show", "tasks"),
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
        """What is no option here is answered with the command that it is, or that has it."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = self.instead(ctx, error.option_name)
            if hint is None:
                raise
            ctx.fail(f"there is no option {error.option_name!r}; {hint}")

    def instead(self, ctx: click.Context, option: str) -> str | None:
        """What to type instead of an option that is none; ``None`` where nobody knows."""
        command = self.exactly(option.lstrip("-"), self.list_commands(ctx))
        return None if command is None else f"did you mean {f'{ctx.command_path} {command}'!r}?"

    def exactly(self, word: str, known: list[str]) -> str | None:
        """The command that a word names, in whatever case."""
        return word.lower() if word.lower() in known else None

    def meant(self, word: str, known: list[str]) -> str | None:
        """What a wrong word most likely stands for, if anything."""
        return self.exactly(word, known) or nearest(word, known)


class TopCommands(Commands):
    """The commands themselves, for which people try many words."""

    def instead(self, ctx: click.Context, option: str) -> str | None:
        commands = filter(None, (self.get_command(ctx, each) for each in self.list_commands(ctx)))
        if any(option in param.opts for command in commands for param in command.params):
            return f"it belongs behind the command: 'stateheal COMMAND {option}'"
        return super().instead(ctx, option)

    def exactly(self, word: str, known: list[str]) -> str | None:
        lowered = word.lower().lstrip("-")
        targets = (target for target, words in _MEANT.items() if lowered in words)
        fitting = (each for each in targets if each.startswith("-") or each.split()[0] in known)
        return next(fitting, None) or super().exactly(lowered, known)

    def meant(self, word: str, known: list[str]) -> str | None:
        targets = {each: target for target, words in _MEANT.items() for each in words}
        near = self.exactly(word, known) or nearest(word, [*known, *targets])
        return targets.get(near or "", near)
