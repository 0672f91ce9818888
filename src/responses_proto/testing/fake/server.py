"""A fake server: it says what a script tells it to, and notes what it was asked.

::

    async with FakeServer("Hello, world.") as server:
        async with ResponsesClient(server.url) as client:                                # over a socket
            ...
        async with ResponsesClient(server.url, http_client=server.transport) as client:  # in memory
            ...
    server.requests[0].json

Over its socket it also speaks WebSocket, where each message is a request of its own: ``async with client.connect() as session``.

What a script is made of, the simplest first: a text; a ``Response``; an :class:`~.answers.Answer` of events, bytes or JSON, with its
:class:`~.faults.Fault`; a function of the :class:`~.peer.ServerExchange` that gives one of these, or that talks to the client itself. :class:`Script`
puts them together: in turn, and by method and path.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import anyio
from anyio.abc import SocketAttribute

from ...exceptions import LocalProtocolError
from ...models.response import Response
from ._memory import MemoryTransport, closed_server
from ._sockets import Connection, SocketExchange
from ._websockets import MessageExchange, WebSocket, wants_websocket
from .answers import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from anyio.abc import SocketStream, TaskGroup
    from anyio.streams.stapled import MultiListener

    from ...client.transport.base import Transport
    from ._memory import MemoryExchange
    from .exchange import Request, ServerExchange

__all__ = ["FakeServer", "Script", "Scriptable"]

Plain: TypeAlias = str | Response | Answer
Scriptable: TypeAlias = "Plain | Callable[[ServerExchange], Plain | Awaitable[Plain | None] | None]"
"""What can answer a request: a text, a whole response, an answer, or a function of the peer.

