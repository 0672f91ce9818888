"""Write the models of the wire as JSON Schema (draft 2020-12).

The schemas describe values on the wire. They are generated from the specs with which the codec loads values, so that both accept the
same values:

* A class is an object. Its constants are ``const``; ``required`` lists the constants, and the fields that the class requires.
  Other properties are allowed, because a model keeps them in ``extra``.
* An open enumeration is ``anyOf`` its known values and any string.
* An open union is ``anyOf`` its members and an object with any other ``type``.
* Descriptions are the docstrings of classes, fields and unions.

Classes and unions with a name become definitions, to which all others refer.

The schemas are stricter than the codec, which never drops a value, in two ways: an object of an open union must have a ``type`` (unless
its class may omit it), and values that would be reported as an anomaly are not valid. They are less strict in one: JSON Schema accepts
1.0 as an integer.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import re
import sys
import types
from collections import Counter, abc
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

import attrs

from .. import models
from ..codec._specs import ValueSpec, is_model, is_model_union, model_spec, tag_of, value_spec
from ..exceptions import UsageError
from ._planner import description_of
from ._strict import DEFINITIONS

if TYPE_CHECKING:
    from ..models._base import Model
    from ._shapes import Schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The value of ``$schema``."""

_CONTAINERS: Final = (Union, types.UnionType, list, tuple, dict, abc.Sequence, abc.Mapping)
_TYPE_NAMES: Final = ((str, "string"), (float, "number"), (int, "integer"), (bool, "boolean"))
_ROLE: Final = re.compile(r":\w+:`~?\.?(?:[\w.]*\.)?(\w+)`")


def is_wire_type(tp: Any) -> bool:
    """Return whether ``tp`` is a model class, or a union, list or dict with one."""
    return is_model(tp) or (get_origin(tp) in _CONTAINERS and any(map(is_wire_type, get_args(tp))))


def wire_schema(tp: Any) -> Schema:
    """Return the schema of a wire type, with its ``$defs``. Its top level is not a reference.

    Raises ``UsageError`` if ``tp`` contains types other than models, JSON values and containers of them.
    """
    schemas = ModelSchemas()
    root = schemas.of(tp)
    name = str(root.get("$ref", "")).removeprefix(schemas.prefix)
    if name:
        root = {"title": name, **schemas.definitions[name]}
        if schemas.uses[name] == 1:  # used only by the root: it does not contain itself
            del schemas.definitions[name]
    definitions = {"$defs": dict(sorted(schemas.definitions.items()))} if schemas.definitions else {}
    return {"$schema": DIALECT, **root, **definitions}


