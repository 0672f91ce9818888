"""Reads the signatures of functions: makes a JSON Schema for the model, and the arguments of a call from a model's JSON.

:mod:`responses_proto.schema` handles schemas and values; this module adds parameters, defaults and docstrings.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, cast, get_args, get_origin

import attrs

from ..codec import default_backend
from ..exceptions import DecodeError, LimitExceeded, ToolArgumentsInvalid, UsageError
from ..schema._errors import path_of
from ..schema._hints import parameter_hint
from ..schema._metadata import is_field, read_metadata
from ..schema.structured import Parameter, Structured
from ._docstring import read_docstring

if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import Parameter as PyParameter

    from ..typing import JSONObject, JSONValue

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

    @property
    def schema(self) -> JSONObject:
        """The JSON Schema of the arguments."""
        return self.structured.schema

    def bind(self, arguments: str) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and the keyword arguments in a model's JSON.

        Raises ``ToolArgumentsInvalid`` with the path.
        """
        value = object_in(arguments)
        names = list(cast("dict[str, Any]", self.schema["properties"]))
        for unknown in value.keys() - names:
            known = ", ".join(names) or "none"
            raise ToolArgumentsInvalid(
                f"the arguments are invalid: there is no parameter {unknown!r}, only: {known}", path=path_of([unknown])
            )
        try:
            values = self.structured.load(value, closed=True)
        except DecodeError as error:
            raise ToolArgumentsInvalid(f"the arguments are invalid: {error}", path=error.path) from error
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
        raise ToolArgumentsInvalid(f"the arguments are invalid: {error}") from error
    if not isinstance(value, dict):
        raise ToolArgumentsInvalid("the arguments are invalid: expected a JSON object")
    return cast("dict[str, JSONValue]", value)


def signature_of(
    function: Callable[..., Any], parameters: tuple[PyParameter, ...], *, strict: bool = True
) -> Signature:
    """Return the signature of a function. ``parameters`` are those that the model sees, from :func:`parameters_of`.

    Raises ``UsageError`` for a parameter without a type, for a type without a schema, and with ``strict`` for a type without a
    strict schema.
    """
    described = read_docstring(_doc_of(function))[1]
    try:
        structured = Structured.of_parameters(
            name_of(function) or "arguments",
            {p.name: _described(p, described.get(p.name, "")) for p in parameters},
            strict=strict,
        )
    except UsageError as error:
        raise UsageError(f"{label_of(function)}(): {error}") from error
    return Signature(structured=structured, parameters=parameters)


def _described(parameter: PyParameter, text: str) -> Parameter:
    hint = parameter.annotation
    if isinstance(hint, _Unresolved):
        raise hint.error
    if hint is _EMPTY:
        raise UsageError(f"the parameter {parameter.name!r} has no type annotation")
    if is_field(parameter.default):  # `Field(...)` has the default, or none
        hint = Annotated[hint, parameter.default]
    metadata = getattr(hint, "__metadata__", ())
    is_described = bool(metadata and read_metadata(metadata, f"$.{parameter.name}").description)
    return Parameter(
        hint,
        optional=parameter.default is not _EMPTY and not is_field(parameter.default),
        description="" if is_described else text,
    )


@attrs.frozen(kw_only=True)
class Parameters:
    """The parameters of a function, sorted by their source."""

    arguments: tuple[PyParameter, ...]
    """The parameters that the caller or the model passes."""
    takes_context: bool
    """Whether the first parameter is the context."""
    bound: bool
    """Whether there is no parameter ``self`` or ``cls`` left to bind."""


def parameters_of(function: Callable[..., Any], context: type) -> Parameters:
    """Sort the parameters of a function, and resolve their annotations.

    ``context`` is the class that annotates the parameter for the context, itself or as a part of the annotation.

    Raises ``UsageError`` for ``*args`` and ``**kwargs``, for a context that is not the first parameter, and for a function
    that cannot be called with named arguments or has no result.
    """
    _check_kind(function)
    try:
        parameters = list(inspect.signature(function, **_LATE_ANNOTATIONS).parameters.values())
    except (TypeError, ValueError) as error:
        raise UsageError(f"the parameters of {function!r} cannot be read: {error}") from error
    unbound = bool(parameters) and parameters[0].name in _RECEIVERS and parameters[0].annotation is _EMPTY
    parameters = [_resolved(function, parameter, context) for parameter in parameters[unbound:]]
    takes_context = bool(parameters) and _is_context(parameters[0].annotation, context)
    parameters = parameters[takes_context:]
    for parameter in parameters:
        if parameter.kind in _VARIADIC:
            raise UsageError(
                f"{label_of(function)}({parameter.replace(annotation=_EMPTY)}): a model passes arguments by name; "
                "replace it with named parameters"
            )
        if _is_context(parameter.annotation, context):
            raise UsageError(f"{label_of(function)}(): the {context.__name__} must be the first parameter")
    return Parameters(arguments=tuple(parameters), takes_context=takes_context, bound=not unbound)


