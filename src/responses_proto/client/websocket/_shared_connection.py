"""Share one WebSocket between the streams of a session, with a task that reads it.

The task reads while a turn waits, and also while fewer than 1 MiB of messages wait to be fetched. So pings are answered
while the caller does not read, and a slow stream does not delay the others. If no stream is read at all, the server is slowed down,
as over HTTP.
"""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel

from ...exceptions import ResponsesProtoError, TransportError
from ...protocol.headers import REQUEST_ID_HEADERS
from ...protocol.sse import encode_comment, encode_frame
from ...protocol.websocket import ClientSession, ClientSteer, ClientTurn
from ..transport._exchange import CLOSING, shut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...codec import Converter
    from ...limits import Limits
    from ._connection import WebSocketConnection

_READ_AHEAD: Final = 1024 * 1024  # bytes of unfetched messages above which the task reads only if a turn waits
_DOUBT: Final = 1.0  # seconds after which a message that may belong to the previous turn counts as this one's
_HEARTBEAT: Final = 1.0  # seconds between two signs of life that are passed on to readers
_SIGN_OF_LIFE: Final = encode_comment()


class SharedConnection:
    """One connection for many turns. Run :meth:`read` in a separate task; :meth:`aclose` or the server ends it.

    ``headers`` are those of the response to the handshake. ``converter`` decodes messages for the session itself, such as those on steers.
    """

    def __init__(
        self,
        connection: WebSocketConnection,
        headers: Mapping[str, str],
        limits: Limits,
        converter: Converter | None = None,
    ) -> None:
        self.protocol: ClientSession = ClientSession(limits=limits, converter=converter)
        self.headers: Mapping[str, str] = headers
        self._connection = connection
        self._scope = anyio.CancelScope()
        self._turn_changed: dict[ClientTurn, anyio.Event] = {}  # set and removed when a turn that is waited for changes
        self._steer_changed = anyio.Event()  # set and replaced when any steer changes
        self._waiters = 0  # tasks that wait for something from the server
        self._read_on = anyio.Event()  # set when the reading task should check whether to continue
        self._ended = anyio.Event()
        self._last_heartbeat = 0.0

    @property
    def usable(self) -> bool:
        """Whether another turn can begin on this connection."""
        return self.protocol.lost is None and not self.protocol.expired and self._connection.open

    async def read(self) -> None:
        """Receive messages until the connection ends or is closed. Does not raise; the turns raise instead."""
        try:
            with self._scope:
                while True:
                    while self.protocol.buffered >= _READ_AHEAD and not self._waiters:
                        self._read_on = anyio.Event()
                        await self._read_on.wait()
                    for message in await self._connection.receive():
                        self._notify(self.protocol.receive_message(message))
                    self._heartbeat()
        except ResponsesProtoError as error:
            self._lose(error)
        finally:
            try:
                # First, so that turns which are cancelled together with this task end by cancellation, not by the lost connection.
                await shut(self._connection)
            finally:
                self._lose(TransportError("the connection was closed"))
                self._ended.set()

    async def send(self, message: bytes, write: float | None) -> None:
        """Send a message, each frame within ``write`` seconds.

        Raises ``TransportError``. A message that is cut off in the middle closes the connection.
        """
        try:
            await self._connection.send(message, write)
        except BaseException:
            if not self._connection.intact:
                await self.aclose("a message was cut off in the middle")
            raise

    async def wait(self, turn: ClientTurn) -> None:
        """Wait until a turn may have changed, or the server has shown a sign of life."""
        await self._wait(self._turn_changed.setdefault(turn, anyio.Event()))

    async def wait_for_steers(self) -> None:
        """Wait until any steer has changed."""
        await self._wait(self._steer_changed)

    def read_on(self) -> None:
        """Wake the reading task. Call this after fetching messages."""
        self._read_on.set()

    async def finish(self) -> None:
        """Close the connection with a closing handshake if no turn is under way. The server has a second to answer."""
        if self.usable and not self.protocol.busy and not self._connection.emulated:
            with anyio.move_on_after(CLOSING):
                await self._connection.send_close()
                await self._wait(self._ended)
        await self.aclose("the session was left")

    async def aclose(self, reason: str) -> None:
        """Close the connection at once. All its users get a ``TransportError`` with the reason. Idempotent."""
        self._lose(TransportError(f"the connection was closed: {reason}"))
        self._scope.cancel()
        await shut(self._connection)

    # Inside

    async def _wait(self, event: anyio.Event) -> None:
        self._waiters += 1
        self._read_on.set()
        try:
            await event.wait()
        finally:
            self._waiters -= 1

    def _notify(self, changed: list[ClientTurn | ClientSteer]) -> None:
        """Wake the tasks that wait for these turns and steers."""
        for one in changed:
            if isinstance(one, ClientTurn):
                turn_changed = self._turn_changed.pop(one, None)
                if turn_changed is not None:
                    turn_changed.set()
            else:
                steer_changed, self._steer_changed = self._steer_changed, anyio.Event()
                steer_changed.set()

    def _heartbeat(self) -> None:
        """Wake all readers at most once a second, because any data shows that the server is alive."""
        now = time.monotonic()
        if now - self._last_heartbeat >= _HEARTBEAT:
            self._last_heartbeat = now
            self._notify(list(self._turn_changed))

    def _lose(self, error: ResponsesProtoError) -> None:
        if error.retry_safety is None:
            error.retry_safety = "unsafe"
        self._notify(self.protocol.connection_lost(error))


