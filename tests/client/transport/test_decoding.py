"""Compressed bodies are decoded in bounded steps, whatever they become."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Final

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.streams import ending, frame, message, numbered, opening, response
from tests.support import both_loops, run

from responses_proto import Limits, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.client.transport import HTTPTransport, WireRequest
from responses_proto.client.transport._decoding import STEP, DecodedReply, content_codings
from responses_proto.exceptions import (
    APIError,
    DeadlineExceeded,
    LimitExceeded,
    ResponsesProtoError,
    TransportError,
)
from responses_proto.testing import Answer, FakeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from responses_proto.client.transport import HTTPClient

MIB: Final = 2**20
ONCE: Final = RetryPolicy(attempts=1)


def raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


def members(data: bytes) -> bytes:
    """Return two gzip files, which are one body, and padding."""
    return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]) + bytes(20)


PACKERS: Final[dict[str, tuple[str, Callable[[bytes], bytes]]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "several members": ("gzip", members),
    "deflate": ("deflate", zlib.compress),
    "deflate without zlib's header": ("deflate", raw_deflate),
    "gzip, gzip": ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
    "deflate, gzip": ("deflate,gzip", lambda data: gzip.compress(zlib.compress(data))),
    "gzip, identity": ("gzip, identity", gzip.compress),
}


class Pieces:
    """A reply whose body comes in these pieces."""

    status = 200
    keeps_time = False

    def __init__(self, pieces: Iterable[bytes], coding: str) -> None:
        self.headers = {"content-encoding": coding}
        self._pieces = iter(pieces)
        self.closed = False

    async def receive(self) -> bytes:
        return next(self._pieces, b"")

    async def aclose(self) -> None:
        self.closed = True


def decode(pieces: Iterable[bytes], coding: str) -> bytes:
    """Return what a body decodes to."""
    found: list[bytes] = []

    async def test() -> None:
        reply = Pieces(pieces, coding)
        decoded = DecodedReply(reply, content_codings(reply.headers))
        while piece := await decoded.receive():
            assert len(piece) <= STEP
            found.append(piece)
        assert await decoded.receive() == b""
        await decoded.aclose()
        assert reply.closed

    anyio.run(test)
    return b"".join(found)


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("size", [1, 2, 3, 1000, 10**6])
def test_a_body_is_decoded_however_it_is_cut(name: str, size: int) -> None:
    coding, pack = PACKERS[name]
    data = random.Random(1).randbytes(3000) + b"a" * 200_000
    packed = pack(data)
    assert decode((packed[at : at + size] for at in range(0, len(packed), size)), coding) == data
    assert decode([pack(b"")], coding) == b""


@given(data=st.binary(max_size=300), name=st.sampled_from(sorted(PACKERS)), size=st.integers(1, 50))
@settings(max_examples=50)
def test_any_body_is_decoded(data: bytes, name: str, size: int) -> None:
    coding, pack = PACKERS[name]
    packed = pack(data)
    assert decode((packed[at : at + size] for at in range(0, len(packed), size)), coding) == data


@pytest.mark.parametrize("coding", ["", "identity", "utf-8", "aws-chunked", "none"])
def test_other_names_are_no_coding(coding: str) -> None:
    assert content_codings({"content-encoding": coding}) == []
    assert content_codings({}) == []


@pytest.mark.parametrize("coding", ["br", "gzip, zstd", "compress", ", ".join(["gzip"] * 4)])
def test_what_has_no_bound_is_refused(coding: str) -> None:
    with pytest.raises(TransportError, match="compressed its answer"):
        content_codings({"content-encoding": coding})


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_is_not_what_it_says_is_an_error(coding: str) -> None:
    with pytest.raises(TransportError, match=f"not valid {coding}"):
        decode([b"plain text"], coding)
    with pytest.raises(TransportError, match="not valid gzip"):
        decode([gzip.compress(b"x" * 100)[:-8] + bytes(8)], "gzip")


def bomb(mib: int, layers: int = 1, wbits: int = 31, start: bytes = b"{") -> bytes:
    """Return so many MiB of blanks, compressed so many times."""
    pieces = [start, *[b" " * MIB] * mib]
    for _ in range(layers):
        packing = zlib.compressobj(6, zlib.DEFLATED, wbits)
        pieces = [*map(packing.compress, pieces), packing.flush()]
    return b"".join(pieces)


async def create(client: ResponsesClient) -> None:
    await client.create(model="m", input="x")


async def stream(client: ResponsesClient) -> None:
    async with client.stream(model="m", input="x") as events:
        await events.result()


def clients(shape: str) -> HTTPClient | None:
    if shape == "own":
        return None
    if shape == "aiohttp":
        transport = pytest.importorskip("httpx_aiohttp").AiohttpTransport()
        return httpx.AsyncClient(transport=transport)
    made: HTTPClient = pytest.importorskip(shape).AsyncClient()
    return made


@pytest.mark.parametrize(("coding", "layers", "wbits"), [("gzip", 1, 31), ("deflate, deflate", 2, 15)])
@pytest.mark.parametrize("shape", ["own", "httpx", "httpx2", "aiohttp"])
def test_a_bomb_takes_no_more_memory_than_the_limit(shape: str, coding: str, layers: int, wbits: int) -> None:
    async def test() -> None:
        limits = Limits(max_event_bytes=2 * MIB, max_buffered_bytes=2 * MIB)
        http_client, head = clients(shape), {"content-encoding": coding}
        answers = {
            "json": Answer.body(bomb(60, layers, wbits), content_type="application/json", headers=head),
            "events": Answer.body(bomb(60, layers, wbits, b"data: "), content_type="text/event-stream", headers=head),
            "error": Answer.body(bomb(60, layers, wbits, b"<html>"), 500, content_type="text/html", headers=head),
        }
        for kind, answer in answers.items():
            async with (
                FakeServer(answer) as server,
                ResponsesClient(server.url, "k", limits=limits, retry=ONCE, http_client=http_client) as client,
            ):
                for verb in (create, stream):
                    tracemalloc.start()
                    with pytest.raises(APIError if kind == "error" else ResponsesProtoError) as caught:
                        await verb(client)
                    peak = tracemalloc.get_traced_memory()[1]
                    tracemalloc.stop()
                    assert peak < 24 * MIB, (kind, verb)
                    assert kind == "error" or isinstance(caught.value, LimitExceeded), (kind, verb, caught.value)
        if http_client is not None:
            await http_client.aclose()

    run("asyncio", test)


def test_what_grows_out_of_all_proportion_is_refused_though_no_limit_holds_it_back() -> None:
    with pytest.raises(TransportError, match="decode to more than"):
        decode([bomb(60, 2)], "gzip, gzip")


@both_loops
def test_deadlines_hold_while_nothing_but_decoding_is_done(backend: str) -> None:
    async def test() -> None:
        answer = Answer.body(
            bomb(200, start=b":"), content_type="text/event-stream", headers={"content-encoding": "gzip"}
        )
        limits = Limits(max_event_bytes=2**40)
        async with (
            FakeServer(answer) as server,
            ResponsesClient(server.url, "k", retry=ONCE, limits=limits, timeouts=Timeouts(first_event=0.01)) as client,
        ):
            with pytest.raises(DeadlineExceeded):
                await stream(client)

    run(backend, test)


@both_loops
@pytest.mark.parametrize("name", PACKERS)
def test_a_compressed_answer_is_read_as_any_other(backend: str, name: str) -> None:
    coding, pack = PACKERS[name]
    whole = response(status="completed", output=[message("Hi.")])
    events = b"".join(map(frame, numbered([*opening(), ending([message("Hi.")])])))

    async def test() -> None:
        for body, kind in ((json.dumps(whole).encode(), "application/json"), (events, "text/event-stream")):
            answer = Answer.body(pack(body), 200, content_type=kind, headers={"content-encoding": coding})
            async with (
                FakeServer(answer) as server,
                ResponsesClient(server.url, "k", retry=ONCE) as client,
            ):
                assert (await client.create(model="m", input="x")).output_text == "Hi."
                async with client.stream(model="m", input="x") as said:
                    assert (await said.result()).output_text == "Hi."
                assert [each.headers["accept-encoding"] for each in server.requests] == ["gzip, deflate", "identity"]

    run(backend, test)


@both_loops
def test_a_reply_that_cannot_be_decoded_is_closed(backend: str) -> None:
    async def test() -> None:
        closed: list[bool] = []

        class Body(httpx.AsyncByteStream):
            async def aclose(self) -> None:
                closed.append(True)

        async def answer(_request: httpx.Request) -> httpx.Response:
            await anyio.lowlevel.checkpoint()
            return httpx.Response(200, headers={"content-encoding": "br"}, stream=Body())

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client:
            transport = HTTPTransport(http_client)
            with pytest.raises(TransportError, match="with br"):
                await transport.send(WireRequest(method="GET", url="http://h/v1", headers={}))
            assert closed

    run(backend, test)
