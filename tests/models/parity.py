"""The comparison behind the parity tests: does a model admit everything that a JSON schema says may come?

It walks a schema and our types together, from a root whose type is known. At each step the schema's object finds its
class the way the codec would: by the constant ``type``, else the arm whose ``type`` may be absent, else the bare class.
So where a definition lives follows from where it is used, and no table of names is needed. What does not fit is a gap:
``where`` it is on our side, ``what`` is missing, and which definitions say so.
"""

from __future__ import annotations

import inspect
import keyword
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, Union, cast

import attrs

from responses_proto.models._base import Model, Unknown
from responses_proto.typing import Unset

Schema: TypeAlias = Mapping[str, Any]
Arms: TypeAlias = tuple[object, ...]
"""A type of ours as the tuple of what it may be; ``None`` stands for null."""

_SCALARS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int, float),
    "number": (float,),
    "boolean": (bool,),
}

_HINTS: dict[type[Model], dict[str, Any]] = {}  # each class is resolved once


def arms_of(annotation: object) -> Arms:
    """Return the members of a union type, without :class:`Unset`."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return tuple(arm for part in typing.get_args(annotation) for arm in arms_of(part))
    if annotation is type(None):
        return (None,)
    return () if annotation is Unset else (annotation,)


def hints_of(cls: type[Model]) -> dict[str, Any]:
    """Resolve the annotations of a model and its bases below :class:`Model`."""
    if cls not in _HINTS:
        hints: dict[str, Any] = {}
        for base in reversed(cls.__mro__[: cls.__mro__.index(Model)]):
            hints.update(inspect.get_annotations(base, eval_str=True))
        _HINTS[cls] = hints
    return _HINTS[cls]


def fields_of(cls: type[Model]) -> dict[str, tuple[Arms, bool]]:
    """Wire name -> its type and whether it is required, for each field of a model."""
    hints = hints_of(cls)
    return {
        _wire_name(a.name): (arms_of(hints[a.name]), a.default is attrs.NOTHING)
        for a in attrs.fields(cls)
        if a.name != "extra"
    }


def constants_of(cls: type[Model]) -> dict[str, str]:
    """Wire name -> value, for each constant of a model."""
    constants = [name for name, hint in hints_of(cls).items() if typing.get_origin(hint) is ClassVar]
    return {_wire_name(name): getattr(cls, name) for name in constants}


def _wire_name(name: str) -> str:
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name


class Comparison:
    """One walk over the definitions of one source. Call :meth:`root` for each root, then read :attr:`gaps`."""

    def __init__(self) -> None:
        self.gaps: dict[tuple[str, str], set[str]] = {}
        """(where, what) -> the definitions that say so."""
        self.homes: dict[str, set[str]] = {}
        """Object definition -> names of our classes that it was compared with."""
        self._definitions: Mapping[str, Schema] = {}
        self._seen: set[tuple[type[Model], int]] = set()
        self._made: dict[tuple[int, str], Schema] = {}
        self._alive: list[object] = []  # what `_seen` and `_made` know by its id

    def root(self, name: str, schema: Schema, ours: object, definitions: Mapping[str, Schema]) -> None:
        """Compare a whole definition with a type of ours."""
        self._definitions = definitions
        self._alive += [schema, definitions]
        self._compare(arms_of(ours), schema, name, name)

    # -- the schema's side

    def _arms(self, schema: Schema, definition: str) -> list[tuple[str, Schema]]:
        """Split a schema into simple ones, each with the name of its definition."""
        if "$ref" in schema:
            name = str(schema["$ref"]).rsplit("/", 1)[-1]
            return self._arms(self._definitions[name], name)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return [arm for part in schema[key] for arm in self._arms(part, definition)]
        if "allOf" in schema:
            return self._all_of(schema, definition)
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = cast("list[str]", kind)
            return [(definition, self._make(schema, one, {**schema, "type": one})) for one in kinds]
        return [(definition, schema)]

    def _all_of(self, schema: Schema, definition: str) -> list[tuple[str, Schema]]:
        parts = [self._arms(part, definition) for part in schema["allOf"]]
        told = [part for part in parts if any(_says_something(arm) for _, arm in part)]
        if len(told) == 1:
            return told[0]
        objects = [arm for part in told for _, arm in part]
        merged = {
            "type": "object",
            "properties": {k: v for arm in objects for k, v in arm.get("properties", {}).items()},
            "required": [name for arm in objects for name in arm.get("required", ())],
        }
        name = next((name for part in told for name, _ in part if name != definition), definition)
        return [(name, self._make(schema, "allOf", merged))]

    def _make(self, schema: Schema, why: str, made: Schema) -> Schema:
        """Return the same object for the same argument, so that recursion ends."""
        return self._made.setdefault((id(schema), why), made)

    def _values(self, schema: Schema, definition: str) -> tuple[set[str], bool, bool]:
        """The literal strings that a schema names; whether it also allows any string; whether it allows null."""
        named: set[str] = set()
        free = null = False
        for _, arm in self._arms(schema, definition):
            values = _literals(arm)
            named.update(value for value in values if isinstance(value, str))
            free = free or (arm.get("type") == "string" and not values)
            null = null or arm.get("type") == "null" or None in values
        return named, free, null

    # -- the comparison

    def _gap(self, where: str, what: str, definition: str) -> None:
        self.gaps.setdefault((where, what), set()).add(definition)

    def _compare(self, ours: Arms, schema: Schema, where: str, definition: str) -> None:
        for name, arm in self._arms(schema, definition):
            values = _literals(arm)
            if values:
                self._compare_literals(ours, values, where, name)
            elif arm.get("properties"):
                self._compare_object(ours, arm, where, name)
            elif arm.get("type") == "object":
                self._compare_map(ours, arm, where, name)
            elif arm.get("type") == "array":
                self._compare_list(ours, arm, where, name)
            else:
                self._compare_simple(ours, arm.get("type"), where, name)

    def _compare_simple(self, ours: Arms, kind: str | None, where: str, definition: str) -> None:
        if kind is None:
            admitted: Arms = ()
        elif kind == "null":
            admitted = (None,)
        else:
            admitted = _SCALARS[kind]
        if Any not in ours and not any(one in ours for one in admitted):
            self._gap(where, f"{kind or 'arbitrary JSON'} is not admitted", definition)

    def _compare_literals(self, ours: Arms, values: Sequence[object], where: str, definition: str) -> None:
        named = {value for arm in ours if typing.get_origin(arm) is Literal for value in typing.get_args(arm)}
        for value in values:
            if value is None and None not in ours:
                self._gap(where, "null is not admitted", definition)
            elif isinstance(value, bool) and bool not in ours:
                self._gap(where, "boolean is not admitted", definition)
            elif isinstance(value, str) and value not in named:
                what = f"{value!r} is not among the literals" if named else "the literals are not named"
                self._gap(where, what, definition)
        if any(isinstance(value, str) for value in values) and str not in ours:
            self._gap(where, "the enumeration is closed", definition)

    def _compare_list(self, ours: Arms, schema: Schema, where: str, definition: str) -> None:
        lists = [arm for arm in ours if typing.get_origin(arm) in (list, Sequence)]
        items = tuple(arm for one in lists for item in typing.get_args(one) for arm in arms_of(item))
        if lists:
            self._compare(items, schema.get("items", {}), where, definition)
        elif Any not in ours:
            self._gap(where, "array is not admitted", definition)

    def _compare_map(self, ours: Arms, schema: Schema, where: str, definition: str) -> None:
        if any(isinstance(arm, type) and issubclass(arm, Unknown) for arm in ours):
            return
        maps = [arm for arm in ours if typing.get_origin(arm) in (dict, Mapping)]
        values = tuple(arm for one in maps for arm in arms_of(typing.get_args(one)[1]))
        said = schema.get("additionalProperties", True)
        if maps:
            self._compare(values, {} if isinstance(said, bool) else said, where, definition)
        elif Any not in ours:
            self._gap(where, "an arbitrary object is not admitted", definition)

    def _compare_object(self, ours: Arms, schema: Schema, where: str, definition: str) -> None:
        models = [
            arm for arm in ours if isinstance(arm, type) and issubclass(arm, Model) and not issubclass(arm, Unknown)
        ]
        tags: set[str] = set()
        if "type" in schema["properties"]:
            tags, _, _ = self._values(schema["properties"]["type"], definition)
        for tag in sorted(tags) or [""]:
            cls = _home(models, tag, schema)
            if cls is not None:
                self.homes.setdefault(definition, set()).add(cls.__name__)
                self._compare_fields(cls, schema, definition)
            else:
                self._gap(where, f"no class for {tag or definition}", definition)

    def _compare_fields(self, cls: type[Model], schema: Schema, definition: str) -> None:
        if (cls, id(schema)) in self._seen:
            return
        self._seen.add((cls, id(schema)))
        fields, constants = fields_of(cls), constants_of(cls)
        properties: Mapping[str, Schema] = schema["properties"]
        required: set[str] = set(schema.get("required", ()))
        for name, said in properties.items():
            where = f"{cls.__name__}.{name}"
            if name in fields:
                self._compare(fields[name][0], said, where, definition)
            elif name in constants:
                self._compare_constant(cls, name, constants[name], said, definition)
            else:
                self._gap(where, "no such field", definition)
        for name, (_, needed) in fields.items():
            if needed and name not in required:
                self._gap(f"{cls.__name__}.{name}", "required here, optional there", definition)
        for name in constants:
            if name not in required and name not in cls.wire_optional:
                self._gap(f"{cls.__name__}.{name}", "the constant may be absent", definition)

    def _compare_constant(self, cls: type[Model], name: str, value: str, schema: Schema, definition: str) -> None:
        where = f"{cls.__name__}.{name}"
        named, free, null = self._values(schema, definition)
        if null and name not in cls.wire_optional:
            self._gap(where, "the constant may be null", definition)
        if free:
            self._gap(where, "any string against a constant", definition)
        if not free and value not in named:
            self._gap(where, f"the constant is {' or '.join(sorted(named))}", definition)
        if name != "type" and named - {value}:
            self._gap(where, f"constant, yet also {', '.join(sorted(named - {value}))}", definition)


def _literals(schema: Schema) -> Sequence[object]:
    return [schema["const"]] if "const" in schema else schema.get("enum", ())


def _says_something(schema: Schema) -> bool:
    return bool(set(schema) - {"description", "default", "title", "example", "examples", "deprecated", "nullable"})


def _home(models: Sequence[type[Model]], tag: str, schema: Schema) -> type[Model] | None:
    """The class for an object of this tag among the arms of a union, by the codec's rule."""
    constants = {cls: constants_of(cls) for cls in models}
    if tag:
        for cls in models:
            if constants[cls].get("type") == tag:
                return cls
    else:
        for cls in models:
            needed = {name for name, (_, needed) in fields_of(cls).items() if needed}
            if "type" in cls.wire_optional and needed <= set(schema["properties"]):
                return cls
    bare = [cls for cls in models if "type" not in constants[cls]]
    if len(bare) == 1:
        return bare[0]
    return models[0] if len(models) == 1 and not tag else None
