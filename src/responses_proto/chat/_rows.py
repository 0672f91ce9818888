"""The rows of the tables of the translation: what becomes of each parameter, item, content part and tool.

The code applies the rows, and the documentation lists them, so that they cannot disagree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeAlias, TypeVar

import attrs

from ..protocol._requests import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")

Fate: TypeAlias = Literal["translated", "dropped", "refused"]
"""What becomes of something: it is translated, it is left out for a reason, or a request with it is answered with 400."""


@attrs.frozen
class Row(Generic[F]):
    """What becomes of one parameter, or of one type of item, content part or tool."""

    name: str
    fate: Fate
    note: str
    """What it becomes, or why it is dropped or refused."""
    apply: F | None = None
    """What translates it; ``None`` if nothing does."""


def translated(name: str, note: str, apply: F | None = None) -> Row[F]:
    """Return the row of something that is translated, by ``apply`` or together with others."""
    return Row(name, "translated", note, apply)


def dropped(name: str, why: str) -> Row[Any]:
    """Return the row of something that is left out, and why that changes nothing that the provider could do."""
    return Row(name, "dropped", why)


def refused(name: str, why: str) -> Row[Any]:
    """Return the row of something that is answered with 400."""
    return Row(name, "refused", why)


def table(rows: Iterable[Row[F]]) -> Mapping[str, Row[F]]:
    """Return rows by name."""
    return {row.name: row for row in rows}


def refuse(message: str, param: str | None, code: str = "unsupported_value") -> NoReturn:
    """Raise the error (400) for something that the provider cannot do."""
    raise invalid(message, param, code)
