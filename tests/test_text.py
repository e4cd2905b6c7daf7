"""Commands that are named to people: as they would have to be typed, on each system."""

from __future__ import annotations

import os
import subprocess

import pytest

from stateheal.text import command_line, printable, quoted


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("task-1", "task-1"),
        ("C:/a/x", "C:/a/x"),
        ("C:\\a\\x", '"C:\\a\\x"'),
        ("C:\\a b\\", '"C:\\a b\\\\"'),
        ("C:\\Users\\J\u00fcrgen", '"C:\\Users\\J\u00fcrgen"'),
        ("", '""'),
        ("C:\\a\\$x", "'C:\\a\\$x'"),
        ("%X%\\a", "'%X%\\a'"),
        ("\\\\server\\share", "'\\\\server\\share'"),
    ],
)
def test_on_windows_as_every_shell_there_takes_it(word: str, typed: str) -> None:
    """cmd knows no single quotes, Git Bash eats backslashes outside of any; what both would change, PowerShell gets."""
    assert quoted(word, windows=True) == typed


def test_elsewhere_as_a_posix_shell_takes_it() -> None:
    assert command_line(["stateheal", "heal", "/a b", "it's"], windows=False) == """stateheal heal '/a b' 'it'"'"'s'"""


@pytest.mark.processes
@pytest.mark.skipif(os.name == "nt", reason="there is no bash that hands bytes on")
@pytest.mark.parametrize(
    "word", [b"a\nb", b"caf\xe9 1", "it's\\ \u202e\u200b7".encode(), b"\x1b[2J", b"\x017", b"$'x'\t"]
)
def test_what_cannot_be_seen_is_named_so_that_a_shell_takes_it(word: bytes) -> None:
    typed = quoted(os.fsdecode(word), windows=False)
    assert printable(typed) == typed, "the screen shows it as it is"
    said = subprocess.run(
        ["bash", "-c", f"printf %s {typed}"], capture_output=True, env={"LC_ALL": "C.UTF-8", **os.environ}
    )
    assert said.stdout == word


def test_half_of_a_pair_is_named_somehow() -> None:
    assert quoted("\ud800", windows=False) == r"$'\355\240\200'"


def test_a_script_of_many_lines_is_kept_as_it_is() -> None:
    assert command_line(["sh", "-c", "a\nb"], windows=False, visible=False) == "sh -c 'a\nb'"
