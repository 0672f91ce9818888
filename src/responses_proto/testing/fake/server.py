"""A fake server that answers from a script and records the requests.

::

    async with FakeServer("Hello, world.") as server:
        async with ResponsesClient(server.url) as client:                                # over a socket
            ...
        async with ResponsesClient(server.url, http_client=server.transport) as client:  # in memory
            ...
    server.requests[0].json

It also speaks WebSocket, where each message is a separate request: ``async with client.connect() as session``.

A script is, from the simplest to the most general: a text; a ``Response``; an :class:`~.answers.Answer` of events, bytes or JSON, with
faults (:class:`~.faults.Fault`); or a function of the :class:`~.exchange.ServerExchange` that returns one of these, or sends the answer
itself. A :class:`~.script.Script` combines them: in turn, by method and path, or by the content of requests.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Self

import anyio
import attrs
from anyio.abc import SocketAttribute

from ...codec import Converter, default_converter
from ...exceptions import APIError, LocalProtocolError, RemoteProtocolError
from ._endpoints import check_request
from ._memory import MemoryTransport, not_running
from .answers import Answer
from .dialects import find_dialect
from .script import Script, perform

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterable
    from types import TracebackType

    from anyio.abc import SocketStream, TaskGroup
    from anyio.streams.stapled import MultiListener

    from ...client.transport.base import Transport
    from ._memory import MemoryExchange
    from ._sockets import Connection
    from .dialects import Dialect, DialectName
    from .exchange import Request, ServerExchange
    from .faults import Fault
    from .script import Scriptable

__all__ = ["FakeServer"]

_NOT_LISTENING: Final = "http://fake.invalid"
"""The origin of a server that is not running, or only in memory."""


class FakeServer:
    """A server of the Responses API that answers from a script, inside an ``async with`` block. Works on asyncio and trio.

    ``listen``: whether to listen on a local socket. Requests in memory are always accepted.
    ``host``, ``port``: the address to listen on; port 0 chooses a free port.
    ``check_requests``: whether to answer unknown paths with 404, unless the script names them, and invalid bodies with 400, before the
    script is asked. ``False`` leaves all requests to the script.
    ``dialect``: the server whose deviations all answers have, by its name in :data:`~.dialects.DIALECTS` or as a value.
    ``faults``: faults that are added to every streamed answer.
    ``converter``: decodes requests for scripts and tests that read them as models (``request.create``), including vendor classes that
    are registered in the converter.

    A WebSocket is accepted unless a :class:`~.script.Script` has an answer for the handshake, ``on("GET", "/responses", ...)``. Its
    messages get the same answers as requests over HTTP, one message for each event.

    If the script raises an exception, the client gets status 500 with the reason; in the middle of an answer, the connection is closed
    instead. Leaving the block raises the exception (the first, if there were several), unless the block itself raises one. Leaving the
    block ends all exchanges. Mistakes of clients do not stop the server; see :attr:`client_errors`.

    Raises ``UsageError`` for an unknown dialect.
    """

    def __init__(
        self,
        script: Scriptable = "Hello, world.",
        *,
        listen: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        check_requests: bool = True,
        dialect: DialectName | Dialect | None = None,
        faults: Iterable[Fault] = (),
        converter: Converter | None = None,
    ) -> None:
        self.script: Scriptable = script
        """The script that answers requests. Can be replaced while the server runs; applies to later requests."""
        self._check_requests = check_requests
        self._dialect = find_dialect(dialect)
        self._faults = tuple(faults)
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
        """The exceptions that the script raised."""
        self.client_errors: list[RemoteProtocolError] = []
        """The mistakes of clients: requests that were refused, and data that is not valid HTTP or WebSocket. The server closes the
        connection after invalid data; over HTTP it first answers with a status such as 400."""
        self.connections: int = 0
        """The number of connections so far."""
        self.active: int = 0
        """The number of requests that are being answered now."""
        self.origin: str = _NOT_LISTENING
        """Scheme, host and port. Only valid inside the block."""
        self.transport: Transport = MemoryTransport(self._begin, self._next_number)
        """The transport for requests in memory: ``ResponsesClient(server.url, http_client=server.transport)``."""

    @property
    def url(self) -> str:
        """The base URL of the API. Raises ``LocalProtocolError`` before the block of a listening server: the port is not known yet."""
        if self._listen and self.origin == _NOT_LISTENING:
            raise not_running()
        return f"{self.origin}/v1"

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise LocalProtocolError("the fake server is already running: enter its block once")
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
            if exc is not None and not isinstance(exc, anyio.get_cancelled_exc_class()):
                # The task group does not get the exception, because it would wrap it in a group, even `pytest.skip` and Ctrl-C.
                await tasks.__aexit__(None, None, None)
                for error in self.errors:
                    exc.add_note(f"the fake server's script failed: {type(error).__name__}: {error}")
                for client_error in self.client_errors:
                    exc.add_note(f"the client made a mistake: {client_error}")
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
            exchange = SocketExchange(connection, request)
            await self._serve(exchange)
            if exchange.upgraded:
                await self._serve_messages(connection, exchange.request)

    async def _serve_messages(self, connection: Connection, handshake: Request) -> None:
        from ._websockets import MessageExchange, WebSocket  # noqa: PLC0415 - needs an extra

        socket = WebSocket(connection, handshake)
        async with anyio.create_task_group() as tasks:

            def handle(message: Request) -> None:
                # One task for each message, so that streams run concurrently. They begin in the order of arrival.
                tasks.start_soon(self._serve, MessageExchange(socket, message))

            with self._errors_kept():
                await socket.read(handle)

    @contextlib.contextmanager
    def _errors_kept(self) -> Generator[None]:
        """Record errors, so that they end one connection and not the server."""
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
            await self._serve(exchange)
            if exchange.socket is not None and exchange.upgraded:
                from ._sockets import Connection  # noqa: PLC0415 - as above

                connection = Connection(exchange.socket.server, exchange.request.connection)
                await self._serve_messages(connection, exchange.request)
        finally:
            self._in_memory.discard(exchange)
            exchange.hang_up()

    # Both

    async def _serve(self, exchange: ServerExchange) -> None:
        request = exchange.request = attrs.evolve(exchange.request, converter=self._converter)
        exchange.dialect, exchange.faults = self._dialect, self._faults
        self.requests.append(request)
        self.active += 1
        try:
            if request.wants_websocket:
                from ._websockets import handshake_headers  # noqa: PLC0415 - needs an extra

                exchange.upgrade_headers = handshake_headers(request)
            await perform(self._refusal(request) or self._script_for(request), exchange)
            if not exchange.ended:
                await (exchange.finish() if exchange.started else exchange.close())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            await _end(exchange.close())  # the client left, which it may do at any time
        except Exception as error:  # noqa: BLE001 - raised when the block is left
            self.errors.append(error)
            await _end(exchange.fail(f"the script raised {type(error).__name__}: {error}"))
        finally:
            self.active -= 1

    def _refusal(self, request: Request) -> Answer | None:
        """Return the answer to a request that a server of the API would refuse; ``None`` if the request is valid."""
        script = self.script if isinstance(self.script, Script) else None
        if not self._check_requests or (script is not None and not script.checks_requests):
            return None
        try:
            scripted = script is not None and script.names(request)
            check_request(request, self._converter.in_mode(strict=True), scripted=scripted)
        except APIError as error:
            status = error.answer_status
            self.client_errors.append(
                RemoteProtocolError(f"{request.method} {request.path} was refused with {status}: {error.message}")
            )
            return Answer.error(status, error.message, type=error.type or "", code=error.code, param=error.param)
        return None

    def _script_for(self, request: Request) -> Scriptable:
        if request.wants_websocket and not (isinstance(self.script, Script) and self.script.names(request)):
            return Answer.upgrade()
        return self.script

    def __repr__(self) -> str:
        state = "stopped" if self._tasks is None else self.origin
        return f"<{type(self).__name__} {state}>"


async def _end(ending: Awaitable[None]) -> None:
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await ending
