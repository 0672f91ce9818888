"""A fake server that answers from a script and records what it was asked.

::

    async with FakeServer("Hello, world.") as server:
        async with ResponsesClient(server.url) as client:                                # over a socket
            ...
        async with ResponsesClient(server.url, http_client=server.transport) as client:  # in memory
            ...
    server.requests[0].json

Over its socket it also speaks WebSocket, where each message is a request of its own: ``async with client.connect() as session``.

A script is, from the simplest to the most general: a text; a ``Response``; an :class:`~.answers.Answer` of events, bytes or JSON, with
its :class:`~.faults.Fault`; or a function of the :class:`~.exchange.ServerExchange` that returns one of these, or answers the client
itself. A :class:`Script` combines them: one after the other, and by method and path.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import anyio
import attrs
from anyio.abc import SocketAttribute

from ...codec import Converter, default_converter
from ...exceptions import LocalProtocolError, RemoteProtocolError, UsageError
from ...models.response import Response
from ._memory import MemoryTransport, not_running
from .answers import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType

    from anyio.abc import SocketStream, TaskGroup
    from anyio.streams.stapled import MultiListener

    from ...client.transport.base import Transport
    from ._memory import MemoryExchange
    from ._sockets import Connection
    from .exchange import Request, ServerExchange

__all__ = ["FakeServer", "Script", "Scriptable"]

Plain: TypeAlias = str | Response | Answer
Scriptable: TypeAlias = "Plain | Callable[[ServerExchange], Plain | Awaitable[Plain | None] | None]"
"""What can answer a request: a text, a response, an answer, or a function of the exchange.

