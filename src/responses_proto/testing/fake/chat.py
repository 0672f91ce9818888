"""A fake provider of Chat Completions that answers from a script and records the requests.

::

    async with FakeChat("Hello, world.", dialect="vllm") as provider:
        upstream = ChatUpstream(provider.url)
        ...
    provider.requests[0].json["messages"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ...exceptions import UsageError
from .answers import Answer
from .chat_dialects import CHAT_DIALECTS, ChatDialect, ChatTurn, completed, write_chunks, write_completion
from .faults import Fault
from .script import called
from .server import FakeServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .exchange import Request, ServerExchange

__all__ = ["FakeChat"]

ChatPlain: TypeAlias = str | ChatTurn | Answer
ChatScriptable: TypeAlias = "ChatPlain | Callable[[ServerExchange], ChatPlain | Awaitable[ChatPlain | None] | None]"
"""An answer to a request: a text, a turn, an ``Answer``, or a function of the exchange that returns one of these, or ``None`` if it has
sent the answer itself."""


class FakeChat(FakeServer):
    """A provider of Chat Completions that answers from a script, inside an ``async with`` block. Works on asyncio and trio.

    ``turns``: each answers one request, in order; the last one also answers all later requests.
    ``dialect``: the dialect of the provider, as a key of ``CHAT_DIALECTS`` or as a value.
    ``models``: the names that ``GET /models`` lists.

    A request that does not ask for a stream gets a completion. The socket, the transport in memory, the recorded requests, the faults of
    an answer and the handling of exceptions in a script are the same as in :class:`~responses_proto.testing.FakeServer`.

    Raises ``UsageError`` if there is no dialect of this name.
    """

    def __init__(
        self,
        *turns: ChatScriptable,
        dialect: str | ChatDialect = "openai",
        models: Sequence[str] = ("fake",),
        listen: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(self._respond, listen=listen, host=host, port=port, check_requests=False)
        self.turns: list[ChatScriptable] = [*turns] or ["Hello, world."]
        """The answers, one for each request; the last one also answers all later requests. Can be replaced while the provider runs."""
        self._models = models
        if isinstance(dialect, str):
            if dialect not in CHAT_DIALECTS:
                raise UsageError(f"unknown dialect {dialect!r}; known dialects: {', '.join(sorted(CHAT_DIALECTS))}")
            dialect = CHAT_DIALECTS[dialect]
        self.dialect: ChatDialect = dialect
        """The dialect of the provider. Can be replaced while the provider runs; applies to later requests."""

    async def _respond(self, exchange: ServerExchange) -> Answer | None:
        request = exchange.request
        if request.method == "GET" and request.path.endswith("/models"):
            return Answer.json({"object": "list", "data": [{"id": name, "object": "model"} for name in self._models]})
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            return Answer.error(
                404, f"There is no endpoint {request.method} {request.path}.", type="invalid_request_error"
            )
        script = self.turns[0] if len(self.turns) == 1 else self.turns.pop(0)
        found = await called(script, exchange)
        return found if found is None or isinstance(found, Answer) else self._answer(completed(found), request)

    def _answer(self, turn: ChatTurn, request: Request) -> Answer:
        model = str(request.json.get("model") or "fake")
        if not request.wants_stream:
            return Answer.json(write_completion(turn, self.dialect, model=model)).with_faults(*turn.faults)
        chunks = write_chunks(turn, self.dialect, model=model)
        own = () if turn.finish_reason is not None or turn.error is not None else (Fault.no_done(),)
        return Answer.events(chunks).with_faults(*own, *turn.faults, *self.dialect.faults)
