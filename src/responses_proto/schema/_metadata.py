"""Read the metadata of ``Annotated[...]``: descriptions, constraints on the value, defaults and aliases.

Constraints are recognized by the names of their attributes (``ge``, ``max_length``, ``pattern``, …). These names are shared by
annotated_types, pydantic's ``Field`` and ``StringConstraints``, and ``msgspec.Meta``, so none of them needs to be imported. A
:class:`Constraint` restricts the schema, if there is a keyword for it, and checks the value.

Metadata of these libraries with any other effect, such as a predicate or a validator, is refused: a constraint is never dropped
silently. Metadata of other libraries is ignored (PEP 593).
"""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import decimal
import inspect
import json
import math
import operator
import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..exceptions import UsageError
from ._strict import is_portable_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_NUMBERS: Final = (int, float, decimal.Decimal)
_ORDERED: Final = (*_NUMBERS, dt.date, dt.datetime, dt.time, dt.timedelta)
_SIZED: Final = (str, bytes, list, tuple, set, frozenset, dict)


@attrs.frozen
class _Rule:
    """The meaning of one kind of constraint."""

    types: tuple[type, ...]
    """The Python types of the values that the constraint applies to."""
    keywords: Mapping[str, str]
    """JSON type -> keyword."""
    holds: Callable[[Any, Any], bool]
    """Returns whether a value satisfies the constraint with a bound."""
    text: str
    """The requirement, with ``{}`` for the bound."""


def _is_multiple(value: Any, base: Any) -> bool:
    if isinstance(value, float) or isinstance(base, float):
        return bool(abs(math.remainder(value, base)) <= abs(value) / 1e9)  # tolerance, so that 0.3 is a multiple of 0.1
    return bool(value % base == 0)


def _is_in_zone(value: Any, zone: Any) -> bool:
    if zone is None or zone is ...:
        return bool((value.tzinfo is None) is (zone is None))
    return value.tzinfo is not None and str(value.tzinfo) == str(zone)


def _keyword_of_numbers(keyword: str) -> Mapping[str, str]:
    return {"integer": keyword, "number": keyword}


_RULES: Final[Mapping[str, _Rule]] = {
    "ge": _Rule(_ORDERED, _keyword_of_numbers("minimum"), operator.ge, "at least {}"),
    "gt": _Rule(_ORDERED, _keyword_of_numbers("exclusiveMinimum"), operator.gt, "more than {}"),
    "le": _Rule(_ORDERED, _keyword_of_numbers("maximum"), operator.le, "at most {}"),
    "lt": _Rule(_ORDERED, _keyword_of_numbers("exclusiveMaximum"), operator.lt, "less than {}"),
    "multiple_of": _Rule(_NUMBERS, _keyword_of_numbers("multipleOf"), _is_multiple, "a multiple of {}"),
    "min_length": _Rule(
        _SIZED,
        {"array": "minItems", "string": "minLength", "object": "minProperties"},
        lambda value, size: len(value) >= size,
        "a length of at least {}",
    ),
    "max_length": _Rule(
        _SIZED,
        {"array": "maxItems", "string": "maxLength", "object": "maxProperties"},
        lambda value, size: len(value) <= size,
        "a length of at most {}",
    ),
    "pattern": _Rule(
        (str,), {"string": "pattern"}, lambda value, pattern: bool(pattern.search(value)), "a match of {}"
    ),
    "tz": _Rule((dt.datetime, dt.time), {}, _is_in_zone, "the time zone {}"),
}
"""Attribute of the metadata -> the rule."""
_NOT_STRICT: Final = frozenset({"minLength", "maxLength", "minProperties", "maxProperties"})
"""Keywords that are not in the strict subset. The value is checked nevertheless."""
_STRONGER: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minItems", "minLength", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxItems", "maxLength", "maxProperties"), min),
}
"""Keyword -> the function that returns the stronger of two bounds."""

_LIBRARIES: Final = frozenset({"annotated_types", "pydantic", "pydantic_core"})
_DESCRIPTIONS: Final = ("documentation", "description")
_FIELD_OPTIONS: Final = frozenset({"default", "default_factory", "alias", "validation_alias", "examples"})
_HARMLESS: Final = frozenset(
    {
        *("title", "annotation", "repr", "frozen", "exclude", "init", "init_var", "kw_only", "deprecated", "unit"),
        *("serialization_alias", "alias_priority", "field_title_generator", "validate_default", "fail_fast"),
        *("strict", "allow_inf_nan", "discriminator"),
    }
)
"""Options that do not restrict the values, or that hold for every value that is read here."""


@attrs.frozen
class Constraint:
    """A constraint on a value."""

    name: str
    """The name of the constraint: ``ge``, ``max_length``, …"""
    bound: Any
    """The bound as a Python value, for comparison."""
    json_bound: Any
    """The bound in a schema; ``None`` if it cannot be written there."""

    def applies_to(self, domain: type | None) -> bool:
        """Return whether the constraint can check values of a Python type."""
        rule = _RULES[self.name]
        if domain is None or domain is bool or not issubclass(domain, rule.types):
            return False
        if rule.types is _ORDERED or rule.types is _NUMBERS:
            return isinstance(self.bound, _NUMBERS if issubclass(domain, _NUMBERS) else domain)
        return rule.types is not _SIZED or isinstance(self.bound, int)

    def excludes(self, other: Constraint) -> bool:
        """Return whether one schema cannot express both constraints."""
        return self.name == other.name and self.name in {"multiple_of", "pattern"} and self.bound != other.bound

    @property
    def text(self) -> str:
        """The requirement, as readable text."""
        bound: Any = self.json_bound or getattr(self.bound, "pattern", self.bound)
        return _RULES[self.name].text.format("any" if bound is ... else bound)

    def holds(self, value: Any) -> bool:
        """Return whether a value satisfies the constraint."""
        try:
            return _RULES[self.name].holds(value, self.bound)
        except (TypeError, ArithmeticError):  # times with and without a zone; an integer that is too large for a float
            return False

    def restrict(self, schema: dict[str, Any], *, strict: bool) -> None:
        """Add the constraint to the schema of a value, if there is a keyword for it."""
        keyword = _RULES[self.name].keywords.get(schema.get("type", ""))
        bound = self.json_bound
        if keyword is None or bound is None:
            return
        if strict and (keyword in _NOT_STRICT or (keyword == "pattern" and not is_portable_pattern(bound))):
            return
        stronger = _STRONGER.get(keyword)
        schema[keyword] = stronger(bound, schema[keyword]) if stronger and keyword in schema else bound


