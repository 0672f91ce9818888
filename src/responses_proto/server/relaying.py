"""A handler that relays the responses of another server: a gateway that loses nothing of what the upstream sends.

::

    client = ResponsesClient("https://api.openai.com/v1", api_key)
    app = ResponsesApp(relay(client, models={"fast": "gpt-5-mini"}), keys={"k1": "alice"})

The request is sent to the upstream unchanged, except that this server keeps the history: with ``previous_response_id`` or
``conversation``, the history is looked up here and sent as ``input``. The events come back as :meth:`.Reply.relay` describes. Responses,
conversations, resuming and cancelling work here as for any other handler, and the upstream need not store anything.

``background`` is passed on. A response in the background begins when the upstream has begun it, and has the upstream's id. If the
upstream fails before its first event, the client gets the same error: status, code, message and ``retry-after``.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ..client import ResponsesClient
    from ..models.request import CreateResponse
    from .reply import EventTap, Reply

__all__ = ["ChooseClient", "Relay", "relay"]

ChooseClient: TypeAlias = "Callable[[CreateResponse, Reply], ResponsesClient | Awaitable[ResponsesClient]]"
"""Returns the client for a request. Plain or async. May raise an ``APIError``, which is then sent to the client."""


def relay(
    client: ResponsesClient | ChooseClient,
    *,
    models: Mapping[str, str] | None = None,
    tap: EventTap | None = None,
) -> Relay:
    """Return a handler that answers each request with the response of an upstream server. Pass it to :class:`.ResponsesApp`.

    * ``client`` is the client of the upstream, or a function that returns a client for each request, chosen for example by
      ``request.model`` or ``reply.identity``. The handler does not close it: open and close it in the application's ``lifespan``.
    * ``models`` maps the model names that clients use to those of the upstream. Responses have the name that the client used. Other
      names are passed on unchanged.
    * ``tap`` is called with each event, as the upstream sent it, before the event is passed on.
    """
    return Relay(client, models or {}, tap)


@attrs.frozen
class Relay:
    """The handler that :func:`relay` returns."""

    client: ResponsesClient | ChooseClient
    models: Mapping[str, str]
    tap: EventTap | None = None

    @property
    def adopts(self) -> bool:
        """Whether responses adopt the upstream's ids, and so begin when the upstream's do. Always true."""
        return True

    async def __call__(self, request: CreateResponse, reply: Reply) -> None:
        """Answer a request."""
        client = self.client
        if callable(client):
            chosen = client(request, reply)
            client = await chosen if inspect.isawaitable(chosen) else chosen
        upstream = reply.upstream_request()
        name = request.model if isinstance(request.model, str) else ""
        if name in self.models:
            upstream = attrs.evolve(upstream, model=self.models[name])
        # Closing the stream of a response in the background would not end the response.
        stream = client.stream(upstream, on_abandon="cancel_response" if request.background else "close")
        await reply.relay(stream, model=name if name in self.models else None, tap=self.tap)
