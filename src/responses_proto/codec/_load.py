"""Load JSON values into models, with one generated function per class.

How the code generation works
-----------------------------
A generic loader would look at the fields of a class in a loop, once for every object. Instead, :class:`LoaderFactory` writes the
source of one function per class, in which that loop is unrolled, and compiles it when the class is first needed. A class
with one required ``str`` field ``id``, one optional ``int | None`` field ``size`` and the constant ``type`` becomes::

    def load(data, findings):
        try:
            v0 = data['id']
            if not ((type(v0) is str) and data['type'] == 'acme:file'):
                return load_slowly(data, findings)
        except KeyError:
            return load_slowly(data, findings)
        known = 2                                   # how many keys of `data` are fields or constants
        if len(data) == 2:
            v1 = UNSET
        else:
            v1 = UNSET
            if 'size' in data:
                v1 = data['size']
                known += 1
                if not (type(v1) is int or v1 is None):
                    return load_slowly(data, findings)
        instance = new(cls)                         # no __init__: every slot is set below
        mismatches = None                           # wire name -> raw value of a nested field that does not match
        instance.id = v0
        instance.size = v1
        if known == len(data) and mismatches is None:
            instance.extra = EMPTY
        else:
            instance.extra = unknown_fields(data, mismatches, wire_names)
        return instance

This is the *fast path*. It reads each scalar with a subscript and a type test. At the first scalar that is missing or of the
wrong type it calls the *slow path* (:meth:`LoaderFactory._slow_loader`), which goes field by field and reports all deviations.

Fields that hold models, lists or dicts are decoded by separate loaders, after all scalars were checked. So no nested value is decoded
twice, and the time stays linear however deep a hostile payload nests its errors. The loader of a nested field is created on its first
call: a stream pays for the classes that occur in it, not for all classes that may occur.

A loader is called as ``load(value, findings)`` and returns the instance, or :data:`TYPE_MISMATCH` if the value is of the wrong
JSON kind. It appends deviations to the list ``findings``, with paths relative to the value; the caller prepends its own part of
the path. A loader never raises for a JSON object: in strict mode the caller turns the first finding into an error.

The source contains only field names, wire names and the constants of models, as ``repr`` literals or identifiers of attrs fields, and
no data from the wire. :func:`compile_function` registers the source, so that tracebacks show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from ..models._base import EMPTY, Extra, Model, Unknown
from ..typing import UNSET
from ._codegen import compile_function
from ._specs import FieldSpec, ModelSpec, ValueSpec, model_spec, tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _TypeMismatch:
    """The type of :data:`TYPE_MISMATCH`."""


class _Secret:
    """Replaces a secret value in a finding."""

    def __repr__(self) -> str:
        return "***"


TYPE_MISMATCH: Final = _TypeMismatch()
"""The result of a loader for a value of the wrong JSON kind."""
_MISSING: Final = object()
_SECRET: Final = _Secret()


@attrs.define
class DecodeFinding:
    """A deviation of a value from its class. ``path`` is relative to the value that is being loaded."""

    code: str
    path: str
    type_name: str
    value: Any
    says_nothing: bool = False
    """Whether the value is null and the field may be absent, so that null is equivalent to absent."""

    @property
    def detail(self) -> str:
        """A description of the finding."""
        match self.code:
            case "missing-field":
                return f"{self.type_name} requires it"
            case "wrong-constant":
                return f"{self.type_name} does not have {self.excerpt} here"
            case _:
                return f"{self.type_name} cannot hold {self.excerpt}"

    @property
    def excerpt(self) -> str:
        """The start of the offending value; empty if there is none."""
        text = "" if self.value is _MISSING else repr(self.value)
        return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"


_EXCERPT: Final = 80

Loader: TypeAlias = "Callable[[Any, list[DecodeFinding]], Any]"


def _prefix_paths(findings: list[DecodeFinding], since: int, step: str) -> None:
    """Prepend a step to the paths of the findings that a nested loader appended."""
    for finding in findings[since:]:
        finding.path = step + finding.path


class LoaderFactory:
    """Creates the loaders of one converter on first use, and keeps them."""

    def __init__(self) -> None:
        self._by_model: dict[type[Model], Loader] = {}
        self._by_spec: dict[ValueSpec, Loader] = {}
        self._by_tag: dict[ValueSpec, _TagTable] = {}
        self._registered: dict[type[Unknown], dict[str, type[Model]]] = {}

    def register(self, unknown: type[Unknown], tag: str, cls: type[Model]) -> None:
        """Decode objects of the wire string ``tag`` as ``cls`` in the open union that ends in ``unknown``."""
        self._registered.setdefault(unknown, {})[tag] = cls
        self._by_model.clear()
        self._by_spec.clear()

    def for_model(self, cls: type[Model]) -> Loader:
        """Return the loader of a class, for JSON objects only."""
        loader = self._by_model.get(cls)
        if loader is None:
            # A placeholder until the loader exists, because a class may contain itself.
            self._by_model[cls] = lambda value, findings: self._by_model[cls](value, findings)  # noqa: PLW0108 - looked up when called
            loader = self._by_model[cls] = self._generate(model_spec(cls))
        return loader

    def by_tag(self, spec: ValueSpec) -> Mapping[str, Loader]:
        """Return the loaders of an open union by wire string, for a caller that reads the ``type`` itself."""
        self.for_spec(spec)
        return self._by_tag[spec]

    def for_spec(self, spec: ValueSpec) -> Loader:
        """Return the loader of a spec, for any JSON value. It returns ``TYPE_MISMATCH`` for a value of the wrong kind."""
        loader = self._by_spec.get(spec)
        if loader is None:
            self._by_spec[spec] = lambda value, findings: self._by_spec[spec](value, findings)  # noqa: PLW0108 - looked up when called
            loader = self._by_spec[spec] = self._make(spec)
        return loader

    # Specs

    def _make(self, spec: ValueSpec) -> Loader:
        if spec.anything:
            return lambda value, _findings: value
        by_kind: dict[type, Loader] = dict.fromkeys(spec.scalars, _as_is)
        if spec.null:
            by_kind[type(None)] = _as_is
        if spec.items is not None:
            by_kind[list] = self._list(spec.items)
        if spec.models or spec.unknown:
            by_kind[dict] = self._object(spec)
        elif spec.values is not None:
            by_kind[dict] = self._map(spec.values)
        get = by_kind.get

        def load(value: object, findings: list[DecodeFinding]) -> Any:
            return get(type(value), _mismatch)(value, findings)

        return load

    def _list(self, items: ValueSpec) -> Loader:
        if items.anything:
            return lambda value, _findings: list(value)
        load_item = self.for_spec(items)
        unknown = items.unknown

        def load(value: list[Any], findings: list[DecodeFinding]) -> Any:
            loaded: list[Any] = []
            for index, element in enumerate(value):
                before = len(findings)
                item = load_item(element, findings)
                if len(findings) != before:
                    _prefix_paths(findings, before, f"[{index}]")
                if item is TYPE_MISMATCH:
                    if unknown is None:
                        return TYPE_MISMATCH
                    findings.append(DecodeFinding("not-an-object", f"[{index}]", unknown.__name__, element))
                    item = unknown(raw=element)  # an open union keeps the element raw
                loaded.append(item)
            return loaded

        return load

    def _map(self, values: ValueSpec) -> Loader:
        if values.anything:
            return _as_is
        load_value = self.for_spec(values)

        def load(value: dict[str, Any], findings: list[DecodeFinding]) -> Any:
            loaded: dict[str, Any] = {}
            for key, element in value.items():
                before = len(findings)
                item = load_value(element, findings)
                if len(findings) != before:
                    _prefix_paths(findings, before, f".{key}")
                if item is TYPE_MISMATCH:
                    return TYPE_MISMATCH
                loaded[key] = item
            return loaded

        return load

    def _object(self, spec: ValueSpec) -> Loader:
        tags = {tag: cls for cls in spec.models if (tag := tag_of(cls)) is not None}
        untagged = [cls for cls in spec.models if tag_of(cls) is None]
        if len(untagged) > 1 or len(tags) + len(untagged) < len(spec.models):
            message = f"a union can have one class without a wire string, got {[cls.__name__ for cls in spec.models]}"
            raise TypeError(message)
        if spec.unknown is not None:
            tags.update(self._registered.get(spec.unknown, {}))
        if not tags and untagged:
            return self.for_model(untagged[0])
        if spec.unknown is None and not untagged and len(tags) == 1:
            return self.for_model(next(iter(tags.values())))  # one class: it reports a wrong `type` itself
        table = self._by_tag[spec] = _TagTable(tags, self)
        optional_tags = [
            (cls, {field.wire for field in model_spec(cls).fields if field.required})
            for cls in spec.models
            if "type" in cls.wire_optional
        ]
        fallback = (
            self.for_model(untagged[0]) if untagged else _unknown_loader(spec.unknown) if spec.unknown else _mismatch
        )
        for_model = self.for_model

        def load(value: dict[str, Any], findings: list[DecodeFinding]) -> Any:
            tag = value.get("type")
            if type(tag) is str:
                return table.get(tag, fallback)(value, findings)
            if tag is None:
                for cls, required in optional_tags:
                    if required <= value.keys():
                        return for_model(cls)(value, findings)
            return fallback(value, findings)

        return load

    # Models

    def _generate(self, spec: ModelSpec) -> Loader:
        namespace: dict[str, Any] = {
            "new": object.__new__, "cls": spec.cls, "UNSET": UNSET, "EMPTY": EMPTY, "TYPE_MISMATCH": TYPE_MISMATCH,
            "load_slowly": self._slow_loader(spec), "prefix_paths": _prefix_paths, "record_mismatch": _record_mismatch,
            "unknown_fields": _unknown_fields, "wire_names": _wire_names(spec),
        }  # fmt: skip
        local = {field.name: f"v{index}" for index, field in enumerate(spec.fields)}
        type_tests = {field.name: test for field in spec.fields if (test := _type_test(field.shape, local[field.name]))}
        lines = [
            "def load(data, findings):",
            *_required_fields(spec, local, type_tests),
            *_optional_fields(spec, local, type_tests),
            "    instance = new(cls)",
            "    mismatches = None",
        ]
        for field in spec.fields:
            v = local[field.name]
            if field.name in type_tests:
                lines += [f"    instance.{field.name} = {v}"]
                continue
            namespace[f"load_{v}"] = self._lazy_loader(namespace, f"load_{v}", field.shape)
            namespace[f"neutral_{v}"] = field.shape.neutral
            lines += _nested_field(field, v)
        lines += [
            "    if known == len(data) and mismatches is None:",
            "        instance.extra = EMPTY",
            "    else:",
            "        instance.extra = unknown_fields(data, mismatches, wire_names)",
            "    return instance",
        ]
        load: Loader = compile_function("load", lines, namespace, label=f"loader of {spec.cls.__name__}")
        return load

    def _lazy_loader(self, namespace: dict[str, Any], name: str, spec: ValueSpec) -> Loader:
        """Return a loader that creates the real loader on its first call, and replaces itself with it in ``namespace``."""

        def load(value: Any, findings: list[DecodeFinding]) -> Any:
            loader = namespace[name] = self.for_spec(spec)
            return loader(value, findings)

        return load

    def _slow_loader(self, spec: ModelSpec) -> Loader:
        """Return the loader for objects that the fast path rejects. It reports every deviation."""
        wire_names = _wire_names(spec)

        def load(data: dict[str, Any], findings: list[DecodeFinding]) -> Model:
            cls = spec.cls
            mismatches: dict[str, Any] = {}
            absent: list[str] = []
            for wire, text in spec.constants.items():
                value = data.get(wire, _MISSING)
                if value == text:
                    continue
                if value is _MISSING:
                    absent.append(wire)
                else:
                    mismatches[wire] = value
                if wire not in cls.wire_optional or (value is not _MISSING and value is not None):
                    code = "missing-field" if value is _MISSING else "wrong-constant"
                    findings.append(DecodeFinding(code, f".{wire}", cls.__name__, value))
            instance = object.__new__(cls)
            for field in spec.fields:
                value = data.get(field.wire, _MISSING)
                if value is _MISSING:
                    if field.required:
                        absent.append(field.wire)
                        findings.append(DecodeFinding("missing-field", f".{field.wire}", cls.__name__, value))
                    loaded = field.shape.neutral() if field.required else UNSET
                else:
                    before = len(findings)
                    loaded = self.for_spec(field.shape)(value, findings)
                    _prefix_paths(findings, before, f".{field.wire}")
                    if loaded is TYPE_MISMATCH:
                        mismatches = _record_mismatch(mismatches, findings, cls, field.wire, value)
                        loaded = field.shape.neutral()
                setattr(instance, field.name, loaded)
            unknown = {**mismatches, **{wire: value for wire, value in data.items() if wire not in wire_names}}
            object.__setattr__(
                instance, "extra", Extra(unknown, absent) if unknown or absent else EMPTY
            )  # frozen for type checkers
            return instance

        return load


class _TagTable(dict[str, Loader]):
    """Wire string -> loader, generated when the wire string first occurs."""

    def __init__(self, tags: dict[str, type[Model]], loaders: LoaderFactory) -> None:
        super().__init__()
        for tag, cls in tags.items():
            self[tag] = self._lazy_loader(tag, cls, loaders)

    def _lazy_loader(self, tag: str, cls: type[Model], loaders: LoaderFactory) -> Loader:
        def load(value: Any, findings: list[DecodeFinding]) -> Any:
            loader = self[tag] = loaders.for_model(cls)
            return loader(value, findings)

        return load


def _required_fields(spec: ModelSpec, local: dict[str, str], type_tests: dict[str, str]) -> list[str]:
    """Return the lines that read the required fields and check them and the constants."""
    required = [field for field in spec.fields if field.required]
    reads = [f"        {local[field.name]} = data[{field.wire!r}]" for field in required]
    tests = [type_tests[field.name] for field in required if field.name in type_tests]
    tests += [f"data[{wire!r}] == {text!r}" for wire, text in spec.constants.items()]
    if tests:
        reads += [f"        if not ({' and '.join(tests)}):", "            return load_slowly(data, findings)"]
    if reads:
        reads = ["    try:", *reads, "    except KeyError:", "        return load_slowly(data, findings)"]
    return [*reads, f"    known = {len(required) + len(spec.constants)}"]


def _optional_fields(spec: ModelSpec, local: dict[str, str], type_tests: dict[str, str]) -> list[str]:
    """Return the lines that read the scalar fields that may be absent."""
    optional = [field for field in spec.fields if not field.required and field.name in type_tests]
    if not optional:
        return []
    lines = [
        f"    if len(data) == {sum(field.required for field in spec.fields) + len(spec.constants)}:",
        "        " + " = ".join(local[field.name] for field in optional) + " = UNSET",
        "    else:",
    ]
    for field in optional:
        v = local[field.name]
        lines += [
            f"        {v} = UNSET",
            f"        if {field.wire!r} in data:",
            f"            {v} = data[{field.wire!r}]",
            "            known += 1",
            f"            if not {type_tests[field.name]}:",
            "                return load_slowly(data, findings)",
        ]
    return lines


def _nested_field(field: FieldSpec, v: str) -> list[str]:
    """Return the lines that load a field with a separate loader. ``v`` is the variable for its raw value."""
    lines: list[str] = []
    indent = "    "
    if not field.required:
        lines += [f"    if {field.wire!r} not in data:", f"        instance.{field.name} = UNSET", "    else:"]
        lines += ["        known += 1", f"        {v} = data[{field.wire!r}]"]
        indent += "    "
    simple: dict[str, str] = {}
    if field.shape.null:
        simple[f"{v} is None"] = "None"
    if field.shape.items is not None:
        simple[f"type({v}) is list and not {v}"] = "[]"  # as most lists in events are
    for number, (test, value) in enumerate(simple.items()):
        lines += [f"{indent}{'elif' if number else 'if'} {test}:", f"{indent}    instance.{field.name} = {value}"]
    if simple:
        lines += [f"{indent}else:"]
        indent += "    "
    return [
        *lines,
        f"{indent}before = len(findings)",
        f"{indent}loaded = load_{v}({v}, findings)",
        f"{indent}if len(findings) != before:",
        f"{indent}    prefix_paths(findings, before, {'.' + field.wire!r})",
        f"{indent}if loaded is TYPE_MISMATCH:",
        f"{indent}    mismatches = record_mismatch(mismatches, findings, cls, {field.wire!r}, {v})",
        f"{indent}    loaded = neutral_{v}()",
        f"{indent}instance.{field.name} = loaded",
    ]


def _as_is(value: Any, _findings: list[DecodeFinding]) -> Any:
    return value


def _mismatch(_value: Any, _findings: list[DecodeFinding]) -> Any:
    return TYPE_MISMATCH


def _wire_names(spec: ModelSpec) -> frozenset[str]:
    return frozenset([*spec.constants, *spec.by_wire])


def _record_mismatch(
    mismatches: dict[str, Any] | None, findings: list[DecodeFinding], cls: type[Model], wire: str, value: Any
) -> dict[str, Any]:
    mismatches = {} if mismatches is None else mismatches
    mismatches[wire] = value
    field = model_spec(cls).by_wire[wire]
    shown = _SECRET if field.secret else value
    says_nothing = value is None and not field.required
    findings.append(DecodeFinding("wrong-type", f".{wire}", cls.__name__, shown, says_nothing))
    return mismatches


def _unknown_fields(data: dict[str, Any], mismatches: dict[str, Any] | None, wire_names: frozenset[str]) -> Extra:
    unknown = {wire: value for wire, value in data.items() if wire not in wire_names}
    return Extra({**mismatches, **unknown} if mismatches else unknown)


def _unknown_loader(cls: type[Unknown]) -> Loader:
    def load(value: Any, _findings: list[DecodeFinding]) -> Any:
        tag = value.get("type")
        return cls(type=tag if isinstance(tag, str) else "", raw=value)

    return load


def _type_test(spec: ValueSpec, v: str) -> str | None:
    """Return the expression that checks the type of the variable ``v``; ``None`` if the value must be decoded."""
    if not spec.plain:
        return None
    tests = [f"type({v}) is {kind.__name__}" for kind in (str, int, float, bool) if kind in spec.scalars]
    tests += [f"{v} is None"] if spec.null else []
    return f"({' or '.join(tests)})"