A function, ``async`` or not, gives one of the former, or has answered by itself and gives ``None``.
"""

_NOT_RUNNING: Final = "http://fake.invalid"  # also where it stays, in memory only


class Script:
    """What to answer, one after the other: ``Script("One.", "Two.")``. The last one answers everything from then on.

    :meth:`on` adds answers for a method and a path, which have their own turn. A request that there is no answer for is an
    error of the script (``LocalProtocolError``), see :class:`FakeServer`. To be given to one server; it remembers whose turn it is.
    """

    def __init__(self, *answers: Scriptable) -> None:
        self._general = list(answers)
        self._special: dict[tuple[str, str], list[Scriptable]] = {}

    def on(self, method: str, path: str, *answers: Scriptable) -> Self:
        """Answer requests of this method and path so, in turn. ``path`` is below the base URL, ``/responses/resp_1``, still quoted."""
        self._special.setdefault((method.upper(), path), []).extend(answers)
        return self

    def answers(self, request: Request) -> bool:
        """Tell whether there is an answer for just this method and path."""
        return _place(request) in self._special

    async def __call__(self, peer: ServerExchange) -> None:
        """Answer one request."""
        request = peer.request
        waiting = self._special.get(_place(request), self._general)
        if not waiting:
            raise LocalProtocolError(f"the script has no answer to {request.method} {request.path}")
        said = waiting[0] if len(waiting) == 1 else waiting.pop(0)
        await perform(said, peer)


def _place(request: Request) -> tuple[str, str]:
    return request.method, request.path.removeprefix("/v1")


async def perform(said: Scriptable, peer: ServerExchange) -> None:
    """Answer one request with one thing."""
    result: Plain | None
    if isinstance(said, str | Response | Answer):
        result = said
    else:
        given = said(peer)
        result = await given if inspect.isawaitable(given) else given
    if isinstance(result, str):
        result = Answer.text(result)
    elif isinstance(result, Response):
        result = Answer.response(result)
    if result is not None:
        await peer.answer(result)


class FakeServer:
    """A server of the Responses API that follows a script, inside an ``async with`` block. On asyncio and trio.

    It listens on a socket of this machine, and takes requests in memory as well; without ``listen`` only the latter. ``port`` 0 takes a free one.
    A WebSocket is accepted unless a :class:`Script` has an answer for its handshake, ``on("GET", "/responses", ...)``; what is said on it
    gets the same answers as over HTTP, a message for each event.
    Leaving the block ends all that is still going on. Should the script break, with any exception, that request's
    connection is closed, and leaving the block raises the exception (the first, if there were several), unless the
    block raises one of its own.
    """

    def __init__(
        self, script: Scriptable = "Hello, world.", *, listen: bool = True, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.script: Scriptable = script
        """What it says. Can be changed while it runs, for the requests from then on."""
        self._listen = listen
        self._host = host
        self._port = port
        self._tasks: TaskGroup | None = None
        self._listener: MultiListener[SocketStream] | None = None
        self._in_memory: set[MemoryExchange] = set()
        self.requests: list[Request] = []
        """What was asked, in the order of arrival."""
        self.errors: list[Exception] = []
        """What went wrong in the script."""
        self.connections: int = 0
        """How many connections there were."""
        self.active: int = 0
        """How many requests are being answered right now."""
        self.origin: str = _NOT_RUNNING
        """Scheme, host and port. Of no use outside of the block."""
        self.transport: Transport = MemoryTransport(self._begin, self._number)
        """The way to it in memory: ``ResponsesClient(server.url, http_client=server.transport)``."""

    @property
    def url(self) -> str:
        """The base URL of the API. Raises ``LocalProtocolError`` before the block: the port is not known."""
        if self._listen and self.origin == _NOT_RUNNING:
            raise closed_server()
        return f"{self.origin}/v1"

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise LocalProtocolError("this fake server runs already")
        if self._listen:
            self._listener = await anyio.create_tcp_listener(local_host=self._host, local_port=self._port, backlog=2048)
            port = self._listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
            self.origin = f"http://[{self._host}]:{port}" if ":" in self._host else f"http://{self._host}:{port}"
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        if self._listener is not None:
            self._tasks.start_soon(self._listener.serve, self._talk)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return None
        tasks.cancel_scope.cancel()
        try:
            if isinstance(exc, Exception):
                # Not handed to the task group, which would wrap it: the block's exception is the block's.
                await tasks.__aexit__(None, None, None)
                for error in self.errors:
                    exc.add_note(f"the fake server's script failed: {type(error).__name__}: {error}")
                return None
            swallowed = await tasks.__aexit__(exc_type, exc, traceback)
        finally:
            for peer in list(self._in_memory):
                peer.discard()
            if self._listener is not None:
                with anyio.CancelScope(shield=True):
                    await self._listener.aclose()
        if exc is None and self.errors:
            raise self.errors[0]
        return swallowed

    # Inside

    def _number(self) -> int:
        number, self.connections = self.connections, self.connections + 1
        return number

    async def _talk(self, stream: SocketStream) -> None:
        connection = Connection(stream, self._number())
        async with stream:
            while connection.open:
                request = await connection.request()
                if request is None:
                    return
                peer = SocketExchange(connection, request)
                if not wants_websocket(request):
                    await self._serve(peer, self.script)
                    continue
                known = isinstance(self.script, Script) and self.script.answers(request)
                await self._serve(peer, self.script if known else Answer.upgrade())
                if peer.upgraded:
                    await self._talk_in_messages(WebSocket(connection, request))

    async def _talk_in_messages(self, socket: WebSocket) -> None:
        async with anyio.create_task_group() as tasks:

            def take(request: Request) -> None:
                # Each on its own, so that lanes go side by side; their order is the order of arrival.
                tasks.start_soon(self._serve, MessageExchange(socket, request), self.script)

            try:
                await socket.read(take)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the client left, which is its right
            except Exception as error:  # noqa: BLE001 - kept for the end of the block
                self.errors.append(error)

    def _begin(self, peer: MemoryExchange) -> None:
        if self._tasks is None:
            peer.discard()
            raise closed_server()
        self._in_memory.add(peer)
        self._tasks.start_soon(self._serve_in_memory, peer)

    async def _serve_in_memory(self, peer: MemoryExchange) -> None:
        try:
            await self._serve(peer, self.script)
        finally:
            self._in_memory.discard(peer)
            peer.output.close()

    async def _serve(self, peer: ServerExchange, script: Scriptable | Script) -> None:
        self.requests.append(peer.request)
        self.active += 1
        try:
            await (script(peer) if isinstance(script, Script) else perform(script, peer))
            if not peer.ended:
                await (peer.finish() if peer.started else peer.close())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            await _hang_up(peer)  # the client left, which is its right
        except Exception as error:  # noqa: BLE001 - kept for the end of the block
            self.errors.append(error)
            await _hang_up(peer)
        finally:
            self.active -= 1

    def __repr__(self) -> str:
        state = "stopped" if self._tasks is None else self.origin
        return f"<{type(self).__name__} {state}>"


async def _hang_up(peer: ServerExchange) -> None:
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await peer.close()
