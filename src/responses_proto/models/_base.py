"""What every model shares: how a class is made, how it shows itself, and where the rest of the wire is kept.

A model is a list of fields. Conventions, which the codec reads off the class:

* ``type: ClassVar[Literal["..."]] = "..."``, and any other class attribute of that form, is a *constant*: the wire
  always says this one string. ``@model(optional=("type",))`` names constants that the wire may leave out.
* A trailing underscore is not part of the wire's name: ``async_`` is the key ``async``.
* ``x: T`` is required by every specification that has the class; ``x: T | Unset = UNSET`` may be absent;
  ``T | None`` may be null.
* An enumeration is ``Literal[...] | str``: open, because servers add values.
* A union of models is told apart by ``type``; its last member is an *unknown* class that keeps the object raw.

Everything beyond that goes to ``extra``, so that dumping gives back exactly what was loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, cast, dataclass_transform, overload

import attrs

from ..typing import UNSET, JSONValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # mypy knows what may go into `attrs.evolve` by attrs' own decorator only, on the class or on a base of it.
    from attrs import define as _seen_by_mypy
else:

    def _seen_by_mypy(**_options: object) -> Callable[[_T], _T]:
        return lambda cls: cls


__all__ = ["EMPTY", "Extra", "Model", "Unknown", "model", "secret"]

_T = TypeVar("_T", bound=type)

_SHOWN = 200  # characters of a string that a repr shows: an image in Base64 would bury everything else
_SHOWN_LEVELS = 16  # of nested JSON


class Extra(dict[str, Any]):
    """What the wire said beyond, or against, the fields of a model. Read-only, and shared where it is empty.

    Keys are wire names: those of unknown fields, and those of known fields whose value did not fit (the attribute
    then has the type's neutral value, and this has the raw one). ``absent`` names the required fields that the wire
    left out. Both speak for a field only as long as its attribute holds the neutral value, so ``attrs.evolve`` and
    assignment win over them.
    """

    __slots__ = ("absent",)
    absent: frozenset[str]

    def __init__(
        self, items: Iterable[tuple[str, object]] | Mapping[str, object] = (), absent: Iterable[str] = ()
    ) -> None:
        super().__init__(items)
        self.absent = frozenset(absent)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Extra):
            return self.absent == other.absent and super().__eq__(other)
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__: ClassVar[None] = None  # a mapping with JSON values cannot be hashed, as dict says too

    def __repr__(self) -> str:
        absent = f", absent={sorted(self.absent)}" if self.absent else ""
        return f"{dict(self)!r}{absent}"

    def __reduce__(self) -> tuple[object, ...]:
        return _extra, (dict(self), tuple(sorted(self.absent)))

    def _read_only(self, *_: object, **__: object) -> NoReturn:
        message = "extra is read-only: build the model with extra={...}, or use attrs.evolve"
        raise TypeError(message)

    if not TYPE_CHECKING:  # pragma: no branch - a type checker is told by the type of the field, which is Mapping
        __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _read_only


def _extra(items: dict[str, object], absent: tuple[str, ...]) -> Extra:
    return Extra(items, absent) if items or absent else EMPTY


EMPTY = Extra()
"""The one empty ``Extra``."""


def secret(**kwargs: Any) -> Any:
    """Declare a field whose value is a secret: it goes to the wire, never into a repr."""
    return attrs.field(repr=False, **kwargs)


@overload
def model(cls: _T, /) -> _T: ...
@overload
def model(*, optional: Iterable[str] = ()) -> Callable[[_T], _T]: ...
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(attrs.field, secret))
def model(cls: _T | None = None, /, *, optional: Iterable[str] = ()) -> _T | Callable[[_T], _T]:
    """Make a model of a class body. ``optional`` names its constants that the wire may leave out.

    Equality and repr are the base's own: generating them per class would double the time of the import.
    """

    def make(cls: _T) -> _T:
        made = attrs.define(cls, kw_only=True, eq=False, repr=False, order=False, weakref_slot=False)
        setattr(made, "wire_optional", frozenset(optional))  # noqa: B010 - not an attribute of every type, which is the bound
        return made

    return make if cls is None else make(cls)


@model
@_seen_by_mypy(kw_only=True, eq=False, repr=False)
class Model:
    """The base of every model: equality by class and fields, a repr that leaves out what is absent.

    Unhashable, since its values are mutable lists and objects. Frozen for the type checker; at run time assignment is
    not prevented, because that would cost a third of the decoding time.
    """

    if TYPE_CHECKING:
        __attrs_attrs__: ClassVar[tuple[attrs.Attribute[Any], ...]]  # attrs sets it; it has no value as an annotation
    wire_optional: ClassVar[frozenset[str]] = frozenset()
    """Constants that the wire may leave out."""

    extra: Mapping[str, JSONValue] = EMPTY
    """Wire fields that this class does not know, or whose value does not fit; see :class:`Extra`."""

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, a.name) == getattr(other, a.name) for a in self.__attrs_attrs__)

    __hash__: ClassVar[None] = None  # type: ignore[assignment] # fields hold lists and dicts

    def __repr__(self) -> str:
        shown: list[str] = []
        secrets: set[str] = set()
        for a in self.__attrs_attrs__:
            value = getattr(self, a.name)
            if not a.repr:
                secrets.add(a.name.removesuffix("_"))
            if value is UNSET or a.name == "extra":
                continue
            shown.append(f"{a.name}={_show(value) if a.repr else '***'}")
        absent = self.extra.absent if isinstance(self.extra, Extra) else None
        if self.extra or absent:
            beyond = {wire: "***" if wire in secrets else value for wire, value in self.extra.items()}
            shown.append(f"extra={_show(beyond)}" + (f", absent={sorted(absent)}" if absent else ""))
        return f"{type(self).__name__}({', '.join(shown)})"


def _show(value: Any, levels: int = _SHOWN_LEVELS) -> str:
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]!r}…(+{len(value) - _SHOWN})"
    if levels and isinstance(value, dict):
        pairs = cast("Any", value).items()
        return f"{{{', '.join(f'{key!r}: {_show(element, levels - 1)}' for key, element in pairs)}}}"
    if levels and type(value) is list:
        return f"[{', '.join(_show(element, levels - 1) for element in cast('Any', value))}]"
    return "…" if isinstance(value, (dict, list)) else repr(value)


@model
class Unknown(Model):
    """An object whose ``type`` has no class here: kept whole, given back exactly."""

    type: str = ""
    """The wire string; empty if there was none."""
    raw: JSONValue = attrs.field(factory=dict[str, Any])
    """The object as it came (or, where an object was due, whatever came instead)."""
