"""Define the base of every model: construction, equality, repr, and ``extra`` for unknown wire fields.

A model is a list of fields. The codec reads these conventions from the class:

* ``type: ClassVar[Literal["..."]] = "..."``, and any other class attribute of that form, is a *constant*: on the wire
  the field always has this one string. ``@model(optional=("type",))`` names constants that the wire may omit.
* A trailing underscore is not part of the wire name: ``async_`` is the key ``async``.
* ``x: T`` is required by every specification that defines the class; ``x: T | Unset = UNSET`` may be absent;
  ``T | None`` may be null.
* An enumeration is ``Literal[...] | str``. It is open, because servers add values.
* The members of a union of models are distinguished by ``type``. Its last member is an *unknown* class, which keeps the
  object raw.

All other wire fields are kept in ``extra``, so that dumping a model returns exactly what was loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, cast, dataclass_transform, overload

import attrs

from ..typing import UNSET, JSONValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    # mypy types `attrs.evolve` only for classes with attrs' own decorator, on the class itself or on a base.
    from attrs import define as _attrs_define_for_mypy
else:

    def _attrs_define_for_mypy(**_options: object) -> Callable[[_T], _T]:
        return lambda cls: cls


__all__ = ["EMPTY", "Elsewhere", "Extra", "Model", "Unknown", "model", "secret"]

_T = TypeVar("_T", bound=type)

_MAX_REPR_CHARS = 200  # of one string in a repr, because an image in Base64 would hide everything else
_MAX_REPR_LEVELS = 16  # of nested JSON


class Extra(dict[str, Any]):
    """The wire fields of an object that its model does not hold. Read-only; the empty instance is shared.

    The keys are wire names: of unknown fields, and of known fields whose value did not match their type. Such a field's
    attribute has the neutral value of its type (0, an empty list, ...), and ``extra`` has the raw value. ``absent`` names the
    required fields that the wire omitted; their attributes are neutral too.

    Both apply to a field only while its attribute has the neutral value, so a value set by assignment or ``attrs.evolve``
    takes precedence when the model is dumped.
    """

    __slots__ = ("absent", "origin")
    absent: frozenset[str]
    origin: object
    """The JSON text of the object, if the client kept it. Not part of the value: not compared, and not pickled."""

    def __init__(
        self, items: Iterable[tuple[str, object]] | Mapping[str, object] = (), absent: Iterable[str] = ()
    ) -> None:
        super().__init__(items)
        self.absent = frozenset(absent)
        self.origin = None

    @classmethod
    def with_origin(cls, extra: Mapping[str, object], origin: object) -> Extra:
        """Return a copy of ``extra`` with this :attr:`origin`."""
        copy = cls(extra, extra.absent if isinstance(extra, Extra) else ())
        copy.origin = origin
        return copy

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Extra):
            return self.absent == other.absent and super().__eq__(other)
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__: ClassVar[None] = None  # its values may be lists and dicts

    def __repr__(self) -> str:
        absent = f", absent={sorted(self.absent)}" if self.absent else ""
        return f"{dict(self)!r}{absent}"

    def __reduce__(self) -> tuple[object, ...]:
        return _extra, (dict(self), tuple(sorted(self.absent)))

    def _read_only(self, *_: object, **__: object) -> NoReturn:
        message = "extra is read-only: pass extra={...} to the model or to attrs.evolve"
        raise TypeError(message)

    if not TYPE_CHECKING:  # pragma: no branch - type checkers see a read-only Mapping as the type of the field
        __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _read_only


def _extra(items: dict[str, object], absent: tuple[str, ...]) -> Extra:
    return Extra(items, absent) if items or absent else EMPTY


EMPTY = Extra()
"""The ``extra`` of every model without unknown fields; the codec compares with it by identity."""


def secret(**kwargs: Any) -> Any:
    """Declare a field with a secret value: it is sent, but no repr or finding shows it."""
    return attrs.field(repr=False, **kwargs)


@overload
def model(cls: _T, /) -> _T: ...
@overload
def model(*, optional: Iterable[str] = ()) -> Callable[[_T], _T]: ...
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(attrs.field, secret))
def model(cls: _T | None = None, /, *, optional: Iterable[str] = ()) -> _T | Callable[[_T], _T]:
    """Turn a class into a model (class decorator). ``optional`` names the constants that the wire may omit.

    Equality and repr are inherited from the base: generating them for each class would double the import time.
    """

    def decorate(cls: _T) -> _T:
        defined = attrs.define(cls, kw_only=True, eq=False, repr=False, order=False, weakref_slot=False)
        setattr(defined, "wire_optional", frozenset(optional))  # noqa: B010 - type checkers do not know it on every type
        return defined

    return decorate if cls is None else decorate(cls)


@model
@_attrs_define_for_mypy(kw_only=True, eq=False, repr=False)
class Model:
    """The base of every model: equality by class and fields, and a repr without absent fields.

    Models are not hashable, because their values can be lists and dicts. They are frozen for type checkers; at run time
    assignment is not prevented, because the check would add a third to the decoding time.
    """

    if TYPE_CHECKING:
        __attrs_attrs__: ClassVar[tuple[attrs.Attribute[Any], ...]]  # set by attrs
    wire_optional: ClassVar[frozenset[str]] = frozenset()
    """Constants that the wire may omit."""

    extra: Mapping[str, JSONValue] = EMPTY
    """Wire fields that this class does not know, or whose value does not match their type; see :class:`Extra`."""

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, a.name) == getattr(other, a.name) for a in self.__attrs_attrs__)

    __hash__: ClassVar[None] = None  # type: ignore[assignment] # fields hold lists and dicts

    def __copy__(self) -> Self:
        # Far cheaper than the default of `copy.copy`, which uses pickling; the engine copies parts and items when they end.
        copied = object.__new__(self.__class__)
        for a in self.__attrs_attrs__:
            setattr(copied, a.name, getattr(self, a.name))
        return copied

    def __repr__(self) -> str:
        parts: list[str] = []
        secrets: set[str] = set()
        for a in self.__attrs_attrs__:
            value = getattr(self, a.name)
            if not a.repr:
                secrets.add(a.name.removesuffix("_"))
            if value is UNSET or a.name == "extra":
                continue
            parts.append(f"{a.name}={_short_repr(value) if a.repr else '***'}")
        absent = self.extra.absent if isinstance(self.extra, Extra) else None
        if self.extra or absent:
            unknown = {wire: "***" if wire in secrets else value for wire, value in self.extra.items()}
            parts.append(f"extra={_short_repr(unknown)}" + (f", absent={sorted(absent)}" if absent else ""))
        return f"{type(self).__name__}({', '.join(parts)})"


class Elsewhere:
    """An attribute name from other libraries. Accessing it raises an ``AttributeError`` that names the replacement.

    It is a descriptor, because ``__getattr__`` would make every attribute access slower.
    """

    __slots__ = ("_name", "_use")

    def __init__(self, name: str, use: str) -> None:
        self._name = name
        self._use = use

    def __get__(self, instance: object, owner: type) -> NoReturn:
        message = f"{owner.__name__!r} has no attribute {self._name!r}: use {self._use}"
        raise AttributeError(message, name=self._name, obj=owner if instance is None else instance)


_FUNCTIONS = {
    "responses_proto.codec.dump(model)": ("model_dump", "to_dict", "dict", "asdict"),
    "responses_proto.codec.dumps(model)": ("model_dump_json", "to_json", "json"),
    "responses_proto.codec.load(value, cls)": ("model_validate", "from_dict", "parse_obj"),
    "responses_proto.codec.loads(text, cls)": ("model_validate_json", "from_json", "parse_raw"),
    "responses_proto.schema.json_schema(cls)": ("model_json_schema",),
}
for _use, _names in _FUNCTIONS.items():
    for _name in _names:
        setattr(Model, _name, Elsewhere(_name, _use))


def _short_repr(value: Any, levels: int = _MAX_REPR_LEVELS) -> str:
    if isinstance(value, str) and len(value) > _MAX_REPR_CHARS:
        return f"{value[:_MAX_REPR_CHARS]!r}…(+{len(value) - _MAX_REPR_CHARS})"
    if levels and isinstance(value, dict):
        pairs = cast("Any", value).items()
        return f"{{{', '.join(f'{key!r}: {_short_repr(element, levels - 1)}' for key, element in pairs)}}}"
    if levels and type(value) is list:
        return f"[{', '.join(_short_repr(element, levels - 1) for element in cast('Any', value))}]"
    return "…" if isinstance(value, (dict, list)) else repr(value)


@model
class Unknown(Model):
    """An object whose ``type`` has no class. It is kept raw and dumped unchanged."""

    type: str = ""
    """The wire string; empty if the object has none."""
    raw: JSONValue = attrs.field(factory=dict[str, Any])
    """The object as received, or the JSON value received in place of an object."""
