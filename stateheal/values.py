"""``NamedTuple``, ``dataclass``, ``field``, ``replace``, ``cached_property``: the standard library's as far as used
here, but cheap.

Every command pays for the classes that it imports. ``typing`` compiles a function for each named tuple (0.1 ms),
``dataclasses`` five or six for each class (0.5 ms), and brings ``inspect`` with it. Here a class costs a tenth of that;
its constructor is compiled when more than a few of its values are made, or when it is to say what is wrong with what it
was given. A type checker sees the originals, and a test holds these against them.
"""

from __future__ import annotations

from itertools import count
from operator import itemgetter

try:
    from _collections import _tuplegetter  # type: ignore[import-not-found]
except ImportError:  # another Python than CPython

    def _tuplegetter(position: int, about: str | None) -> object:
        return property(itemgetter(position), doc=about)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_FEW = 200
"""Values of a class for which compiling its constructor takes longer than it saves."""
_DEFAULTS = "_default_"


def _filled(
    fields: tuple[str, ...], defaults: dict[str, Any], values: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, ...] | None:
    """A value for each field; ``None`` where something is missing, unknown, or given twice."""
    left = fields[len(values) :]
    if not left and not named and len(values) == len(fields):
        return values
    if len(values) + len(left) != len(fields) or not named.keys() <= set(left):
        return None
    known = {**defaults, **named}
    return (*values, *[known[each] for each in left]) if known.keys() >= set(left) else None


def _compiled(head: str, body: str, fields: Iterable[str], defaults: Mapping[str, Any], known: dict[str, Any]) -> Any:
    """The function ``lambda <head>, <fields>: <body>``, whose defaults are these very objects."""
    known = {**known, **{_DEFAULTS + name: value for name, value in defaults.items()}}
    names = (f"{name}={_DEFAULTS}{name}" if name in defaults else name for name in fields)
    return eval(f"lambda {', '.join([head, *names])}: {body}", known)  # names of fields, no text from anywhere


# --- named tuples --------------------------------------------------------------------------------------------------


