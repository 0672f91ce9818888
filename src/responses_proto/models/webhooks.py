"""Model the webhook events about responses, which a server posts to an endpoint of the caller (Webhooks).

:data:`WEBHOOK_TYPES` maps a wire name to its class; :data:`WebhookEvent` is the open union of all of them. The names begin
with ``Webhook``, because the events of a stream have the same wire names and other fields.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal, TypeAlias, get_args

from ._base import Model, Unknown, model

__all__ = [
    "WEBHOOK_TYPES",
    "UnknownWebhook",
    "WebhookEvent",
    "WebhookResponseCancelled",
    "WebhookResponseCompleted",
    "WebhookResponseData",
    "WebhookResponseFailed",
    "WebhookResponseIncomplete",
]


@model
class WebhookResponseData(Model):
    """The response that a webhook event is about. The event does not contain the response: retrieve it."""

    id: str
    """The id of the response."""


@model
class _WebhookBase(Model):
    # The fields of all events.

    id: str
    """The id of the event. A server may send an event more than once, with the same id."""
    created_at: int
    """Seconds since 1970."""
    data: WebhookResponseData


@model(optional=("object",))
class WebhookResponseCompleted(_WebhookBase):
    """A background response is complete: `response.completed` (Webhooks)."""

    type: ClassVar[Literal["response.completed"]] = "response.completed"
    object: ClassVar[Literal["event"]] = "event"


@model(optional=("object",))
class WebhookResponseFailed(_WebhookBase):
    """A background response failed: `response.failed` (Webhooks)."""

    type: ClassVar[Literal["response.failed"]] = "response.failed"
    object: ClassVar[Literal["event"]] = "event"


@model(optional=("object",))
class WebhookResponseIncomplete(_WebhookBase):
    """A background response stopped early: `response.incomplete` (Webhooks)."""

    type: ClassVar[Literal["response.incomplete"]] = "response.incomplete"
    object: ClassVar[Literal["event"]] = "event"


@model(optional=("object",))
class WebhookResponseCancelled(_WebhookBase):
    """A background response was cancelled: `response.cancelled` (Webhooks)."""

    type: ClassVar[Literal["response.cancelled"]] = "response.cancelled"
    object: ClassVar[Literal["event"]] = "event"


@model
class UnknownWebhook(Unknown):
    """A webhook event with an unknown ``type``, such as an event about batches. It is kept raw."""


WebhookEvent: TypeAlias = (
    WebhookResponseCompleted
    | WebhookResponseFailed
    | WebhookResponseIncomplete
    | WebhookResponseCancelled
    | UnknownWebhook
)
"""Any webhook event; an open union."""

WEBHOOK_TYPES: Final[dict[str, type[WebhookEvent]]] = {
    cls.type: cls for cls in get_args(WebhookEvent) if cls is not UnknownWebhook
}
"""Wire name -> class, without :class:`UnknownWebhook`."""
