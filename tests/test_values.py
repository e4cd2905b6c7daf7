"""What ``values`` makes behaves as what ``typing`` and ``dataclasses`` make of the same class."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
import typing
from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest

from stateheal import values


class Ours(values.NamedTuple):
    """One."""

    first: int
    """With words of its own."""
    second: str = "two"
    third: tuple[str, ...] = ()

    @property
    def both(self) -> str:
        return f"{self.first} {self.second}"


class Theirs(typing.NamedTuple):
    """One."""

    first: int
    second: str = "two"
    third: tuple[str, ...] = ()

    @property
    def both(self) -> str:
        return f"{self.first} {self.second}"


class Narrow(Ours):
    """A class on top of one: no new fields, a constructor of its own."""

    def __new__(cls, first: int) -> Any:
        return super().__new__(cls, first, "narrow")


def outcome(call: Callable[[Any], Any], subject: Any) -> tuple[type, str]:
    """What a call gives, or what it raises, told without the class's own name."""
    try:
        given = call(subject)
    except ValueError as error:
        given = TypeError(*error.args)  # which of the two an unknown name gets differs between versions of Python
    except Exception as error:
        given = error
    kind = tuple if isinstance(given, (Ours, Theirs)) else type(given)
    kind = AttributeError if isinstance(given, AttributeError) else kind
    text = str(given) if isinstance(given, TypeError) else repr(given)
    return kind, text.replace("Theirs", "Ours").replace("FrozenInstanceError", "AttributeError")


CALLS: list[Callable[[Any], Any]] = [
    lambda kind: kind(1),
    lambda kind: kind(1, "b", ("c",)),
    lambda kind: kind(second="b", first=1),
    lambda kind: kind(),
    lambda kind: kind(1, 2, 3, 4),
    lambda kind: kind(1, first=1),
    lambda kind: kind(1, fourth=1),
    lambda kind: kind(1).both,
    lambda kind: kind(1)._replace(second="x"),
    lambda kind: kind(1)._replace(fourth="x", fifth="y"),
    lambda kind: kind(1)._asdict(),
    lambda kind: kind._make([1, "b", ()]),
    lambda kind: kind._make([1]),
    lambda kind: (kind._fields, kind._field_defaults, kind.__doc__, kind.__module__, kind.__slots__),
    lambda kind: kind(1) == kind(1) and kind(1) == (1, "two", ()) and kind(1) != kind(2) and kind(1) < kind(2),
    lambda kind: hash(kind(1)) == hash((1, "two", ())),
    lambda kind: [*kind(1), len(kind(1)), kind(1)[1]],
    lambda kind: kind.first.__get__(kind(7)),
    lambda kind: setattr(kind(1), "first", 2),
    lambda kind: setattr(kind(1), "other", 2),
    lambda kind: isinstance(kind(1), tuple),
    lambda kind: pickle.loads(pickle.dumps(kind(1))),
    lambda kind: copy.deepcopy(kind(1)),
    lambda kind: kind.__new__.__name__ and kind(1).__class__.__name__,
]