class _TupleType(type):
    """Makes the classes: their annotations are their fields, in order."""

    def __new__(meta, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> _TupleType:
        if bases == (tuple,) or bases != (_Tuple,):
            return super().__new__(meta, name, bases, space)
        fields = tuple(space.get("__annotations__", ()))
        defaults = {each: space[each] for each in fields if each in space}
        space.update({each: _tuplegetter(position, None) for position, each in enumerate(fields)})
        space |= {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "_uses": count()}
        return super().__new__(meta, name, bases, space)


class _Tuple(tuple, metaclass=_TupleType):  # type: ignore[type-arg]
    """As ``typing.NamedTuple``: a tuple whose elements have names."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()
    _field_defaults: dict[str, Any] = {}
    _uses = count()

    def __new__(cls, *values: Any, **named: Any) -> Any:
        """The constructor of a class of which there are few values yet."""
        if next(cls._uses) < _FEW:
            if not named and len(values) == len(cls._fields):
                return tuple.__new__(cls, values)
            made = _filled(cls._fields, cls._field_defaults, values, named)
            if made is not None:
                return tuple.__new__(cls, made)
        owner: Any = next(each for each in cls.__mro__ if "_fields" in each.__dict__)
        body = f"_tuple_new(_cls, ({''.join(f'{each}, ' for each in owner._fields)}))"
        known = {"_tuple_new": tuple.__new__, "__name__": cls.__module__}
        new = _compiled("_cls", body, owner._fields, owner._field_defaults, known)
        new.__name__, new.__qualname__ = "__new__", f"{owner.__qualname__}.__new__"
        owner.__new__ = new
        return new(cls, *values, **named)

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Any:
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
        return made

    def _replace(self, **changes: Any) -> Any:
        made = self._make(map(changes.pop, self._fields, self))
        if changes:
            raise TypeError(f"Got unexpected field names: {list(changes)!r}")
        return made

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map('{}={!r}'.format, self._fields, self))})"

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)


# --- dataclasses ---------------------------------------------------------------------------------------------------


class _Field:
    """What ``field`` says of one: how its default is made, and whether it counts where two values are compared."""

    __slots__ = ("compare", "default", "default_factory")

    def __init__(self, default: Any = ..., default_factory: Callable[[], Any] | None = None, compare: bool = True):
        self.default, self.default_factory, self.compare = default, default_factory, compare


def _dataclass(cls: Any = None, /, *, frozen: bool = False, eq: bool = True, repr: bool = True) -> Any:
    """As ``dataclasses.dataclass``, for a class that derives from no other."""
    if cls is None:
        return lambda given: _prepare(given, frozen, eq, repr)
    return _prepare(cls, frozen, eq, repr)


def _prepare(cls: Any, frozen: bool, eq: bool, repr: bool) -> Any:
    own = cls.__dict__
    fields: dict[str, _Field] = {}
    for name in own.get("__annotations__", ()):
        given = own.get(name, ...)
        fields[name] = given if isinstance(given, _Field) else _Field(given)
        if isinstance(given, _Field):
            delattr(cls, name)
            if given.default is not ...:
                setattr(cls, name, given.default)
    cls.__values_fields__ = fields
    cls.__init__ = _first_init(cls)
    if frozen:
        cls.__setattr__, cls.__delattr__ = _refuse_to_set, _refuse_to_delete
    if eq:
        cls.__eq__ = _equal
        cls.__hash__ = _hash if frozen else None
    if repr and "__repr__" not in own:
        cls.__repr__ = _repr
    return cls


def _first_init(cls: Any) -> Callable[..., None]:
    fields: dict[str, _Field] = cls.__values_fields__
    names, uses = tuple(fields), count()
    factories = {name: field.default_factory for name, field in fields.items() if field.default_factory is not None}
    defaults = {name: field.default for name, field in fields.items() if field.default is not ...}
    defaults |= {name: fields[name] for name in factories}

    def __init__(self: Any, *values: Any, **named: Any) -> None:
        """The constructor of a class of which there are few values yet."""
        made = _filled(names, defaults, values, named) if next(uses) < _FEW else None
        if made is None:
            cls.__init__ = init = _compiled_init(cls)
            return init(self, *values, **named)
        for name, value in zip(names, made, strict=True):
            object.__setattr__(self, name, factories[name]() if value is fields[name] else value)
        return None

    return __init__


def _compiled_init(cls: Any) -> Callable[..., None]:
    fields: dict[str, _Field] = cls.__values_fields__
    known: dict[str, Any] = {"_set": object.__setattr__, "__name__": cls.__module__}
    defaults: dict[str, Any] = {}
    steps = []
    for name, field in fields.items():
        given = name
        if field.default_factory is not None:
            defaults[name] = known[f"_made_{name}"] = field.default_factory
            given = f"{name}() if {name} is _made_{name} else {name}"
        elif field.default is not ...:
            defaults[name] = field.default
        steps.append(f"_set(self, {name!r}, {given})")
    init = _compiled("self", " or ".join(steps) or "None", fields, defaults, known)  # each step gives None
    init.__name__, init.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
    return init  # type: ignore[no-any-return]


def _refuse_to_set(self: Any, name: str, value: Any) -> None:
    raise AttributeError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise AttributeError(f"cannot delete field {name!r}")


def _compared(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name, field in value.__values_fields__.items() if field.compare)


def _equal(self: Any, other: Any) -> Any:
    return _compared(self) == _compared(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _repr(self: Any) -> str:
    told = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__values_fields__)
    return f"{type(self).__qualname__}({told})"


def _with(value: Any, /, **changes: Any) -> Any:
    """As ``dataclasses.replace``."""
    kept = {name: getattr(value, name) for name in value.__values_fields__}
    return type(value)(**{**kept, **changes})


class _CachedProperty:
    """As ``functools.cached_property``, without the lock that it takes before Python 3.12: no value is shared."""

    def __init__(self, find: Callable[[Any], Any]) -> None:
        self.find = find
        self.__doc__ = find.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, value: Any, owner: type | None = None) -> Any:
        if value is None:
            return self
        found = value.__dict__[self.name] = self.find(value)
        return found


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from functools import cached_property as cached_property
    from typing import NamedTuple as NamedTuple
else:
    NamedTuple, dataclass, field, replace, cached_property = _Tuple, _dataclass, _Field, _with, _CachedProperty
