"""Send requests to a server of the Responses API, on asyncio or trio, with retries, deadlines, hooks and resuming.

Start with :class:`ResponsesClient`. ``client.transport`` is the layer below, which sends HTTP requests; ``client.websocket`` carries
responses over a WebSocket; ``client.otel`` creates OpenTelemetry spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from . import otel as otel
    from . import transport as transport
    from . import websocket as websocket
    from ._keys import ApiKey as ApiKey
    from ._meta import ResponseMeta as ResponseMeta
    from ._meta import response_meta as response_meta
    from .batch import Batch as Batch
    from .batch import BatchProgress as BatchProgress
    from .batch import BatchResult as BatchResult
    from .client import ResponsesClient as ResponsesClient
    from .conversations import ConversationItems as ConversationItems
    from .conversations import Conversations as Conversations
    from .gate import Gate as Gate
    from .hooks import CallFinished as CallFinished
    from .hooks import CallResult as CallResult
    from .hooks import Hooks as Hooks
    from .hooks import RetryNotice as RetryNotice
    from .httpx_sse import EventSource as EventSource
    from .httpx_sse import ServerSentEvent as ServerSentEvent
    from .httpx_sse import SourceEvents as SourceEvents
    from .httpx_sse import SSEError as SSEError
    from .httpx_sse import events_from as events_from
    from .pages import ItemPages as ItemPages
    from .pages import Page as Page
    from .retry import Decision as Decision
    from .retry import GiveUp as GiveUp
    from .retry import GiveUpReason as GiveUpReason
    from .retry import RetryAfter as RetryAfter
    from .retry import RetryPolicy as RetryPolicy
    from .stream import EventStream as EventStream
    from .stream import OnAbandon as OnAbandon
    from .timeouts import Timeouts as Timeouts
    from .views import Batches as Batches
    from .views import Elements as Elements
    from .views import Events as Events
    from .views import PartialValues as PartialValues
    from .views import TextDeltas as TextDeltas
    from .websocket.session import WebSocketSession as WebSocketSession
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".": ("transport", "websocket"),
            ".batch": ("Batch", "BatchProgress", "BatchResult"),
            "._keys": ("ApiKey",),
            "._meta": ("ResponseMeta", "response_meta"),
            ".client": ("ResponsesClient",),
            ".conversations": ("ConversationItems", "Conversations"),
            ".gate": ("Gate",),
            ".hooks": ("CallFinished", "CallResult", "Hooks", "RetryNotice"),
            ".httpx_sse": ("EventSource", "SSEError", "ServerSentEvent", "SourceEvents", "events_from"),
            ".pages": ("ItemPages", "Page"),
            ".retry": ("Decision", "GiveUp", "GiveUpReason", "RetryAfter", "RetryPolicy"),
            ".stream": ("EventStream", "OnAbandon"),
            ".timeouts": ("Timeouts",),
            ".views": ("Batches", "Elements", "Events", "PartialValues", "TextDeltas"),
            ".websocket.session": ("WebSocketSession",),
        },
        extras=("otel",),
    )