A function, ``async`` or not, returns one of the former, or ``None`` if it has answered by itself.
"""

_NOT_LISTENING: Final = "http://fake.invalid"
"""The origin of a server that does not run, or runs in memory only."""


class Script:
    """Answers, one for each request in turn: ``Script("One.", "Two.")``. The last one also answers all requests after it.

    :meth:`on` adds answers for one method and path, which have a turn of their own. A request without an answer is an error of the
    script (``UsageError``), see :class:`FakeServer`. A script counts its requests, so use it for one server only.
    """

    def __init__(self, *answers: Scriptable) -> None:
        self._answers = list(answers)
        self._endpoint_answers: dict[tuple[str, str], list[Scriptable]] = {}

    def on(self, method: str, path: str, *answers: Scriptable) -> Self:
        """Add answers for this method and path, and return the script. ``path`` is quoted and below the base URL: ``/responses/resp_1``."""
        self._endpoint_answers.setdefault((method.upper(), path), []).extend(answers)
        return self

    def answers(self, request: Request) -> bool:
        """Return whether there are answers for this method and path alone."""
        return _endpoint(request) in self._endpoint_answers

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        request = exchange.request
        answers = self._endpoint_answers.get(_endpoint(request), self._answers)
        if not answers:
            raise UsageError(f"the script has no answer to {request.method} {request.path}")
        await perform(answers[0] if len(answers) == 1 else answers.pop(0), exchange)


def _endpoint(request: Request) -> tuple[str, str]:
    return request.method, request.path.removeprefix("/v1")


async def perform(script: Scriptable, exchange: ServerExchange) -> None:
    """Answer one request with one of the things that can answer it."""
    answer: Plain | None
    if isinstance(script, str | Response | Answer):
        answer = script
    else:
        returned = script(exchange)
        answer = await returned if inspect.isawaitable(returned) else returned
    if isinstance(answer, str):
        answer = Answer.text(answer)
    elif isinstance(answer, Response):
        answer = Answer.response(answer)
    if answer is not None:
        await exchange.answer(answer)


class FakeServer:
    """A server of the Responses API that answers from a script, inside an ``async with`` block. Works on asyncio and trio.

    ``converter`` decodes the requests for scripts and tests that look at them as models (``request.create``), with the vendors'
    classes that were registered in it.

    It listens on a socket of this machine and accepts requests in memory; with ``listen=False`` it does only the latter. ``port`` 0
    chooses a free port. A WebSocket is accepted unless a :class:`Script` has an answer for its handshake,
    ``on("GET", "/responses", ...)``; its messages get the same answers as requests over HTTP, one message for each event.

    Leaving the block ends everything that is still going on. If the script raises, the connection of that request is closed, and
    leaving the block raises the exception (the first, if there were several), unless the block raises one of its own. If a client
    breaks HTTP or WebSocket, its connection ends, and the server goes on; see :attr:`client_errors`.
    """

    def __init__(
        self,
        script: Scriptable = "Hello, world.",
        *,
        listen: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        converter: Converter | None = None,
    ) -> None:
        self.script: Scriptable = script
        """What answers requests. Can be replaced while the server runs, for later requests."""
        self._converter = converter or default_converter()
        self._listen = listen
        self._host = host
        self._port = port
        self._tasks: TaskGroup | None = None
        self._listener: MultiListener[SocketStream] | None = None
        self._in_memory: set[MemoryExchange] = set()
        self.requests: list[Request] = []
        """The requests, in the order of arrival."""
        self.errors: list[Exception] = []
        """What the script raised."""
        self.client_errors: list[RemoteProtocolError] = []
        """How clients broke HTTP or WebSocket. Each such connection was closed, over HTTP after a status such as 400."""
        self.connections: int = 0
        """How many connections there were."""
        self.active: int = 0
        """How many requests are being answered now."""
        self.origin: str = _NOT_LISTENING
        """Scheme, host and port. Only valid inside the block."""
        self.transport: Transport = MemoryTransport(self._begin, self._next_number)
        """The transport to it in memory: ``ResponsesClient(server.url, http_client=server.transport)``."""

    @property
    def url(self) -> str:
        """The base URL of the API. Raises ``LocalProtocolError`` before the block, because the port is not known yet."""
        if self._listen and self.origin == _NOT_LISTENING:
            raise not_running()
        return f"{self.origin}/v1"

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise LocalProtocolError("the fake server already runs: enter its block once")
        if self._listen:
            self._listener = await anyio.create_tcp_listener(local_host=self._host, local_port=self._port, backlog=2048)
            port = self._listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
            self.origin = f"http://[{self._host}]:{port}" if ":" in self._host else f"http://{self._host}:{port}"
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        if self._listener is not None:
            self._tasks.start_soon(self._listener.serve, self._serve_socket)
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
                # Not passed to the task group, which would wrap it in an exception group.
                await tasks.__aexit__(None, None, None)
                for error in self.errors:
                    exc.add_note(f"the fake server's script failed: {type(error).__name__}: {error}")
                for client_error in self.client_errors:
                    exc.add_note(f"the fake server closed a connection: {client_error}")
                return None
            swallowed = await tasks.__aexit__(exc_type, exc, traceback)
        finally:
            for exchange in list(self._in_memory):
                exchange.discard()
            if self._listener is not None:
                with anyio.CancelScope(shield=True):
                    await self._listener.aclose()
        if exc is None and self.errors:
            raise self.errors[0]
        return swallowed

    # Over a socket

    def _next_number(self) -> int:
        number, self.connections = self.connections, self.connections + 1
        return number

    async def _serve_socket(self, stream: SocketStream) -> None:
        from ._sockets import Connection  # noqa: PLC0415 - h11 is needed from here on, not to import the test tools

        async with stream:
            with self._errors_kept():
                await self._serve_connection(Connection(stream, self._next_number()))

    async def _serve_connection(self, connection: Connection) -> None:
        from ._sockets import SocketExchange  # noqa: PLC0415 - as above

        while connection.open:
            request = await connection.request()
            if request is None:
                return
            if request.wants_websocket:
                await self._serve_websocket(connection, request)
            else:
                await self._serve(SocketExchange(connection, request), self.script)

    async def _serve_websocket(self, connection: Connection, request: Request) -> None:
        from ._sockets import SocketExchange  # noqa: PLC0415 - as above
        from ._websockets import MessageExchange, WebSocket, handshake_headers  # noqa: PLC0415 - needs an extra

        exchange = SocketExchange(connection, request, handshake_headers(request))
        is_scripted = isinstance(self.script, Script) and self.script.answers(request)
        await self._serve(exchange, self.script if is_scripted else Answer.upgrade())
        if not exchange.upgraded:
            return
        socket = WebSocket(connection, request)
        async with anyio.create_task_group() as tasks:

            def handle(message: Request) -> None:
                # Each in a task of its own, so that streams go on side by side. They begin in the order of arrival.
                tasks.start_soon(self._serve, MessageExchange(socket, message), self.script)

            with self._errors_kept():
                await socket.read(handle)

    @contextlib.contextmanager
    def _errors_kept(self) -> Generator[None]:
        """Keep errors, so that they end one connection and not the server."""
        try:
            yield
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the client left, which it may do at any time
        except RemoteProtocolError as error:
            self.client_errors.append(error)
        except Exception as error:  # noqa: BLE001 - raised when the block is left
            self.errors.append(error)

    # In memory

    def _begin(self, exchange: MemoryExchange) -> None:
        if self._tasks is None:
            exchange.discard()
            raise not_running()
        self._in_memory.add(exchange)
        self._tasks.start_soon(self._serve_in_memory, exchange)

    async def _serve_in_memory(self, exchange: MemoryExchange) -> None:
        try:
            await self._serve(exchange, self.script)
        finally:
            self._in_memory.discard(exchange)
            exchange.output.close()

    # Both

    async def _serve(self, exchange: ServerExchange, script: Scriptable | Script) -> None:
        exchange.request = attrs.evolve(exchange.request, converter=self._converter)
        self.requests.append(exchange.request)
        self.active += 1
        try:
            await (script(exchange) if isinstance(script, Script) else perform(script, exchange))
            if not exchange.ended:
                await (exchange.finish() if exchange.started else exchange.close())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            await _hang_up(exchange)  # the client left, which it may do at any time
        except Exception as error:  # noqa: BLE001 - raised when the block is left
            self.errors.append(error)
            await _hang_up(exchange)
        finally:
            self.active -= 1

    def __repr__(self) -> str:
        state = "stopped" if self._tasks is None else self.origin
        return f"<{type(self).__name__} {state}>"


async def _hang_up(exchange: ServerExchange) -> None:
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await exchange.close()
