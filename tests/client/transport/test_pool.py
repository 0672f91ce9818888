"""Reading event streams past h11: the same content and the same errors as through it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import h11
import httpcore
import httpx
import pytest
import trustme
from anyio.streams.tls import TLSListener
from hypothesis import given
from hypothesis import strategies as st
from tests.streams import frame, plain, wire
from tests.support import PATIENCE, both_loops, run

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.client.transport._pool import ChunkDecoder, EventConnection, PoolTransport
from responses_proto.exceptions import ConnectError
from responses_proto.testing import Answer, FakeServer, Fault, ServerExchange

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anyio.streams.tls import TLSStream

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
END: Final = b"0\r\n\r\n"


def chunk(content: bytes, form: str = "%x") -> bytes:
    return (form % len(content)).encode() + b"\r\n" + content + b"\r\n"


def by_h11(pieces: list[bytes]) -> tuple[bytes, str]:
    """Read a response with h11. Return the content, and how it ended."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "h")]))
    connection.send(h11.EndOfMessage())
    content = b""
    for piece in [*pieces, b""]:
        try:
            connection.receive_data(piece)
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    break
                if isinstance(event, h11.Data):
                    content += bytes(event.data)
                if isinstance(event, h11.EndOfMessage):
                    return content, "whole"
        except h11.RemoteProtocolError:
            return content, "broken"
    return content, "cut"


