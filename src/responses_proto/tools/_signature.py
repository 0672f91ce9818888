"""From a function to what a model has to know of it, and from a model's arguments to a call.

The schema and the reading of arguments are those of :mod:`.structured`; this module knows about parameters.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..codec import default_backend
from ..exceptions import DecodeError, LimitExceeded, LocalProtocolError, ToolArgumentsInvalid
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
_COLLECTING: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_RECEIVERS: Final = frozenset({"self", "cls"})


@attrs.frozen(kw_only=True)
class Signature:
    """What a function takes, for a model and for Python."""

    structured: Structured[dict[str, Any]]
    """The parameters that the model sees."""
    parameters: tuple[PyParameter, ...]
    """The same, for Python."""

    def schema(self, *, strict: bool) -> JSONObject:
        """Give the JSON Schema of the arguments. Not ``strict``: what has a default may be left out, and need not be null."""
        schema = self.structured.schema
        if strict:
            return schema
        return {**schema, "required": [p.name for p in self.parameters if p.default is _EMPTY]}

    def bind(self, arguments: str) -> tuple[list[Any], dict[str, Any]]:
        """Make the arguments of the call that a model's JSON means. Raises ``ToolArgumentsInvalid``, with its path."""
        value = object_in(arguments)
        names = [parameter.name for parameter in self.parameters]
        for unknown in value.keys() - names:
            known = ", ".join(names) or "none"
            raise ToolArgumentsInvalid(
                f"the arguments do not fit: there is no parameter {unknown!r}, only: {known}", path=path_of([unknown])
            )
        try:
            given = self.structured.load(value)
        except DecodeError as error:
            raise ToolArgumentsInvalid(f"the arguments do not fit: {error}", path=error.path) from error
        by_place: list[Any] = []
        by_name: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                by_place.append(given.get(parameter.name, parameter.default))
            elif parameter.name in given:
                by_name[parameter.name] = given[parameter.name]
        return by_place, by_name


def object_in(arguments: str) -> dict[str, JSONValue]:
    """Read the arguments of a call, whatever is called. Raises ``ToolArgumentsInvalid`` for what is no JSON object."""
    try:
        # Where there is nothing to say, some models say nothing.
        value: Any = default_backend().loads(arguments) if arguments.strip() else {}
    except (DecodeError, LimitExceeded) as error:
        raise ToolArgumentsInvalid(f"the arguments do not fit: {error}") from error
    if not isinstance(value, dict):
        raise ToolArgumentsInvalid("the arguments do not fit: expected a JSON object")
    return cast("dict[str, JSONValue]", value)


def signature_of(function: Callable[..., Any], parameters: tuple[PyParameter, ...]) -> Signature:
    """Work out what a function takes, given those of its parameters that the model is to see.

    Raises ``LocalProtocolError`` for what cannot be said in a schema.
    """
    described = read_docstring(inspect.getdoc(_written(function)) or "")[1]
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
    except LocalProtocolError as error:
        raise LocalProtocolError(f"{label_of(function)}(): {error}") from error
    return Signature(structured=structured, parameters=parameters)


@attrs.frozen(kw_only=True)
class Parameters:
    """The parameters of a function, by who gives the arguments."""

    listed: tuple[PyParameter, ...]
    """Those that are for the caller, or the model, to give."""
    context: bool
    """Whether the first one is for what the function is called in."""
    bound: bool
    """Whether there is none for the object that a method belongs to."""


def parameters_of(function: Callable[..., Any], context: type) -> Parameters:
    """Tell apart what is in a signature; the parameter for a context is the first, annotated with the class ``context``.

    Raises ``LocalProtocolError`` for ``*args`` and ``**kwargs``.
    """
    try:
        listed = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise LocalProtocolError(f"{function!r} is no function whose parameters can be read: {error}") from error
    method = bool(listed) and listed[0].name in _RECEIVERS and listed[0].annotation is _EMPTY
    listed = listed[method:]
    wants = bool(listed) and _is_context(function, listed[0], context)
    listed = listed[wants:]
    for parameter in listed:
        if parameter.kind in _COLLECTING:
            raise LocalProtocolError(
                f"{label_of(function)}({parameter}): a model can only give arguments that have names; name them"
            )
        if _is_context(function, parameter, context):
            raise LocalProtocolError(f"{label_of(function)}(): the {context.__name__} has to be the first parameter")
    return Parameters(listed=tuple(listed), context=wants, bound=not method)


def _is_context(function: Callable[..., Any], parameter: PyParameter, context: type) -> bool:
    annotation = parameter.annotation
    if isinstance(annotation, str):
        # Only what looks like it is worked out: other names may be wrong, and that is told elsewhere.
        return context.__name__ in annotation and _hint(function, parameter) is context
    return annotation is context


def name_of(function: Callable[..., Any]) -> str:
    """Give the name that a function goes by; empty if it has none."""
    named = function.func if isinstance(function, functools.partial) else function
    name = getattr(named, "__name__", type(named).__name__)
    return name if _NAME.fullmatch(name) else ""


def label_of(function: Callable[..., Any]) -> str:
    """Give what a function is called in an error."""
    return str(getattr(_written(function), "__qualname__", function)).rpartition("<locals>.")[2]


def description_of(function: Callable[..., Any]) -> str:
    """Give what a function's docstring says, but for its parameters and what it returns."""
    return read_docstring(inspect.getdoc(_written(function)) or "")[0]


def _written(function: Callable[..., Any]) -> Any:
    """Give the function as it was written, within what was put around it: it has the annotations and the docstring."""
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(cast("Any", inner).func)
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    return getattr(inner, "__func__", inner)


def _hint(function: Callable[..., Any], parameter: PyParameter) -> Any:
    if parameter.annotation is _EMPTY:
        raise LocalProtocolError(f"{label_of(function)}(): the parameter {parameter.name!r} has no type")

    def holder() -> None: ...

    holder.__annotations__ = {parameter.name: parameter.annotation}
    names = getattr(_written(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, globalns=names, include_extras=True)[parameter.name]
    except NameError as error:
        raise LocalProtocolError(
            f"{label_of(function)}(): the type of {parameter.name!r} is not there at run time ({error}); "
            "import it outside of `if TYPE_CHECKING:`, and define it at the top of a module"
        ) from error
    except (TypeError, SyntaxError) as error:
        raise LocalProtocolError(
            f"{label_of(function)}(): the type of {parameter.name!r} cannot be read: {error}"
        ) from error


def _is_described(hint: Any) -> bool:
    return any(isinstance(said, str) or hasattr(said, "documentation") for said in getattr(hint, "__metadata__", ()))
