"""Types that bring their own schema and their own reading: pydantic's models, known by their methods, never imported.

Their schema is put into the strict subset. A default does not make a property optional there: the model has to say all of
them, as such types have no null that stands for "not said". What the subset has no word for (lengths, defaults, titles) is
left out of the schema and still checked when the value is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..codec import default_backend
from ..exceptions import LocalProtocolError
from ._shapes import Shape, ShapeError, is_array, is_object, json_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._shapes import Names, Reading, Schema

__all__ = ["Foreign", "adapt", "is_foreign"]

_KEPT: Final = (
    "multipleOf", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minItems", "maxItems",
)  # fmt: skip
_FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_REFUSED: Final = (
    "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "contains", "prefixItems",
)  # fmt: skip
_REFERENCE: Final = "#/$defs/"


def is_foreign(cls: type[Any]) -> bool:
    """Tell whether a class has a schema of its own."""
    return hasattr(cls, "model_json_schema") and hasattr(cls, "model_validate_json")


@attrs.frozen(eq=False)
class Foreign(Shape):
    """A type with a schema of its own."""

    cls: Any
    original: Schema

    @classmethod
    def of(cls, foreign: Any, path: str) -> Foreign:
        """Make the shape of such a class. Raises ``LocalProtocolError`` for what cannot be put into the strict subset."""
        try:
            original: Schema = foreign.model_json_schema()
        except (TypeError, ValueError, RuntimeError) as error:  # pydantic's errors of this kind are among these
            raise LocalProtocolError(f"{path}: {foreign.__name__} has no JSON Schema: {error}") from error
        for name, definition in original.get("$defs", {}).items():
            adapt(definition, f"{path}({name})", str)
        adapt(original, path, str)
        return cls(foreign, original)

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

    def could_be(self, value: Any, *, exact: bool) -> bool:
        return (
            not (exact and self.is_object and is_object(value))
            or value.keys() <= self._top.get("properties", {}).keys()
        )

    def schema(self, names: Names) -> Schema:
        definitions: dict[str, Schema] = self.original.get("$defs", {})
        given, new = names.adopt(self, definitions)
        for name, definition in definitions.items() if new else ():
            names.defs[given[name]] = adapt(definition, name, given.__getitem__)
        return adapt(self._top, "$", given.__getitem__)

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:  # noqa: ARG002 - it has its own rules
        try:
            return self.cls.model_validate_json(default_backend().dumps(value))
        except ValueError as error:
            raise _misfit(error, value) from None


def _misfit(error: Any, value: Any) -> ShapeError:
    found: list[Any] = error.errors() if hasattr(error, "errors") else []
    if not found:
        return ShapeError(str(error))
    first = found[0]
    steps: list[str | int] = []
    missing = first.get("type") == "missing"
    for step in first.get("loc", ()):
        # Steps that are no keys name the branch of a union that was tried.
        if is_object(value) and (step in value or (missing and step == first["loc"][-1])):
            value = value.get(step)
        elif is_array(value) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        steps.append(step)
    return ShapeError(str(first.get("msg", error)), *steps, near=bool(steps))


def adapt(schema: Any, path: str, name: Callable[[str], str]) -> Schema:
    """Put a schema into the strict subset; ``name`` gives the names of definitions. Raises ``LocalProtocolError``."""
    if not isinstance(schema, dict) or not schema.keys() - {"title", "description", "default", "$defs"}:
        raise LocalProtocolError(f"{path}: a value of which nothing is said cannot be asked for")
    found = cast("Schema", schema)
    refused = next((word for word in _REFUSED if word in found), None)
    if refused is not None:
        raise LocalProtocolError(f"{path}: the strict subset has no {refused!r}")
    made = _adapted(found, path, name)
    text = found.get("description")
    if not text:
        return made
    return {"anyOf": [made], "description": text} if "$ref" in made else {**made, "description": text}


def _adapted(schema: Schema, path: str, name: Callable[[str], str]) -> Schema:
    if "$ref" in schema:
        return {"$ref": f"{_REFERENCE}{name(schema['$ref'].removeprefix(_REFERENCE))}"}
    if "allOf" in schema:
        if len(schema["allOf"]) != 1:
            raise LocalProtocolError(f"{path}: the strict subset has no 'allOf'")
        return adapt(schema["allOf"][0], path, name)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return {"anyOf": [adapt(option, path, name) for option in schema[word]]}
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        kinds = list(dict.fromkeys(map(json_type, values)))
        return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}
    if schema.get("type") == "object":
        return _adapted_object(schema, path, name)
    return _adapted_value(schema, path, name)


def _adapted_value(schema: Schema, path: str, name: Callable[[str], str]) -> Schema:
    kind = schema.get("type")
    made: Schema = {"type": kind, **{word: schema[word] for word in _KEPT if word in schema}}
    if kind == "array":
        made["items"] = adapt(schema.get("items"), f"{path}[]", name)
    if schema.get("format") in _FORMATS:
        made["format"] = schema["format"]
    # Servers' patterns look neither ahead nor behind.
    if "pattern" in schema and "(?" not in schema["pattern"]:
        made["pattern"] = schema["pattern"]
    return made


def _adapted_object(schema: Schema, path: str, name: Callable[[str], str]) -> Schema:
    properties: dict[str, Any] = schema.get("properties", {})
    if isinstance(schema.get("additionalProperties"), dict) or (not properties and schema.get("additionalProperties")):
        raise LocalProtocolError(
            f"{path}: the strict subset has no objects with free keys: use a class, or a list of pairs"
        )
    return {
        "type": "object",
        "properties": {key: adapt(value, f"{path}.{key}", name) for key, value in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
