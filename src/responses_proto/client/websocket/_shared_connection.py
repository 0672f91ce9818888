"""One WebSocket that is shared by the streams of a session, and the task that reads it.

The task reads on for as long as somebody waits, or little is waiting to be fetched: so pings are answered while nobody reads, a
stream that is slow does not hold up another, and one that is not read at all holds up the server, as it does over HTTP.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import anyio

from ...exceptions import ResponsesProtoError, TransportError
from ...protocol.headers import REQUEST_ID_HEADERS
from ...protocol.sse import encode_comment, encode_frame
from ...protocol.websocket import ClientSession, ClientSteer, ClientTurn
from ..transport._exchange import CLOSING, shut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...limits import Limits
    from ._connection import WebSocketConnection

__all__ = ["SharedConnection", "TurnReply"]

_READ_AHEAD: Final = 1024 * 1024  # bytes that may wait to be fetched before nobody reads on for the sake of it
_SIGN: Final = 1.0  # seconds between two signs of life that those who wait are told of
_LIFE: Final = encode_comment()


class SharedConnection:
    """One connection. :meth:`read` is to run in a task of its own until the end; :meth:`aclose` ends it."""

    def __init__(self, channel: WebSocketConnection, headers: Mapping[str, str], limits: Limits) -> None:
        self.protocol: ClientSession = ClientSession(limits=limits)
        self.headers: Mapping[str, str] = headers
        """Those of the handshake's answer."""
        self._channel = channel
        self._scope = anyio.CancelScope()
        self._waiting: dict[ClientTurn, anyio.Event] = {}
        self._steered = anyio.Event()
        self._hungry = 0
        self._room = anyio.Event()
        self._done = anyio.Event()
        self._last_sign = 0.0

    @property
    def usable(self) -> bool:
        """Whether another turn may begin on it."""
        return self.protocol.lost is None and not self.protocol.expired and self._channel.open

    async def read(self) -> None:
        """Take what comes, until the connection ends or is closed."""
        try:
            with self._scope:
                while True:
                    while self.protocol.buffered >= _READ_AHEAD and not self._hungry:
                        self._room = anyio.Event()
                        await self._room.wait()
                    messages = await self._channel.receive()
                    for message in messages:
                        self._tell(self.protocol.receive_message(message))
                    self._give_sign()
        except ResponsesProtoError as error:
            self._lose(error)
        finally:
            self._lose(TransportError("the connection was closed"))
            await shut(self._channel)
            self._done.set()

    async def send(self, message: bytes, write: float | None) -> None:
        """Send a message. Raises ``TransportError``; if it was cut off in the middle, the connection is closed."""
        try:
            await self._channel.send(message, write)
        except BaseException:
            if not self._channel.sound:
                await self.aclose("a message on it was cut off in the middle")
            raise

    async def wait(self, turn: ClientTurn) -> None:
        """Wait until there may be something new for a turn, or the peer gave a sign of life."""
        await self._wait(self._waiting.setdefault(turn, anyio.Event()))

    async def wait_for_steers(self) -> None:
        """Wait until something has become of a steer."""
        await self._wait(self._steered)

    def make_room(self) -> None:
        """Say that something was fetched."""
        self._room.set()

    async def farewell(self) -> None:
        """Close it in good order, if nothing is under way any more; the peer has a second to agree."""
        if self.usable and not self.protocol.busy and not self._channel.emulated:
            with anyio.move_on_after(CLOSING):
                await self._channel.farewell()
                await self._wait(self._done)
        await self.aclose("the session was left")

    async def aclose(self, why: str) -> None:
        """Close it at once, and tell everybody who uses it why. Idempotent."""
        self._lose(TransportError(f"the connection was closed: {why}"))
        self._scope.cancel()
        await shut(self._channel)

    # Inside

    async def _wait(self, event: anyio.Event) -> None:
        self._hungry += 1
        self._room.set()
        try:
            await event.wait()
        finally:
            self._hungry -= 1

    def _tell(self, changed: list[ClientTurn | ClientSteer]) -> None:
        for one in changed:
            if isinstance(one, ClientTurn):
                waiting = self._waiting.pop(one, None)
                if waiting is not None:
                    waiting.set()
            else:
                steered, self._steered = self._steered, anyio.Event()
                steered.set()

    def _give_sign(self) -> None:
        """Let those who wait know that the peer is alive, be it about something else."""
        now = time.monotonic()
        if now - self._last_sign >= _SIGN:
            self._last_sign = now
            self._tell(list(self._waiting))

    def _lose(self, error: ResponsesProtoError) -> None:
        if error.retry_safety is None:
            error.retry_safety = "unsafe"
        self._tell(self.protocol.connection_lost(error))


class TurnReply:
    """The messages of one turn, as a :class:`~responses_proto.client.transport.WireReply` whose body is an event stream.

    A refusal is an answer with its status, and with the message as the body.
    """

    keeps_time = False

    def __init__(self, link: SharedConnection, turn: ClientTurn) -> None:
        self._link = link
        self.turn = turn
        self.status: int = 101
        self.headers: Mapping[str, str] = link.headers
        self._refusal = b""

    async def begin(self) -> None:
        """Wait for the first message. Raises what cut the turn off before that."""
        while not self.turn.ready:
            await self._link.wait(self.turn)
        refusal = self.turn.refusal
        if refusal is None:
            if self.turn.failure is not None and not self.turn.messages:
                raise self.turn.failure
            return
        self._refusal = self._link.protocol.messages_received(self.turn)[0]
        named = {name: value for name, value in self._link.headers.items() if name in REQUEST_ID_HEADERS}
        self.status = int(str(refusal["status"]))
        self.headers = {**named, "content-type": "application/json"}

    async def receive(self) -> bytes:
        """Wait for the next messages of the turn; empty at its end."""
        if self._refusal:
            body, self._refusal = self._refusal, b""
            return body
        for waited in (False, True):
            messages = self._link.protocol.messages_received(self.turn)
            if messages:
                self._link.make_room()
                return b"".join(map(encode_frame, messages))
            if self.turn.failure is not None:
                raise self.turn.failure
            if self.turn.ended:
                return b""
            if not waited:
                await self._link.wait(self.turn)
        return _LIFE

    async def aclose(self) -> None:
        """Let go of the turn. If more of it would come, the connection is closed: there is no other way to stop it."""
        protocol = self._link.protocol
        if protocol.leave(self.turn):
            lane = f" on the lane {self.turn.stream_id!r}" if self.turn.stream_id is not None else ""
            await self._link.aclose(f"another stream on it{lane} was left before its end, which nothing else can stop")
        elif protocol.expired and not protocol.busy:
            await self._link.aclose("the server takes no more turns on it")
        self._link.make_room()
