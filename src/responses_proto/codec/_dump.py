"""Dump models to JSON values, with one generated function per class.

A raw wire value is accepted wherever a model is, and is copied. The result is plain JSON (dict, list, str, int, float, bool,
None). The generated functions check the type of strings, integers and booleans inline, and call the :class:`Dumper` for every
other value; see :mod:`._load` for why code is generated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from ..exceptions import EncodeError
from ..models._base import EMPTY, Extra, Model, Unknown
from ..typing import UNSET
from ._codegen import compile_function
from ._specs import ModelSpec, model_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Dumper:
    """Dumps models and raw values. The function of a class is generated when an instance first occurs."""

    def __init__(self) -> None:
        # Type -> function that dumps its instances. `_dump_other` handles types that are not here.
        self._by_type: dict[type, Callable[[Any], Any]] = {
            **dict.fromkeys((str, int, bool, type(None)), _as_is),
            float: _finite_float,
            list: self._dump_list,
            tuple: self._dump_list,
            dict: self._dump_dict,
            Extra: self._dump_dict,
        }
        self._get = self._by_type.get

    def dump(self, value: object) -> Any:
        """Return the JSON value of a model, a raw wire value, or a list or dict of these. Raises ``EncodeError``."""
        try:
            return self._dump(value)
        except _NotJSONError as error:
            raise EncodeError(f"{error.reason} @ ${error.path}") from None
        except RecursionError as error:
            cycle = _find_cycle(value)
            raise EncodeError("nested too deep" if cycle is None else f"contains itself @ ${cycle}") from error

    def _dump(self, value: object) -> Any:
        dump = self._get(type(value))
        return dump(value) if dump is not None else self._dump_other(value)

    def _dump_list(self, value: list[object]) -> list[Any]:
        dumped: list[Any] = []
        get = self._get
        for index, element in enumerate(value):
            # Like `_dump`, but inline, so that each level of nesting takes one stack frame, not two.
            dump = get(type(element))
            try:
                dumped.append(dump(element) if dump is not None else self._dump_other(element))
            except _NotJSONError as error:
                raise error.below(f"[{index}]") from None
        return dumped

    def _dump_dict(self, value: Mapping[object, object]) -> dict[str, Any]:
        dumped: dict[str, Any] = {}
        get = self._get
        for key, element in value.items():
            if not isinstance(key, str):
                raise _NotJSONError(f"keys of a JSON object must be strings, got {type(key).__name__}")
            dump = get(type(element))
            try:
                dumped[str.__str__(key)] = dump(element) if dump is not None else self._dump_other(element)
            except _NotJSONError as error:
                raise error.below(f".{key}") from None
        return dumped

    def _dump_other(self, value: object) -> Any:
        cls = type(value)
        if issubclass(cls, Unknown):
            self._by_type[cls] = lambda unknown: self._dump(unknown.raw)
        elif issubclass(cls, Model):
            self._by_type[cls] = self._generate(model_spec(cls))
        else:
            return self._dump_non_model(value)
        return self._by_type[cls](value)

    def _dump_non_model(self, value: object) -> Any:
        name = type(value).__name__
        # Instances of subclasses (StrEnum, IntEnum, defaultdict) are dumped as values of their base.
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return _finite_float(float(value))
        if isinstance(value, Mapping):
            return self._dump_dict(cast("Mapping[object, object]", value))
        if isinstance(value, Sequence) and not isinstance(value, _BINARY):
            return self._dump_list(list(cast("Sequence[object]", value)))
        if value is UNSET:
            raise _NotJSONError("UNSET means absent: only an optional field can have it")
        raise _NotJSONError(f"{name} is not a JSON type")

    def _generate(self, spec: ModelSpec) -> Callable[[Any], dict[str, Any]]:
        namespace: dict[str, Any] = {
            "UNSET": UNSET,
            "EMPTY": EMPTY,
            "apply_extra": self._extra_applier(spec),
            "dump_field": self._dump_field,
        }
        constants = ", ".join(f"{wire!r}: {text!r}" for wire, text in spec.constants.items())
        lines = ["def dump(instance):", f"    data = {{{constants}}}"]
        for field in spec.fields:
            indent = "    "
            lines += [f"{indent}value = instance.{field.name}"]
            if field.shape.unset:
                lines += [f"{indent}if value is not UNSET:"]
                indent += "    "
            # The most common types are copied inline.
            inline = [kind.__name__ for kind in (str, int, bool) if kind in field.shape.scalars]
            test = " or ".join(f"type(value) is {name}" for name in inline)
            dumped = f"dump_field(value, {field.wire!r})"
            lines += [f"{indent}data[{field.wire!r}] = {f'value if {test} else {dumped}' if inline else dumped}"]
        lines += ["    if instance.extra is not EMPTY:", "        apply_extra(data, instance)", "    return data"]
        dump: Callable[[Any], dict[str, Any]] = compile_function(
            "dump", lines, namespace, label=f"dumper of {spec.cls.__name__}"
        )
        return dump

    def _dump_field(self, value: Any, wire: str) -> Any:
        try:
            return self._dump(value)
        except _NotJSONError as error:
            raise error.below(f".{wire}") from None

    def _extra_applier(self, spec: ModelSpec) -> Callable[[dict[str, Any], Any], None]:
        """Return the function that adds ``extra`` to the JSON object of an instance, and removes the absent fields."""
        by_wire = spec.by_wire

        def is_neutral(instance: Any, wire: str) -> bool:
            field = by_wire.get(wire)
            return field is None or bool(getattr(instance, field.name) == field.shape.neutral())

        def apply_extra(data: dict[str, Any], instance: Any) -> None:
            extra = instance.extra
            for wire in extra.absent if isinstance(extra, Extra) else ():
                if is_neutral(instance, wire):
                    data.pop(wire, None)
            for wire, value in extra.items():
                if is_neutral(instance, wire):
                    data[wire] = self._dump_field(value, wire)

        return apply_extra


class _NotJSONError(Exception):
    """A value is not JSON. ``path`` is relative to the value that is being dumped; :meth:`Dumper.dump` makes it public."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.reason = reason
        self.path = path

    def below(self, step: str) -> _NotJSONError:
        return _NotJSONError(self.reason, step + self.path)


def _as_is(value: Any) -> Any:
    return value


def _finite_float(value: float) -> float:
    if not math.isfinite(value):
        raise _NotJSONError(f"{value} is not JSON")
    return value


def _find_cycle(value: object) -> str | None:
    """Return the path where a value first contains itself; ``None`` if it does not. Iterative, because the stack is full."""
    ancestors = {id(value)}
    steps: list[str] = []
    levels: list[tuple[int, Iterator[tuple[str, object]]]] = [(id(value), iter(_children(value)))]
    while levels:
        parent, children = levels[-1]
        step, child = next(children, ("", _EXHAUSTED))
        if child is _EXHAUSTED:
            ancestors.discard(parent)
            levels.pop()
            del steps[-1:]
        elif id(child) in ancestors:
            return "".join([*steps, step])
        elif isinstance(child, _CONTAINERS):
            ancestors.add(id(child))
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


_EXHAUSTED = object()
_BINARY: Final[tuple[type, ...]] = (bytes, bytearray, memoryview)
_CONTAINERS: Final[tuple[type, ...]] = (Model, Mapping, list, tuple)