class ModelSchemas:
    """Writes schemas of wire types, and collects the definitions that they refer to.

    Call :meth:`of` for each type. ``prefix``: the location of the definitions in the document.
    """

    def __init__(self, prefix: str = DEFINITIONS) -> None:
        self.prefix = prefix
        self.definitions: dict[str, Schema] = {}
        """Name -> schema."""
        self.uses: Counter[str] = Counter()
        """Name -> number of references to the definition."""
        self._names: dict[type[Model] | ValueSpec, str] = {}

    def of(self, tp: Any) -> Schema:
        """Return the schema of a type. Raises ``UsageError`` if it is not a wire type."""
        try:
            spec = value_spec(tp)
        except TypeError as error:
            raise UsageError(f"{tp!r} has no schema: {error}") from error
        return self._value(spec)

    def properties(self, cls: type[Model]) -> dict[str, Schema]:
        """Return the schemas of the fields of a class, by wire name, with their descriptions."""
        texts = _field_texts(cls)
        return {
            field.wire: _described(self._value(field.shape), texts.get(field.name, ""))
            for field in model_spec(cls).fields
        }

    def _value(self, spec: ValueSpec) -> Schema:
        if spec.anything:
            return {}
        bare = attrs.evolve(spec, null=False, unset=False)
        arms = [self._reference(bare, _unions()[bare])] if bare in _unions() else self._arms(bare)
        if spec.null:
            last = arms[-1] if arms else {}
            if last.keys() == {"type"}:  # scalars: add null to their types
                arms[-1] = {"type": [*([last["type"]] if isinstance(last["type"], str) else last["type"]), "null"]}
            else:
                arms.append({"type": "null"})
        return arms[0] if len(arms) == 1 else {"anyOf": arms}

    def _arms(self, spec: ValueSpec) -> list[Schema]:
        """Return the alternatives of a value that is not null."""
        arms: list[Schema] = [{"enum": [*spec.known]}] if spec.known else []
        # Omit `integer` where `number` is allowed: the specs of floating-point numbers have both.
        kinds = spec.scalars - {int} if float in spec.scalars else spec.scalars
        names = [name for kind, name in _TYPE_NAMES if kind in kinds]
        if names:
            arms.append({"type": names if len(names) > 1 else names[0]})
        if spec.items is not None:
            arms.append({"type": "array", "items": self._value(spec.items)})
        if spec.models or spec.unknown:
            arms += self._objects(spec)
        elif spec.values is not None:
            arms.append({"type": "object", "additionalProperties": self._value(spec.values)})
        return arms

    def _objects(self, spec: ValueSpec) -> list[Schema]:
        """Return the alternatives of a value that is an object of one of several classes."""
        tags = [tag for cls in spec.models if (tag := tag_of(cls)) is not None]
        known = {"properties": {"type": {"enum": tags}}, "required": ["type"]}
        arms: list[Schema] = []
        is_open = spec.unknown is not None
        first_untyped: Schema = {}
        for cls in spec.models:
            arm = self._reference(cls, cls.__name__)
            if tag_of(cls) is None:  # the class of all objects whose `type` matches no other class
                is_open = False
                arm = {**arm, "not": known} if tags else arm
            elif "type" in cls.wire_optional:
                # An object without a `type` belongs to the first class whose required fields it has.
                required = [field.wire for field in model_spec(cls).fields if field.required]
                arm = {**arm, "not": first_untyped} if first_untyped else arm
                first_untyped = first_untyped or {"properties": {"type": {"type": "null"}}, "required": required}
            arms.append(arm)
        if is_open:
            any_other = {"type": "string", "not": {"enum": tags}} if tags else {"type": "string"}
            description = {"description": _plain(description_of(spec.unknown))} if spec.unknown else {}
            arms.append({"type": "object", "properties": {"type": any_other}, "required": ["type"], **description})
        return arms

    def _reference(self, key: type[Model] | ValueSpec, wanted: str) -> Schema:
        """Return a reference to a class or a union with a name, and define it if it is new."""
        name = self._names.get(key)
        if name is None:
            name = wanted
            while name in self._names.values():  # a class of another module has the same name
                name += "_"
            self._names[key] = name
            # The name was registered before, because the type may contain itself.
            self.definitions[name] = self._union(key, name) if isinstance(key, ValueSpec) else self._object(key)
        self.uses[name] += 1
        return {"$ref": self.prefix + name}

    def _union(self, spec: ValueSpec, name: str) -> Schema:
        return _described({"anyOf": self._arms(spec)}, _union_texts().get(name, ""))

    def _object(self, cls: type[Model]) -> Schema:
        spec = model_spec(cls)
        constants: dict[str, Schema] = {
            # Where the wire may omit the constant, null counts as absent.
            wire: {"anyOf": [{"const": text}, {"type": "null"}]} if wire in cls.wire_optional else {"const": text}
            for wire, text in spec.constants.items()
        }
        required = [wire for wire in constants if wire not in cls.wire_optional]
        required += [field.wire for field in spec.fields if field.required]
        schema: Schema = {"type": "object", "properties": {**constants, **self.properties(cls)}}
        if required:
            schema["required"] = required
        return _described(schema, description_of(cls))


@functools.cache
def _unions() -> dict[ValueSpec, str]:
    """Return the public unions of models: spec -> name."""
    public = {name: getattr(models, name) for name in models.__all__}
    return {
        attrs.evolve(value_spec(tp), null=False, unset=False): name for name, tp in public.items() if is_model_union(tp)
    }


# ---- descriptions


def _described(schema: Schema, text: str) -> Schema:
    return {**schema, "description": _plain(text)} if text else schema


def _plain(docstring: str) -> str:
    """Return a docstring without the markup of Sphinx."""
    return _ROLE.sub(r"`\1`", inspect.cleandoc(docstring)).replace("``", "`")


def _field_texts(cls: type[Model]) -> dict[str, str]:
    """Return the docstrings of the fields of a class: name -> text."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        texts |= _attribute_docstrings(base.__module__).get(base.__qualname__, {})
    return texts


@functools.cache
def _union_texts() -> dict[str, str]:
    """Return the docstrings of the unions of models: name -> text."""
    modules = {cls.__module__ for spec in _unions() for cls in (*spec.models, spec.unknown) if cls is not None}
    texts: dict[str, str] = {}
    for module in modules:
        texts |= _attribute_docstrings(module).get("", {})
    return texts


@functools.cache
def _attribute_docstrings(module: str) -> dict[str, dict[str, str]]:
    """Return the docstrings of the attributes of a module's classes: class -> attribute -> text. The module itself is ``""``.

    They exist only in the source. The result is empty if there is no source, as in a frozen program.
    """
    try:
        source = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        return {}
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return {"": _docstrings_in(tree.body), **{node.name: _docstrings_in(node.body) for node in classes}}


def _docstrings_in(body: list[ast.stmt]) -> dict[str, str]:
    found: dict[str, str] = {}
    for node, after in itertools.pairwise(body):
        match node, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
            case _:
                pass
    return found
