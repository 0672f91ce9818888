"""Connections on asyncio, with servers that behave well and badly at the other end of real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpcore
import pytest
import trustme
from tests.support import needs_files, open_files, run

from responses_proto.client.transport._asyncio_network import AsyncioBackend

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

AUTHORITY = trustme.CA()
MANY = 64 * 1024

plain_and_tls = pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])


def server_context(name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] # it takes a context of pyOpenSSL too, which is not installed
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)  # pyright: ignore[reportUnknownMemberType] # as above
    return context


@asynccontextmanager
async def serving(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], context: ssl.SSLContext | None = None
) -> AsyncGenerator[int]:
    """Serve connections by a function, and yield the port."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.01)


async def connect(port: int, *, tls: bool) -> httpcore.AsyncNetworkStream:
    stream = await AsyncioBackend().connect_tcp("localhost", port, 60)
    return await stream.start_tls(client_context(), "localhost", 60) if tls else stream


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(MANY):
        writer.write(data)
        await writer.drain()


async def until_closed(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(MANY):
        pass


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection below TLS, too."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@plain_and_tls
def test_what_is_sent_comes_back_in_pieces_of_any_size(tls: bool) -> None:
    async def test() -> None:
        async with serving(echo, server_context() if tls else None) as port:
            stream = await connect(port, tls=tls)
            for size, most in ((1, 1), (5, 3), (200_000, MANY), (200_000, 1000)):
                sent = os.urandom(size)
                await stream.write(sent, 60)
                received = b""
                while len(received) < size:
                    piece = await stream.read(most, 60)
                    assert 0 < len(piece) <= most
                    received += piece
                assert received == sent
            assert not stream.get_extra_info("is_readable")
            assert stream.get_extra_info("server_addr")[1] == port
            assert stream.get_extra_info("client_addr") == stream.get_extra_info("socket").getsockname()
            assert (stream.get_extra_info("ssl_object") is not None) is tls
            await stream.write(b"")
            await stream.aclose()
            await stream.aclose()
            for failing in (stream.read(1), stream.write(b"x")):
                with pytest.raises((httpcore.ReadError, httpcore.WriteError), match="closed"):
                    await failing

    run("asyncio", test)


@plain_and_tls
def test_the_end_comes_after_the_data_and_again(tls: bool) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"last words")
        writer.close()
        await writer.wait_closed()

    async def test() -> None:
        async with serving(talk, server_context() if tls else None) as port:
            stream = await connect(port, tls=tls)
            await asyncio.sleep(0.05)
            assert stream.get_extra_info("is_readable")
            assert [await stream.read(5), await stream.read(MANY)] == [b"last ", b"words"]
            assert [await stream.read(1), await stream.read(1)] == [b"", b""]
            await stream.aclose()

    run("asyncio", test)


def test_a_peer_that_has_ended_its_side_still_reads() -> None:
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        while data := await reader.read(MANY):
            received.append(data)

    async def test() -> None:
        async with serving(talk) as port:
            stream = await connect(port, tls=False)
            assert await stream.read(1) == b""
            for _ in range(3):
                await stream.write(b"more", 60)
            await stream.aclose()
        assert b"".join(received) == b"more" * 3

    run("asyncio", test)


@plain_and_tls
def test_a_reset_is_an_error_for_whoever_reads_or_writes(tls: bool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reset(writer)

    async def test() -> None:
        async with serving(talk, server_context() if tls else None) as port:
            stream = await connect(port, tls=tls)
            await stream.write(b"x")
            for _ in range(2):
                with pytest.raises(httpcore.ReadError, match="reset"):
                    await stream.read(1, 60)
            with pytest.raises(httpcore.WriteError):
                await stream.write(b"x")
            assert stream.get_extra_info("is_readable")
            await stream.aclose()

    run("asyncio", test)


@plain_and_tls
def test_a_peer_that_never_reads_holds_up_a_write_and_not_the_close(tls: bool) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport of sockets has it
        await asyncio.sleep(60)

    async def test() -> None:
        async with serving(talk, server_context() if tls else None) as port:
            stream = await connect(port, tls=tls)

            async def fill() -> None:
                while True:
                    await stream.write(bytes(1024 * 1024), 0.1)

            with pytest.raises(httpcore.WriteTimeout):
                await fill()
            with pytest.raises(
                httpcore.WriteTimeout
            ):  # not at once an error of the future that the last one waited for
                await stream.write(b"x", 0.1)
            descriptor: Any = stream.get_extra_info("socket")
            await stream.aclose()
            assert descriptor.fileno() < 0

    run("asyncio", test)


@plain_and_tls
def test_little_is_read_ahead_of_a_slow_reader(tls: bool) -> None:
    sent = 0

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(bytes(MANY))
            sent += MANY
            await writer.drain()

    async def test() -> None:
        async with serving(flood, server_context() if tls else None) as port:
            stream = await connect(port, tls=tls)
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(0.1)
            read = 0
            while read < before + 10 * MANY:  # it goes on when it is read
                read += len(await stream.read(MANY, 60))
            await stream.aclose()
        assert before < 32 * 1024 * 1024

    run("asyncio", test)


def test_reads_are_bounded_and_can_be_cancelled_without_loss() -> None:
    async def test() -> None:
        async with serving(echo) as port:
            stream = await connect(port, tls=False)
            with pytest.raises(httpcore.ReadTimeout):
                await stream.read(1, 0.01)
            reading = asyncio.create_task(stream.read(10))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task"):
                await stream.read(1)
            reading.cancel()
            await asyncio.wait([reading])
            await stream.write(b"after all")
            assert await stream.read(100, 60) == b"after all"
            closing = asyncio.create_task(stream.read(10))
            await asyncio.sleep(0)
            await stream.aclose()
            with pytest.raises(httpcore.ReadError, match="closed on this side"):
                await closing

    run("asyncio", test)


def test_loops_in_several_threads_do_not_disturb_each_other() -> None:
    async def echoed(content: bytes) -> bytes:
        async with serving(echo) as port:
            stream = await connect(port, tls=False)
            received = b""
            for number in range(1, 201):
                await stream.write(content, 60)
                while len(received) < number * len(content):
                    received += await stream.read(MANY, 60)
            await stream.aclose()
            return received

    def in_own_loop(content: bytes) -> bytes:
        return asyncio.run(echoed(content))

    with ThreadPoolExecutor() as threads:
        contents = [bytes([number]) * 1000 for number in range(4)]
        for content, received in zip(contents, threads.map(in_own_loop, contents), strict=True):
            assert set(received) == set(content)


# ---- connecting


def test_an_address_that_does_not_answer_is_not_waited_for() -> None:
    async def test() -> None:
        async with serving(echo) as port:
            loop: Any = asyncio.get_running_loop()
            dead = "192.0.2.1"  # RFC 5737: nobody is there
            found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port)) for host in (dead, dead, "127.0.0.1")]

            async def two_addresses(*_args: Any, **_options: Any) -> list[Any]:
                return found

            loop.getaddrinfo = two_addresses  # a resolver that knows such a name
            stream = await AsyncioBackend().connect_tcp("some.name", port, 60)
            assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
            await stream.aclose()

    run("asyncio", test)


