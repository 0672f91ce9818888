"""Connections on asyncio for httpcore's pool, designed for streams of many small events.

httpcore's own backend goes through anyio, which opens a cancel scope for each read, and twice as many layers for TLS. Here, the event loop
hands data to a protocol, and a read returns what has arrived: one callback and one future per read. The loop does TLS. The protocol is a
buffered one, because for any other the loop allocates 256 KiB for each read.

Both directions have back-pressure. The socket is not read while more than :data:`_READ_AHEAD` bytes wait for a reader, and a write
returns when the operating system has accepted everything; over TLS, when it has accepted all earlier data.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import select
import socket
import threading
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

for _name in ("concurrent.futures.thread", "encodings.idna"):
    importlib.import_module(_name)  # needed by the loop's name lookup; not to be loaded during the first request

_READ_AHEAD: Final = 64 * 1024  # bytes
_NEXT_ADDRESS: Final = 0.25  # seconds until the next address is tried as well; RFC 8305, section 5
_HANDSHAKE: Final = 24 * 60 * 60.0  # seconds: the loop needs a bound, and its default could be below the caller's
_EXTRA: Final = {"client_addr": "sockname", "server_addr": "peername"}  # httpcore's names and the loop's


class _Thread(threading.local):
    """The buffer of all connections of one thread. A loop copies the data out of it before it reads again."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_READ_AHEAD))  # a view, because the loop writes into slices of it


