"""Support pydantic models, which have a schema and a validator. They are recognized by their methods; pydantic is not imported.

The schema of the model is converted to the strict subset. A field with a default is required there, because null does not mean the
default in pydantic. Keywords that the subset lacks (lengths, defaults, titles) are dropped from the schema; pydantic still checks them
when a value is read. If the schema need not be strict, the schema of pydantic is used unchanged.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, cast

import attrs

from ..codec import default_backend
from ..exceptions import UsageError
from ._errors import is_array, is_object, shape_error
from ._shapes import Shape, any_of, enum_schema, with_description
from ._strict import BOUNDS, DEFINITIONS, FORMATS, NO_ANY, NO_FREE_KEYS, UNSUPPORTED, is_portable_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from ._shapes import Definitions, ReadCache, Schema


def is_pydantic_like(cls: type[Any]) -> bool:
    """Return whether a class is a pydantic dataclass, or has the methods of a pydantic model."""
    return _is_pydantic_dataclass(cls) or (hasattr(cls, "model_json_schema") and hasattr(cls, "model_validate_json"))


def _is_pydantic_dataclass(cls: Any) -> bool:
    return "__pydantic_validator__" in vars(cls) and dataclasses.is_dataclass(cls)


@attrs.define(eq=False)
class PydanticShape(Shape):
    """A pydantic model or dataclass, or a class with the same methods."""

    model: Any
    name: str
    original: Schema
    """The schema of the model, as pydantic generates it."""
    validate: Callable[..., Any]
    """Returns the value for a JSON text. Raises ``ValueError``."""
    options: frozenset[str]
    """The options that ``validate`` supports, of ``strict`` and ``extra``."""

    @classmethod
    def of(cls, model: Any, path: str, *, strict: bool) -> PydanticShape:
        """Return the shape of a model. Raises ``UsageError`` if it has no schema, or with ``strict`` no strict schema."""
        name = getattr(model, "__name__", str(model))
        try:
            if _is_pydantic_dataclass(getattr(model, "__origin__", model)):
                adapter = sys.modules["pydantic"].TypeAdapter(model)
                original, validate = adapter.json_schema(), adapter.validate_json
            else:
                original, validate = model.model_json_schema(), model.model_validate_json
        except (TypeError, ValueError, RuntimeError) as error:  # pydantic's errors derive from these
            raise UsageError(f"{path}: {name} has no JSON Schema: {error}") from error
        shape = cls(model, name, original, validate, _options_of(getattr(validate, "__func__", validate)))
        if strict:
            for inner, definition in shape.own_definitions.items():
                to_strict(definition, path if definition is shape.top else f"{path}({inner})", lambda _: {})
        return shape

    @property
    def is_object(self) -> bool:
        return self.top.get("type") == "object"

    @functools.cached_property
    def own_definitions(self) -> Mapping[str, Schema]:
        """The definitions of the schema by name, and the schema itself."""
        definitions: dict[str, Schema] = self.original.get("$defs", {})
        if "$ref" in self.original:
            return definitions
        return {**definitions, self._root_name: {k: v for k, v in self.original.items() if k != "$defs"}}

    @property
    def _root_name(self) -> str:
        if "$ref" in self.original:
            return str(self.original["$ref"]).removeprefix(DEFINITIONS)
        name = self.name
        while name in self.original.get("$defs", {}):  # another class of the same name
            name += "_"
        return name

    @property
    def top(self) -> Schema:
        """The schema of the model itself."""
        return self.own_definitions[self._root_name]

    @property
    def expects(self) -> str:
        return self.name

    def tags(self) -> Mapping[str, list[Any]]:
        return self._tags

    @functools.cached_property
    def _tags(self) -> Mapping[str, list[Any]]:
        properties: Mapping[str, Schema] = self.top.get("properties", {}) if self.is_object else {}
        found = {
            name: [schema["const"]] if "const" in schema else schema.get("enum", [])
            for name, schema in properties.items()
        }
        return {name: values for name, values in found.items() if values}

    @functools.cached_property
    def _is_open(self) -> bool:
        """Whether a part of the model keeps keys that the schema does not name."""
        return any(schema.get("additionalProperties") is True for schema in self.own_definitions.values())

    def may_match(self, value: Any, *, exact: bool) -> bool:
        known = self.top.get("properties", {}).keys()
        is_exact = not exact or self._is_open or not (self.is_object and is_object(value)) or value.keys() <= known
        return is_exact and super().may_match(value, exact=exact)

    @property
    def definition(self) -> tuple[Hashable, str]:
        return self._key(self._root_name), self._root_name

    def _key(self, name: str) -> Hashable:
        return _Definition(name, self.own_definitions)

    def inner_definitions(self) -> Iterable[Hashable]:
        return [self._key(name) for name in self.original.get("$defs", ()) if name != self._root_name]

    def schema(self, definitions: Definitions) -> Schema:
        convert = to_strict if definitions.strict else _renamed

        def reference(name: str) -> Schema:
            return definitions.define(
                self._key(name), name, lambda: convert(self.own_definitions[name], name, reference)
            )

        return convert(self.top, "$", reference)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        options: dict[str, Any] = {"strict": True} if exact else {}
        if (exact or cache.closed) and not self._is_open:
            options["extra"] = "forbid"
        try:
            text = default_backend().dumps(value)
            return self.validate(text, **{key: option for key, option in options.items() if key in self.options})
        except ValueError as error:
            raise shape_error(error, value) from None


@functools.lru_cache
def _options_of(validate: Callable[..., Any]) -> frozenset[str]:
    """Return the options of pydantic's validation that a function supports."""
    return frozenset({"strict", "extra"} & inspect.signature(validate).parameters.keys())