@attrs.frozen
class Metadata:
    """The metadata of one ``Annotated``."""

    description: str = ""
    constraints: tuple[Constraint, ...] = ()
    default: Callable[[], Any] | None = None
    """Returns the default value; ``None`` if there is none."""
    alias: str = ""
    """The name of the field in JSON; empty if there is no alias."""


def is_field(value: object) -> bool:
    """Return whether a value is pydantic's ``Field(...)``."""
    return hasattr(value, "default_factory") and hasattr(value, "validation_alias") and _is_of_library(value)


def read_metadata(entries: Iterable[Any], path: str) -> Metadata:
    """Return the metadata of an ``Annotated``. Later entries override earlier ones; all constraints apply.

    Raises ``UsageError``, with the path, for a constraint that can be neither expressed in a schema nor checked.
    """
    constraints: list[Constraint] = []
    found: dict[str, Any] = {}
    for entry in _flatten(entries):
        for name, value in _options_of(entry).items():
            if name in _RULES:
                constraints.append(_constraint(name, value, path))
            elif name in _DESCRIPTIONS:
                found["description"] = inspect.cleandoc(value)
            elif name in _FIELD_OPTIONS:
                found[name] = value
            elif name not in _HARMLESS:
                raise UsageError(
                    f"{path}: the option {name!r} of {type(entry).__name__} is not supported: JSON Schema cannot express it"
                )
    if "examples" in found:
        shown = ", ".join(json.dumps(example, default=str, ensure_ascii=False) for example in found["examples"])
        found["description"] = f"{found.get('description', '')} Examples: {shown}".strip()
    return Metadata(found.get("description", ""), tuple(constraints), _default(found, path), _alias(found, path))


def _flatten(entries: Iterable[Any]) -> Iterator[Any]:
    for entry in entries:
        if hasattr(entry, "__is_annotated_types_grouped_metadata__"):
            yield from _flatten(entry)
        else:
            yield entry
            if is_field(entry):
                yield from _flatten(entry.metadata)


def _is_of_library(entry: object) -> bool:
    return any(base.__module__.partition(".")[0] in _LIBRARIES for base in type(entry).__mro__)


def _options_of(entry: Any) -> Mapping[str, Any]:
    """Return the options of one entry that are set."""
    if isinstance(entry, str):
        return {"description": entry}
    if entry is None or isinstance(entry, type):
        return {}
    if is_field(entry):
        # None counts as a default.
        return {
            name: value
            for name, value in entry._attributes_set.items()  # noqa: SLF001 - the only record of what was passed
            if value is not None or name == "default"
        }
    if not _is_of_library(entry):
        known = {name: getattr(entry, name, None) for name in (*_RULES, *_DESCRIPTIONS)}
        return {name: value for name, value in known.items() if value is not None and not callable(value)}
    if dataclasses.is_dataclass(entry):
        options = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    else:
        options = dict(getattr(entry, "__dict__", {}))
    return {name: value for name, value in options.items() if value is not None or name == "tz"}


def _constraint(name: str, bound: Any, path: str) -> Constraint:
    if name == "pattern":
        return _pattern_constraint(bound, path)
    json_bound = bound
    if isinstance(bound, decimal.Decimal) and bound.is_finite():
        json_bound = int(bound) if bound == bound.to_integral_value() else float(bound)
    if not isinstance(json_bound, (int, float)) or not math.isfinite(json_bound):
        json_bound = None
    return Constraint(name, bound, json_bound)


_DOLLAR: Final = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\$", re.DOTALL)


def _pattern_constraint(bound: Any, path: str) -> Constraint:
    try:
        pattern = re.compile(bound)
    except (TypeError, re.error) as error:
        raise UsageError(f"{path}: {bound!r} is not a regular expression: {error}") from error
    json_bound = pattern.pattern if pattern.flags == re.UNICODE else None
    if not pattern.flags & re.MULTILINE:
        # In JSON Schema `$` does not match before a line break at the end.
        pattern = re.compile(_DOLLAR.sub(lambda match: match[1] or r"\Z", pattern.pattern), pattern.flags)
    return Constraint("pattern", pattern, json_bound)


def _default(found: Mapping[str, Any], path: str) -> Callable[[], Any] | None:
    if "default" in found:
        return lambda: copy.deepcopy(found["default"])
    factory = found.get("default_factory")
    if factory is None:
        return None
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # a built-in class, which needs no argument
        return factory  # type: ignore[no-any-return] # pydantic checks that it is callable
    if any(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters.values()):
        raise UsageError(f"{path}: a default_factory that takes the validated data is not supported")
    return factory  # type: ignore[no-any-return] # as above


def _alias(found: Mapping[str, Any], path: str) -> str:
    alias = found.get("validation_alias", found.get("alias", ""))
    if not isinstance(alias, str):
        raise UsageError(f"{path}: an alias must be a string, got {alias!r}")
    return alias