def test_a_refusal_is_told_with_its_number_for_one_address_and_for_several() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(httpcore.ConnectError) as caught:
                await AsyncioBackend().connect_tcp(host, port, 60)
            cause: Any = caught.value.__cause__
            causes: list[Any] = list(getattr(cause, "exceptions", [cause]))
            assert {type(error) for error in causes} == {ConnectionRefusedError}

    run("asyncio", test)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example", "\udc80"])
def test_a_name_without_an_address_is_a_connect_error(host: str) -> None:
    async def test() -> None:
        with pytest.raises(httpcore.ConnectError):
            await AsyncioBackend().connect_tcp(host, 80, 60)

    run("asyncio", test)


def test_options_and_the_local_address_are_used() -> None:
    async def test() -> None:
        async with serving(until_closed) as port:
            stream = await AsyncioBackend().connect_tcp(
                "127.0.0.1", port, 60, "127.0.0.1", [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
            )
            used: Any = stream.get_extra_info("socket")
            assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert used.getsockname()[0] == "127.0.0.1"
            await stream.aclose()
            await AsyncioBackend().sleep(0)

    run("asyncio", test)


# ---- TLS


async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def speaks_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 welcome\r\n")
    await until_closed(reader, writer)


async def hangs_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(10)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    reset(writer)


async def answers_in_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await until_closed(reader, writer)


@pytest.mark.parametrize("wait", [0.0, 0.05])
@pytest.mark.parametrize("talk", [silent, speaks_first, hangs_up, resets, answers_in_clear])
def test_a_handshake_that_fails_leaves_nothing_open(talk: Any, wait: float) -> None:
    async def test() -> None:
        async with serving(talk) as port:
            stream = await connect(port, tls=False)
            used: Any = stream.get_extra_info("socket")
            await asyncio.sleep(wait)
            error = httpcore.ConnectTimeout if talk is silent else httpcore.ConnectError
            with pytest.raises(error):
                await stream.start_tls(client_context(), "localhost", 0.2 if talk is silent else 60)
            assert used.fileno() < 0

    run("asyncio", test)


def test_a_slow_handshake_is_waited_for() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined] # as above
        await asyncio.sleep(0.2)
        await writer.start_tls(server_context())
        await echo(reader, writer)

    async def test() -> None:
        async with serving(talk) as port:
            stream = await connect(port, tls=True)
            await stream.write(b"at last")
            assert await stream.read(MANY, 60) == b"at last"
            await stream.aclose()

    run("asyncio", test)


@pytest.mark.parametrize("name", ["elsewhere.example", "localhost"])
def test_a_certificate_of_others_is_refused(name: str) -> None:
    async def test() -> None:
        context = client_context() if name == "elsewhere.example" else ssl.create_default_context()
        async with serving(until_closed, server_context(name)) as port:
            stream = await connect(port, tls=False)
            with pytest.raises(httpcore.ConnectError, match=r"(?i)certificate"):
                await stream.start_tls(context, "localhost", 60)

    run("asyncio", test)


@needs_files
@plain_and_tls
def test_cancelling_while_connecting_leaves_nothing_open(tls: bool) -> None:
    async def test() -> None:
        async with serving(until_closed, server_context() if tls else None) as port:
            await (await connect(port, tls=tls)).aclose()
            await asyncio.sleep(0.05)
            before = open_files()
            tasks = len(asyncio.all_tasks())
            for steps in range(40):
                connecting = asyncio.create_task(connect(port, tls=tls))
                for _ in range(steps):
                    await asyncio.sleep(0)
                connecting.cancel()
                await asyncio.wait([connecting])
                if not connecting.cancelled():
                    await connecting.result().aclose()
            async with asyncio.timeout(60):
                while open_files() > before or len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - polls the operating system
                    await asyncio.sleep(0.01)

    run("asyncio", test)
