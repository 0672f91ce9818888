"""The WebSocket endpoint: one connection, and the turns on it. What may be said when is in :mod:`responses_proto.protocol.websocket`."""

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
from ._http import ClientGone
from ._task import internal_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import TaskGroup

    from ._http import ASGI, ASGIMessage, Receive, Scope, Send
    from .service import ResponseTask, Service
    from .stores import WireEvent

__all__ = ["WebSockets", "deny_websocket"]

_DONE, _REFUSED, _TOO_LARGE = 1000, 1008, 1009  # close codes (RFC 6455, 7.4.1)

_log: Final = logging.getLogger(__name__)


def deny_websocket(answer: ASGI) -> ASGI:
    """Answer a handshake with what answers a request, where the server can say more than no."""

    async def deny(scope: Scope, receive: Receive, send: Send) -> None:
        async def renamed(message: ASGIMessage) -> None:
            await send({**message, "type": f"websocket.{message['type']}"})

        await receive()  # the wish to connect
        if "websocket.http.response" in (scope.get("extensions") or {}):
            await answer(scope, receive, renamed)
        else:
            await send({"type": "websocket.close", "code": _REFUSED, "reason": ""})  # which is 403, without a body

    return deny


@attrs.frozen
class WebSockets:
    """An ASGI application that serves the WebSockets of a service. ``lasts``: seconds that one may take new turns."""

    service: Service
    lasts: float
    max_message_bytes: int

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one."""
        await receive()  # the wish to connect
        await send({"type": "websocket.accept"})
        async with anyio.create_task_group() as tasks:
            await _Connection(self, receive, send, tasks).serve()
            tasks.cancel_scope.cancel()


class _Connection:
    def __init__(self, app: WebSockets, receive: Receive, send: Send, tasks: TaskGroup) -> None:
        self._service = app.service
        self._maximum = app.max_message_bytes
        self._receive = receive
        self._send = send
        self._tasks = tasks
        self._session = ServerSession(now=app.service.clock(), max_connection_age=app.lasts, ids=app.service.ids)
        self._sending = anyio.Lock()
        self._unsent: deque[bytes] = deque()

    async def serve(self) -> None:
        """Take messages until the client leaves, or the connection has had its time."""
        self._tasks.start_soon(self._expire)
        try:
            while not self._session.closing:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = cast("str | None", message.get("text"))
                data = cast("bytes", message.get("bytes") or b"") if text is None else text.encode()
                if len(data) > self._maximum:
                    await self._close(_TOO_LARGE)
                    return
                self._session.receive_message(data, self._service.clock())
                await self._go_on()
        except ClientGone:
            pass

    async def _go_on(self) -> None:
        """Let turns begin whose time has come, and send what there is to say."""
        self._session.tick(self._service.clock())
        for asked in self._session.turns_to_begin():
            self._tasks.start_soon(self._answer, asked)
        self._unsent += self._session.messages_to_send()
        async with self._sending:
            while self._unsent:
                # Taken first: if this is cancelled, it is not known whether the message went out.
                message = self._unsent.popleft()
                await self._put({"type": "websocket.send", "text": message.decode()})
            if self._session.closing:
                await self._close(_DONE)

    async def _answer(self, asked: ServerTurn) -> None:
        try:
            try:
                turn = await self._service.turn(asked.request, earlier=self._session.history)
                asked.response_id = turn.id
                await turn.run(functools.partial(self._deliver, asked, turn), generate=asked.generate)
            except APIError as error:
                self._session.reject(asked, error)
            except ClientGone:
                raise
            except Exception:  # noqa: BLE001 - whatever breaks, the client gets an answer
                _log.exception("the server broke")
                self._session.reject(asked, internal_error())
            await self._go_on()
        except ClientGone:
            pass

    async def _deliver(self, asked: ServerTurn, turn: ResponseTask, events: Sequence[WireEvent]) -> None:
        for event in events:
            history = turn.history if event.type in TERMINAL_TYPES else ()
            self._session.send_event(asked, event.sequence_number, event.type, event.data, history)
        # Between two items is a good place to stop for what was steered, unless a call would be left without its answer.
        boundary = any(event.type == OutputItemDone.type for event in events)
        if boundary and asked.steered and not turn.response.pending_calls:
            self._tasks.start_soon(self._stop, turn)
        await self._go_on()

    @staticmethod
    async def _stop(turn: ResponseTask) -> None:
        with contextlib.suppress(ClientGone):
            await turn.stop("steered")

    async def _expire(self) -> None:
        while not self._session.closing:
            await anyio.sleep(max(1.0, self._session.expires_at - self._service.clock()))
            try:
                await self._go_on()
            except ClientGone:
                return

    async def _close(self, code: int) -> None:
        await self._put({"type": "websocket.close", "code": code})
        self._tasks.cancel_scope.cancel()

    async def _put(self, message: ASGIMessage) -> None:
        try:
            await self._send(message)
        except OSError as error:
            raise ClientGone from error
