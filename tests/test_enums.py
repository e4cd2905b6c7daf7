"""What ``enums`` makes behaves as what ``enum`` makes of the same class."""

from __future__ import annotations

import copy
import enum
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from stateheal.enums import _Words
from stateheal.model.findings import Severity


class Ours(_Words):
    """Three."""

    RED = "red"
    """With words of its own."""
    DARK_BLUE = "dark-blue"
    NONE = ""


class Theirs(str, enum.Enum):
    """Three."""

    RED = "red"
    """With words of its own."""
    DARK_BLUE = "dark-blue"
    NONE = ""


def outcome(call: Callable[[Any], Any], kind: Any) -> str:
    try:
        return repr(call(kind)).replace("Theirs", "Ours")
    except AttributeError:
        return "AttributeError"  # its words differ between versions of Python
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("Theirs", "Ours")


CALLS: list[Callable[[Any], Any]] = [
    lambda kind: list(kind),
    lambda kind: len(kind),
    lambda kind: [kind("red") is kind.RED, kind(kind.RED) is kind.RED, kind["DARK_BLUE"] is kind.DARK_BLUE],
    lambda kind: kind("RED"),
    lambda kind: kind(None),
    lambda kind: kind([]),
    lambda kind: kind["red"],
    lambda kind: kind.GREEN,
    lambda kind: [(each.name, each.value, type(each.value)) for each in kind],
    lambda kind: [str(kind.RED), repr(kind.RED), f"{kind.RED}", "%s" % kind.RED],  # noqa: UP031
    lambda kind: [kind.RED == "red", kind.RED != kind.NONE, kind.RED == kind.RED, kind.RED == "red", bool(kind.NONE)],
    lambda kind: [hash(kind.RED) == hash("red"), {kind.RED: 1}["red"], {"red": 1}[kind.RED]],
    lambda kind: [kind.RED in kind, kind.RED in ("red",), isinstance(kind.RED, kind), isinstance(kind.RED, str)],
    lambda kind: [kind.RED < kind.DARK_BLUE, sorted(kind), kind.RED + "dish", kind.RED.upper(), "-".join(kind)],
    lambda kind: [copy.copy(kind.RED) is kind.RED, copy.deepcopy([kind.RED])[0] is kind.RED],
    lambda kind: [pickle.loads(pickle.dumps(kind.RED, each)) is kind.RED for each in range(2, 6)],
    lambda kind: json.dumps({"a": kind.RED, kind.DARK_BLUE: 1}),
    lambda kind: (kind.__doc__, kind.__name__, kind.__module__, type(kind.RED) is kind),
]


@pytest.mark.parametrize("call", CALLS)
def test_words_are_as_those_of_an_enumeration(call: Callable[[Any], Any]) -> None:
    assert outcome(call, Ours) == outcome(call, Theirs)


def test_the_public_ones_are_such() -> None:
    assert [each.value for each in Severity] == ["damage", "unsure", "notice"] and Severity("damage") is Severity.DAMAGE
