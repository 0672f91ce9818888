"""Get the API key of a client from a string, or from a function that supplies it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from ..exceptions import UsageError
from ._address import check_headers
from ._secrets import HiddenBytes, HiddenStr

if TYPE_CHECKING:
    from ..providers import Provider
    from .transport.base import WireRequest

ApiKey: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""An API key, or a function, sync or async, that returns the current one."""


class KeySource:
    """The API key of a client. ``provider`` defines the header that it is sent in."""

    __slots__ = ("_get", "_provider", "secret")

    def __init__(self, key: ApiKey, provider: Provider) -> None:
        self._get = None if isinstance(key, str) else key
        self._provider = provider
        self.secret: bytes = HiddenBytes(key.strip().encode() if isinstance(key, str) else b"")
        """The key that was sent last, which is removed from errors; may be empty."""

    @property
    def renewable(self) -> bool:
        """Whether asking again may return another key."""
        return self._get is not None

    def headers(self, key: str) -> dict[str, str]:
        """Return the header that carries a key; none for an empty key. Raises ``UsageError`` for a key that has the prefix already."""
        if self._provider.key_prefix and key.lower().startswith(self._provider.key_prefix.lower()):
            raise UsageError(
                f"an API key is passed without {self._provider.key_prefix.strip()!r}, which is added to it"
            )
        return {self._provider.key_header: HiddenStr(f"{self._provider.key_prefix}{key}")} if key else {}

    async def authorize(self, request: WireRequest) -> WireRequest:
        """Return the request with the current key, if a function supplies it and the request does not have a key header already.

        Raises what the function raises, and ``UsageError`` if it does not return a string that a header can hold.
        """
        if self._get is None or self._provider.key_header in request.headers:
            return request
        key: object = self._get()
        if inspect.isawaitable(key):
            key = await key
        if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users return None
            raise UsageError(f"the function passed as api_key must return a str, got {type(key).__name__}")
        key = HiddenStr(key.strip())
        headers = check_headers(self.headers(key))
        self.secret = HiddenBytes(key.encode())
        return attrs.evolve(request, headers={**request.headers, **headers})
