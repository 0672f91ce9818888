"""Errors of JSON values that do not match a type, with their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MAX_SHOWN_CHARS: Final = 60


class ShapeError(Exception):
    """A JSON value does not match a shape. ``steps`` is the path of the value; each container prepends its own step."""

    def __init__(self, message: str, *steps: str | int, right_type: bool = True, missing: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.steps: tuple[str | int, ...] = steps
        self.right_type = right_type
        """Whether the value has the expected JSON type, although it does not match."""
        self.missing = missing
        """Whether the last step names a missing property."""

    @property
    def rank(self) -> tuple[int, bool]:
        """How specific the error is, to select one error among the options of a union. A deeper error is more specific."""
        return len(self.steps) - self.missing, self.right_type

    def copy(self) -> ShapeError:
        return ShapeError(self.message, *self.steps, right_type=self.right_type, missing=self.missing)

    def prepend(self, step: str | int) -> ShapeError:
        self.steps = (step, *self.steps)
        return self


def one_line(text: object) -> str:
    return " ".join(str(text).split())


def shape_error(error: Exception, value: Any) -> ShapeError:
    """Return a ``ShapeError`` for the error of a class that refused a JSON value; of several pydantic errors, for the most specific."""
    list_errors: Callable[[], list[Mapping[str, Any]]] = getattr(error, "errors", list[Any])
    located = [(each, *_location(each, value)) for each in list_errors()]
    if not located:
        message = error.args[0] if error.args else error
        return ShapeError(one_line(message) or type(error).__name__)
    # A member of a union that is ruled out by a literal is not the intended one.
    ruled_out = {branch for each, _, branch in located if branch and each.get("type") == "literal_error"}
    meant = [each for each in located if each[2] not in ruled_out] or located
    first, steps, _ = max(meant, key=lambda each: len(each[1])) if any(branch for *_, branch in meant) else meant[0]
    return ShapeError(one_line(first.get("msg", error)), *steps, right_type=bool(steps))


def _location(error: Mapping[str, Any], value: Any) -> tuple[tuple[str | int, ...], tuple[str, ...]]:
    """Return the path of a pydantic error, and the members of unions along the path."""
    steps: list[str | int] = []
    branch: list[str] = []
    location = error.get("loc", ())
    is_missing = error.get("type") == "missing"
    for at, step in enumerate(location):
        if is_object(value) and (step in value or (is_missing and at == len(location) - 1)):
            value = value.get(step)
        elif is_array(value) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:  # the name of a member of a union
            branch.append(f"{path_of(steps)}:{step}")
            continue
        steps.append(step)
    return tuple(steps), tuple(branch)


def path_of(steps: Iterable[str | int]) -> str:
    """Return steps as JSONPath: ``$.a[0]['b c']``."""
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else f"[{step!r}]" for step in steps
    )


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return type(value) is dict


def is_array(value: object) -> TypeGuard[list[Any]]:
    return type(value) is list


def json_type(value: object) -> str:
    """Return the JSON Schema name of the type of a JSON value."""
    for kinds, name in _TYPE_NAMES:
        if isinstance(value, kinds):
            return name
    return "null"


_TYPE_NAMES: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "boolean"),
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (dict, "object"),
    ((list, tuple), "array"),
)


def shown(value: object) -> str:
    """Return a JSON value as shown in messages: short, without the contents of arrays and objects."""
    if isinstance(value, str) and len(value) > _MAX_SHOWN_CHARS:
        return f"{value[:_MAX_SHOWN_CHARS]!r}…"
    if isinstance(value, (str, int, float)):
        return repr(value)
    return {"object": "an object", "array": "an array"}.get(json_type(value), "null")


def type_error(expects: str, value: object) -> ShapeError:
    """Return the error for a value whose JSON type is not the expected one."""
    return ShapeError(f"expected {expects}, got {shown(value)}", right_type=False)
