"""How a command on Windows is asked to end: which event, to whom. The console's own calls are replaced; Wine sends no
Ctrl-Break, and what Ctrl-C does there tests/runner/test_everywhere.py shows."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

pytestmark = pytest.mark.windows("console events")


class FakeConsole:
    """Notes what is called, and answers yes unless told otherwise."""

    def __init__(self, **answers: int) -> None:
        self.called: list[tuple[Any, ...]] = []
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.called.append((name, *arguments))
            return self.answers.get(name, 1)

        return call


def asked(monkeypatch: pytest.MonkeyPatch, ours: bool, **answers: int) -> tuple[bool, list[tuple[Any, ...]]]:
    from stateheal.system import console

    fake = FakeConsole(**answers)
    monkeypatch.setattr(console.kernel32, "dll", fake)
    monkeypatch.setattr(console, "_DELIVERED", 0)
    return console.ask_to_end(4712, ours), fake.called


def test_on_our_own_console_its_group_gets_ctrl_break(monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.system import console

    assert console.creation_flags(ours=True) == subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined]
    assert asked(monkeypatch, ours=True) == (True, [("GenerateConsoleCtrlEvent", 1, 4712)])
    assert not asked(monkeypatch, ours=True, GenerateConsoleCtrlEvent=0)[0]


def test_without_one_it_gets_ctrl_c_on_its_own_and_we_hear_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from stateheal.system import console

    assert console.creation_flags(ours=False) == subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined]
    sent, called = asked(monkeypatch, ours=False)
    assert sent and called == [
        ("FreeConsole",),
        ("AttachConsole", 4712),
        ("SetConsoleCtrlHandler", None, True),
        ("GenerateConsoleCtrlEvent", 0, 0),
        ("FreeConsole",),
        ("SetConsoleCtrlHandler", None, False),
    ]
    assert not asked(monkeypatch, ours=False, AttachConsole=0)[0], "one that cannot be asked is terminated"
