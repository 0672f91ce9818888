"""Resolve the annotations of functions and classes.

An annotation may be a string (``from __future__ import annotations``), or be evaluated late (Python 3.14). A name in it that is not in
the module is looked up in the enclosing functions, while they are running. The locals of a function that has returned are gone.
"""

from __future__ import annotations

import inspect
import sys
import typing
from typing import TYPE_CHECKING, Any, Final, cast

from ..exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HELP: Final = "import it outside `if TYPE_CHECKING:`, and define it at the top level of a module or in a function that is still running"


def parameter_hint(annotation: Any, function: Any, what: str) -> Any:
    """Return the resolved annotation of a parameter of a function.

    Raises ``UsageError`` if the annotation cannot be resolved; ``what`` describes it in the message.
    """
    if isinstance(annotation, type):
        return annotation
    names: dict[str, Any] = getattr(function, "__globals__", {})
    return _resolve(
        lambda local: _hint(annotation, names, local),
        _closure(function),
        getattr(function, "__qualname__", ""),
        names,
        what,
    )


def alias_value(alias: Any, path: str) -> Any:
    """Return the type that a type alias refers to. Raises ``UsageError`` if a name in it cannot be resolved."""
    module = sys.modules.get(alias.__module__)
    names: dict[str, Any] = vars(module) if module is not None else {}
    itself = {alias.__name__: alias}  # the name of an alias in a function is not in the module
    what = f"{path}: a name in the type alias {alias.__name__}"
    return _resolve(lambda local: _hint(alias.__value__, names, {**local, **itself}), {}, "", names, what)


def _hint(annotation: Any, names: dict[str, Any], local: dict[str, Any]) -> Any:
    def holder() -> None: ...

    holder.__annotations__ = {"hint": annotation}
    return typing.get_type_hints(holder, globalns=names, localns=local, include_extras=True)["hint"]


def class_hints(cls: Any, path: str) -> dict[str, Any]:
    """Return the annotations of a class and its bases. Raises ``UsageError`` if one cannot be resolved."""
    own_name = {cls.__name__: cls}  # the name of a class in a function is not in the module
    module = sys.modules.get(cls.__module__)
    hints: dict[str, Any] = _resolve(
        lambda local: typing.get_type_hints(cls, localns={**local, **own_name}, include_extras=True),
        {},
        cls.__qualname__,
        vars(module) if module is not None else {},
        f"{path}: an annotation of {cls.__name__}",
        inner=cast("dict[str, Any]", vars(cls)),
    )
    return hints


def own_annotations(cls: Any) -> Mapping[str, Any]:
    """Return the annotations of a class without its bases, unresolved."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - new in Python 3.14

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    annotations: Mapping[str, Any] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 - it would return those of a base
    return annotations


def _resolve(
    hints: Callable[[dict[str, Any]], Any],
    local: Mapping[str, Any],
    qualname: str,
    module: Mapping[str, Any],
    what: str,
    *,
    inner: Mapping[str, Any] | None = None,
) -> Any:
    """Return ``hints(local)``. If a name is missing, add the names in the functions around ``qualname``, and in ``inner``."""
    try:
        try:
            return hints(dict(local))
        except NameError:
            return hints({**_names_around(qualname, module), **(inner or {}), **local})
    except NameError as error:
        raise UsageError(f"{what} is not defined at run time ({error}); {_HELP}") from error
    except Exception as error:  # an annotation may raise anything
        raise UsageError(f"{what} cannot be read: {error}") from error


def _closure(function: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


def _names_around(qualname: str, module: Mapping[str, Any]) -> dict[str, Any]:
    """Return the locals of the running functions in which a function or class was defined."""
    scopes = qualname.split(".<locals>")[:-1]
    functions = [".<locals>".join(scopes[: end + 1]) for end in range(len(scopes))]
    found: dict[str, dict[str, Any]] = {}
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals is module and frame.f_code.co_qualname in functions:
            found.setdefault(frame.f_code.co_qualname, dict(frame.f_locals))  # use the innermost call
        frame = frame.f_back
    return {name: value for function in functions for name, value in found.get(function, {}).items()}
