"""Help, README and samples say what the command line takes, and nothing else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from stateheal import cli
from stateheal.cli import group
from tests.reference import REFERENCE, commands, context_of_all, example, help_of, reference
from tests.support import PROJECT

COMMANDS = commands()
README = PROJECT / "README.md"
HELP = sorted((PROJECT / "stateheal" / "help").glob("*.md"))
DOCUMENTS = [README, PROJECT / "CONTRIBUTING.md", *HELP, *sorted((PROJECT / "samples").rglob("*.md"))]


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text("utf-8") == reference(), "run: python -m tests.reference"


# --- the README, and the topics -------------------------------------------------------------------------------------


def test_the_readme_is_for_whoever_suffers() -> None:
    text = README.read_text("utf-8")
    lines = text.splitlines()
    assert len(lines) <= 170
    assert "is still running. Use /codex:status before continuing it." in lines[2], "the plugin's own words come first"
    for line in ("samples/polluted", "/pytest"):
        assert sum(each.startswith("python3 -m venv .venv && ") and each.endswith(line) for each in lines) == 1


def test_the_readme_names_every_command_and_every_topic() -> None:
    text = README.read_text("utf-8")
    missing = [name for name in COMMANDS if " " not in name and f"`stateheal {name}" not in text]
    missing += [path.stem for path in HELP if f"`{path.stem}`" not in text]
    assert not missing, "give each a line in the README's table of commands, or of topics"


@pytest.mark.parametrize("path", HELP, ids=lambda path: path.stem)
def test_a_topic_is_printed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["help", path.stem]) == 0
    assert capsys.readouterr().out.endswith(path.read_text("utf-8").rstrip() + "\n")


def test_help_of_commands_and_of_everything(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["heal"], ["hook"], ["hook", "install"]):
        assert cli.run([*words, "-h"]) == 0
        own = capsys.readouterr().out
        assert cli.run(["help", *words]) == 0
        assert capsys.readouterr().out.startswith(own.rstrip())
    assert cli.run(["help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {path.stem} " in listed for path in HELP)


@pytest.mark.parametrize("words", [["systms"], ["hook", "nope"], ["heal", "undo"]])
def test_no_such_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["help", *words]) == 2
    assert "there is no command and no topic" in capsys.readouterr().err


# --- help ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [[], *(name.split() for name in COMMANDS)], ids=lambda words: " ".join(words) or "stateheal"
)
def test_every_help_has_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("-h", "--help"):
        assert cli.run([*words, flag]) == 0
        (line,) = re.findall(r"^ *Example: (.+)$", capsys.readouterr().out, re.MULTILINE)
        assert line.startswith(" ".join(["stateheal", *words]))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_means(name: str) -> None:
    for param in COMMANDS[name].params:
        if isinstance(param, click.Option):
            assert param.help and param.help.rstrip().endswith((".", "].")), param.opts


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_begins_with_a_short_sentence(name: str) -> None:
    first = help_of(COMMANDS[name]).split("\n\n")[0]
    assert first.endswith(".") and "\n" not in first and len(first) < 60


# --- command lines in documents ------------------------------------------------------------------------------------


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a document: language and content."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shown_lines(text: str) -> Iterator[str]:
    """The lines that a reader is to type: after a prompt, and in blocks that are nothing but commands."""
    for language, content in blocks(text):
        lines = content.replace("\\\n", " ").splitlines()
        prompted = [line[2:] for line in lines if line.startswith("$ ")]
        if prompted or language == "sh":
            yield from prompted or lines


def calls(line: str) -> Iterator[list[str]]:
    """The arguments of every stateheal that a shell line calls."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for token in [*lexer, ";"]:
        if not set(token) <= set("();<>|&"):
            words.append(token)
            continue
        program = next((at for at, word in enumerate(words) if word.split("/")[-1] == "stateheal"), None)
        if program is not None and words[0]:
            yield words[program + 1 :]
        words = []
        if set(token) & set("<>"):
            words = [""]  # a file's name follows, not a program's


def lines_of(document: Path) -> list[tuple[str, list[str]]]:
    return [(line, call) for line in shown_lines(document.read_text("utf-8")) for call in calls(line)]


def parse(arguments: list[str]) -> None:
    """Let click read a command line, and run nothing. Raises click's errors."""
    if not arguments:
        return  # the package's name behind another program
    try:
        if arguments[:1] and arguments[0].startswith("-"):
            group.make_context("stateheal", list(arguments))
            return
        name, command, rest = group.resolve_command(context_of_all(), list(arguments))
        assert command is not None
        context = command.make_context(name, rest, parent=context_of_all())
        while isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
            name, command, rest = command.resolve_command(context, rest)
            assert command is not None
            context = command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        pass  # --version, --help


def test_the_reader_of_command_lines_reads_them() -> None:
    assert [*calls("a && .venv/bin/stateheal heal -n x | head  # y")] == [["heal", "-n", "x"]]
    assert [*calls("timeout 3 stateheal run --title 'a b' -- sh -c 'x; y'")] == [
        ["run", "--title", "a b", "--", "sh", "-c", "x; y"]
    ]
    assert [*calls("python -m stateheal audit > x; stateheal undo")] == [["audit"], ["undo"]]
    assert [*calls("pip install 'stateheal[zstd]'")] == []
    wrong_words = ["audit --nope", "nope", "run", "audit --format xml", "hook nope", "hook install --scope nowhere"]
    for wrong in map(str.split, wrong_words):
        with pytest.raises(click.UsageError):
            parse(wrong)
    assert len(lines_of(README)) >= 6, "they are found at all"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_shown_command_line_is_one_that_stateheal_takes(document: Path) -> None:
    for line, arguments in lines_of(document):
        try:
            parse(arguments)
        except click.UsageError as error:
            pytest.fail(f"{document.name}: {line}: {error.format_message()}")


def test_every_example_in_a_help_is_one_that_stateheal_takes() -> None:
    for command in [group, *COMMANDS.values()]:
        for arguments in calls(str(example(command))):
            parse(arguments)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_command_named_in_a_sentence_exists_with_its_options(document: Path) -> None:
    """``stateheal …`` between backticks may hold placeholders; the command and its options must be there."""
    for text in re.findall(r"`stateheal ([^`]+)`", document.read_text("utf-8")):
        name, *rest = text.split(" -- ")[0].split()
        known = group if name.startswith("-") else COMMANDS.get(name)
        if isinstance(known, click.Group) and rest and f"{name} {rest[0]}" in COMMANDS:
            name = f"{name} {rest.pop(0)}"
            known = COMMANDS[name]
        assert known is not None, text
        options = {each for param in known.params for each in param.opts} | {"-h", "--help"}
        used = re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(rest if known is not group else [name, *rest]))
        assert set(used) <= options, f"{document.name}: stateheal {text}"
