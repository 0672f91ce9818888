"""A handler that answers with the responses of another server: a gateway, which loses nothing of what the upstream says.

::

    client = ResponsesClient("https://api.openai.com/v1", api_key)
    app = ResponsesApp(relay(client, models={"fast": "gpt-5-mini"}), keys={"k1": "alice"})

The request goes to the upstream as it came, except for what this server keeps: with ``previous_response_id`` or ``conversation``, the history
is looked up here and sent as ``input``. The events come back as :meth:`.Reply.relay` describes. So responses, conversations, resuming and
cancelling work here as for any other handler, and the upstream need not store anything.

A response in the background begins when the upstream has begun it, with the upstream's id; ``background`` is passed on. An error of the
upstream before its first event is the answer to the client: with the same status, code and message, and ``retry-after``.
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
"""Returns the client for a request, plain or async. May raise an ``APIError``, which is the answer then."""


def relay(
    client: ResponsesClient | ChooseClient,
    *,
    models: Mapping[str, str] | None = None,
    tap: EventTap | None = None,
) -> Relay:
    """Return a handler that answers each request with the response of an upstream server. Pass it to :class:`.ResponsesApp`.

    * ``client`` is the client of the upstream, or a function that returns one for each request, such as by
      ``request.model`` or ``reply.identity``. It stays open: enter and close it with ``lifespan`` of the application.
    * ``models`` maps names that clients use to those of the upstream. The responses have the name that the client used. Other models
      keep their names.
    * ``tap`` is called with each event, as the upstream sent it, before that is handed on.
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
        """Whether responses get the ids of the upstream's, so that they begin when those do: always."""
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
        # Who leaves the stream of a response in the background does not end it.
        stream = client.stream(upstream, on_abandon="cancel_response" if request.background else "close")
        await reply.relay(stream, model=name if name in self.models else None, tap=self.tap)
