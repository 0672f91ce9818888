"""Models to JSON values: one generated function per class, and one walk for everything else.

Where a model may stand, a raw wire value may stand too, and is passed on as it is. What comes out is plain JSON (dict,
list, str, int, float, bool, None), or ``EncodeError`` says where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from ..exceptions import EncodeError
from ..models._base import EMPTY, Extra, Model, Unknown
from ..typing import UNSET
from ._specs import ModelSpec, model_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Dumpers"]


class Dumpers:
    """The dumpers of one converter, made when first met."""

    def __init__(self) -> None:
        # type -> how its instances become JSON. Everything that is not here is looked at by `_other`, once per value.
        self._by_type: dict[type, Callable[[Any], Any]] = {
            **dict.fromkeys((str, int, bool, type(None)), _same),
            float: _finite,
            list: self._list,
            tuple: self._list,
            dict: self._dict,
            Extra: self._dict,
        }
        self._get = self._by_type.get

    def dump(self, value: object) -> Any:
        """Give the JSON value of a model, of a raw wire value, or of a list or dict of both. Raises ``_NotJSON``."""
        dumper = self._get(type(value))
        return dumper(value) if dumper is not None else self._other(value)

    def _list(self, value: list[object]) -> list[Any]:
        dumped: list[Any] = []
        get = self._get
        for index, element in enumerate(value):
            # As `dump`, without its call: the walk needs one frame of the stack for a level of nesting, not two.
            dumper = get(type(element))
            try:
                dumped.append(dumper(element) if dumper is not None else self._other(element))
            except _NotJSON as error:
                raise error.under(f"[{index}]") from None
        return dumped

    def _dict(self, value: Mapping[object, object]) -> dict[str, Any]:
        dumped: dict[str, Any] = {}
        get = self._get
        for key, element in value.items():
            if not isinstance(key, str):
                raise _NotJSON(f"a key of a JSON object is a string, not {type(key).__name__}")
            dumper = get(type(element))
            try:
                dumped[str.__str__(key)] = dumper(element) if dumper is not None else self._other(element)
            except _NotJSON as error:
                raise error.under(f".{key}") from None
        return dumped

    def _other(self, value: object) -> Any:
        cls = type(value)
        if issubclass(cls, Unknown):
            self._by_type[cls] = lambda unknown: self.dump(unknown.raw)
        elif issubclass(cls, Model):
            self._by_type[cls] = self._generate(model_spec(cls))
        else:
            return self._foreign(value)
        return self._by_type[cls](value)

    def _foreign(self, value: object) -> Any:
        name = type(value).__name__
        # Subclasses (a StrEnum, an IntEnum, a defaultdict) are written as what they are kinds of.
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return _finite(float(value))
        if isinstance(value, Mapping):
            return self._dict(cast("Mapping[object, object]", value))
        if isinstance(value, Sequence) and not isinstance(value, _BINARY):
            return self._list(list(cast("Sequence[object]", value)))
        if value is UNSET:
            raise _NotJSON("UNSET means absent: it can be the value of a field, not a JSON value")
        raise _NotJSON(f"{name} is not a JSON type")

    def _generate(self, plan: ModelSpec) -> Callable[[Any], dict[str, Any]]:
        names: dict[str, Any] = {"UNSET": UNSET, "EMPTY": EMPTY, "dump": self.dump, "overlay": self._overlay(plan)}
        constants = ", ".join(f"{wire!r}: {text!r}" for wire, text in plan.constants.items())
        lines = ["def dumper(e):", f"    d = {{{constants}}}"]
        for field in plan.fields:
            indent = "    "
            lines += [f"{indent}v = e.{field.name}"]
            if field.shape.unset:
                lines += [f"{indent}if v is not UNSET:"]
                indent += "    "
            # The commonest types need no call; anything else, of whatever type, goes through the walk.
            fast = [kind.__name__ for kind in (str, int, bool) if kind in field.shape.scalars]
            test = " or ".join(f"type(v) is {name}" for name in fast)
            value = f"v if {test} else walk(v, {field.wire!r})" if fast else f"walk(v, {field.wire!r})"
            lines += [f"{indent}d[{field.wire!r}] = {value}"]
        lines += ["    if e.extra is not EMPTY:", "        overlay(d, e)", "    return d"]
        names["walk"] = self._walk
        exec(compile("\n".join(lines), f"<dumper of {plan.cls.__name__}>", "exec"), names)  # noqa: S102 - built from field names only
        dumper: Callable[[Any], dict[str, Any]] = names["dumper"]
        return dumper

    def _walk(self, value: Any, wire: str) -> Any:
        try:
            return self.dump(value)
        except _NotJSON as error:
            raise error.under(f".{wire}") from None

    def _overlay(self, plan: ModelSpec) -> Callable[[dict[str, Any], Any], None]:
        by_wire = plan.by_wire

        def neutral(e: Any, wire: str) -> bool:
            field = by_wire.get(wire)
            return field is None or bool(getattr(e, field.name) == field.shape.neutral())

        def overlay(d: dict[str, Any], e: Any) -> None:
            extra = e.extra
            for wire in extra.absent if isinstance(extra, Extra) else ():
                if neutral(e, wire):
                    d.pop(wire, None)
            for wire, value in extra.items():
                if neutral(e, wire):
                    d[wire] = self._walk(value, wire)

        return overlay


class _NotJSON(Exception):  # noqa: N818 - never leaves this package: `Converter.dump` makes an EncodeError of it
    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.reason = reason
        self.path = path

    def under(self, step: str) -> _NotJSON:
        return _NotJSON(self.reason, step + self.path)

    def public(self) -> EncodeError:
        return EncodeError(f"{self.reason} @ ${self.path}")


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise _NotJSON(f"{value} is not JSON")
    return value


def dump_or_raise(dumpers: Dumpers, value: Any) -> Any:
    """Dump, with errors of the public tree."""
    try:
        return dumpers.dump(value)
    except _NotJSON as error:
        raise error.public() from None
    except RecursionError as error:
        cycle = _find_cycle(value)
        raise EncodeError("nested too deep" if cycle is None else f"contains itself @ ${cycle}") from error


def _find_cycle(value: object) -> str | None:
    """Give the path of the first place where a value contains itself. Without recursion, since that is used up."""
    around = {id(value)}
    steps: list[str] = []
    levels: list[tuple[int, Iterator[tuple[str, object]]]] = [(id(value), iter(_children(value)))]
    while levels:
        inside, children = levels[-1]
        step, child = next(children, ("", _NO_MORE))
        if child is _NO_MORE:
            around.discard(inside)
            levels.pop()
            del steps[-1:]
        elif id(child) in around:
            return "".join([*steps, step])
        elif isinstance(child, _NESTING):
            around.add(id(child))
            steps.append(step)
            levels.append((id(child), iter(_children(child))))
    return None


def _children(value: object) -> Iterable[tuple[str, object]]:
    if isinstance(value, Unknown):
        return _children(value.raw)
    if isinstance(value, Model):
        fields = [(f".{field.wire}", getattr(value, field.name)) for field in model_spec(type(value)).fields]
        return [*fields, *_children(value.extra)]
    if isinstance(value, Mapping):
        return [(f".{key}", element) for key, element in cast("Mapping[object, object]", value).items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{index}]", element) for index, element in enumerate(cast("Sequence[object]", value))]
    return []


_NO_MORE = object()
_BINARY: Final[tuple[type, ...]] = (bytes, bytearray, memoryview)
_NESTING: Final[tuple[type, ...]] = (Model, Mapping, list, tuple)
