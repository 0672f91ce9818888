"""Read and write a nested field by its dotted path, such as ``action.commands``, in models and in wire objects."""

from __future__ import annotations

import copy
from typing import Any, cast

from ._base import Model, Unknown


def get_path(value: object, path: str) -> Any:
    """Return the value at a path; ``None`` if there is none.

    ``value`` is a model or a wire object (a ``dict``), and so is every value along the path.
    """
    for name in path.split("."):
        value = _get(value, name)
    return value


def set_path(target: object, path: str, value: object) -> None:
    """Set the value at a path, in ``target`` itself. Do nothing if the path leads through or to a field that does not exist.

    The objects between ``target`` and the value are replaced by shallow copies, because other models may share them. A wire
    object accepts any last name; a model only its fields.
    """
    name, _, rest = path.partition(".")
    if rest:
        inner = _get(target, name)
        if not isinstance(inner, (Model, dict)):
            return
        inner = copy.copy(cast("Any", inner))
        set_path(inner, rest, value)
        value = inner
    if isinstance(target, dict):
        target[name] = value
    elif isinstance(target, Unknown):
        if isinstance(target.raw, dict):
            setattr(target, "raw", {**target.raw, name: value})  # noqa: B010 - models are frozen for type checkers only
    elif isinstance(target, Model) and hasattr(target, name):
        setattr(target, name, value)


def _get(value: object, name: str) -> object:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).get(name)
    # Only for models: strings and numbers have attributes too, but these are not fields.
    return getattr(value, name, None) if isinstance(value, Model) else None