class Given(httpcore.AsyncNetworkStream):
    """A connection on which these pieces arrive, one by each read."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109, ARG002 - the signature of the base class
        assert all(len(piece) <= max_bytes for piece in self.pieces)
        return self.pieces.pop(0) if self.pieces else b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        pass

    async def aclose(self) -> None:
        pass

    def get_extra_info(self, info: str) -> object:  # noqa: ARG002 - as above
        return None


async def next_to_h11(pieces: list[bytes]) -> tuple[EventConnection, bytes, list[bytes]]:
    """Return a connection after the head of a response, what h11 read of it, and what was read past h11."""
    connection = EventConnection(Given(list(pieces)))
    await connection.write(b"a request")
    head, content = b"", list[bytes]()
    while not connection.direct and (piece := await connection.read(65536)):
        head += piece
    while piece := await connection.receive():
        content.append(piece)
    return connection, head, content


def past_h11(pieces: list[bytes]) -> tuple[bytes, str]:
    """Read a response past h11, and what is left of it with h11. Return the content, and how it ended."""

    async def read() -> tuple[bytes, str]:
        connection, head, content = await next_to_h11(pieces)
        rest = [head]
        while piece := await connection.read(65536):
            rest.append(piece)
        more, end = by_h11(rest)
        return b"".join(content) + more, end

    return asyncio.run(read())


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


forms = st.sampled_from(["%x", "%X", "%04x", "%x;name=value", "%x \t", '%x;q="a b"'])
bodies = st.lists(st.tuples(st.binary(min_size=1, max_size=40), forms), max_size=12)
cuts = st.lists(st.integers(1, 60), max_size=20)
ends = st.sampled_from([END, b"00\r\n\r\n", b"0\r\ntrailer: x\r\n\r\n", b"0;last\r\n\r\n", b""])


@given(bodies, ends, cuts)
def test_the_content_is_the_same_however_it_is_framed_and_cut(
    body: list[tuple[bytes, str]], end: bytes, sizes: list[int]
) -> None:
    data = HEAD + b"".join(chunk(content, form) for content, form in body) + end
    content = b"".join(content for content, _ in body)
    assert past_h11(cut(data, sizes)) == by_h11([data]) == (content, "whole" if end else "broken")


@given(bodies, ends, cuts, st.data())
def test_damaged_framing_is_an_error_exactly_where_h11_reports_one(
    body: list[tuple[bytes, str]], end: bytes, sizes: list[int], data: st.DataObject
) -> None:
    whole = b"".join(chunk(content, form) for content, form in body) + end
    at = data.draw(st.integers(0, len(whole)))
    gone = data.draw(st.integers(0, 4))
    added = data.draw(st.one_of(st.binary(max_size=3), st.sampled_from([b"\r\n", b"\r", b"\n", b"5\r\n", b"0", b"+1"])))
    damaged = HEAD + whole[:at] + added + whole[at + gone :]
    assert past_h11(cut(damaged, sizes)) == by_h11([damaged])


def test_the_content_of_chunks_that_arrive_together_is_one_piece() -> None:
    decoder = ChunkDecoder()
    assert decoder.decode(chunk(b"a") + chunk(b"bc") + b"4\r\nde") == b"abcde"
    assert decoder.decode(b"f") == b"f"
    assert decoder.decode(b"g\r") == b"g"
    assert decoder.decode(b"\n1") == b""
    assert decoder.decode(b"\r\nh\r\n" + END) == b"h"
    assert (decoder.ended, decoder.rest) == (True, END)


@pytest.mark.parametrize("at", [0, 30, len(HEAD), len(HEAD) + 4])
def test_h11_gets_the_head_alone_and_after_the_body_its_end(at: int) -> None:
    async def test() -> None:
        data = HEAD + chunk(b"i") + chunk(b"j") + END
        connection, head, content = await next_to_h11([piece for piece in (data[:at], data[at:]) if piece])
        assert (head, b"".join(content)) == (HEAD, b"ij")
        assert await connection.read(65536) == END

    run("asyncio", test)


@pytest.mark.parametrize(
    "data",
    [
        HEAD.replace(b"200 OK", b"429 No") + chunk(b"a") + chunk(b"b") + END,
        HEAD.replace(b"text/event-stream", b"application/json") + chunk(b"a") + chunk(b"b") + END,
        HEAD.replace(b"Transfer-Encoding: chunked", b"Content-Length: 12") + chunk(b"a") + chunk(b"b"),
        HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + chunk(b"a") + END,
        HEAD.replace(b"1.1", b"1.0") + b"a",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + chunk(b"a") + chunk(b"b") + END,
        b"\x15\x03\x01" * 1000,
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000,
    ],
)
def test_everything_else_passes_unchanged(data: bytes) -> None:
    async def test() -> None:
        for sizes in ([], [1] * 200, [5000] * 20):
            pieces = cut(data, [*sizes, *[60_000] * (len(data) // 60_000)])
            _, head, content = await next_to_h11(pieces)
            assert (head, content) == (data, [])

    run("asyncio", test)


@both_loops
def test_many_events_are_few_pieces(backend: str) -> None:
    async def test() -> None:
        listed = plain([f"{number} " for number in range(500)])

        async def burst(peer: ServerExchange) -> None:
            await peer.raw(HEAD + b"".join(chunk(frame(event)) for event in listed) + END)

        async with FakeServer(burst) as server, ResponsesClient(server.url, "key") as client:
            for _ in range(2):  # the second over the same connection
                async with client.stream(model="m", input="x") as stream:
                    sizes = [len(batch) async for batch in stream.batches()]
                    assert (await stream.result()).output_text == "".join(f"{number} " for number in range(500))
                assert sum(sizes) == len(listed)
                assert len(sizes) < 20
            assert {request.connection for request in server.requests} == {0}

    run(backend, test)


@both_loops
@pytest.mark.parametrize("fault", [Fault.split_every(1), Fault.split_every(7), Fault.compressed()], ids=repr)
def test_unusual_framing_is_read(backend: str, fault: Fault) -> None:
    async def test() -> None:
        answer = Answer.events(plain(["Hel", "lo"])).with_faults(fault)
        async with (
            FakeServer(answer) as server,
            ResponsesClient(server.url, "key") as client,
            client.stream(model="m", input="x") as stream,
        ):
            assert (await stream.result()).output_text == "Hello"

    run(backend, test)


@both_loops
def test_it_works_over_tls_with_a_certificate_that_the_environment_names(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] # it takes a context of pyOpenSSL too, which is not installed

    async def answer(stream: TLSStream) -> None:
        async with stream:
            await stream.receive()
            body = wire(plain(["Hel", "lo"]))
            await stream.send(HEAD + b"".join(chunk(body[at : at + 50]) for at in range(0, len(body), 50)) + END)

    async def test() -> None:
        plain_listener = await anyio.create_tcp_listener(local_host="localhost")
        port = plain_listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        async with (
            TLSListener(plain_listener, context, standard_compatible=False) as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, answer)
            async with (
                ResponsesClient(f"https://localhost:{port}/v1", "key") as client,
                client.stream(model="m", input="x") as stream,
            ):
                assert (await stream.result()).output_text == "Hello"
            tasks.cancel_scope.cancel()

    run(backend, test)


@both_loops
def test_a_proxy_named_by_the_environment_is_used(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(name, nobody if name == "http_proxy" else "")

    async def test() -> None:
        async with (
            FakeServer("Hi") as server,
            ResponsesClient(server.url, "key", retry=RetryPolicy(attempts=1)) as client,
        ):
            with pytest.raises(ConnectError, match="refused"):
                await client.create(model="m", input="x")
            assert server.requests == []

    run(backend, test)


# ---- which connections are kept and used again


class Counted:
    """A server whose connections are numbered: each answers with its number. It can be told to close a connection after an answer."""

    def __init__(self) -> None:
        self.url = ""
        self.opened = 0
        self.open: set[int] = set()
        self.changed = anyio.Event()
        self.waited_for = anyio.Event()
        """Set when a request came that gets no answer."""

    async def _answer(self, stream: anyio.abc.SocketStream) -> None:
        number, self.opened = self.opened, self.opened + 1
        self.open.add(number)
        try:
            async with stream:
                while True:
                    asked = await stream.receive()
                    if asked.startswith(b"GET /never"):
                        self.waited_for.set()
                        await stream.receive()
                    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number)
                    if asked.startswith(b"GET /last"):
                        break
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass
        finally:
            self.open.discard(number)
            self.changed.set()
            self.changed = anyio.Event()

    async def until(self, *numbers: int) -> None:
        """Wait until exactly these connections are open."""
        with anyio.fail_after(PATIENCE):
            while self.open != set(numbers):
                await self.changed.wait()

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[Counted]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"  # noqa: S610 - anyio's, not Django's
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._answer)
            yield self
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def pooled(keepalive: int = 10, expiry: float = 60) -> AsyncGenerator[httpx.AsyncClient]:
    transport = PoolTransport(ssl_context=ssl.create_default_context(), keepalive=keepalive, keepalive_expiry=expiry)
    async with httpx.AsyncClient(transport=transport, timeout=PATIENCE) as client:
        yield client


async def answered(client: httpx.AsyncClient, url: str) -> int:
    """Return the number of the connection that answered."""
    return int((await client.get(url)).text)


@asynccontextmanager
async def at_once(client: httpx.AsyncClient, url: str, number: int) -> AsyncGenerator[None]:
    """Have this many connections busy inside the block. Their answers are read when it is left, the first one first."""
    requests = [client.build_request("GET", url) for _ in range(number)]
    responses = [await client.send(request, stream=True) for request in requests]
    yield
    for response in responses:
        await response.aread()


@both_loops
def test_the_connection_that_was_used_last_is_used_next(backend: str) -> None:
    async def test() -> None:
        async with Counted().serve() as server, pooled() as client:
            async with at_once(client, server.url, 3):
                assert server.opened == 3
            assert [await answered(client, server.url) for _ in range(3)] == [2, 2, 2]
            async with at_once(client, server.url, 2):
                assert server.opened == 3
            assert await answered(client, server.url) == 1

    run(backend, test)


@both_loops
@pytest.mark.parametrize("keepalive", [0, 1, 2])
def test_more_idle_connections_than_are_kept_are_closed_the_oldest_first(backend: str, keepalive: int) -> None:
    async def test() -> None:
        async with Counted().serve() as server, pooled(keepalive) as client:
            async with at_once(client, server.url, 4):
                await server.until(0, 1, 2, 3)
            await server.until(*range(4 - keepalive, 4))
            assert await answered(client, server.url) == (3 if keepalive else 4)

    run(backend, test)


@both_loops
def test_idle_connections_expire(backend: str) -> None:
    async def test() -> None:
        async with Counted().serve() as server, pooled(expiry=0) as client:
            async with at_once(client, server.url, 3):
                pass
            assert await answered(client, server.url) == 3
            await server.until()

    run(backend, test)


@both_loops
def test_a_connection_that_the_server_closed_is_not_used_again(backend: str) -> None:
    async def test() -> None:
        async with Counted().serve() as server, pooled() as client:
            async with at_once(client, server.url, 2):
                pass
            assert await answered(client, f"{server.url}/last") == 1
            await server.until(0)
            assert await answered(client, server.url) == 0

    run(backend, test)


@both_loops
def test_a_connection_is_used_for_its_own_server_only(backend: str) -> None:
    async def test() -> None:
        async with Counted().serve() as one, Counted().serve() as other, pooled() as client:
            for _ in range(2):
                assert await answered(client, one.url) == 0
                async with at_once(client, other.url, 2):
                    pass
            assert (one.opened, other.opened) == (1, 2)

    run(backend, test)


@both_loops
def test_a_request_that_is_cancelled_leaves_no_connection(backend: str) -> None:
    async def test() -> None:
        async with Counted().serve() as server, pooled() as client:
            assert await answered(client, server.url) == 0
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.get, f"{server.url}/never")
                await server.waited_for.wait()
                tasks.cancel_scope.cancel()
            await server.until()
            assert await answered(client, server.url) == 1

    run(backend, test)


@both_loops
def test_closing_ends_idle_and_busy_connections(backend: str) -> None:
    async def test() -> None:
        async with Counted().serve() as server:
            async with pooled() as client:
                async with at_once(client, server.url, 2):
                    pass
                busy = [await client.send(client.build_request("GET", server.url), stream=True) for _ in range(2)]
                assert await answered(client, server.url) == 2
            await server.until()
            for response in busy:
                await response.aclose()
            assert server.opened == 3

    run(backend, test)
