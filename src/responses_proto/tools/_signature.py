"""Reads the signatures of functions: a JSON Schema for the model, and from a model's JSON the arguments of a call.

Schemas and values are the work of :mod:`responses_proto.schema`; this module adds parameters, defaults and docstrings.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..codec import default_backend
from ..exceptions import DecodeError, LimitExceeded, ToolArgumentsInvalid, UsageError
from ..schema._shapes import path_of
from ..schema.structured import Parameter, Structured
from ._docstring import read_docstring

if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import Parameter as PyParameter

    from ..typing import JSONObject, JSONValue

__all__ = [
    "Parameters",
    "Signature",
    "description_of",
    "label_of",
    "name_of",
    "object_in",
    "parameters_of",
    "signature_of",
]

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EMPTY: Final = inspect.Parameter.empty
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_RECEIVERS: Final = frozenset({"self", "cls"})


@attrs.frozen(kw_only=True)
class Signature:
    """The parameters of a function that the model sees."""

    structured: Structured[dict[str, Any]]
    """The parameters as a type with a JSON Schema."""
    parameters: tuple[PyParameter, ...]
    """The same parameters, in order."""

    def schema(self, *, strict: bool) -> JSONObject:
        """Return the JSON Schema of the arguments. If not ``strict``, a parameter with a default is not required."""
        schema = self.structured.schema
        if strict:
            return schema
        return {**schema, "required": [p.name for p in self.parameters if p.default is _EMPTY]}

    def bind(self, arguments: str) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and the keyword arguments in a model's JSON.

        Raises ``ToolArgumentsInvalid`` with the path.
        """
        value = object_in(arguments)
        names = [parameter.name for parameter in self.parameters]
        for unknown in value.keys() - names:
            known = ", ".join(names) or "none"
            raise ToolArgumentsInvalid(
                f"the arguments do not fit: there is no parameter {unknown!r}, only: {known}", path=path_of([unknown])
            )
        try:
            values = self.structured.load(value)
        except DecodeError as error:
            raise ToolArgumentsInvalid(f"the arguments do not fit: {error}", path=error.path) from error
        positional: list[Any] = []
        keyword: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                positional.append(values.get(parameter.name, parameter.default))
            elif parameter.name in values:
                keyword[parameter.name] = values[parameter.name]
        return positional, keyword


def object_in(arguments: str) -> dict[str, JSONValue]:
    """Return the JSON object in a call's arguments; blank text is an empty one. Raises ``ToolArgumentsInvalid``."""
    try:
        value: Any = default_backend().loads(arguments) if arguments.strip() else {}
    except (DecodeError, LimitExceeded) as error:
        raise ToolArgumentsInvalid(f"the arguments do not fit: {error}") from error
    if not isinstance(value, dict):
        raise ToolArgumentsInvalid("the arguments do not fit: expected a JSON object")
    return cast("dict[str, JSONValue]", value)


def signature_of(function: Callable[..., Any], parameters: tuple[PyParameter, ...]) -> Signature:
    """Return the signature of a function, of which the model sees ``parameters``.

    Raises ``UsageError`` for a parameter without a type, and for a type that has no schema.
    """
    described = read_docstring(inspect.getdoc(_unwrapped(function)) or "")[1]
    hints = {parameter.name: _hint(function, parameter) for parameter in parameters}
    try:
        structured = Structured.of_parameters(
            name_of(function) or "arguments",
            {
                parameter.name: Parameter(
                    hints[parameter.name],
                    optional=parameter.default is not _EMPTY,
                    description="" if _is_described(hints[parameter.name]) else described.get(parameter.name, ""),
                )
                for parameter in parameters
            },
        )
    except UsageError as error:
        raise UsageError(f"{label_of(function)}(): {error}") from error
    return Signature(structured=structured, parameters=parameters)


@attrs.frozen(kw_only=True)
class Parameters:
    """The parameters of a function, sorted by their source."""

    arguments: tuple[PyParameter, ...]
    """Those that the caller, or the model, passes."""
    takes_context: bool
    """Whether the first parameter is the context."""
    bound: bool
    """Whether there is no parameter ``self`` or ``cls`` left to bind."""


def parameters_of(function: Callable[..., Any], context: type) -> Parameters:
    """Sort the parameters of a function. ``context`` is the class that annotates the parameter for the context.

    Raises ``UsageError`` for ``*args`` and ``**kwargs``, and for a context that is not the first parameter.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise UsageError(f"the parameters of {function!r} cannot be read: {error}") from error
    unbound = bool(parameters) and parameters[0].name in _RECEIVERS and parameters[0].annotation is _EMPTY
    parameters = parameters[unbound:]
    takes_context = bool(parameters) and _is_context(function, parameters[0], context)
    parameters = parameters[takes_context:]
    for parameter in parameters:
        if parameter.kind in _VARIADIC:
            raise UsageError(
                f"{label_of(function)}({parameter}): a model passes arguments by name; replace it with named parameters"
            )
        if _is_context(function, parameter, context):
            raise UsageError(f"{label_of(function)}(): the {context.__name__} must be the first parameter")
    return Parameters(arguments=tuple(parameters), takes_context=takes_context, bound=not unbound)


def _is_context(function: Callable[..., Any], parameter: PyParameter, context: type) -> bool:
    annotation = parameter.annotation
    if isinstance(annotation, str):
        # Other annotations are not resolved here: they may be wrong, and `signature_of` reports that better.
        if context.__name__ not in annotation:
            return False
        annotation = _hint(function, parameter)
    return (typing.get_origin(annotation) or annotation) is context


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, or "" if it has none that a tool can have."""
    inner = function.func if isinstance(function, functools.partial) else function
    name = getattr(inner, "__name__", type(inner).__name__)
    return name if _NAME.fullmatch(name) else ""


def label_of(function: Callable[..., Any]) -> str:
    """Return the name of a function for error messages."""
    return str(getattr(_unwrapped(function), "__qualname__", function)).rpartition("<locals>.")[2]


def description_of(function: Callable[..., Any]) -> str:
    """Return the docstring of a function without its sections (parameters, returns, …)."""
    return read_docstring(inspect.getdoc(_unwrapped(function)) or "")[0]


def _unwrapped(function: Callable[..., Any]) -> Any:
    """Return the function inside decorators and partials, which has the annotations and the docstring."""
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(cast("Any", inner).func)
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    return getattr(inner, "__func__", inner)


def _hint(function: Callable[..., Any], parameter: PyParameter) -> Any:
    if parameter.annotation is _EMPTY:
        raise UsageError(f"{label_of(function)}(): the parameter {parameter.name!r} has no type annotation")

    def holder() -> None: ...

    holder.__annotations__ = {parameter.name: parameter.annotation}
    names = getattr(_unwrapped(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, globalns=names, include_extras=True)[parameter.name]
    except NameError as error:
        raise UsageError(
            f"{label_of(function)}(): the type of {parameter.name!r} is not defined at run time ({error}); "
            "import it outside `if TYPE_CHECKING:`, and define it at the top level of a module"
        ) from error
    except (TypeError, SyntaxError) as error:
        raise UsageError(f"{label_of(function)}(): the type of {parameter.name!r} cannot be read: {error}") from error


def _is_described(hint: Any) -> bool:
    metadata = getattr(hint, "__metadata__", ())
    return any(isinstance(entry, str) or hasattr(entry, "documentation") for entry in metadata)
