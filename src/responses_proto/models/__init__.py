"""Typed models of everything on the wire: content, items, tools, events, requests, responses, conversations.

This module exports every public name of the modules below: the classes, the registries that map a wire name to its class
(``EVENT_TYPES``, ``ITEM_TYPES``, ``TOOL_TYPES``, ``CONTENT_TYPES``), and the open unions (``Event``, ``Item``, ``Tool``,
``Content``).

To declare your own type, such as an event of a vendor, derive from the base that has its common fields (such as ``ItemEventBase``;
items, tools and content parts derive from ``Model``), decorate the class with ``@model``, and give it a wire string::

    @model
    class AcmeSearchFinished(ItemEventBase):
        type: ClassVar[Literal["acme:search.finished"]] = "acme:search.finished"
        hits: int | Unset = UNSET

Then add it to a converter: ``converter.register(AcmeSearchFinished, Event)`` (:meth:`responses_proto.codec.Converter.register`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports
from ..typing import UNSET, Unset
from . import (
    _base,
    actions,
    config,
    content,
    conversations,
    event_bases,
    event_parts,
    events,
    items,
    request,
    response,
    tools,
)
from ._base import *
from .actions import *
from .config import *
from .content import *
from .conversations import *
from .event_bases import *
from .event_parts import *
from .events import *
from .items import *
from .request import *
from .response import *
from .tools import *

if TYPE_CHECKING:
    from .webhooks import WEBHOOK_TYPES as WEBHOOK_TYPES
    from .webhooks import UnknownWebhook as UnknownWebhook
    from .webhooks import WebhookEvent as WebhookEvent
    from .webhooks import WebhookResponseCancelled as WebhookResponseCancelled
    from .webhooks import WebhookResponseCompleted as WebhookResponseCompleted
    from .webhooks import WebhookResponseData as WebhookResponseData
    from .webhooks import WebhookResponseFailed as WebhookResponseFailed
    from .webhooks import WebhookResponseIncomplete as WebhookResponseIncomplete

else:  # few programs receive webhooks
    _, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".webhooks": (
                "WEBHOOK_TYPES",
                "UnknownWebhook",
                "WebhookEvent",
                "WebhookResponseCancelled",
                "WebhookResponseCompleted",
                "WebhookResponseData",
                "WebhookResponseFailed",
                "WebhookResponseIncomplete",
            ),
        },
    )

__all__: list[str] = ["UNSET", "Unset"]
__all__ += [
    "WEBHOOK_TYPES",
    "UnknownWebhook",
    "WebhookEvent",
    "WebhookResponseCancelled",
    "WebhookResponseCompleted",
    "WebhookResponseData",
    "WebhookResponseFailed",
    "WebhookResponseIncomplete",
]
__all__ += _base.__all__
__all__ += actions.__all__
__all__ += config.__all__
__all__ += content.__all__
__all__ += conversations.__all__
__all__ += event_bases.__all__
__all__ += event_parts.__all__
__all__ += events.__all__
__all__ += items.__all__
__all__ += request.__all__
__all__ += response.__all__
__all__ += tools.__all__