@attrs.frozen(eq=False)
class _Definition:
    """A definition in the schema of a model. It is equal to the definition of the same class in the schema of another model."""

    name: str
    definitions: Mapping[str, Schema]

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Definition) and self.name == other.name and self._closure() == other._closure()

    def _closure(self) -> Mapping[str, Schema]:
        """Return the definition and all definitions that it refers to."""
        found: dict[str, Schema] = {}
        pending: list[Any] = [{"$ref": DEFINITIONS + self.name}]
        while pending:
            part = pending.pop()
            if is_array(part):
                pending += part
            elif is_object(part):
                pending += part.values()
                name = str(part.get("$ref", "")).removeprefix(DEFINITIONS)
                if name in self.definitions and name not in found:
                    found[name] = self.definitions[name]
                    pending.append(found[name])
        return found


def _renamed(schema: Any, path: str, reference: Callable[[str], Schema]) -> Any:
    """Return a schema whose references are replaced by those that ``reference`` returns."""
    if is_array(schema):
        return [_renamed(each, path, reference) for each in schema]
    if not is_object(schema):
        return schema
    made = {key: _renamed(value, path, reference) for key, value in schema.items() if key != "discriminator"}
    target = schema.get("$ref")
    if isinstance(target, str) and target.startswith(DEFINITIONS):
        made |= reference(target.removeprefix(DEFINITIONS))
    return made


def to_strict(schema: Any, path: str, reference: Callable[[str], Schema]) -> Schema:
    """Convert a schema to the strict subset. ``reference`` returns the reference to a definition. Raises ``UsageError``."""
    silent = {"title", "description", "default", "$defs", "examples", "deprecated"}
    if not isinstance(schema, dict) or not schema.keys() - silent:
        raise UsageError(f"{path}: {NO_ANY}")
    original = _with_items(cast("Schema", schema))
    refused = next((word for word in UNSUPPORTED if word in original), None)
    if refused is not None:
        raise UsageError(f"{path}: the strict subset has no {refused!r}")
    converted = _convert(original, path, reference)
    text = original.get("description")
    return with_description(converted, text) if text else converted


def _with_items(schema: Schema) -> Schema:
    """Return the schema of a tuple of fixed length without ``prefixItems``, as for a native tuple."""
    positions: list[Schema] = schema.get("prefixItems", [])
    if not positions or not schema.get("minItems") == schema.get("maxItems") == len(positions):
        return schema
    kept = {key: value for key, value in schema.items() if key != "prefixItems"}
    return {**kept, "items": any_of([{k: v for k, v in each.items() if k != "title"} for each in positions])}


def _convert(schema: Schema, path: str, reference: Callable[[str], Schema]) -> Schema:
    if "$ref" in schema:
        return reference(schema["$ref"].removeprefix(DEFINITIONS))
    if "allOf" in schema:
        if len(schema["allOf"]) != 1:
            raise UsageError(f"{path}: the strict subset has no 'allOf'")
        return to_strict(schema["allOf"][0], path, reference)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return {"anyOf": [to_strict(option, path, reference) for option in schema[word]]}
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        return enum_schema(values)
    if schema.get("type") == "object":
        return _convert_object(schema, path, reference)
    return _convert_value(schema, path, reference)


def _convert_value(schema: Schema, path: str, reference: Callable[[str], Schema]) -> Schema:
    kind = schema.get("type")
    made: Schema = {"type": kind, **{word: schema[word] for word in BOUNDS if word in schema}}
    if kind == "array":
        made["items"] = to_strict(schema.get("items"), f"{path}[]", reference)
    if schema.get("format") in FORMATS:
        made["format"] = schema["format"]
    if is_portable_pattern(schema.get("pattern")):
        made["pattern"] = schema["pattern"]
    return made


def _convert_object(schema: Schema, path: str, reference: Callable[[str], Schema]) -> Schema:
    properties: dict[str, Any] = schema.get("properties", {})
    if isinstance(schema.get("additionalProperties"), dict) or (not properties and schema.get("additionalProperties")):
        raise UsageError(f"{path}: {NO_FREE_KEYS}")
    return {
        "type": "object",
        "properties": {key: to_strict(value, f"{path}.{key}", reference) for key, value in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