@pytest.fixture(params=["few", "many"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after a class's constructor is compiled."""
    if request.param == "few":
        if "__new__" in vars(Ours):
            monkeypatch.delattr(Ours, "__new__")
        monkeypatch.setattr(Ours, "_uses", itertools.count())
    else:
        monkeypatch.setattr(values, "_FEW", 0)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("call", CALLS)
def test_a_named_tuple_is_as_typings(call: Callable[[Any], Any]) -> None:
    assert outcome(call, Ours) == outcome(call, Theirs)


def test_the_first_value_may_be_made_in_any_way() -> None:
    class Fresh(values.NamedTuple):
        one: int
        two: int = 2

    assert Fresh._make([3, 4]) == (3, 4)
    assert pickle.loads(pickle.dumps(Fresh.__slots__)) == ()
    assert Fresh(two=1, one=5) == (5, 1)

    class Empty(values.NamedTuple):
        pass

    assert Empty() == () and repr(Empty()) == f"{Empty.__name__}()"


def test_a_class_on_top_of_one_makes_its_own_kind() -> None:
    made = Narrow(4)
    assert type(made) is Narrow and made == (4, "narrow", ())
    assert type(Ours(4)) is Ours


def test_the_constructor_is_compiled_once_there_are_many() -> None:
    class Counted(values.NamedTuple):
        one: int
        two: int = 2

    made = [Counted(one=number) for number in range(values._FEW)]
    assert "__new__" not in vars(Counted)
    made += [Counted(number) for number in range(values._FEW, 2 * values._FEW)]
    assert "__new__" in vars(Counted) and made == [(number, 2) for number in range(2 * values._FEW)]


def test_a_default_is_the_very_same_object() -> None:
    given: dict[str, int] = {}

    class Keeps(values.NamedTuple):
        held: dict[str, int] = given

    assert Keeps().held is given


# --- dataclasses ---------------------------------------------------------------------------------------------------


def classes(module: Any, **options: Any) -> type[Any]:
    """The same class, made by either."""

    @module.dataclass(**options)
    class Kind:
        """Its words."""

        one: int
        two: str = "2"
        three: list[int] = module.field(default_factory=list)
        four: float | None = module.field(default=None, compare=False)

        @cached_property
        def late(self) -> list[int]:
            return [self.one]

    return Kind


OPTIONS: list[dict[str, Any]] = [{}, {"frozen": True}, {"frozen": True, "eq": False, "repr": False}]
USES: list[Callable[[Any, Any], Any]] = [
    lambda module, kind: vars(kind(1)),
    lambda module, kind: vars(kind(1, "b", [3], 4.0)),
    lambda module, kind: vars(kind(two="b", one=1)),
    lambda module, kind: kind(),
    lambda module, kind: kind(1, 2, 3, 4, 5),
    lambda module, kind: kind(1, five=5),
    lambda module, kind: repr(kind(1)) if "__repr__" in vars(kind) else None,
    lambda module, kind: kind(1) == kind(1),
    lambda module, kind: kind(1, four=1.0) == kind(1, four=2.0),
    lambda module, kind: kind(1) == kind(2),
    lambda module, kind: kind(1) == 1,
    lambda module, kind: kind(1).three is kind(1).three,
    lambda module, kind: hash(kind(1)) and None,
    lambda module, kind: kind.__hash__ is None,
    lambda module, kind: kind(1).late is kind(1).late,
    lambda module, kind: setattr(kind(1), "one", 2),
    lambda module, kind: setattr(kind(1), "other", 2),
    lambda module, kind: delattr(kind(1), "one"),
    lambda module, kind: vars(module.replace(kind(1), two="x")),
    lambda module, kind: module.replace(kind(1), five="x"),
    lambda module, kind: "late" in vars(module.replace([each := kind(1), each.late][0], one=2)),
    lambda module, kind: (kind.two, kind.four, kind.__doc__),
    lambda module, kind: kind.three,
    lambda module, kind: vars(copy.copy(kind(1))),
]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("use", USES)
def test_a_dataclass_is_as_theirs(use: Callable[[Any, Any], Any], options: dict[str, Any]) -> None:
    ours = outcome(lambda kind: use(values, kind), classes(values, **options))
    theirs = outcome(lambda kind: use(dataclasses, kind), classes(dataclasses, **options))
    assert ours == theirs


@values.dataclass(frozen=True)
class Sent:
    number: int
    words: tuple[str, ...] = ()


def test_a_frozen_dataclass_goes_from_process_to_process() -> None:
    assert pickle.loads(pickle.dumps(Sent(1, ("a",)))) == Sent(1, ("a",))
    assert len({Sent(1), Sent(1), Sent(2)}) == 2


def test_a_representation_of_its_own_stays() -> None:
    @values.dataclass
    class Tells:
        one: int = 1

        def __repr__(self) -> str:
            return "<own>"

    assert repr(Tells()) == "<own>"
