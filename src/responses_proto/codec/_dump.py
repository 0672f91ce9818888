"""Models to JSON values: one generated function per class, and one walk for everything else.

Where a model may stand, a raw wire value may stand too, and is passed on as it is. What comes out is plain JSON (dict,
list, str, int, float, bool, None), or ``EncodeError`` says where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..exceptions import EncodeError
from ..models._base import EMPTY, Extra, Model, Unknown
from ..typing import UNSET
from ._shapes import Plan, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

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

    def dump(self, value: Any) -> Any:
        """Give the JSON value of a model, of a raw wire value, or of a list or dict of both. Raises ``EncodeError``."""
        dumper = self._get(type(value))
        return dumper(value) if dumper is not None else self._other(value)

    def _list(self, value: list[Any]) -> list[Any]:
        dumped: list[Any] = []
        for index, element in enumerate(value):
            try:
                dumped.append(self.dump(element))
            except _NotJSON as error:
                raise error.under(f"[{index}]") from None
        return dumped

    def _dict(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        dumped: dict[str, Any] = {}
        for key, element in value.items():
            if not isinstance(key, str):
                raise _NotJSON(f"a key of a JSON object is a string, not {type(key).__name__}")
            try:
                dumped[key] = self.dump(element)
            except _NotJSON as error:
                raise error.under(f".{key}") from None
        return dumped

    def _other(self, value: Any) -> Any:
        cls: type[Any] = type(value)
        if issubclass(cls, Unknown):
            self._by_type[cls] = lambda unknown: self.dump(unknown.raw)
        elif issubclass(cls, Model):
            self._by_type[cls] = self._generate(plan_of(cls))
        else:
            return self._foreign(value)
        return self._by_type[cls](value)

    def _foreign(self, value: Any) -> Any:
        # Subclasses (a StrEnum, an IntEnum, a defaultdict) are written as what they are kinds of.
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return _finite(float(value))
        if isinstance(value, Mapping):
            return self._dict(value)  # type: ignore[arg-type,unused-ignore] # isinstance cannot know the type arguments
        if isinstance(value, (list, tuple)):
            return self._list(list(value))  # type: ignore[arg-type,unused-ignore] # as above
        if value is UNSET:
            raise _NotJSON("UNSET means absent: it can be the value of a field, not a JSON value")
        raise _NotJSON(f"{type(value).__name__} is not a JSON type")

    def _generate(self, plan: Plan) -> Callable[[Any], dict[str, Any]]:
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

    def _overlay(self, plan: Plan) -> Callable[[dict[str, Any], Any], None]:
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
        raise EncodeError("nested too deep, or contains itself") from error
