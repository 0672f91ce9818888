"""The rows of the translation tables: how each parameter, item, content part and tool is handled.

The code applies these rows and the documentation lists them, so the two always agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeAlias, TypeVar

import attrs

from ..protocol._requests import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")

Fate: TypeAlias = Literal["translated", "dropped", "refused"]
"""How something is handled: it is translated; it is left out, for a reason; or the request is refused with 400."""


@attrs.frozen
class Row(Generic[F]):
    """How one parameter, or one type of item, content part or tool, is handled."""

    name: str
    fate: Fate
    note: str
    """The result of the translation, or why it is dropped or refused."""
    apply: F | None = None
    """The function that translates it, or ``None``."""


def translated(name: str, note: str, apply: F | None = None) -> Row[F]:
    """Return the row of something that is translated, by ``apply`` or together with other rows."""
    return Row(name, "translated", note, apply)


def dropped(name: str, why: str) -> Row[Any]:
    """Return the row of something that is left out. ``why`` explains why this loses nothing that the provider could do."""
    return Row(name, "dropped", why)


def refused(name: str, why: str) -> Row[Any]:
    """Return the row of something that is refused with 400."""
    return Row(name, "refused", why)


def table(rows: Iterable[Row[F]]) -> Mapping[str, Row[F]]:
    """Return rows by name."""
    return {row.name: row for row in rows}


def refuse(message: str, param: str | None, code: str = "unsupported_value") -> NoReturn:
    """Raise the error (400) for something that the provider cannot do."""
    raise invalid(message, param, code)
