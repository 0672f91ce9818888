"""JSON values to models: one generated function per class.

A loader is ``load(value, found) -> instance``. ``found`` is a list that findings are appended to, with paths relative to
the value; the caller puts its own part of the path in front of what a nested loader appended. Nothing here raises for a
JSON object: strict mode is "a finding is an error", decided by the caller.

The generated function is the straight road: it reads the scalars of a class with plain subscripts and type tests,
and at the first one that is missing or does not fit it hands over to :func:`_load_odd`, which goes field by field
and says what is wrong. Nested values are decoded after that decision and once only, so that the time stays linear
however deep a hostile payload nests its errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from ..models._base import EMPTY, Extra, Model, Unknown
from ..typing import UNSET
from ._specs import ModelSpec, ValueSpec, model_spec, tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["TYPE_MISMATCH", "DecodeFinding", "Loader", "Loaders"]


class _TypeMismatch:
    """What a loader returns for a value of the wrong JSON kind. No JSON value is it."""


class _Secret:
    """Stands in a finding for a value that must not be shown."""

    def __repr__(self) -> str:
        return "***"


TYPE_MISMATCH: Final = _TypeMismatch()
_MISSING: Final = object()
_SECRET: Final = _Secret()


@attrs.define
class DecodeFinding:
    """A deviation, on its way up to the value that was loaded."""

    code: str
    path: str
    type_name: str
    value: Any

    @property
    def detail(self) -> str:
        """The finding in words."""
        match self.code:
            case "missing-field":
                return f"{self.type_name} requires it"
            case "wrong-constant":
                return f"{self.type_name} does not have {self.excerpt} here"
            case _:
                return f"{self.type_name} cannot hold {self.excerpt}"

    @property
    def excerpt(self) -> str:
        """The offending value, cut short."""
        text = "" if self.value is _MISSING else repr(self.value)
        return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"


_EXCERPT: Final = 80

Loader: TypeAlias = "Callable[[Any, list[DecodeFinding]], Any]"


def _lift(found: list[DecodeFinding], since: int, step: str) -> None:
    """Put one step in front of the paths of the findings that a nested loader added."""
    for finding in found[since:]:
        finding.path = step + finding.path


class Loaders:
    """The loaders of one converter, made when first asked for."""

    def __init__(self) -> None:
        self._models: dict[type[Model], Loader] = {}
        self._shapes: dict[ValueSpec, Loader] = {}
        self._tables: dict[ValueSpec, _Table] = {}
        self._registered: dict[type[Unknown], dict[str, type[Model]]] = {}

    def register(self, unknown: type[Unknown], tag: str, cls: type[Model]) -> None:
        """Let ``tag`` be decoded as ``cls`` wherever the open union of ``unknown`` is due."""
        self._registered.setdefault(unknown, {})[tag] = cls
        self._models.clear()
        self._shapes.clear()

    def of_model(self, cls: type[Model]) -> Loader:
        """Give the loader of a class; it takes a JSON object."""
        loader = self._models.get(cls)
        if loader is None:
            # Registered before it is made: a class may contain itself, and then finds this stand-in.
            self._models[cls] = lambda value, found: self._models[cls](value, found)  # noqa: PLW0108 - looked up when called
            loader = self._models[cls] = self._generate(model_spec(cls))
        return loader

    def of_tags(self, shape: ValueSpec) -> Mapping[str, Loader]:
        """Give the loaders of an open union by wire string, for a loop that looks at the tag itself."""
        self.of_shape(shape)
        return self._tables[shape]

    def of_shape(self, shape: ValueSpec) -> Loader:
        """Give the loader of a shape; it takes any JSON value and returns ``TYPE_MISMATCH`` for one of the wrong kind."""
        loader = self._shapes.get(shape)
        if loader is None:
            self._shapes[shape] = lambda value, found: self._shapes[shape](value, found)  # noqa: PLW0108 - looked up when called
            loader = self._shapes[shape] = self._kinds(shape)
        return loader

    # Shapes

    def _kinds(self, shape: ValueSpec) -> Loader:
        if shape.anything:
            return lambda value, _found: value
        kinds: dict[type, Loader] = dict.fromkeys(shape.scalars, _keep)
        if shape.null:
            kinds[type(None)] = _keep
        if shape.items is not None:
            kinds[list] = self._list(shape.items)
        if shape.models or shape.unknown:
            kinds[dict] = self._object(shape)
        elif shape.values is not None:
            kinds[dict] = self._map(shape.values)
        get = kinds.get

        def load(value: object, found: list[DecodeFinding]) -> Any:
            return get(type(value), _misfit)(value, found)

        return load

    def _list(self, items: ValueSpec) -> Loader:
        if items.anything:
            return lambda value, _found: list(value)
        load_item = self.of_shape(items)
        unknown = items.unknown

        def load(value: list[Any], found: list[DecodeFinding]) -> Any:
            loaded: list[Any] = []
            for index, element in enumerate(value):
                before = len(found)
                item = load_item(element, found)
                if len(found) != before:
                    _lift(found, before, f"[{index}]")
                if item is TYPE_MISMATCH:
                    if unknown is None:
                        return TYPE_MISMATCH
                    found.append(DecodeFinding("not-an-object", f"[{index}]", unknown.__name__, element))
                    item = unknown(raw=element)  # an open union keeps what it does not know, one element at a time
                loaded.append(item)
            return loaded

        return load

    def _map(self, values: ValueSpec) -> Loader:
        if values.anything:
            return _keep
        load_value = self.of_shape(values)

        def load(value: dict[str, Any], found: list[DecodeFinding]) -> Any:
            loaded: dict[str, Any] = {}
            for key, element in value.items():
                before = len(found)
                item = load_value(element, found)
                if len(found) != before:
                    _lift(found, before, f".{key}")
                if item is TYPE_MISMATCH:
                    return TYPE_MISMATCH
                loaded[key] = item
            return loaded

        return load

    def _object(self, shape: ValueSpec) -> Loader:
        tags = {tag: cls for cls in shape.models if (tag := tag_of(cls)) is not None}
        bare = [cls for cls in shape.models if tag_of(cls) is None]
        if len(bare) > 1 or len(tags) + len(bare) < len(shape.models):
            message = (
                f"objects without a type of their own cannot be told apart: {[cls.__name__ for cls in shape.models]}"
            )
            raise TypeError(message)
        if shape.unknown is not None:
            tags.update(self._registered.get(shape.unknown, {}))
        if not tags and bare:
            return self.of_model(bare[0])
        if shape.unknown is None and not bare and len(tags) == 1:
            return self.of_model(next(iter(tags.values())))  # one arm: a wrong type is its finding
        table = self._tables[shape] = _Table(tags, self)
        untyped = [
            (cls, {field.wire for field in model_spec(cls).fields if field.required})
            for cls in shape.models
            if "type" in cls.wire_optional
        ]
        fallback = self.of_model(bare[0]) if bare else _unknown_loader(shape.unknown) if shape.unknown else _misfit
        of_model = self.of_model

        def load(value: dict[str, Any], found: list[DecodeFinding]) -> Any:
            tag = value.get("type")
            if type(tag) is str:
                return table.get(tag, fallback)(value, found)
            if tag is None:
                for cls, required in untyped:
                    if required <= value.keys():
                        return of_model(cls)(value, found)
            return fallback(value, found)

        return load

    # Models

    def _generate(self, plan: ModelSpec) -> Loader:
        names: dict[str, Any] = {
            "new": object.__new__, "cls": plan.cls, "UNSET": UNSET, "EMPTY": EMPTY, "MISSING": _MISSING, "MISFIT": TYPE_MISMATCH,
            "Extra": Extra, "lift": _lift, "odd": self._odd(plan), "misfit": _note_misfit, "known": _known(plan),
        }  # fmt: skip
        required = [field for field in plan.fields if field.required]
        optional = [field for field in plan.fields if not field.required]
        local = {field.name: f"v{index}" for index, field in enumerate(plan.fields)}
        simple = {field.name: test for field in plan.fields if (test := _test(field.shape, local[field.name]))}
        lines = ["def load(o, found):", "    try:"]
        lines += [f"        {local[field.name]} = o[{field.wire!r}]" for field in required]
        tests = [simple[field.name] for field in required if field.name in simple]
        tests += [f"o[{wire!r}] == {text!r}" for wire, text in plan.constants.items()]
        lines += [
            f"        if not ({' and '.join(tests)}):" if tests else "        if False:",
            "            return odd(o, found)",
        ]
        lines += ["    except KeyError:", "        return odd(o, found)"]
        sure = len(required) + len(plan.constants)
        lines += [f"    n = {sure}"]
        if optional:
            lines += [f"    if len(o) == {sure}:"]
            lines += ["        " + " = ".join(local[field.name] for field in optional) + " = UNSET"]
            lines += ["    else:", "        get = o.get"]
            for field in optional:
                v = local[field.name]
                lines += [
                    f"        {v} = get({field.wire!r}, MISSING)",
                    f"        if {v} is MISSING:",
                    f"            {v} = UNSET",
                ]
                if field.name in simple:
                    lines += [f"        elif {simple[field.name]}:", "            n += 1"]
                    lines += ["        else:", "            return odd(o, found)"]
                else:
                    lines += ["        else:", "            n += 1"]
        lines += ["    e = new(cls)", "    bad = None"]
        for field in plan.fields:
            v = local[field.name]
            if field.name in simple:
                lines += [f"    e.{field.name} = {v}"]
                continue
            names[f"load_{v}"] = self._first(names, f"load_{v}", field.shape)
            names[f"neutral_{v}"] = field.shape.neutral
            indent, word = "    ", "if"
            if not field.required:
                lines += [f"    if {v} is UNSET:", f"        e.{field.name} = UNSET"]
                word = "elif"
            if field.shape.items is not None:
                # An empty list is by far the commonest list of an event.
                lines += [f"    {word} type({v}) is list and not {v}:", f"        e.{field.name} = []"]
                word = "elif"
            if word == "elif":
                lines += ["    else:"]
                indent = "        "
            lines += [
                f"{indent}m = len(found)",
                f"{indent}x = load_{v}({v}, found)",
                f"{indent}if len(found) != m:",
                f"{indent}    lift(found, m, {'.' + field.wire!r})",
                f"{indent}if x is MISFIT:",
                f"{indent}    bad = misfit(bad, found, cls, {field.wire!r}, {v})",
                f"{indent}    x = neutral_{v}()",
                f"{indent}e.{field.name} = x",
            ]
        lines += ["    if n == len(o) and bad is None:", "        e.extra = EMPTY"]
        lines += ["    else:", "        e.extra = beyond(o, bad, known)"]
        lines += ["    return e"]
        names["beyond"] = _beyond
        exec(compile("\n".join(lines), f"<loader of {plan.cls.__name__}>", "exec"), names)  # noqa: S102 - built from field names only
        load: Loader = names["load"]
        return load

    def _first(self, names: dict[str, Any], name: str, shape: ValueSpec) -> Loader:
        """Make a loader that makes the real one when it is first called, and puts that into the names of a generated function.

        So a first event costs what is in it, not all that could be.
        """

        def load(value: Any, found: list[DecodeFinding]) -> Any:
            loader = names[name] = self.of_shape(shape)
            return loader(value, found)

        return load

    def _odd(self, plan: ModelSpec) -> Loader:
        """Make the loader for an object that deviates: slower, and it says what is wrong."""
        known = _known(plan)

        def load(o: dict[str, Any], found: list[DecodeFinding]) -> Model:
            cls = plan.cls
            bad: dict[str, Any] = {}
            absent: list[str] = []
            for wire, text in plan.constants.items():
                value = o.get(wire, _MISSING)
                if value == text:
                    continue
                if value is _MISSING:
                    absent.append(wire)
                else:
                    bad[wire] = value
                if wire not in cls.wire_optional or (value is not _MISSING and value is not None):
                    code = "missing-field" if value is _MISSING else "wrong-constant"
                    found.append(DecodeFinding(code, f".{wire}", cls.__name__, value))
            e = object.__new__(cls)
            for field in plan.fields:
                value = o.get(field.wire, _MISSING)
                if value is _MISSING:
                    if field.required:
                        absent.append(field.wire)
                        found.append(DecodeFinding("missing-field", f".{field.wire}", cls.__name__, value))
                    loaded = field.shape.neutral() if field.required else UNSET
                else:
                    before = len(found)
                    loaded = self.of_shape(field.shape)(value, found)
                    _lift(found, before, f".{field.wire}")
                    if loaded is TYPE_MISMATCH:
                        bad = _note_misfit(bad, found, cls, field.wire, value)
                        loaded = field.shape.neutral()
                setattr(e, field.name, loaded)
            beyond = {**bad, **{wire: value for wire, value in o.items() if wire not in known}}
            object.__setattr__(e, "extra", Extra(beyond, absent) if beyond or absent else EMPTY)  # frozen, by type
            return e

        return load


class _Table(dict[str, Loader]):
    """Tag -> loader, generated when the tag is first met."""

    def __init__(self, tags: dict[str, type[Model]], loaders: Loaders) -> None:
        super().__init__()
        for tag, cls in tags.items():
            self[tag] = self._first(tag, cls, loaders)

    def _first(self, tag: str, cls: type[Model], loaders: Loaders) -> Loader:
        def load(value: Any, found: list[DecodeFinding]) -> Any:
            loader = self[tag] = loaders.of_model(cls)
            return loader(value, found)

        return load


def _keep(value: Any, _found: list[DecodeFinding]) -> Any:
    return value


def _misfit(_value: Any, _found: list[DecodeFinding]) -> Any:
    return TYPE_MISMATCH


def _known(plan: ModelSpec) -> frozenset[str]:
    return frozenset([*plan.constants, *plan.by_wire])


def _note_misfit(
    bad: dict[str, Any] | None, found: list[DecodeFinding], cls: type[Model], wire: str, value: Any
) -> dict[str, Any]:
    bad = {} if bad is None else bad
    bad[wire] = value
    shown = _SECRET if model_spec(cls).by_wire[wire].secret else value
    found.append(DecodeFinding("wrong-type", f".{wire}", cls.__name__, shown))
    return bad


def _beyond(o: dict[str, Any], bad: dict[str, Any] | None, known: frozenset[str]) -> Extra:
    beyond = {wire: value for wire, value in o.items() if wire not in known}
    return Extra({**bad, **beyond} if bad else beyond)


def _unknown_loader(cls: type[Unknown]) -> Loader:
    def load(value: Any, _found: list[DecodeFinding]) -> Any:
        tag = value.get("type")
        return cls(type=tag if isinstance(tag, str) else "", raw=value)

    return load


def _test(shape: ValueSpec, v: str) -> str | None:
    """Give the expression that tests a plain shape, or ``None`` for a shape that has to be decoded."""
    if not shape.plain:
        return None
    tests = [f"type({v}) is {kind.__name__}" for kind in (str, int, float, bool) if kind in shape.scalars]
    tests += [f"{v} is None"] if shape.null else []
    return f"({' or '.join(tests)})"