def _late_annotations() -> dict[str, Any]:
    """Return the arguments with which ``inspect.signature`` accepts names that are not defined."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - new in Python 3.14

        return {"annotation_format": annotationlib.Format.FORWARDREF}
    return {}


_LATE_ANNOTATIONS: Final = _late_annotations()


def _check_kind(function: Callable[..., Any]) -> None:
    """Raise ``UsageError`` for a function that could never be called."""
    inner: Any = cast("Any", function).func if isinstance(function, functools.partial) else function
    called: Any = inner if inspect.isroutine(inner) else type(inner).__call__
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise UsageError(f"{label_of(inner)}() is a generator function, which has no result: return a list instead")
    # `functools.singledispatch` and `singledispatchmethod`
    if inspect.isfunction(inner) and hasattr(inner, "register") and hasattr(inner, "__wrapped__"):
        raise UsageError(
            f"{label_of(inner)}() chooses an implementation by the type of a positional argument, but a model passes "
            "arguments by name: wrap it in a function"
        )


@attrs.frozen
class _Unresolved:
    """Replaces an annotation that cannot be resolved, which is an error only if the annotation is needed."""

    error: UsageError


def _resolved(function: Callable[..., Any], parameter: PyParameter, context: type) -> PyParameter:
    annotation = parameter.annotation
    if annotation is _EMPTY or isinstance(annotation, type):
        return parameter
    try:
        hint = parameter_hint(annotation, _unwrapped(function), f"the type of {parameter.name!r}")
    except UsageError as error:
        if context.__name__ in str(annotation):
            raise UsageError(f"{label_of(function)}(): {error}") from error
        hint = _Unresolved(error)
    return parameter.replace(annotation=hint)


def _is_context(hint: Any, context: type) -> bool:
    """Return whether a type is the context, a subclass of it, or a union with it."""
    hint = getattr(hint, "__value__", hint)  # `type Alias = ...`
    origin = get_origin(hint)
    if origin is Annotated or origin is Union or origin is types.UnionType:
        return any(_is_context(part, context) for part in get_args(hint)[: 1 if origin is Annotated else None])
    cls = origin or hint
    return isinstance(cls, type) and issubclass(cls, context)


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, or "" if it has none that a tool can have."""
    inner = function.func if isinstance(function, functools.partial) else function
    name = getattr(inner, "__name__", type(inner).__name__)
    return name if _NAME.fullmatch(name) else ""


def label_of(function: Callable[..., Any]) -> str:
    """Return the name of a function for error messages."""
    return str(getattr(_unwrapped(function), "__qualname__", function)).rpartition("<locals>.")[2]


def description_of(function: Callable[..., Any]) -> str:
    """Return the docstring of a function without the descriptions of its parameters."""
    return read_docstring(_doc_of(function))[0]


def _doc_of(function: Callable[..., Any]) -> str:
    """Return the docstring that the author of a function wrote; for a callable object, possibly that of its class."""
    inner = _unwrapped(function)
    owner = _innermost(function)
    if inspect.isroutine(owner):
        return inspect.getdoc(inner) or ""
    texts = [inner.__doc__ if inspect.isfunction(inner) else None, type(owner).__dict__.get("__doc__")]
    return next((inspect.cleandoc(text) for text in texts if isinstance(text, str) and text), "")


def _unwrapped(function: Callable[..., Any]) -> Any:
    """Return the function inside decorators and partials, which has the annotations and the docstring."""
    inner = _innermost(function)
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    return getattr(inner, "__func__", inner)


def _innermost(function: Callable[..., Any]) -> Any:
    """Return the function, method or callable object inside decorators and partials."""
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(cast("Any", inner).func)
    return inner
