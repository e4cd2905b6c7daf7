"""Commands that are named to people: as they would have to be typed, on each system."""

from __future__ import annotations

import pytest

from stateheal.text import command_line, quoted


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