_thread: Final = _Thread()


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections on the running asyncio loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the base class
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect within ``timeout`` seconds. Raises ``httpcore.ConnectTimeout`` and ``httpcore.ConnectError``."""
        bound = asyncio.timeout(timeout)
        try:
            async with bound:
                connected = await _connect(host, port, local_address)
                _, stream = await asyncio.get_running_loop().create_connection(AsyncioStream, sock=connected)
        except (OSError, ExceptionGroup, UnicodeError) as error:  # UnicodeError: not a host name
            raise _connect_error(error, bound, timeout) from error
        for option in socket_options or ():
            stream.get_extra_info("socket").setsockopt(*option)
        return stream

    async def sleep(self, seconds: float) -> None:
        """Sleep between two attempts to connect."""
        await asyncio.sleep(seconds)


async def _connect(host: str, port: int, local_address: str | None) -> socket.socket:
    """Return a socket that is connected to the first address that answers (Happy Eyeballs, RFC 8305).

    The loop's own implementation leaves tasks and sockets behind if it is cancelled. Raises ``OSError``, and an ``ExceptionGroup`` if
    several addresses failed.
    """
    errors: list[OSError] = []
    connected: list[socket.socket] = []

    async def attempt(info: Any, failed: anyio.Event) -> None:
        try:
            connected.append(await _open_socket(info, local_address))
        except OSError as error:
            errors.append(error)
            failed.set()
        else:
            tasks.cancel_scope.cancel()

    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families = [[info for info in found if info[0] == family] for family in dict.fromkeys(info[0] for info in found)]
    won: socket.socket | None = None
    try:
        async with anyio.create_task_group() as tasks:
            for info in filter(None, itertools.chain(*itertools.zip_longest(*families))):
                failed = anyio.Event()
                tasks.start_soon(attempt, info, failed)
                with anyio.move_on_after(_NEXT_ADDRESS):
                    await failed.wait()
        won = connected[0] if connected else None
    finally:
        for other in connected:
            if other is not won:
                other.close()
    if won is None:
        raise errors[0] if len(errors) == 1 else ExceptionGroup("no address answered", errors)
    return won


async def _open_socket(info: Any, local_address: str | None) -> socket.socket:
    """Return a socket that is connected to an address. Raises ``OSError``."""
    family, kind, protocol, _, address = info
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)  # noqa: FBT003 - its only parameter
        if local_address is not None:
            opened.bind((local_address, 0))
        await asyncio.get_running_loop().sock_connect(opened, address)
    except BaseException:
        opened.close()
        raise
    return opened


class AsyncioStream(asyncio.BufferedProtocol, httpcore.AsyncNetworkStream):
    """One connection, plain or TLS: the loop's protocol and httpcore's stream in one. One task reads at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._pieces: list[bytes] = []  # received, and not read yet …
        self._size = 0  # … and their size in bytes
        self._paused = False
        self._reader: asyncio.Future[None] | None = None  # waits for data
        self._written: asyncio.Future[None] | None = None  # waits until the operating system has taken everything
        self._secured = False
        self._ended = False  # nothing more will arrive
        self._lost = False  # nothing more can be sent
        self._closed = False  # by this side
        self._error: Exception | None = None  # why the connection was lost; `None` if it was closed cleanly

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Any byte that waits for the operating system pauses writing. A TLS transport pauses at its limit, others above it.
        self._transport.set_write_buffer_limits(high=1 if self._secured else 0, low=0)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the signature of the base class
        return _thread.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._pieces.append(bytes(_thread.buffer[:nbytes]))
        self._size += nbytes
        if self._size > _READ_AHEAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    def eof_received(self) -> bool:
        self._ended = True
        self._wake_reader()
        return not self._secured  # the peer may still read; with TLS, the loop has no half-closed state

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = self._lost = True
        self._error = exc
        self._wake_reader()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._written = self._loop.create_future()

    def resume_writing(self) -> None:
        written, self._written = self._written, None
        if written is not None:
            written.set_result(None)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # What httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the signature of the base class
        """Wait for data and return it; empty at the end. Raises ``httpcore.ReadError`` and ``httpcore.ReadTimeout``."""
        if not self._pieces and not self._ended:
            if timeout is None:
                await self._wait_for_data()
            else:
                try:
                    async with asyncio.timeout(timeout):
                        await self._wait_for_data()
                except TimeoutError as error:
                    raise httpcore.ReadTimeout(f"no data within {timeout} s") from error
        pieces = self._pieces
        if not pieces or self._closed:
            if self._closed:
                raise httpcore.ReadError("the connection was closed on this side")
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if len(data) > max_bytes:
            pieces.append(data[max_bytes:])
            data = data[:max_bytes]
        self._size -= len(data)
        if self._paused and self._size <= _READ_AHEAD:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def _wait_for_data(self) -> None:
        if self._reader is not None:
            raise RuntimeError("another task is reading this connection")
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """Send data, and wait for a slow peer. Raises ``httpcore.WriteError`` and ``httpcore.WriteTimeout``."""
        if buffer and not self._lost and not self._closed:
            self._transport.write(buffer)
            if self._written is not None:
                try:
                    async with asyncio.timeout(timeout):
                        await asyncio.shield(self._written)  # several tasks may wait for it
                except TimeoutError as error:
                    raise httpcore.WriteTimeout(f"the peer took nothing within {timeout} s") from error
        if self._lost or self._closed:
            cause = self._error or ConnectionError("the connection is closed")
            raise httpcore.WriteError(str(cause)) from cause

    async def aclose(self) -> None:
        """Close the connection at once, without waiting for unsent data or for the peer to end TLS."""
        self._closed = True
        self._transport.abort()
        await asyncio.sleep(0)  # meanwhile, the loop closes the socket

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore.AsyncNetworkStream:
        """Start TLS on this connection, and return it. Raises ``httpcore.ConnectTimeout`` and ``httpcore.ConnectError``."""
        bound = asyncio.timeout(timeout)
        transport: asyncio.Transport | None = None
        try:
            # Bytes from before the handshake must not be taken for data inside TLS.
            if not self._pieces and not self._ended:
                async with bound:
                    transport = await self._loop.start_tls(
                        self._transport,
                        self,
                        ssl_context,
                        server_hostname=server_hostname,
                        ssl_handshake_timeout=_HANDSHAKE,
                    )
        except OSError as error:  # as errors of TLS are
            raise _connect_error(error, bound, timeout) from error
        finally:
            if transport is None:
                await self.aclose()
        if transport is None:
            raise httpcore.ConnectError("the server does not wait for the TLS handshake")
        self._secured = True
        self.connection_made(transport)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return information about the connection, by httpcore's name for it; ``None`` if there is none."""
        if info == "is_readable":
            return self._ended or bool(self._pieces) or _is_readable(self.get_extra_info("socket"))
        return self._transport.get_extra_info(_EXTRA.get(info, info))


def _connect_error(error: Exception, bound: asyncio.Timeout, timeout: float | None) -> Exception:
    if bound.expired():
        return httpcore.ConnectTimeout(f"no connection within {timeout} s")
    return httpcore.ConnectError(str(error))


def _is_readable(connection: socket.socket) -> bool:
    """Return whether a socket has data, or its end, that the loop has not seen yet."""
    if connection.fileno() < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
