"""Let the settings of one call name only the fields that differ from those of the client."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Self, cast

import attrs


class Settings:
    """The base of immutable settings that remember which of their fields were passed."""

    __slots__ = ("_given",)
    _given: frozenset[str]

    if not TYPE_CHECKING:  # type checkers take the signature from the fields

        def __new__(cls, *_: Any, **fields: Any) -> Self:
            """Create an instance that knows which fields were passed."""
            settings = object.__new__(cls)
            object.__setattr__(settings, "_given", frozenset(fields))
            return settings

    def with_defaults(self, defaults: Self) -> Self:
        """Return these settings, with the values of ``defaults`` for the fields that were not passed."""
        return cast("Self", attrs.evolve(cast("Any", defaults), **self._passed()))

    def _passed(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._given}

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return functools.partial(type(self), **self._passed()), ()