class TurnReply:
    """One turn as a :class:`~responses_proto.client.transport.WireReply`, whose body is an event stream.

    Call :meth:`begin` first. A rejection becomes a reply with the status of the error, and with the message as the body.
    """

    def __init__(self, connection: SharedConnection, turn: ClientTurn) -> None:
        self._connection = connection
        self.turn = turn
        self.status: int = HTTPStatus.SWITCHING_PROTOCOLS.value
        self.headers: Mapping[str, str] = connection.headers
        self._rejection = b""

    async def begin(self) -> None:
        """Wait for the first message. Raises the failure of the turn if there is none."""
        doubt_ends = math.inf
        while not self.turn.ready:
            if self.turn.doubtful and doubt_ends == math.inf:
                doubt_ends = anyio.current_time() + _DOUBT
            with anyio.CancelScope(deadline=doubt_ends) as scope:
                await self._connection.wait(self.turn)
            if scope.cancelled_caught:
                doubt_ends = math.inf
                self._connection.protocol.settle(self.turn)
        rejection = self.turn.rejection
        if rejection is None:
            if not self.turn.messages:
                await self._check_failure()
            return
        self._rejection = self._connection.protocol.messages_received(self.turn)[0]
        request_ids = {name: value for name, value in self._connection.headers.items() if name in REQUEST_ID_HEADERS}
        self.status = int(str(rejection["status"]))
        self.headers = {**request_ids, "content-type": "application/json"}

    async def receive(self) -> bytes:
        """Wait for the next messages of the turn and return them as SSE; empty at its end. A sign of life becomes a comment."""
        if self._rejection:
            body, self._rejection = self._rejection, b""
            return body
        for waited in (False, True):
            messages = self._connection.protocol.messages_received(self.turn)
            if messages:
                self._connection.read_on()
                return b"".join(map(encode_frame, messages))
            await self._check_failure()
            if self.turn.ended:
                return b""
            if not waited:
                await self._connection.wait(self.turn)
        return _SIGN_OF_LIFE

    async def _check_failure(self) -> None:
        """Raise the failure of the turn, if there is one."""
        if self.turn.failure is not None:
            # If this task was cancelled together with the one that closed the connection, report the cancellation, not a failure.
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise self.turn.failure

    async def aclose(self) -> None:
        """Leave the turn. If it has not ended, close the connection, because no message stops a turn."""
        protocol = self._connection.protocol
        if protocol.leave(self.turn):
            lane = f" on the lane {self.turn.stream_id!r}" if self.turn.stream_id is not None else ""
            await self._connection.aclose(f"another stream{lane} was left before its end, which only closing can stop")
        elif protocol.expired and not protocol.busy:
            await self._connection.aclose("the server accepts no more turns on it")
        self._connection.read_on()
