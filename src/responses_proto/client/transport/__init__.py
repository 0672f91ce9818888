"""How the client reaches a server: the :class:`Transport` interface, and its implementation on httpx.

Implement :class:`Transport` to send requests some other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from .base import NetworkStream as NetworkStream
    from .base import Transport as Transport
    from .base import UpgradedReply as UpgradedReply
    from .base import WireReply as WireReply
    from .base import WireRequest as WireRequest
    from .http import HTTPClient as HTTPClient
    from .http import HTTPReply as HTTPReply
    from .http import HTTPResponse as HTTPResponse
    from .http import HTTPTransport as HTTPTransport
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".base": ("NetworkStream", "Transport", "UpgradedReply", "WireReply", "WireRequest"),
            ".http": ("HTTPClient", "HTTPReply", "HTTPResponse", "HTTPTransport"),
        },
    )
