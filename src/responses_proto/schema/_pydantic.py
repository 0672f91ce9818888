"""Support pydantic models, which have a schema and a validator. They are recognized by their methods; pydantic is not imported.

The schema of the model is converted to the strict subset. A field with a default is required there, because null does not stand
for the default in pydantic. Keywords that the subset lacks (lengths, defaults, titles) are dropped from the schema; pydantic
still checks them when a value is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..codec import default_backend
from ..exceptions import UsageError
from ._shapes import Shape, ShapeError, enum_schema, is_array, is_object, with_description
from ._strict import BOUNDS, FORMATS, NO_FREE_KEYS, UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._shapes import Definitions, ReadCache, Schema

__all__ = ["PydanticShape", "is_pydantic_like", "to_strict"]

_REFERENCE: Final = "#/$defs/"


def is_pydantic_like(cls: type[Any]) -> bool:
    """Return whether a class has the methods of a pydantic model."""
    return hasattr(cls, "model_json_schema") and hasattr(cls, "model_validate_json")


@attrs.frozen(eq=False)
class PydanticShape(Shape):
    """A pydantic model, or a class with the same methods."""

    cls: Any
    original: Schema
    """The schema of the model, as pydantic generates it."""

    @classmethod
    def of(cls, model: Any, path: str) -> PydanticShape:
        """Return the shape of a model. Raises ``UsageError`` if the strict subset cannot express its schema."""
        try:
            original: Schema = model.model_json_schema()
        except (TypeError, ValueError, RuntimeError) as error:  # pydantic's errors derive from these
            raise UsageError(f"{path}: {model.__name__} has no JSON Schema: {error}") from error
        for name, definition in original.get("$defs", {}).items():
            to_strict(definition, f"{path}({name})", str)
        to_strict(original, path, str)
        return cls(model, original)

    @property
    def is_object(self) -> bool:
        """Whether its values are JSON objects."""
        return self._top.get("type") == "object"

    @property
    def _top(self) -> Schema:
        reference = self.original.get("$ref", "")
        return self.original["$defs"][reference.removeprefix(_REFERENCE)] if reference else self.original

    @property
    def name(self) -> str:
        return str(self.cls.__name__)

    @property
    def expects(self) -> str:
        return self.name

    def may_match(self, value: Any, *, exact: bool) -> bool:
        return (
            not (exact and self.is_object and is_object(value))
            or value.keys() <= self._top.get("properties", {}).keys()
        )

    def schema(self, definitions: Definitions) -> Schema:
        own: dict[str, Schema] = self.original.get("$defs", {})
        new_names, first = definitions.rename(self, own)
        for name, definition in own.items() if first else ():
            definitions.schemas[new_names[name]] = to_strict(definition, name, new_names.__getitem__)
        return to_strict(self._top, "$", new_names.__getitem__)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:  # noqa: ARG002 - pydantic validates the value
        try:
            return self.cls.model_validate_json(default_backend().dumps(value))
        except ValueError as error:
            raise _shape_error(error, value) from None


def _shape_error(error: Any, value: Any) -> ShapeError:
    """Return the first error of pydantic as a :class:`ShapeError`."""
    errors: list[Any] = error.errors() if hasattr(error, "errors") else []
    if not errors:
        return ShapeError(str(error))
    first = errors[0]
    steps: list[str | int] = []
    missing = first.get("type") == "missing"
    for step in first.get("loc", ()):
        # Steps that are not keys name an option of a union.
        if is_object(value) and (step in value or (missing and step == first["loc"][-1])):
            value = value.get(step)
        elif is_array(value) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        steps.append(step)
    return ShapeError(str(first.get("msg", error)), *steps, right_type=bool(steps))


def to_strict(schema: Any, path: str, name: Callable[[str], str]) -> Schema:
    """Convert a schema to the strict subset. ``name`` maps the names of definitions to new ones. Raises ``UsageError``."""
    if not isinstance(schema, dict) or not schema.keys() - {"title", "description", "default", "$defs"}:
        raise UsageError(f"{path}: a value of any type is not supported")
    original = cast("Schema", schema)
    refused = next((word for word in UNSUPPORTED if word in original), None)
    if refused is not None:
        raise UsageError(f"{path}: the strict subset has no {refused!r}")
    converted = _convert(original, path, name)
    text = original.get("description")
    return with_description(converted, text) if text else converted


def _convert(schema: Schema, path: str, name: Callable[[str], str]) -> Schema:
    if "$ref" in schema:
        return {"$ref": f"{_REFERENCE}{name(schema['$ref'].removeprefix(_REFERENCE))}"}
    if "allOf" in schema:
        if len(schema["allOf"]) != 1:
            raise UsageError(f"{path}: the strict subset has no 'allOf'")
        return to_strict(schema["allOf"][0], path, name)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return {"anyOf": [to_strict(option, path, name) for option in schema[word]]}
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        return enum_schema(values)
    if schema.get("type") == "object":
        return _convert_object(schema, path, name)
    return _convert_value(schema, path, name)


def _convert_value(schema: Schema, path: str, name: Callable[[str], str]) -> Schema:
    kind = schema.get("type")
    made: Schema = {"type": kind, **{word: schema[word] for word in BOUNDS if word in schema}}
    if kind == "array":
        made["items"] = to_strict(schema.get("items"), f"{path}[]", name)
    if schema.get("format") in FORMATS:
        made["format"] = schema["format"]
    # Servers support no lookaround in patterns.
    if "pattern" in schema and "(?" not in schema["pattern"]:
        made["pattern"] = schema["pattern"]
    return made


def _convert_object(schema: Schema, path: str, name: Callable[[str], str]) -> Schema:
    properties: dict[str, Any] = schema.get("properties", {})
    if isinstance(schema.get("additionalProperties"), dict) or (not properties and schema.get("additionalProperties")):
        raise UsageError(f"{path}: {NO_FREE_KEYS}")
    return {
        "type": "object",
        "properties": {key: to_strict(value, f"{path}.{key}", name) for key, value in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
