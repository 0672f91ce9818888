"""The WebSocket endpoint: any number of requests on one connection.

:class:`~responses_proto.protocol.websocket.ServerSession` implements the protocol of a connection: which messages are
allowed, which requests may start, and what to send. This module does the I/O. Each request is prepared and run in its own task. After
each step, ``_flush`` starts the requests that are due and sends the pending messages.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import anyio
import attrs

from ..exceptions import APIError
from ..models.events import TERMINAL_TYPES, OutputItemDone
from ..protocol.websocket import ServerSession, ServerTurn
from ._access import META
from ._http import ClientDisconnected
from ._task import internal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import TaskGroup

    from ..protocol._requests import UnknownParameters
    from ._access import RequestMeta
    from ._http import ASGI, ASGIMessage, Receive, Scope, Send
    from .service import ResponseTask, Service
    from .stores import WireEvent

_NORMAL, _POLICY_VIOLATION, _TOO_LARGE = 1000, 1008, 1009  # close codes (RFC 6455, section 7.4.1)

_log: Final = logging.getLogger(__name__)


def deny_websocket(response: ASGI) -> ASGI:
    """Create an ASGI application that rejects a handshake: with an HTTP response if the ASGI server supports that, else with 403."""

    async def deny(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_renamed(message: ASGIMessage) -> None:
            await send({**message, "type": f"websocket.{message['type']}"})

        await receive()  # websocket.connect
        if "websocket.http.response" in (scope.get("extensions") or {}):
            await response(scope, receive, send_renamed)
        else:  # the ASGI server answers 403, without a body
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})

    return deny


@attrs.frozen(kw_only=True)
class WebSockets:
    """An ASGI application that serves WebSocket connections."""

    service: Callable[[RequestMeta], Service] = attrs.field(kw_only=False)
    """Returns the service for a connection."""
    max_connection_age: float
    """Seconds during which a connection may start new requests."""
    max_message_bytes: int
    """The length limit of messages, in bytes. A longer message closes the connection."""
    unknown_parameters: UnknownParameters = None
    """What to do with unknown parameters of requests; see :class:`.ResponsesApp`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, until it is closed."""
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        async with anyio.create_task_group() as tasks:
            await _Connection(self, scope, receive, send, tasks).serve()
            tasks.cancel_scope.cancel()


class _Connection:
    def __init__(self, app: WebSockets, scope: Scope, receive: Receive, send: Send, tasks: TaskGroup) -> None:
        self._meta = scope[META]
        self._service = app.service(self._meta)
        self._max_message_bytes = app.max_message_bytes
        self._receive = receive
        self._send = send
        self._tasks = tasks
        self._session = ServerSession(
            now=self._service.clock(),
            max_connection_age=app.max_connection_age,
            ids=self._service.ids,
            converter=self._service.converter,
            unknown_parameters=app.unknown_parameters,
        )
        self._send_lock = anyio.Lock()
        self._unsent: deque[bytes] = deque()

    async def serve(self) -> None:
        """Receive messages until the client disconnects, or the connection has reached its maximum age."""
        self._tasks.start_soon(self._expire)
        try:
            while not self._session.closing:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = cast("str | None", message.get("text"))
                data = cast("bytes", message.get("bytes") or b"") if text is None else text.encode()
                if len(data) > self._max_message_bytes:
                    await self._close(_TOO_LARGE)
                    return
                self._session.receive_message(data, self._service.clock())
                await self._flush()
        except ClientDisconnected:
            pass

    async def _flush(self) -> None:
        """Start the requests that are due, and send the pending messages."""
        self._session.tick(self._service.clock())
        for turn in self._session.turns_to_begin():
            self._tasks.start_soon(self._answer, turn)
        self._unsent += self._session.messages_to_send()
        async with self._send_lock:
            while self._unsent:
                # Removed first: if sending is cancelled, the message may have gone out, and must not be sent twice.
                message = self._unsent.popleft()
                await self._send_or_disconnect({"type": "websocket.send", "text": message.decode()})
            if self._session.closing:
                await self._close(_NORMAL)

    async def _answer(self, turn: ServerTurn) -> None:
        with contextlib.suppress(ClientDisconnected):
            try:
                task = await self._service.prepare(turn.request, history_lookup=self._session.history, meta=self._meta)
                await task.run(functools.partial(self._deliver, turn, task), generate=turn.generate)
            except APIError as error:
                self._session.reject(turn, error)
            except ClientDisconnected:
                raise
            except Exception:  # noqa: BLE001 - the client must get an answer to any error
                _log.exception("unexpected error in the server")
                self._session.reject(turn, internal_error())
            await self._flush()

    async def _deliver(self, turn: ServerTurn, task: ResponseTask, events: Sequence[WireEvent]) -> None:
        turn.response_id = task.id  # a relayed response has its final id only now
        for event in events:
            history = task.history if event.type in TERMINAL_TYPES else ()
            self._session.send_event(turn, event.sequence_number, event.type, event.data, history)
        # A steered response stops between items, unless that would leave a call without its output.
        between_items = any(event.type == OutputItemDone.type for event in events)
        if between_items and turn.steered and not task.response.pending_calls:
            self._tasks.start_soon(self._stop_steered, task)
        await self._flush()

    @staticmethod
    async def _stop_steered(task: ResponseTask) -> None:
        with contextlib.suppress(ClientDisconnected):
            await task.stop("steered")

    async def _expire(self) -> None:
        with contextlib.suppress(ClientDisconnected):
            while not self._session.closing:
                await anyio.sleep(max(1.0, self._session.expires_at - self._service.clock()))
                await self._flush()

    async def _close(self, code: int) -> None:
        await self._send_or_disconnect({"type": "websocket.close", "code": code})
        self._tasks.cancel_scope.cancel()

    async def _send_or_disconnect(self, message: ASGIMessage) -> None:
        try:
            await self._send(message)
        except (
            OSError,
            RuntimeError,
        ) as error:  # uvicorn raises RuntimeError after it has closed the connection itself
            raise ClientDisconnected from error
