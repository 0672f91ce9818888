"""The server: an ASGI application with every endpoint of the Responses API, and stores for its responses.

Pass a handler to :class:`ResponsesApp`; the handler writes the response through a :class:`Reply`. :func:`serving` serves an
app on a port while a block runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from ._task import Handler as Handler
    from .app import ResponsesApp as ResponsesApp
    from .relaying import ChooseClient as ChooseClient
    from .relaying import Relay as Relay
    from .relaying import relay as relay
    from .reply import EventTap as EventTap
    from .reply import FunctionCallReply as FunctionCallReply
    from .reply import ItemReply as ItemReply
    from .reply import MessageReply as MessageReply
    from .reply import OpenItemReply as OpenItemReply
    from .reply import ReasoningReply as ReasoningReply
    from .reply import Reply as Reply
    from .service import Service as Service
    from .service import SupportsCompact as SupportsCompact
    from .service import SupportsCount as SupportsCount
    from .service import SupportsModels as SupportsModels
    from .stores import HistoryLink as HistoryLink
    from .stores import MemoryStore as MemoryStore
    from .stores import RedisStore as RedisStore
    from .stores import SharedStore as SharedStore
    from .stores import SQLiteStore as SQLiteStore
    from .stores import Store as Store
    from .stores import StoredResponse as StoredResponse
    from .stores import WireEvent as WireEvent
    from .stores import wire_event as wire_event
    from .uvicorn import listen as listen
    from .uvicorn import serve as serve
    from .uvicorn import serving as serving
    from .uvicorn import url_of as url_of
    from .webhooks import WebhookEndpoint as WebhookEndpoint
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "._task": ("Handler",),
            ".app": ("ResponsesApp",),
            ".relaying": ("ChooseClient", "Relay", "relay"),
            ".reply": (
                "EventTap",
                "FunctionCallReply",
                "ItemReply",
                "MessageReply",
                "OpenItemReply",
                "ReasoningReply",
                "Reply",
            ),
            ".service": ("Service", "SupportsCompact", "SupportsCount", "SupportsModels"),
            ".stores": (
                "HistoryLink",
                "MemoryStore",
                "RedisStore",
                "SQLiteStore",
                "SharedStore",
                "Store",
                "StoredResponse",
                "WireEvent",
                "wire_event",
            ),
            ".uvicorn": ("listen", "serve", "serving", "url_of"),
            ".webhooks": ("WebhookEndpoint",),
        },
    )
